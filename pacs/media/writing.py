"""Entries written down: as a ZIP that is made while it is sent, or into a folder."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pacs.errors import PacsError

_PIECE = 256 << 10
_FROM_ZIP64 = 1 << 31


class ExportError(PacsError):
    """An export that cannot be written where it should go."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its path, its bytes in pieces, at most how many, and whether deflating pays."""

    path: str
    pieces: Iterable[bytes]
    size: int
    deflate: bool = False


class _Outlet(io.RawIOBase):
    """A file that only grows, whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0
        self._position = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Keep the bytes until they are taken."""
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        self._length += len(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        """How much was ever written."""
        return self._position

    @property
    def waiting(self) -> int:
        """How many bytes wait to be taken."""
        return self._length

    def take(self) -> bytes:
        """What waits."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self._length = 0
        return taken


def zipped(entries: Iterable[Entry], at: datetime) -> Iterator[bytes]:
    """A ZIP of the entries, in pieces; of no entry more than a piece is held.

    Raises what reading an entry raises: what was sent until then is no whole ZIP.
    """
    outlet = _Outlet()
    moment = at.timetuple()[:6]
    with zipfile.ZipFile(outlet, "w", allowZip64=True) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.path, moment)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED if entry.deflate else zipfile.ZIP_STORED
            large = entry.size >= _FROM_ZIP64
            with archive.open(info, "w", force_zip64=large) as file:
                for piece in entry.pieces:
                    file.write(piece)
                    if outlet.waiting >= _PIECE:
                        yield outlet.take()
    yield outlet.take()


def write_zip(entries: Iterable[Entry], file: Path, at: datetime) -> None:
    """Write the ZIP beside its place and put it there when it is whole. Raises ExportError."""
    part = file.with_name(file.name + ".part")
    try:
        with part.open("wb") as written:
            for piece in zipped(entries, at):
                written.write(piece)
        part.rename(file)
    except OSError as error:
        raise ExportError(f"cannot write {file}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def write_folder(entries: Iterable[Entry], folder: Path) -> None:
    """Write the entries below a folder that is new or empty. Raises ExportError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} is not an empty folder")
    try:
        for entry in entries:
            file = folder / entry.path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as written:
                for piece in entry.pieces:
                    written.write(piece)
    except OSError as error:
        raise ExportError(f"cannot write into {folder}: {error.strerror}") from error
