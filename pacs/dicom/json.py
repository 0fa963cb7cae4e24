"""The DICOM JSON model (PS3.18 F) of what is kept in the index: Unicode, without bulk data.

Made from the bytes of the data set; pydicom, which is ten times slower at it, is the referee in
the tests.
"""

import base64
import math
import struct
from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import get_entry

from pacs.dicom.charset import Decode, decoder
from pacs.dicom.errors import IngestError
from pacs.dicom.layout import EXPLICIT_BIG, PIXEL_DATA_TAGS, Buffer, Element, Encoding
from pacs.dicom.text import normal

MAX_INLINE_BYTES = 128 * 1024
_MAX_DEPTH = 64
_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103
_UNICODE = {"vr": "CS", "Value": ["ISO_IR 192"]}
_SEVERAL = frozenset(("AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UC", "UI"))
_WHOLE = frozenset(("LT", "ST", "UR", "UT"))
_BINARY = {"FL": "f", "FD": "d", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_WORDS = {"OW": "H", "OF": "I", "OL": "I", "OD": "Q", "OV": "Q"}
_DECIMAL: dict[str, Callable[[str], Any]] = {"DS": float, "IS": int}
_PERSON_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

Model = dict[str, Any]


class DataSet:
    """Elements of a data set or of an item, and how to read them."""

    def __init__(
        self,
        data: Buffer,
        encoding: Encoding,
        elements: Mapping[int, Element],
        inherited: Decode | None = None,
        *,
        signed: bool = False,
    ) -> None:
        self.elements = elements
        self._data = data
        self._encoding = encoding
        declared = self.value(_CHARACTER_SET)
        if declared.strip() or inherited is None:
            self._decode = decoder(declared)
        else:
            self._decode = inherited
        own = self.value(_PIXEL_REPRESENTATION)
        self._signed = any(own) if own else signed

    def value(self, tag: int) -> bytes:
        """The value field of an element; empty where there is none."""
        element = self.elements.get(tag)
        if element is None:
            return b""
        _, start, end = element
        return bytes(self._data[start:end])

    def assume_unicode(self) -> None:
        """Text is UTF-8, whatever the data set says of itself."""
        self._decode = decoder(b"ISO_IR 192")

    def text(self, tag: int) -> str:
        """The element as one NFC text, values parted by backslashes; empty where there is none."""
        return normal(self._decode(self.value(tag)))

    def integer(self, tag: int) -> int | None:
        """The first value as a whole number, where it is one."""
        element = self.elements.get(tag)
        if element is None:
            return None
        vr, value = self._vr(tag, element[0]), self.value(tag)
        try:
            if vr in _BINARY:
                return int(self._numbers(vr, value)[0])
            return int(value.decode("ascii").strip(" \0"))
        except (ValueError, IndexError, struct.error):
            return None

    def model(
        self, tags: Iterable[int] | None = None, depth: int = 0, bulk: str | None = None
    ) -> Model:
        """The attributes as DICOM JSON, in the order of their tags.

        In place of pixel data and of values over 128 KiB stands a URI that begins with `bulk`, or
        nothing without it. Values that are none of their VR are left out. `tags`: only these.
        """
        if depth > _MAX_DEPTH:
            return {}
        chosen = self.elements.keys() if tags is None else self.elements.keys() & tags
        found: Model = {}
        for tag in sorted(chosen):
            if tag & 0xFFFF == 0 or tag >> 16 < 0x0008:
                continue
            element = self.elements[tag]
            try:
                attribute = self._attribute(tag, element, depth, bulk)
            except (ValueError, struct.error, OverflowError, IngestError):
                continue
            if attribute is not None:
                found[f"{tag:08X}"] = attribute
        return found

    def _attribute(self, tag: int, element: Element, depth: int, bulk: str | None) -> Model | None:
        vr = self._vr(tag, element[0])
        uri = None if bulk is None else f"{bulk}/{tag:08X}"
        if vr == "SQ":
            return self._sequence(element, depth, uri)
        _, start, end = element
        if end - start > MAX_INLINE_BYTES or (depth == 0 and tag in PIXEL_DATA_TAGS):
            return None if uri is None else {"vr": vr, "BulkDataURI": uri}
        value = bytes(self._data[start:end])
        values = self._values(vr, value)
        if values is None:
            if self._encoding is EXPLICIT_BIG and vr in _WORDS:
                value = _swapped(value, _WORDS[vr])
            return {"vr": vr, "InlineBinary": base64.b64encode(value).decode()}
        if not any(value not in (None, "") for value in values):
            return {"vr": vr}
        return {"vr": vr, "Value": values}

    def _values(self, vr: str, value: bytes) -> list[Any] | None:
        """The values of a value field; None where its VR has only bytes."""
        if not value:
            return []
        if vr in _SEVERAL:
            return [part or None for part in self._split(value)]
        if vr == "PN":
            return [_person_name(name) for name in self._split(value)]
        if vr in _WHOLE:
            return [normal(self._decode(value))]
        if vr in _BINARY:
            return [_finite(number) for number in self._numbers(vr, value)]
        if vr in _DECIMAL:
            text = value.decode("ascii")
            return [_number(part.strip(" \0"), _DECIMAL[vr]) for part in text.split("\\")]
        return self._tags(value) if vr == "AT" else None

    def _tags(self, value: bytes) -> list[str]:
        words = struct.unpack(f"{self._encoding.order}{len(value) // 2}H", value)
        return [
            f"{group:04X}{number:04X}"
            for group, number in zip(words[::2], words[1::2], strict=True)
        ]

    def _sequence(self, element: Element, depth: int, uri: str | None) -> Model:
        items = [
            DataSet(self._data, inner, elements, self._decode, signed=self._signed).model(
                depth=depth + 1, bulk=None if uri is None else f"{uri}/{number}"
            )
            for number, (inner, elements) in enumerate(self._encoding.items(self._data, element), 1)
        ]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}

    def _split(self, value: bytes) -> list[str]:
        return [normal(part) for part in self._decode(value).split("\\")]

    def _numbers(self, vr: str, value: bytes) -> tuple[Any, ...]:
        code = _BINARY[vr]
        count = len(value) // struct.calcsize(f"={code}")
        return struct.unpack(f"{self._encoding.order}{count}{code}", value)

    def _vr(self, tag: int, written: bytes) -> str:
        if written not in (b"", b"UN"):
            return written.decode("ascii")
        vr = dictionary_vr(tag)
        if vr in ("US or SS", "US or SS or OW"):
            return "SS" if self._signed else "US"
        return "OW" if " or " in vr else vr


def to_json(dataset: DataSet, bulk: str | None = None) -> Model:
    """All attributes; bulk data as URIs that go on from `bulk`, such as `{bulk}/7FE00010`, or not.

    An attribute in an item of a sequence has the sequence and the item's number, from 1 on, before
    its tag: `{bulk}/54000100/1/54001010`. Text is NFC, and so SpecificCharacterSet says ISO_IR 192
    whatever the object itself says.
    """
    model = dataset.model(bulk=bulk)
    model["00080005"] = _UNICODE
    return dict(sorted(model.items()))


def to_json_text(model: Model) -> str:
    """The model as one line of JSON text."""
    return orjson.dumps(model).decode()


def dictionary_vr(tag: int) -> str:
    """The VR by PS3.6; UN for what stands in no dictionary, LO for private creators."""
    entry = DicomDictionary.get(tag)
    if entry is not None:
        return entry[0]
    group, number = tag >> 16, tag & 0xFFFF
    if group % 2:
        return "LO" if 0x10 <= number <= 0xFF else "UN"
    try:
        return str(get_entry(tag)[0])  # repeating groups
    except KeyError:
        return "UN"


def _swapped(value: bytes, code: str) -> bytes:
    """Words in little endian, which is what InlineBinary holds (PS3.18 F.2.7)."""
    words = array(code, value)
    words.byteswap()
    return words.tobytes()


def _person_name(name: str) -> dict[str, str] | None:
    groups = {
        group: part.strip()
        for group, part in zip(_PERSON_NAME_GROUPS, name.split("="), strict=False)
        if part.strip()
    }
    return groups or None


def _number(text: str, kind: Callable[[str], Any]) -> Any:
    return _finite(kind(text)) if text else None


def _finite(number: Any) -> Any:
    if not math.isfinite(number):
        raise ValueError("JSON knows only numbers that are finite")
    return number
