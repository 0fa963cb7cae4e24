"""Where the value of one attribute lies in an object, found by reading nothing but headers.

What stands between is jumped over, so that behind a document of hundreds of megabytes no more than
some kilobytes are read.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pacs.dicom.errors import NotDicom
from pacs.dicom.json import dictionary_vr
from pacs.dicom.layout import (
    EXPLICIT_BIG,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    MAX_DEPTH,
    SEQUENCE_END,
    UNDEFINED,
    Encoding,
)

Read = Callable[[int, int], bytes]
"""Reads so many bytes from there on; fewer where the object ends."""

_WINDOW_BYTES = 4096
_LONGEST_HEADER = 12
_WORDS = {
    b"OW": "H", b"US": "H", b"SS": "H", b"AT": "H", b"OF": "I", b"OL": "I", b"FL": "I",
    b"SL": "I", b"UL": "I", b"OD": "Q", b"OV": "Q", b"FD": "Q", b"SV": "Q", b"UV": "Q",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """A value field: its VR, empty in implicit VR, and where it begins and ends.

    `encapsulated`: fragments of pixel data, the bytes between are no value. `swapped`: what its
    words are to be read as to have them in little endian, a code of the module array.
    """

    vr: bytes
    start: int
    end: int
    encapsulated: bool = False
    swapped: str | None = None


def in_little_endian(data: bytes, code: str) -> bytes:
    """Words of a big-endian object as the web has them (PS3.18 8.7.1)."""
    words = array(code, data[: len(data) - len(data) % array(code).itemsize])
    words.byteswap()
    return words.tobytes()


def locate(
    read: Read, encoding: Encoding, start: int, size: int, path: Sequence[int]
) -> Value | None:
    """The value at `path`: a tag, or tag, number of the item (from 1 on), tag, ... into sequences.

    The data set goes from `start` to `size`. None where there is no such value, or where it is a
    sequence. Raises NotDicom and Truncated.
    """
    return _Walk(read, size).value(encoding, start, size, path)


class _Walk:
    """A look at headers through a window of some kilobytes."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._size = size
        self._window = b""
        self._at = 0

    def value(self, encoding: Encoding, at: int, end: int, path: Sequence[int]) -> Value | None:
        """The value at `path` among the elements between two bytes."""
        wanted, *deeper = path
        while at < end:
            tag, vr, begin, length = self._header(encoding, at, end)
            if tag == ITEM_END:
                return None
            if tag == wanted:
                if deeper:
                    return self._of_item(encoding, vr, begin, length, deeper)
                return _value(encoding, tag, vr, begin, length)
            at = self._after(encoding, vr, begin, length, end)
        return None

    def _of_item(
        self, encoding: Encoding, vr: bytes, begin: int, length: int, path: Sequence[int]
    ) -> Value | None:
        number, *deeper = path
        if vr not in (b"", b"SQ", b"UN"):
            return None
        inner = IMPLICIT_LITTLE if vr == b"UN" else encoding
        at, end = begin, self._size if length == UNDEFINED else begin + length
        while at < end:
            tag, _, begin, length = self._header(inner, at, end)
            if tag == SEQUENCE_END:
                return None
            if tag != ITEM:
                raise NotDicom(f"an item was expected at byte {at}")
            number -= 1
            if number == 0:
                stop = end if length == UNDEFINED else begin + length
                return self.value(inner, begin, stop, deeper)
            at = self._after_item(inner, begin, length, end, 1)
        return None

    def _after(self, encoding: Encoding, vr: bytes, begin: int, length: int, end: int) -> int:
        if length != UNDEFINED:
            return begin + length
        return self._after_sequence(encoding, vr, begin, end, 1)

    def _after_sequence(self, encoding: Encoding, vr: bytes, at: int, end: int, depth: int) -> int:
        """Where a value of undefined length ends: a sequence, or the fragments of pixel data."""
        if depth > MAX_DEPTH:
            raise NotDicom(f"sequences are nested deeper than {MAX_DEPTH}")
        inner = IMPLICIT_LITTLE if vr == b"UN" else encoding
        while at < end:
            tag, _, begin, length = self._header(inner, at, end)
            if tag == SEQUENCE_END:
                return begin
            if tag != ITEM:
                raise NotDicom(f"an item was expected at byte {at}")
            at = self._after_item(inner, begin, length, end, depth)
        return at

    def _after_item(self, encoding: Encoding, begin: int, length: int, end: int, depth: int) -> int:
        if length != UNDEFINED:
            return begin + length
        at = begin
        while at < end:
            tag, vr, begin, length = self._header(encoding, at, end)
            if tag == ITEM_END:
                return begin
            if length == UNDEFINED:
                at = self._after_sequence(encoding, vr, begin, end, depth + 1)
            else:
                at = begin + length
        return at

    def _header(self, encoding: Encoding, at: int, end: int) -> tuple[int, bytes, int, int]:
        if not self._at <= at <= self._at + len(self._window) - _LONGEST_HEADER:
            self._window = self._read(at, min(_WINDOW_BYTES, self._size - at))
            self._at = at
        known = min(end - self._at, len(self._window))
        tag, vr, begin, length = encoding.header(self._window, at - self._at, known)
        return tag, vr, begin + self._at, length


def _value(encoding: Encoding, tag: int, vr: bytes, begin: int, length: int) -> Value | None:
    if vr == b"SQ" or (vr in (b"", b"UN") and dictionary_vr(tag) == "SQ"):
        return None
    if length == UNDEFINED:
        return Value(vr, begin, begin, encapsulated=True) if vr in (b"OB", b"OW") else None
    swapped = _WORDS.get(vr) if encoding is EXPLICIT_BIG else None
    return Value(vr, begin, begin + length, swapped=swapped)
