"""A data set in the DICOM JSON model (PS3.18 F) from outside: checked, and as it is kept.

Text becomes NFC Unicode; names and tags get the one form that searches know.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from pydicom.valuerep import VR

from pacs.dicom.header import is_uid
from pacs.dicom.text import normal
from pacs.index.attributes import QueryError, value_representation
from pacs.index.ranges import moments
from pacs.workitems.errors import InvalidWorkitem

Model = dict[str, Any]

MAX_DEPTH = 16
_MAX_VALUES = 10_000
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_VRS = frozenset(vr.value for vr in VR if len(vr.value) == 2)
_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_WHOLE = frozenset(("IS", "SL", "SS", "SV", "UL", "US", "UV"))
_REAL = frozenset(("DS", "FD", "FL"))
_NAME_GROUPS = frozenset(("Alphabetic", "Ideographic", "Phonetic"))
_LENGTHS = {"AE": 16, "AS": 4, "CS": 16, "LO": 64, "SH": 16, "ST": 1024, "LT": 10_240}
_PATTERNS = {
    "AS": re.compile(r"\d{3}[DWMY]"),
    "AE": re.compile(r"[ -\[\]-~]*"),
    "CS": re.compile(r"[A-Z0-9 _]*"),
    "DA": re.compile(r"\d{8}"),
    "TM": re.compile(r"\d\d(?:\d\d(?:\d\d(?:\.\d{1,6})?)?)?"),
}


def read(payload: bytes) -> Model:
    """The one data set of a body in application/dicom+json. Raises InvalidWorkitem."""
    try:
        found = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise InvalidWorkitem([f"the body is no JSON: {error}"]) from error
    if isinstance(found, list):
        if len(found) != 1:
            raise InvalidWorkitem([f"the body holds {len(found)} data sets instead of one"])
        found = found[0]
    return checked(found)


def checked(found: Any) -> Model:
    """The data set as it is kept. Raises InvalidWorkitem with everything that is wrong in it."""
    reasons: list[str] = []
    model = _data_set(found, "", 0, reasons)
    if reasons:
        raise InvalidWorkitem(reasons)
    return model


def values_of(model: Mapping[str, Any], tag: str) -> list[Any]:
    """The values of an attribute, the empty ones left out; none where it is missing."""
    element = model.get(tag, {})
    values = element.get("Value", [element["InlineBinary"]] if "InlineBinary" in element else [])
    return [value for value in values if value not in (None, "", {})]


def first(model: Mapping[str, Any], tag: str) -> str:
    """The first value as text; empty where there is none."""
    values = values_of(model, tag)
    return str(values[0]) if values else ""


def element(vr: str, *values: Any) -> Model:
    """An attribute with these values."""
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def _data_set(found: Any, path: str, depth: int, reasons: list[str]) -> Model:
    if not isinstance(found, dict):
        reasons.append(f"{path or 'the body'}: is no data set")
        return {}
    if depth > MAX_DEPTH:
        reasons.append(f"{path}: is nested too deep")
        return {}
    model: Model = {}
    for name, attribute in found.items():
        where = f"{path}{name[:32]}"
        if not _TAG.fullmatch(name):
            reasons.append(f"{where!r}: is no tag of eight hexadecimal digits")
            continue
        try:
            model[name.upper()] = _attribute(name.upper(), attribute, where, depth, reasons)
        except (ValueError, TypeError, QueryError) as error:
            reasons.append(f"{where}: {error}")
    return dict(sorted(model.items()))


def _attribute(tag: str, found: Any, where: str, depth: int, reasons: list[str]) -> Model:
    if not isinstance(found, dict) or not isinstance(found.get("vr"), str):
        raise ValueError("has no vr")  # noqa: TRY004 - a reason among others
    vr = found["vr"]
    known = value_representation(tag)
    if vr not in _VRS or (known is not None and vr not in known):
        raise ValueError(f"vr {vr[:8]!r} instead of {known or 'one of PS3.5'}")
    if "BulkDataURI" in found:
        raise ValueError("workitems have no bulk data")
    if "InlineBinary" in found:
        return {"vr": vr, "InlineBinary": _binary(vr, found)}
    values = found.get("Value")
    if values is None:
        return {"vr": vr}
    if not isinstance(values, list) or len(values) > _MAX_VALUES or vr in _BINARY:
        raise ValueError("Value is no list of values")
    if vr == "SQ":
        items = [_data_set(item or {}, f"{where}.", depth + 1, reasons) for item in values]
        return element(vr, *items)
    kept = [None if value is None else _value(vr, value) for value in values]
    if not any(value not in (None, "") for value in kept):
        return {"vr": vr}
    return element(vr, *kept)


def _value(vr: str, value: Any) -> Any:
    if vr == "PN":
        return _name(value)
    if vr in _WHOLE or vr in _REAL:
        return _number(vr, value)
    if not isinstance(value, str):
        raise ValueError(f"{vr} is text")  # noqa: TRY004
    text = normal(value)
    if len(text) > _LENGTHS.get(vr, 65_536):
        raise ValueError(f"is longer than {_LENGTHS.get(vr, 65_536)} characters")
    if text and vr in _CHECKS:
        _CHECKS[vr](text)
    elif text and vr in _PATTERNS and not _PATTERNS[vr].fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no {vr}")
    return text


def _uid(text: str) -> None:
    if not is_uid(text):
        raise ValueError(f"{text[:80]!r} is no UID")


def _moment(text: str) -> None:
    moments("DT", text)


def _tag(text: str) -> None:
    if not _TAG.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no tag")


_CHECKS: Mapping[str, Callable[[str], None]] = {"UI": _uid, "DT": _moment, "AT": _tag}


def _name(value: Any) -> Model:
    if isinstance(value, str):
        value = {"Alphabetic": value}
    if not isinstance(value, dict) or not value.keys() <= _NAME_GROUPS:
        raise ValueError("is no person's name")
    groups = {}
    for group, text in value.items():
        if not isinstance(text, str) or len(text) > 324:
            raise ValueError("is no person's name")
        if normal(text):
            groups[group] = normal(text)
    return groups


def _number(vr: str, value: Any) -> int | float:
    number = float(value) if isinstance(value, str) and vr in _REAL else value
    if isinstance(value, str) and vr in _WHOLE:
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"{vr} is a number")  # noqa: TRY004
    if not math.isfinite(number) or (abs(number) > 2**64 and vr in _WHOLE):
        raise ValueError("is out of range")
    if vr in _WHOLE and number != int(number):
        raise ValueError(f"{vr} is a whole number")
    return int(number) if vr in _WHOLE else number


def _binary(vr: str, found: Mapping[str, Any]) -> str:
    text = found["InlineBinary"]
    if vr not in _BINARY or "Value" in found or not isinstance(text, str):
        raise ValueError("InlineBinary does not belong here")
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("InlineBinary is no base64") from error
    return text
