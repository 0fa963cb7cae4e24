"""Where the embedded server's socket lies: in its folder, unless that path is too long for one."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

from pacs.database.account import Account
from pacs.database.errors import DataDirectoryError

PORT = 5432  # no port of the machine: PostgreSQL puts it in the socket's name
_NAME = f".s.PGSQL.{PORT}"
_LONGEST = 107  # bytes of sockaddr_un.sun_path on Linux, less the final zero
_SHORT = Path("/tmp")  # noqa: S108 - the same for all processes, whatever their TMPDIR


def folder(directory: Path) -> Path:
    """The socket's folder for the cluster in `directory`; every process comes to the same."""
    inside = directory / "socket"
    if len(os.fsencode(inside / _NAME)) <= _LONGEST:
        return inside
    return _SHORT / f"filmless-{sha256(os.fsencode(directory.resolve())).hexdigest()[:24]}"


def provide(directory: Path, account: Account) -> None:
    """Make the socket's folder, closed to all but the server's user. Raises DataDirectoryError."""
    place = folder(directory)
    try:
        place.mkdir(mode=0o700)
        account.give(place)
    except FileExistsError as error:
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid:
            raise DataDirectoryError(
                f"{place} belongs to somebody else: remove it, or choose a shorter data directory"
            ) from error
    except OSError as error:
        raise DataDirectoryError(f"{place} cannot be made: {error.strerror}") from error


def clear(directory: Path) -> None:
    """Remove a socket and its lock file that a killed server has left."""
    for stale in (_NAME, f"{_NAME}.lock"):
        (folder(directory) / stale).unlink(missing_ok=True)


def remove_if_outside(directory: Path) -> None:
    """Leave nothing behind outside of `directory`."""
    place = folder(directory)
    if not place.is_relative_to(directory) and place.is_dir():
        clear(directory)
        place.rmdir()
