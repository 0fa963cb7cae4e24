"""A data set in the DICOM JSON model (PS3.18 F) as a Part 10 file, Explicit VR Little Endian.

Text is written in UTF-8, whatever character set the model names. Bulk data is streamed from
wherever it is; pixel data that is compressed is encapsulated (PS3.5 A.4).
"""

import base64
import binascii
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pacs.dicom.errors import IngestError
from pacs.dicom.layout import LONG_VRS
from pacs.dicom.part10 import file_meta

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
SOP_CLASS_UID, SOP_INSTANCE_UID = "00080016", "00080018"
_CHARACTER_SET = "00080005"
_PIXEL_DATA = "7FE00010"
_MAX_DEPTH = 64
_LARGEST_NESTED = 16 << 20
_LARGEST_FRAGMENT = 1 << 30
_LONGEST_SHORT = 0xFFFE
_LONGEST_UID = 64
_UNDEFINED = 0xFFFFFFFF

_TEXT = frozenset("AE AS CS DA DT LO LT PN SH ST TM UC UI UR UT DS IS".split())
_NUMBERS = {"FL": "f", "FD": "d", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_BYTES = frozenset("OB OD OF OL OV OW UN".split())
_LONG = frozenset(vr.decode() for vr in LONG_VRS)
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_EMPTY_OFFSET_TABLE = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
_ITEM = b"\xfe\xff\x00\xe0"
_END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"

Model = Mapping[str, Any]


class BadModel(IngestError):
    """A data set in JSON or XML that cannot be written as DICOM; says which attribute and why."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """A value that lies elsewhere: `pieces` gives its `length` bytes, little endian."""

    length: int
    pieces: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """Compressed pixel data: one fragment for each frame, or more where one is too large."""

    frames: Sequence[Bulk]


Find = Callable[[str], Bulk | Encapsulated]
"""The value that a Bulk Data URI stands for. Raises BadModel."""


def part10(model: Model, find: Find, transfer_syntax_uid: str) -> Iterator[bytes]:
    """The file in pieces. Raises BadModel."""
    sop_class, instance = text_of(model, SOP_CLASS_UID), text_of(model, SOP_INSTANCE_UID)
    if max(len(sop_class), len(instance)) > _LONGEST_UID:
        raise BadModel("its SOP Class UID or SOP Instance UID is longer than a UID can be")
    yield file_meta(sop_class, instance, transfer_syntax_uid)
    yield from _top_level(model, find)


def text_of(model: Model, tag: str) -> str:
    """The attribute's first value as text; empty where there is none."""
    attribute = model.get(tag)
    values = attribute.get("Value") if isinstance(attribute, Mapping) else None
    first = values[0] if isinstance(values, list) and values else None
    return first if isinstance(first, str) else ""


def _top_level(model: Model, find: Find) -> Iterator[bytes]:
    for tag, attribute in _attributes(model):
        uri = attribute.get("BulkDataURI")
        if uri is None:
            yield _element(tag, attribute, find, 0)
            continue
        value = find(_checked_uri(tag, uri))
        vr = _vr(tag, attribute)
        if isinstance(value, Bulk):
            yield _head(tag, vr, value.length + value.length % 2)
            yield from value.pieces()
            yield _padding(vr)[: value.length % 2]
        elif tag != _PIXEL_DATA:
            raise BadModel(f"({tag}) cannot be a compressed picture")
        else:
            yield from _encapsulated(value)


def _encapsulated(value: Encapsulated) -> Iterator[bytes]:
    yield struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, _UNDEFINED) + _EMPTY_OFFSET_TABLE
    for frame in value.frames:
        left, pending = frame.length, 0
        for piece in frame.pieces():
            view = memoryview(piece)
            while view:
                if not pending:
                    pending = min(left, _LARGEST_FRAGMENT)
                    left -= pending
                    yield _ITEM + struct.pack("<I", pending + pending % 2)
                taken = view[:pending]
                yield bytes(taken)
                pending -= len(taken)
                view = view[len(taken) :]
        yield bytes(frame.length % 2)
    yield _END_OF_SEQUENCE


def _attributes(model: Model) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """In the order of their tags, without group lengths and file meta; text is said to be UTF-8."""
    found = {}
    for tag, attribute in model.items():
        if len(tag) != 8 or tag.strip("0123456789abcdefABCDEF") or not isinstance(attribute, dict):
            raise BadModel(f"{tag[:20]!r} is no attribute")
        if tag[:4] not in ("0000", "0002") and tag[4:] != "0000":
            found[tag.upper()] = attribute
    if any(not value.isascii() for value in _strings(model)) or _CHARACTER_SET in found:
        found[_CHARACTER_SET] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    yield from sorted(found.items())


def _strings(value: object, depth: int = 0) -> Iterator[str]:
    if depth > 4 * _MAX_DEPTH:
        raise BadModel("its sequences are too deep")
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, depth + 1)


def _element(tag: str, attribute: Mapping[str, Any], find: Find, depth: int) -> bytes:
    vr = _vr(tag, attribute)
    try:
        value = _value(tag, vr, attribute, find, depth)
    except (struct.error, binascii.Error, ValueError, TypeError, OverflowError) as error:
        raise BadModel(f"({tag}) {vr} has a value that it cannot have") from error
    if len(value) % 2:
        value += _padding(vr)
    return _head(tag, vr, len(value)) + value


def _value(tag: str, vr: str, attribute: Mapping[str, Any], find: Find, depth: int) -> bytes:
    if "BulkDataURI" in attribute:
        return _whole(find(_checked_uri(tag, attribute["BulkDataURI"])), tag)
    if "InlineBinary" in attribute:
        return base64.b64decode(attribute["InlineBinary"], validate=True)
    values = attribute.get("Value", [])
    if not isinstance(values, list):
        raise BadModel(f"({tag}) {vr} has a Value that is no array")
    if vr == "SQ":
        return b"".join(_item(tag, item, find, depth) for item in values)
    if vr == "PN":
        return "\\".join(map(_person, values)).encode()
    if vr in _TEXT:
        return "\\".join(map(_text, values)).encode()
    if vr == "AT":
        return b"".join(struct.pack("<HH", int(v[:4], 16), int(v[4:], 16)) for v in values)
    if vr in _NUMBERS:
        number = float if vr in ("FL", "FD") else int
        return struct.pack(f"<{len(values)}{_NUMBERS[vr]}", *map(number, values))
    if values:
        raise BadModel(f"({tag}) {vr} has its value neither inline nor as bulk data")
    return b""


def _item(tag: str, item: object, find: Find, depth: int) -> bytes:
    if depth >= _MAX_DEPTH:
        raise BadModel(f"({tag}) has sequences that are too deep")
    if not isinstance(item, dict):
        raise BadModel(f"({tag}) has an item that is no data set")
    inner = b"".join(
        _element(name, attribute, find, depth + 1)
        for name, attribute in _attributes(item)
        if name != _CHARACTER_SET
    )
    return _ITEM + struct.pack("<I", len(inner)) + inner


def _whole(value: Bulk | Encapsulated, tag: str) -> bytes:
    if isinstance(value, Encapsulated) or value.length > _LARGEST_NESTED:
        raise BadModel(f"({tag}) in a sequence is too large to be bulk data")
    return b"".join(value.pieces())


def _person(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, dict):
        raise TypeError
    return "=".join(_text(value.get(group)) for group in _GROUPS).rstrip("=")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    if isinstance(value, float):
        written = f"{value:.10g}" if len(repr(value)) > 16 else repr(value)
        return written.removesuffix(".0")
    return str(value)


def _vr(tag: str, attribute: Mapping[str, Any]) -> str:
    vr = attribute.get("vr")
    if not isinstance(vr, str) or not (
        vr in _TEXT or vr in _NUMBERS or vr in _BYTES or vr in ("AT", "SQ")
    ):
        raise BadModel(f"({tag}) has no value representation")
    return vr


def _head(tag: str, vr: str, length: int) -> bytes:
    group, element = int(tag[:4], 16), int(tag[4:], 16)
    if vr in _LONG:
        if length >= _UNDEFINED:
            raise BadModel(f"({tag}) is larger than 4 GiB")
        return struct.pack("<HH2sHI", group, element, vr.encode(), 0, length)
    if length > _LONGEST_SHORT:
        raise BadModel(f"({tag}) {vr} is longer than 64 KiB")
    return struct.pack("<HH2sH", group, element, vr.encode(), length)


def _padding(vr: str) -> bytes:
    return b" " if vr in _TEXT and vr != "UI" else b"\0"


def _checked_uri(tag: str, uri: object) -> str:
    if not isinstance(uri, str):
        raise BadModel(f"({tag}) has a BulkDataURI that is no text")
    return uri
