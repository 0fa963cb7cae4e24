"""A bundle from elsewhere becomes a model of this installation: copied, verified, tried, known."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from ai_models.errors import ModelRefused
from ai_models.installed import RESEARCH, describe, models_folder
from ai_models.registry import (
    CHECKSUMS,
    METADATA,
    Bundle,
    files_in,
    open_folder,
    write_checksums,
)
from ai_models.torchxrayvision.bundle import write_bundle
from ai_models.torchxrayvision.catalogue import Weights
from ai_models.trial import try_out
from pacs.models import registry
from pacs.models.registry import Model
from pacs.settings import Settings

LARGEST_BUNDLE = 4 << 30
MOST_FILES = 500
_ASK = "ask whoever made the bundle for a whole one"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a model may be used for, by whose word."""

    registration_number: str | None = None
    """Of a registered medical device whose metadata gives none."""
    research_signed_by: str | None = None
    """Who signs that a model that is no registered device is used for research only."""


def add_folder(
    connection: Connection, settings: Settings, source: Path, standing: Standing, by: str
) -> Model:
    """Adds the bundle in the folder `source`; it looks at nothing before it is activated.

    Where it is known already, only its files are put back. Raises ModelError, ModelRegistryError.
    """
    if not (source / METADATA).is_file():
        raise ModelRefused(str(source), f"no bundle: it has no {METADATA}")
    with _staging(settings) as staged:
        _copy(source, staged)
        if not (staged / CHECKSUMS).is_file():
            write_checksums(staged)
        return _install(connection, settings, staged, standing, by)


def import_torchxrayvision(
    connection: Connection,
    settings: Settings,
    source: tuple[Path, Weights],
    standing: Standing,
    by: str,
) -> Model:
    """Makes a bundle of a weights file of TorchXRayVision's, and adds it.

    `source`: the file, and which of the published weights it is.

    Raises ModelError, ModelRegistryError.
    """
    with _staging(settings) as staged:
        staged.mkdir()
        write_bundle(*source, staged)
        return _install(connection, settings, staged, standing, by)


def _install(
    connection: Connection, settings: Settings, staged: Path, standing: Standing, by: str
) -> Model:
    """Verifies and tries the bundle, registers it and moves its folder to its place."""
    bundle = open_folder(staged, "that is to be added", restore=_ASK)
    _check_standing(bundle, standing)
    try_out(bundle)
    _sync_files(bundle)
    new = describe(
        bundle,
        registration_number=standing.registration_number,
        statement=RESEARCH,
        signed_by=standing.research_signed_by,
    )
    registry.add(connection, new, by)
    place = models_folder(settings) / bundle.name / bundle.version
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_folder(settings), prefix=".old-") as old:
        if place.exists():
            place.rename(Path(old) / "bundle")
        bundle.root.rename(place)
    _sync(place.parent)
    return registry.get(connection, bundle.name, bundle.version)


@contextmanager
def _staging(settings: Settings) -> Iterator[Path]:
    """A place that vanishes, on the same file system as the models of the installation."""
    folder = models_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as made:
        yield Path(made) / "bundle"


def _copy(source: Path, target: Path) -> None:
    """What is checked is then what is used, whatever happens to `source`."""
    size = 0
    for count, file in enumerate(source.rglob("*"), start=1):
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            raise ModelRefused(source.name, f"{file.name[:200]} is no plain file")
        size += file.stat().st_size
        if count > MOST_FILES or size > LARGEST_BUNDLE:
            raise ModelRefused(
                source.name, f"more than {MOST_FILES} files or {LARGEST_BUNDLE >> 30} GiB"
            )
    for name in files_in(source):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


def _check_standing(bundle: Bundle, standing: Standing) -> None:
    title = f"{bundle.name} {bundle.version}"
    number = standing.registration_number or bundle.metadata.get("registration_number")
    if bundle.registered and not number:
        raise ModelRefused(
            title, "a registered device has a number; give it by --registration-number"
        )
    if not bundle.registered and standing.registration_number:
        raise ModelRefused(
            title, "its metadata says that it is not registered; ask its maker for one that does"
        )
    if not bundle.registered and not standing.research_signed_by:
        raise ModelRefused(
            title,
            "it is no registered device; somebody has to sign that it is used for research only:"
            " --research-signed-by 'NAME, FUNCTION'",
        )


def _sync_files(bundle: Bundle) -> None:
    for name in files_in(bundle.root):
        _sync(bundle.root / name)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
