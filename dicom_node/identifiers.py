"""Identifiers (PS3.7 9.1.2.1.5): what a peer asks, read; what we answer, as bytes.

Answers come by the thousand, so they are made from the index's DICOM JSON (PS3.18 F) at once, key
by key, without a data set in between.
"""

import struct
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.uid import ImplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

import pacs.dicom.reading  # noqa: F401
from dicom_node.character_sets import CharacterSet
from dicom_node.errors import DicomNodeError

QUERY_RETRIEVE_LEVEL = 0x00080052
SPECIFIC_CHARACTER_SET = 0x00080005
MAX_KEYS = 512

Model = Mapping[str, Any]
"""A data set as DICOM JSON: elements by tag in eight hex digits."""


class UnreadableIdentifier(DicomNodeError):
    """The bytes of an identifier are no data set, or one that nobody would ask with."""


@dataclass(frozen=True, slots=True)
class Key:
    """An element of an identifier."""

    tag: int
    vr: str
    value: str = ""
    """Its value as text, several parted by backslashes; empty in sequences."""
    items: tuple[tuple["Key", ...], ...] = ()
    """Of a sequence: the keys of each item."""

    @property
    def name(self) -> str:
        """The tag in eight hex digits."""
        return f"{self.tag:08X}"


def read_identifier(
    data: bytes, transfer_syntax: str, character_set: str = "ISO_IR 192"
) -> dict[int, Key]:
    """The elements of an identifier, in order of their tags.

    Text beyond ASCII whose character set is not said is UTF-8 where it can be, else of the given
    `character_set`. Group lengths are left out. Raises UnreadableIdentifier.
    """
    implicit = transfer_syntax == ImplicitVRLittleEndian
    try:
        dataset = read_dataset(BytesIO(data), implicit, True)
        if not dataset.get("SpecificCharacterSet"):
            terms = "ISO_IR 192" if _is_utf8(dataset) else character_set
            dataset.SpecificCharacterSet = terms.split("\\")
        dataset.decode()
        keys = {int(element.tag): _key(element) for element in dataset if element.tag.element}
    except Exception as error:
        # The cause may quote a value, and this is said to the peer and in the log.
        raise UnreadableIdentifier(
            f"the identifier cannot be read ({type(error).__name__})"
        ) from error
    if len(keys) > MAX_KEYS:
        raise UnreadableIdentifier(f"an identifier of over {MAX_KEYS} keys")
    return keys


def _is_utf8(dataset: Dataset) -> bool:
    raw = map(dataset.get_item, dataset.keys())
    texts = (
        item.value
        for item in raw
        if item is not None
        and isinstance(item.value, bytes)
        and (item.VR or _dictionary_vr(int(item.tag))) in _UNICODE_VRS
    )
    try:
        b"\0".join(texts).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _dictionary_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _key(element: Any) -> Key:
    tag, vr = int(element.tag), str(element.VR)
    if vr == "SQ":
        items = tuple(_keys_of(item) for item in element.value)
        return Key(tag, vr, items=items)
    value = element.value
    if value is None or isinstance(value, bytes):
        return Key(tag, vr)
    parts = value if isinstance(value, (MultiValue, list)) else [value]
    return Key(tag, vr, "\\".join(str(part) for part in parts).strip("\0 "))


def _keys_of(item: Dataset) -> tuple[Key, ...]:
    return tuple(_key(element) for element in item if element.tag.element)


class _Step(NamedTuple):
    """One element of every answer."""

    name: str
    tag: int
    otherwise: bytes
    """The whole element where the model has none."""
    key: Key | None = None


class AnswerWriter:
    """Writes answers to one request: the same keys, transfer syntax and character set for all."""

    def __init__(
        self,
        keys: Iterable[Key],
        fixed: Mapping[int, tuple[str, str]],
        character_set: CharacterSet,
        *,
        implicit: bool,
    ) -> None:
        """`keys`: what is returned of each model, empty where it has none; of sequences only the
        keys of the request's item, if it has some. `fixed`: VR and value, by tag, of elements that
        are the same in every answer.
        """
        self._character_set = character_set
        self._implicit = implicit
        constants = {tag: self._element(tag, *element) for tag, element in fixed.items()}
        wanted = {key.tag: key for key in keys if key.tag != SPECIFIC_CHARACTER_SET}
        if not character_set.is_default:
            constants[SPECIFIC_CHARACTER_SET] = self._element(
                SPECIFIC_CHARACTER_SET, "CS", character_set.terms
            )
        self._steps = self._steps_for(wanted, constants)

    def write(self, model: Model) -> bytes:
        """The identifier for one match."""
        return self._write(self._steps, model)

    def _steps_for(self, wanted: Mapping[int, Key], constants: Mapping[int, bytes]) -> list[_Step]:
        return [
            _Step("", 0, constants[tag])
            if tag in constants
            else _Step(f"{tag:08X}", tag, self._framed(tag, wanted[tag].vr, b""), wanted[tag])
            for tag in sorted(wanted.keys() | constants.keys())
        ]

    def _write(self, steps: Sequence[_Step], model: Model) -> bytes:
        parts = []
        for name, tag, otherwise, key in steps:
            element = model.get(name)
            if element is None or key is None:
                parts.append(otherwise)
                continue
            vr = element["vr"]
            values = element.get("Value")
            if vr == "SQ":
                parts.append(self._framed(tag, vr, self._items(values or (), key.items)))
            elif values:
                parts.append(self._framed(tag, vr, _VALUES[vr](self._character_set, values)))
            elif "InlineBinary" in element:
                value = _even(b64decode(element["InlineBinary"]), b"\0")
                parts.append(self._framed(tag, vr, value))
            else:
                parts.append(otherwise)
        return b"".join(parts)

    def _items(self, items: Sequence[Model], asked: Sequence[tuple[Key, ...]]) -> bytes:
        keys = {key.tag: key for item in asked for key in item}
        written = []
        for item in items:
            wanted = keys or {
                int(tag, 16): Key(int(tag, 16), element["vr"]) for tag, element in item.items()
            }
            data = self._write(self._steps_for(wanted, {}), item)
            written.append(_ITEM + len(data).to_bytes(4, "little") + data)
        return b"".join(written)

    def _element(self, tag: int, vr: str, text: str) -> bytes:
        return self._framed(tag, vr, _VALUES[vr](self._character_set, text.split("\\")))

    def _framed(self, tag: int, vr: str, value: bytes) -> bytes:
        if self._implicit:
            return _IMPLICIT.pack(tag >> 16, tag & 0xFFFF, len(value)) + value
        if vr in _LONG_VRS:
            return _LONG.pack(tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value
        if len(value) > _LONGEST_SHORT:
            # PS3.5 6.2.2 note 1 to table 6.2-1: what is too long for its VR travels as UN.
            return _LONG.pack(tag >> 16, tag & 0xFFFF, b"UN", len(value)) + value
        return _SHORT.pack(tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value


_IMPLICIT = struct.Struct("<HHI")
_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2s2xI")
_ITEM = b"\xfe\xff\x00\xe0"
_LONGEST_SHORT = 0xFFFE
_LONG_VRS = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_UNICODE_VRS = frozenset("LO LT PN SH ST UC UT".split())

_Write = Callable[[CharacterSet, Sequence[Any]], bytes]


def _even(value: bytes, padding: bytes) -> bytes:
    return value + padding if len(value) % 2 else value


def _text(character_set: CharacterSet, values: Sequence[Any]) -> bytes:
    if len(values) == 1:
        return _even(character_set.encode(values[0] or ""), b" ")
    return _even(b"\\".join(character_set.encode(value or "") for value in values), b" ")


def _name(character_set: CharacterSet, values: Sequence[Any]) -> bytes:
    names = (character_set.encode_name(_groups(value or {})) for value in values)
    return _even(b"\\".join(names), b" ")


def _groups(name: Mapping[str, str]) -> str:
    if len(name) == 1 and "Alphabetic" in name:
        return name["Alphabetic"]
    groups = (name.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic"))
    return "=".join(groups).rstrip("=")


def _plain(_: CharacterSet, values: Sequence[Any]) -> bytes:
    """VRs of the default repertoire."""
    text = values[0] if len(values) == 1 else "\\".join(value or "" for value in values)
    return _even((text or "").encode("ascii", "replace"), b" ")


def _uid(_: CharacterSet, values: Sequence[Any]) -> bytes:
    return _even("\\".join(value or "" for value in values).encode("ascii", "replace"), b"\0")


def _numbers(_: CharacterSet, values: Sequence[Any]) -> bytes:
    return _even("\\".join(map(_number, values)).encode("ascii", "replace"), b" ")


def _number(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if len(text) <= 16 or not isinstance(value, float):
        return text
    return format_number_as_ds(value)


def _tags(_: CharacterSet, values: Sequence[Any]) -> bytes:
    tags = (int(value, 16) for value in values if value)
    return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)


def _packed(code: str) -> _Write:
    pack = struct.Struct(f"<{code}").pack
    convert = float if code in "fd" else int

    def write(_: CharacterSet, values: Sequence[Any]) -> bytes:
        return b"".join(pack(convert(value)) for value in values if value is not None)

    return write


_VALUES: Mapping[str, _Write] = {
    **dict.fromkeys("AE AS CS DA DT TM UR".split(), _plain),
    **dict.fromkeys("LO LT SH ST UC UT".split(), _text),
    **dict.fromkeys("DS IS".split(), _numbers),
    "PN": _name,
    "UI": _uid,
    "AT": _tags,
    "US": _packed("H"),
    "SS": _packed("h"),
    "UL": _packed("I"),
    "SL": _packed("i"),
    "UV": _packed("Q"),
    "SV": _packed("q"),
    "FL": _packed("f"),
    "FD": _packed("d"),
}
