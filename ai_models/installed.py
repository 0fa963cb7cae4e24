"""Where the bundles of this machine are, and what the registry is told of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection

from ai_models.errors import ModelMissing
from ai_models.registry import (
    BUNDLES,
    CHECKSUMS,
    METADATA,
    REINSTALL,
    Bundle,
    checksums,
    open_folder,
    read_json,
)
from pacs.models import registry
from pacs.models.registry import Description, Model
from pacs.settings import Settings

BUILT_IN = "cxr_triage"
RESEARCH = (
    "This model is not a registered medical device. It is used for research: its results are marked"
    " so wherever they are shown, and nobody is diagnosed or treated by them."
)
_READ_MOST = 4000


def models_folder(settings: Settings) -> Path:
    """The folder of an installation with the bundles that were added to it."""
    return settings.data_dir / "models"


def folder_of(model: Model, settings: Settings, bundles: Path = BUNDLES) -> Path:
    """Where this machine has, or would have, the bundle of a model."""
    known = model.description
    if known.built_in:
        return bundles / known.name
    return models_folder(settings) / known.name / known.version


def open_installed(model: Model, settings: Settings, bundles: Path = BUNDLES) -> Bundle:
    """The bundle of a model, every file compared with what was registered.

    Raises ModelMissing, ModelAltered, which say what to do.
    """
    known, root = model.description, folder_of(model, settings, bundles)
    if known.built_in:
        return open_folder(root, known.name, registered=known.files)
    restore = (
        f"put the bundle back (pacs models add {known.name}-{known.version}); work then goes on"
    )
    if not root.is_dir():
        raise ModelMissing(model.title, f"this machine has no {root}; {restore}")
    return open_folder(root, model.title, registered=known.files, restore=restore)


def register_built_in(connection: Connection, bundles: Path = BUNDLES) -> None:
    """Tells the registry of the model that came with the program, the first time.

    Raises ModelMissing, ModelAltered where its SHA256SUMS or metadata cannot be read.
    """
    root = bundles / BUILT_IN
    try:
        changed = max((root / file).stat().st_mtime_ns for file in (METADATA, CHECKSUMS))
    except OSError as error:
        raise ModelMissing(BUILT_IN, f"{METADATA} cannot be read; {REINSTALL}") from error
    registry.add_built_in(connection, _built_in(root, changed))


@lru_cache(maxsize=4)
def _built_in(root: Path, _changed: int) -> Description:
    files = checksums(root, BUILT_IN)
    bundle = Bundle(root, read_json(root / METADATA, BUILT_IN), files)
    return describe(
        bundle, built_in=True, statement=RESEARCH, signed_by=str(bundle.metadata["authors"])
    )


def describe(
    bundle: Bundle,
    *,
    built_in: bool = False,
    registration_number: str | None = None,
    statement: str | None = None,
    signed_by: str | None = None,
) -> Description:
    """What the registry keeps of a bundle."""
    licence = bundle.metadata.get("license") or (bundle.root / "LICENSE").read_text(
        encoding="utf-8", errors="replace"
    )
    research = not bundle.registered
    return Description(
        name=bundle.name,
        version=bundle.version,
        built_in=built_in,
        files=dict(bundle.files),
        registered=bundle.registered,
        registration_number=registration_number or bundle.metadata.get("registration_number"),
        research_statement=statement if research else None,
        signed_by=signed_by if research else None,
        licence=str(licence)[:_READ_MOST],
        training_data=str(bundle.metadata["data_source"]),
        intended_use=str(bundle.metadata["intended_use"]),
    )
