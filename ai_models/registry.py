"""Finds the model bundles and lets none be used that is not what was released.

A bundle is a folder in MONAI's layout; `SHA256SUMS` in it names every file. Its configuration is
program (MONAI's ConfigParser evaluates expressions in it), so nothing of a bundle is read before
all of it has been verified.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from ai_models.errors import ModelAltered, ModelMissing

BUNDLES = Path(__file__).parent / "bundles"
CHECKSUMS = "SHA256SUMS"
REQUIRED = (
    "configs/metadata.json",
    "configs/inference.json",
    "configs/triage.json",
    "models/model.safetensors",
    "models/gate.safetensors",
    "docs/README.md",
    "LICENSE",
)
_RESTORE = "put the released files of the bundle back (reinstall filmless); work then goes on"

_TENSOR = {
    "type": "object",
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
    "properties": {
        "num_channels": {"type": "integer", "minimum": 1},
        "spatial_shape": {"type": "array", "items": {"type": "integer"}},
        "channel_def": {"type": "object"},
    },
}
METADATA_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": [
        "name",
        "version",
        "registered",
        "changelog",
        "monai_version",
        "pytorch_version",
        "numpy_version",
        "required_packages_version",
        "task",
        "description",
        "authors",
        "copyright",
        "intended_use",
        "data_source",
        "network_data_format",
    ],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9_]+$"},
        "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "registered": {"type": "boolean"},
        "registration_number": {"type": ["string", "null"]},
        "changelog": {"type": "object", "minProperties": 1},
        "required_packages_version": {"type": "object"},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {
                "inputs": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": _TENSOR},
                },
                "outputs": {
                    "type": "object",
                    "required": ["pred"],
                    "properties": {"pred": _TENSOR},
                },
            },
        },
    },
}
"""What MONAI's bundle specification asks of metadata.json, and what this product asks besides.

MONAI's own check fetches its schema from the network, which a hospital's server has not.
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified model bundle."""

    root: Path
    metadata: dict[str, Any]

    @property
    def name(self) -> str:
        """Such as `cxr_triage`."""
        return str(self.metadata["name"])

    @property
    def version(self) -> str:
        """Such as `1.0.0`."""
        return str(self.metadata["version"])

    @property
    def registered(self) -> bool:
        """Whether it is a registered medical device; else its results are for research."""
        return bool(self.metadata["registered"])

    def config(self, name: str) -> dict[str, Any]:
        """One of its JSON configurations: `inference`, `triage`."""
        return dict(json.loads((self.root / "configs" / f"{name}.json").read_bytes()))


def bundle_names(directory: Path = BUNDLES) -> list[str]:
    """The names of the bundles there are, verified or not."""
    if not directory.is_dir():
        return []
    return sorted(path.name for path in directory.iterdir() if (path / "configs").is_dir())


def open_bundle(name: str, directory: Path = BUNDLES) -> Bundle:
    """The bundle of that name, every file of it verified.

    Raises ModelMissing, ModelAltered.
    """
    root = directory / name
    if not root.is_dir():
        there = ", ".join(bundle_names(directory)) or "none"
        raise ModelMissing(name, f"not among the bundles in {directory} (there: {there})")
    verify(root)
    metadata = json.loads((root / "configs" / "metadata.json").read_bytes())
    try:
        jsonschema.validate(metadata, METADATA_SCHEMA)
    except jsonschema.ValidationError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "top level"
        raise ModelAltered(name, f"metadata.json, {place}: {error.message}; {_RESTORE}") from error
    return Bundle(root, metadata)


def verify(root: Path) -> None:
    """Compares every file of the bundle with its SHA-256. Raises ModelMissing, ModelAltered."""
    name = root.name
    try:
        sums = dict(_checksums(root / CHECKSUMS, name))
    except OSError as error:
        raise ModelMissing(name, f"{CHECKSUMS} cannot be read; {_RESTORE}") from error
    for required in REQUIRED:
        if required not in sums:
            raise ModelAltered(name, f"{CHECKSUMS} says nothing of {required}; {_RESTORE}")
    for file, expected in sums.items():
        try:
            found = hashlib.sha256((root / file).read_bytes()).hexdigest()
        except OSError as error:
            raise ModelMissing(name, f"{file} cannot be read; {_RESTORE}") from error
        if found != expected:
            raise ModelAltered(name, f"{file} is not the released one; {_RESTORE}")


def write_checksums(root: Path) -> None:
    """Writes SHA256SUMS over every other file of the bundle, as `sha256sum -c` reads it."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name != CHECKSUMS)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root).as_posix()}\n"
        for path in files
    ]
    (root / CHECKSUMS).write_text("".join(lines), encoding="ascii")


def _checksums(path: Path, name: str) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        digest, _, file = line.partition("  ")
        if len(digest) != 64 or not file or file.startswith("/") or ".." in Path(file).parts:
            raise ModelAltered(name, f"{CHECKSUMS} is damaged; {_RESTORE}")
        yield file, digest
