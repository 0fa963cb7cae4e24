"""One Settings object: flags over PACS_* variables over `pacs.toml` in the data directory."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pacs.errors import PacsError

DEFAULT_DATA_DIR = Path("~/.local/share/filmless")


class SettingsError(PacsError):
    """A setting that cannot be used; says which one, where it stands and what it may be."""


class Settings(BaseSettings):
    """Everything that differs between two installations."""

    model_config = SettingsConfigDict(env_prefix="PACS_", extra="forbid", frozen=True)

    data_dir: Path = DEFAULT_DATA_DIR
    database_url: str | None = None
    store_url: str | None = None
    ack: Literal["spool", "store"] = "spool"

    host: str = "127.0.0.1"
    http_port: int = Field(8080, ge=0, le=65535)
    dicom_port: int = Field(11112, ge=0, le=65535)
    dicom_receivers: int | None = Field(None, ge=1, le=16)
    dicom_tls_port: int | None = Field(None, ge=0, le=65535)
    dicom_tls_certificate: Path | None = None
    dicom_tls_key: Path | None = None
    dicom_tls_ca: Path | None = None
    aet: str = Field("FILMLESS", min_length=1, max_length=16)
    public_url: str | None = None
    ohif_dir: Path | None = None

    institution_name: str = ""
    patient_id_issuer: str = "LOCAL"
    language: Literal["vi", "en"] = "vi"
    show_unregistered_models: bool = False
    ai: bool = True

    study_quiet_seconds: float = Field(3.0, ge=0, le=3600)
    max_object_bytes: int = Field(4 << 30, gt=0)
    max_associations: int = Field(50, ge=1, le=1000)
    session_hours: float = Field(12, gt=0, le=168)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("aet")
    @classmethod
    def _ae_title(cls, value: str) -> str:
        """PS3.5 6.2: the default repertoire without backslash and controls, not only spaces."""
        if not value.isascii() or not value.isprintable() or "\\" in value or not value.strip():
            raise ValueError("an AE title is ASCII letters, digits and signs without backslash")
        return value.strip()

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        """A TLS port needs a certificate, its key, and the authority that signs the peers'."""
        if self.dicom_tls_port is not None:
            names = ("dicom_tls_certificate", "dicom_tls_key", "dicom_tls_ca")
            missing = [name for name in names if getattr(self, name) is None]
            if missing:
                raise ValueError(f"dicom_tls_port needs {', '.join(missing)} as well")
        return self

    @property
    def receivers(self) -> int:
        """How many processes receive DICOM: as set, or by the processors that we may use."""
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        return self.dicom_receivers or max(1, min(4, usable // 2))

    @property
    def object_store_url(self) -> str:
        """Where objects live in the end: `store_url`, or a folder of the data directory."""
        return self.store_url or (self.data_dir / "objects").as_uri()

    @property
    def spool_dir(self) -> Path:
        """Where objects are safe on local disk until a remote store has them."""
        return self.data_dir / "spool"

    @property
    def ohif_folder(self) -> Path:
        """Where the prebuilt OHIF viewer lies, if it is installed."""
        return self.ohif_dir or self.data_dir / "ohif"

    @property
    def base_url(self) -> str:
        """The address that links given to other systems begin with, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.http_port}").rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags first, then the environment, then `pacs.toml` of the data directory these name."""
        flags = init_settings()
        data_dir = flags.get("data_dir") or os.environ.get("PACS_DATA_DIR") or DEFAULT_DATA_DIR
        toml = Path(data_dir).expanduser() / "pacs.toml"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=toml)


def load_settings(**flags: Any) -> Settings:
    """The settings in force; flags that are None are as if not given. Raises SettingsError."""
    known = {f"PACS_{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith("PACS_") and name not in known)
    if unknown:
        raise SettingsError(f"unknown setting in the environment: {', '.join(unknown)}")
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise SettingsError(f"a setting cannot be used: {reasons}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"pacs.toml is not valid TOML: {error}") from error
