"""Videos as they are stored: one stream, read by ranges and never whole (PS3.5 8.2.5 and after)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pacs.archive import Archive
from pacs.dicom.codecs import UndecodableFrame
from pacs.retrieve import StoredInstance
from storage.errors import StoreError

PIECE_BYTES = 1 << 20
_ITEM = b"\xfe\xff\x00\xe0"
_MOST_FRAGMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Video:
    """Where the bytes of a stream lie: its fragments, without what stands between them."""

    object_key: str
    fragments: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Bytes of the stream."""
        return sum(length for _, length in self.fragments)

    def read(self, archive: Archive, start: int, end: int) -> Iterator[bytes]:
        """The stream's bytes from `start` up to `end`, in pieces. Raises StoreError."""
        begin = 0
        for offset, length in self.fragments:
            first, last = max(start, begin), min(end, begin + length)
            for at in range(first, last, PIECE_BYTES):
                wanted = min(PIECE_BYTES, last - at)
                piece = archive.store.read(self.object_key, offset + at - begin, wanted)
                if len(piece) != wanted:
                    raise StoreError("a stored object is shorter than it was", key=self.object_key)
                yield piece
            begin += length


def video_of(archive: Archive, stored: StoredInstance) -> Video:
    """The stream of a stored video; nothing of it is read but the length of each fragment.

    Raises UndecodableFrame and StoreError.
    """
    at, length = stored.frames[:2]
    end = at + length
    fragments: list[tuple[int, int]] = []
    while at < end:
        header = archive.store.read(stored.object_key, at, 8)
        size = int.from_bytes(header[4:], "little")
        if header[:4] != _ITEM or at + 8 + size > end or len(fragments) == _MOST_FRAGMENTS:
            raise UndecodableFrame(f"{stored.sop_instance_uid}: its video is in disorder")
        fragments.append((at + 8, size))
        at += 8 + size
    return Video(stored.object_key, tuple(fragments))
