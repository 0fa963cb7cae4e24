"""Where things lie in a data set (PS3.5 7 and A.4), found without decoding a value.

The walk jumps from element to element, so its cost is that of the header alone; it proves that
the data set is whole, and finds the frames so that each can be read as one range of the file.
"""

import struct
from dataclasses import dataclass
from mmap import mmap

from pacs.dicom.errors import NotDicom, Truncated

Buffer = bytes | bytearray | mmap

PIXEL_DATA_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
LARGE_VALUE_BYTES = 1 << 20

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_VRS = frozenset(
    (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_VRS = _LONG_VRS | frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class PixelData:
    """The value field of the pixel data element: where it begins and ends in the file."""

    tag: int
    start: int
    end: int
    fragments: tuple[tuple[int, int], ...] | None
    """Of encapsulated pixel data: start of each item's header and end of its value."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of a data set."""

    header: tuple[tuple[int, int], ...]
    """Ranges of the file that hold all attributes but pixel data and values over 1 MiB."""
    pixel_data: PixelData | None
    end: int


@dataclass(frozen=True, slots=True)
class _Element:
    tag: int
    vr: bytes
    start: int
    length: int


class _Walk:
    def __init__(self, data: Buffer, *, implicit: bool, little: bool) -> None:
        self.data = data
        self.size = len(data)
        order = "<" if little else ">"
        self.implicit = implicit
        self.tag_at = struct.Struct(f"{order}HH").unpack_from
        self.short_at = struct.Struct(f"{order}H").unpack_from
        self.long_at = struct.Struct(f"{order}I").unpack_from

    def element(self, at: int) -> _Element:
        self._need(at, 8)
        group, number = self.tag_at(self.data, at)
        tag = group << 16 | number
        if group == 0xFFFE or self.implicit:
            return _Element(tag, b"", at + 8, self.long_at(self.data, at + 4)[0])
        vr = bytes(self.data[at + 4 : at + 6])
        if vr not in _VRS:
            raise NotDicom(f"({group:04X},{number:04X}) at byte {at} has no value representation")
        if vr in _LONG_VRS:
            self._need(at, 12)
            return _Element(tag, vr, at + 12, self.long_at(self.data, at + 8)[0])
        return _Element(tag, vr, at + 8, self.short_at(self.data, at + 6)[0])

    def end_of(self, element: _Element, depth: int = 0) -> int:
        if element.length != _UNDEFINED:
            end = element.start + element.length
            if end > self.size:
                group, number = element.tag >> 16, element.tag & 0xFFFF
                raise Truncated(
                    f"({group:04X},{number:04X}) should end at byte {end}, "
                    f"the object at byte {self.size}"
                )
            return end
        if element.vr == b"UN" and not self.implicit:
            # PS3.5 6.2.2 note 7: undefined length under UN is a sequence in implicit VR.
            nested = _Walk(self.data, implicit=True, little=True)
            return nested.end_of_items(element.start, depth + 1)
        return self.end_of_items(element.start, depth + 1)

    def end_of_items(self, at: int, depth: int) -> int:
        if depth > _MAX_DEPTH:
            raise NotDicom(f"sequences are nested deeper than {_MAX_DEPTH}")
        while True:
            item = self.element(at)
            if item.tag == _SEQUENCE_END:
                return item.start
            if item.tag != _ITEM:
                raise NotDicom(f"an item was expected at byte {at}")
            if item.length == _UNDEFINED:
                at = self.end_of_item(item.start, depth)
            else:
                at = self.end_of(item)

    def end_of_item(self, at: int, depth: int) -> int:
        while True:
            element = self.element(at)
            if element.tag == _ITEM_END:
                return element.start
            at = self.end_of(element, depth)

    def fragments(self, at: int) -> tuple[list[tuple[int, int]], int]:
        found: list[tuple[int, int]] = []
        while at < self.size:
            item = self.element(at)
            if item.tag == _SEQUENCE_END:
                return found, item.start
            if item.tag != _ITEM or item.length == _UNDEFINED:
                raise NotDicom(f"a fragment of pixel data was expected at byte {at}")
            end = self.end_of(item)
            found.append((at, end))
            at = end
        return found, at

    def _need(self, at: int, count: int) -> None:
        if at + count > self.size:
            raise Truncated(f"the object ends at byte {self.size}, in the middle of an element")


def walk(data: Buffer, start: int, *, implicit: bool, little: bool = True) -> Layout:
    """The layout of the data set that begins at byte `start` of `data` and goes to its end.

    Raises NotDicom and Truncated. Encapsulated pixel data that lacks its sequence delimiter is
    taken as whole where no fragment is cut; who knows the number of frames can tell more.
    """
    steps = _Walk(data, implicit=implicit, little=little)
    header: list[tuple[int, int]] = []
    pixel_data = None
    at = start
    while at < steps.size:
        element = steps.element(at)
        if element.tag in PIXEL_DATA_TAGS:
            fragments = None
            if element.length == _UNDEFINED:
                spans, end = steps.fragments(element.start)
                fragments = tuple(spans)
            else:
                end = steps.end_of(element)
            pixel_data = PixelData(element.tag, element.start, end, fragments)
        else:
            end = steps.end_of(element)
            if end - at <= LARGE_VALUE_BYTES or element.vr in (b"SQ", b""):
                _extend(header, at, end)
        at = end
    return Layout(tuple(header), pixel_data, at)


def _extend(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    if ranges and ranges[-1][1] == start:
        ranges[-1] = (ranges[-1][0], end)
    else:
        ranges.append((start, end))


def join_items(data: bytes) -> bytes:
    """The values of a run of items, such as the fragments of one frame, put together."""
    parts, at = [], 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        parts.append(data[at + 8 : end])
        at = end
    return b"".join(parts)
