"""Opens model bundles and lets none be used that is not what was released.

A bundle is a folder in MONAI's layout; `SHA256SUMS` in it names every file. Nothing of it is used
before all of it has been verified, and its configuration is read as data, never evaluated.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import jsonschema

from ai_models.errors import ModelAltered, ModelMissing

BUNDLES = Path(__file__).parent / "bundles"
CHECKSUMS = "SHA256SUMS"
METADATA = "configs/metadata.json"
REQUIRED = (METADATA, "configs/inference.json", "configs/triage.json", "docs/README.md", "LICENSE")
WEIGHTS = ("models/model.safetensors", "models/model.pt")
SCHEMA = Path(__file__).parent / "schemas" / "metadata.json"
"""Vendored: MONAI's own check fetches its schema from the network, which a hospital's has not."""
REINSTALL = "put the released files of the bundle back (reinstall filmless); work then goes on"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified model bundle."""

    GATE: ClassVar[str] = "models/gate.safetensors"

    root: Path
    metadata: dict[str, Any]
    files: Mapping[str, str] = field(repr=False)
    """The SHA-256 of every file, by its path in the bundle."""

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

    @property
    def has_gate(self) -> bool:
        """Whether it can tell pictures that are unlike those it was trained on."""
        return self.GATE in self.files

    @property
    def side(self) -> int:
        """The pixels of a side of its input, which is a square."""
        return int(self.metadata["network_data_format"]["inputs"]["image"]["spatial_shape"][0])

    @property
    def outputs(self) -> int:
        """How many outputs it declares."""
        return int(self.metadata["network_data_format"]["outputs"]["pred"]["num_channels"])

    @property
    def labels(self) -> tuple[str, ...]:
        """What each of its outputs is about, as declared."""
        declared = self.metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        return tuple(str(declared.get(str(i), "")) for i in range(self.outputs))

    def config(self, name: str) -> dict[str, Any]:
        """One of its JSON configurations: `inference`, `triage`. Raises ModelAltered."""
        return read_json(self.root / "configs" / f"{name}.json", self.name)


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
    return open_folder(root, name)


def open_folder(
    root: Path,
    name: str,
    *,
    registered: Mapping[str, str] | None = None,
    restore: str = REINSTALL,
) -> Bundle:
    """The bundle in the folder `root`, every file of it verified; `name` for what is said of it.

    `registered`: the SHA-256 of its files as this installation knows them; else those of its own
    SHA256SUMS count. Raises ModelMissing, ModelAltered, whose message ends with `restore`.
    """
    files = checksums(root, name, restore)
    if registered is not None and dict(files) != dict(registered):
        differing = min(set(files.items()) ^ set(registered.items()))[0]
        raise ModelAltered(
            name, f"{CHECKSUMS} has another {differing} than was registered; {restore}"
        )
    for file, expected in files.items():
        try:
            found = sha256(root / file)
        except OSError as error:
            raise ModelMissing(name, f"{file} cannot be read; {restore}") from error
        if found != expected:
            raise ModelAltered(name, f"{file} is not the released one; {restore}")
    strange = sorted(set(files_in(root)) - set(files) - {CHECKSUMS})
    if strange:
        raise ModelAltered(name, f"{strange[0][:200]} was not released with it; {restore}")
    metadata = read_json(root / METADATA, name)
    schema = json.loads(SCHEMA.read_bytes())
    try:
        jsonschema.validate(metadata, schema)
    except jsonschema.ValidationError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "top level"
        raise ModelAltered(
            name, f"metadata.json, {place}: {error.message[:300]}; {restore}"
        ) from error
    return Bundle(root, metadata, files)


def checksums(root: Path, name: str, restore: str = REINSTALL) -> dict[str, str]:
    """What the bundle's SHA256SUMS says, complete. Raises ModelMissing, ModelAltered."""
    try:
        files = dict(_lines(root / CHECKSUMS, name, restore))
    except OSError as error:
        raise ModelMissing(name, f"{CHECKSUMS} cannot be read; {restore}") from error
    for required in REQUIRED:
        if required not in files:
            raise ModelAltered(name, f"{CHECKSUMS} says nothing of {required}; {restore}")
    if not set(WEIGHTS) & set(files):
        raise ModelAltered(name, f"{CHECKSUMS} says nothing of {WEIGHTS[0]}; {restore}")
    return files


def write_checksums(root: Path) -> None:
    """Writes SHA256SUMS over every other file of the bundle, as `sha256sum -c` reads it."""
    lines = [
        f"{sha256(root / file)}  {file}\n" for file in sorted(files_in(root)) if file != CHECKSUMS
    ]
    (root / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def files_in(root: Path) -> Iterator[str]:
    """The paths of the files in a folder, without what Python or the system leave there."""
    for path in root.rglob("*"):
        if path.is_file() and path.parent.name != "__pycache__":
            yield path.relative_to(root).as_posix()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path, name: str) -> dict[str, Any]:
    """A JSON object of a bundle. Raises ModelMissing, ModelAltered."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelMissing(name, f"{path.name} cannot be read") from error
    except (ValueError, RecursionError) as error:
        raise ModelAltered(name, f"{path.name} is no JSON") from error
    if not isinstance(content, dict):
        raise ModelAltered(name, f"{path.name} is no JSON object")
    return content


def _lines(path: Path, name: str, restore: str) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, file = line.partition("  ")
        if len(digest) != 64 or not file or file.startswith("/") or ".." in Path(file).parts:
            raise ModelAltered(name, f"{CHECKSUMS} is damaged; {restore}")
        yield file, digest
