"""Frames as ranges of their object; what lies side by side is one read, one hop to S3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacs.dicom.codecs import Buffer
from pacs.dicom.layout import join_items
from storage.errors import StoreError
from storage.store import ObjectStore

_RUN_BYTES = 8 << 20
_GAP_BYTES = 64 << 10

Range = tuple[int, int]
"""Offset and length."""


def read_frames(
    store: ObjectStore, object_key: str, ranges: Sequence[Range], *, encapsulated: bool
) -> Iterator[Buffer]:
    """The bytes of frames in turn; of encapsulated ones the value of their fragments.

    At most 8 MiB, or one frame, are read at a time. Raises StoreError.
    """
    for run in _runs(ranges):
        start, end = run[0][0], run[-1][0] + run[-1][1]
        data = memoryview(store.read(object_key, start, end - start))
        if len(data) != end - start:
            raise StoreError("a stored object is shorter than it was", key=object_key)
        for offset, length in run:
            found = data[offset - start : offset - start + length]
            yield _unwrapped(found) if encapsulated else found


def _runs(ranges: Sequence[Range]) -> Iterator[list[Range]]:
    """Ranges that lie one behind the other in the object, put together up to a bound."""
    run: list[Range] = []
    for offset, length in ranges:
        if run:
            last = run[-1][0] + run[-1][1]
            if not last <= offset <= last + _GAP_BYTES or offset + length - run[0][0] > _RUN_BYTES:
                yield run
                run = []
        run.append((offset, length))
    if run:
        yield run


def _unwrapped(items: memoryview) -> Buffer:
    """The value of a frame's fragments, not copied where it is one."""
    length = int.from_bytes(items[4:8], "little")
    return items[8:] if length == len(items) - 8 else join_items(bytes(items))
