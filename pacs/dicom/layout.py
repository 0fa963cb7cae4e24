"""Where things lie in a data set (PS3.5 7 and A.4), found without decoding a value.

The walk jumps from element to element, so its cost is that of the header alone; it proves that
the data set is whole, and finds the fragments of encapsulated pixel data.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

from pacs.dicom.errors import NotDicom, Truncated

Buffer = bytes | bytearray | mmap

PIXEL_DATA_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))

UNDEFINED = 0xFFFFFFFF
_DELIMITERS = 0xFFFE
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
MAX_DEPTH = 64

LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Those whose length takes 32 bits (PS3.5 7.1.2)."""

_HAS_LONG_LENGTH = dict.fromkeys(LONG_VRS, True) | dict.fromkeys(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split(), False
)


class HeadTooShort(Exception):
    """The walk needs bytes of the data set that it has not been given."""


Element = tuple[bytes, int, int]
"""VR, empty in implicit VR, and where the value field of an element begins and ends."""


@dataclass(frozen=True, slots=True)
class PixelData:
    """The value field of the pixel data element: where it begins and ends."""

    start: int
    end: int
    fragments: tuple[tuple[int, int], ...] | None
    """Of encapsulated pixel data: start of each item's header and end of its value."""


class Encoding:
    """One of the three ways in which elements are written (PS3.5 A.1, A.2, A.3)."""

    def __init__(self, *, implicit: bool, little: bool) -> None:
        order = "<" if little else ">"
        self.implicit = implicit
        self.little = little
        self.order = order
        self._long_header = struct.Struct(f"{order}HHI").unpack_from
        self._short_header = struct.Struct(f"{order}HH2sH").unpack_from
        self._length = struct.Struct(f"{order}I").unpack_from

    def walk(
        self, data: Buffer, start: int, size: int, *, until_pixels: bool = False
    ) -> tuple[dict[int, Element], PixelData | None]:
        """The top-level elements of the data set that goes from `start` to `size`, and its pixels.

        `until_pixels`: stop at the pixel data and give them as an element among the others, which
        ends with the data set where its length is undefined.

        `data` may be only the beginning: HeadTooShort says that more of it is needed. Raises
        NotDicom and Truncated. Encapsulated pixel data that lacks its sequence delimiter is taken
        as whole where no fragment is cut; who knows the number of frames can tell more.
        """
        found: dict[int, Element] = {}
        pixels = None
        at = start
        while at < size:
            tag, vr, begin, length = self.header(data, at, size)
            if tag in PIXEL_DATA_TAGS:
                if until_pixels:
                    found[tag] = vr, begin, size if length == UNDEFINED else begin + length
                    break
                if length == UNDEFINED:
                    fragments, end = self._fragments(data, begin, size)
                    pixels = PixelData(begin, end, fragments)
                else:
                    end = begin + length
                    pixels = PixelData(begin, end, None)
            else:
                if length == UNDEFINED:
                    end = self._end_of_undefined(data, vr, begin, size, 1)
                else:
                    end = begin + length
                found[tag] = (vr, begin, end)
            if end > size:
                raise _cut(tag, end, size)
            at = end
        return found, pixels

    def items(
        self, data: Buffer, sequence: Element
    ) -> "Iterator[tuple[Encoding, dict[int, Element]]]":
        """The items of a sequence, each as its elements. Raises NotDicom and Truncated."""
        vr, start, end = sequence
        # PS3.5 6.2.2 note 7: a sequence under UN is in implicit VR little endian.
        inner = IMPLICIT_LITTLE if vr == b"UN" else self
        at = start
        while at < end:
            tag, _, begin, length = inner.header(data, at, end)
            if tag == SEQUENCE_END:
                return
            if tag != ITEM:
                raise NotDicom(f"an item was expected at byte {at}")
            item_end = end if length == UNDEFINED else begin + length
            if item_end > end:
                raise _cut(tag, item_end, end)
            elements, at = inner._item(data, begin, item_end, 1)
            yield inner, elements

    def header(self, data: Buffer, at: int, size: int) -> tuple[int, bytes, int, int]:
        """Tag, VR, start of the value and its length, of the element at byte `at`.

        Raises HeadTooShort, NotDicom and Truncated, as `walk` does.
        """
        try:
            if self.implicit:
                group, number, length = self._long_header(data, at)
                return group << 16 | number, b"", at + 8, length
            group, number, vr, length = self._short_header(data, at)
            long = _HAS_LONG_LENGTH.get(vr)
            if long is False:
                return group << 16 | number, vr, at + 8, length
            if long:
                (length,) = self._length(data, at + 8)
                return group << 16 | number, vr, at + 12, length
            if group == _DELIMITERS:
                (length,) = self._length(data, at + 4)
                return group << 16 | number, b"", at + 8, length
        except struct.error as error:
            if len(data) < size:
                raise HeadTooShort from error
            raise Truncated(
                f"the object ends at byte {size}, in the middle of an element"
            ) from error
        raise NotDicom(f"({group:04X},{number:04X}) at byte {at} has no value representation")

    def _end_of_undefined(self, data: Buffer, vr: bytes, at: int, size: int, depth: int) -> int:
        """Where a value of undefined length ends: that of a sequence."""
        if depth > MAX_DEPTH:
            raise NotDicom(f"sequences are nested deeper than {MAX_DEPTH}")
        inner = IMPLICIT_LITTLE if vr == b"UN" else self
        while True:
            tag, _, begin, length = inner.header(data, at, size)
            if tag == SEQUENCE_END:
                return begin
            if tag != ITEM:
                raise NotDicom(f"an item was expected at byte {at}")
            if length == UNDEFINED:
                _, at = inner._item(data, begin, size, depth)
            else:
                at = begin + length
                if at > size:
                    raise _cut(tag, at, size)

    def _item(self, data: Buffer, at: int, end: int, depth: int) -> tuple[dict[int, Element], int]:
        """The elements of the item that goes to `end` or to its delimiter, and where that is."""
        found: dict[int, Element] = {}
        while at < end:
            tag, vr, begin, length = self.header(data, at, end)
            if tag == ITEM_END:
                return found, begin
            if length == UNDEFINED:
                at = self._end_of_undefined(data, vr, begin, end, depth + 1)
            else:
                at = begin + length
                if at > end:
                    raise _cut(tag, at, end)
            found[tag] = (vr, begin, at)
        return found, at

    def _fragments(
        self, data: Buffer, at: int, size: int
    ) -> tuple[tuple[tuple[int, int], ...], int]:
        found: list[tuple[int, int]] = []
        while at < size:
            tag, _, begin, length = self.header(data, at, size)
            if tag == SEQUENCE_END:
                return tuple(found), begin
            if tag != ITEM or length == UNDEFINED:
                raise NotDicom(f"a fragment of pixel data was expected at byte {at}")
            end = begin + length
            if end > size:
                raise _cut(tag, end, size)
            found.append((at, end))
            at = end
        return tuple(found), at


EXPLICIT_LITTLE = Encoding(implicit=False, little=True)
IMPLICIT_LITTLE = Encoding(implicit=True, little=True)
EXPLICIT_BIG = Encoding(implicit=False, little=False)


def _cut(tag: int, end: int, size: int) -> Truncated:
    return Truncated(
        f"({tag >> 16:04X},{tag & 0xFFFF:04X}) should end at byte {end}, the object at byte {size}"
    )


def join_items(data: bytes) -> bytes:
    """The values of a run of items, such as the fragments of one frame, put together."""
    parts, at = [], 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        parts.append(data[at + 8 : end])
        at = end
    return b"".join(parts)
