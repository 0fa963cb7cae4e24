"""The folder that holds everything of one installation."""

from __future__ import annotations

import os
from pathlib import Path

from pacs.database.errors import DataDirectoryError

# Changes when a program can no longer work in a folder that an earlier or later one has laid out.
FORMAT = 1


def prepare(folder: Path) -> None:
    """Make the data directory where there is none, closed to others.

    Raises DataDirectoryError when it cannot be used or was laid out by another version.
    """
    # Under root the database's own user has to pass through; what lies inside stays closed.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(mode)
        for name in ("objects", "spool"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        _check_format(folder / "format")
    except OSError as error:
        raise DataDirectoryError(
            f"the data directory {folder} cannot be used: {error.strerror};"
            " choose another with --data-dir (PACS_DATA_DIR)"
        ) from error


def _check_format(file: Path) -> None:
    if not file.exists():
        file.write_text(f"{FORMAT}\n")
    found = file.read_text().strip()
    if found != str(FORMAT):
        raise DataDirectoryError(
            f"the data directory {file.parent} has format {found}, this version of Filmless works"
            f" with format {FORMAT}: start the version that made it, or choose another directory"
        )
