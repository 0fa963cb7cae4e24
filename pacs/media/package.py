"""Everything that goes onto the media, in the order in which it is written."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pacs.archive import Archive
from pacs.dicom.codecs import UndecodableFrame
from pacs.dicom.scaling import View
from pacs.media.directory import dicomdir
from pacs.media.file_set import MediaFile
from pacs.media.page import Shown, page, readme
from pacs.media.writing import Entry
from pacs.pictures import Look, rendered
from pacs.retrieve import NotFound, read_object

log = logging.getLogger(__name__)

_LOOK = Look(view=View((1024, 1024)), quality=85)
_MOST_PICTURES = 300
"""Of one instance; a longer film is shown by its beginning, and is whole as DICOM."""
_PICTURE_BYTES = 8 << 20


@dataclass(slots=True)
class _Digests:
    lines: list[str] = field(default_factory=list)

    def noting(self, entry: Entry) -> Entry:
        """The same entry, whose checksum is noted once it is read."""
        return Entry(entry.path, self._read(entry), entry.size, entry.deflate)

    def _read(self, entry: Entry) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for piece in entry.pieces:
            digest.update(piece)
            yield piece
        self.lines.append(f"{digest.hexdigest()}  {entry.path}\n")


def entries(archive: Archive, files: Sequence[MediaFile], institution: str) -> Iterator[Entry]:
    """DICOMDIR, the objects as they are stored, pictures of them, the page, and checksums of all.

    Raises storage.ObjectNotFound where an object is missing.
    """
    digests = _Digests()
    for entry in _contents(archive, files, institution):
        yield digests.noting(entry)
    manifest = "".join(digests.lines).encode()
    yield Entry("MANIFEST.SHA256", [manifest], len(manifest), deflate=True)


def _contents(archive: Archive, files: Sequence[MediaFile], institution: str) -> Iterator[Entry]:
    yield _text("DICOMDIR", dicomdir(files))
    yield _text("README.TXT", readme(files, institution))
    shown: list[Shown] = []
    for file in files:
        yield Entry(file.path, read_object(archive, file.stored), file.stored.size)
        pictures: list[str] = []
        for picture in _pictures(archive, file):
            pictures.append(picture.path)
            yield picture
        shown.append(Shown(file, tuple(pictures)))
    yield _text("index.html", page(shown, institution))


def _pictures(archive: Archive, file: MediaFile) -> Iterator[Entry]:
    """JPEG of the frames, as far as they can be shown."""
    folder = "/".join(("VIEWER", *file.file_id[1:]))
    for number in range(1, min(file.pictures, _MOST_PICTURES) + 1):
        try:
            picture = rendered(archive, file.stored, number, _LOOK)
        except (UndecodableFrame, NotFound) as error:
            # It is on the media as DICOM; the page says that it has no picture of it.
            log.info("no picture for the media: %s", error)
            return
        path = f"{folder}.JPG" if file.pictures == 1 else f"{folder}/F{number:07}.JPG"
        yield Entry(path, [picture], _PICTURE_BYTES)


def _text(path: str, body: bytes) -> Entry:
    return Entry(path, [body], len(body), deflate=True)
