"""The Native DICOM Model (PS3.19 A.1) as XML, written from the DICOM JSON model (PS3.18 F)."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape as _escaped

from pydicom.datadict import keyword_for_tag

_BEGIN = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" '
    'xml:space="preserve">'
)
_END = "</NativeDicomModel>\n"
# XML 1.0 (2.2) has no place for these, not even as references.
_NO_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A parser makes a line feed of a bare carriage return, and spaces of both in attributes.
_IN_TEXT = {"\r": "&#13;"}
_IN_ATTRIBUTES = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;", '"': "&quot;"}
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NAME_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

Model = Mapping[str, Any]


def native_xml(model: Model) -> bytes:
    """A data set as a document of its own, in UTF-8.

    Characters that XML cannot hold become U+FFFD.
    """
    return "".join((_BEGIN, *_attributes(model), _END)).encode()


def _attributes(model: Model) -> Iterator[str]:
    for tag in sorted(model):
        creator = _private_creator(model, tag)
        if creator == "":
            continue
        attribute = model[tag]
        yield f"<DicomAttribute {_names(tag, attribute['vr'])}"
        if creator is not None:
            yield f' privateCreator="{_quoted(creator)}"'
        yield ">"
        yield from _content(attribute)
        yield "</DicomAttribute>"


def _private_creator(model: Model, tag: str) -> str | None:
    """Who defined a private attribute, where that is known; empty for the one that says so.

    In XML the attribute itself names its creator (PS3.19 A.1.5).
    """
    if int(tag[3], 16) % 2 == 0:
        return None
    if tag[4:6] == "00" and tag[6:] >= "10":
        return ""
    values = model.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value") or [None]
    return values[0] if isinstance(values[0], str) and values[0] else None


@lru_cache(maxsize=4096)
def _names(tag: str, vr: str) -> str:
    private = int(tag[3], 16) % 2
    # The block that a creator has in one data set means nothing outside of it.
    written = f"{tag[:4]}00{tag[6:]}" if private and tag[4:6] != "00" else tag
    keyword = keyword_for_tag(int(tag, 16))
    named = f' keyword="{keyword}"' if keyword else ""
    return f'tag="{written}" vr="{vr}"{named}'


def _content(attribute: Model) -> Iterator[str]:
    if "BulkDataURI" in attribute:
        yield f'<BulkData uri="{_quoted(attribute["BulkDataURI"])}"/>'
        return
    if "InlineBinary" in attribute:
        yield f"<InlineBinary>{attribute['InlineBinary']}</InlineBinary>"
        return
    for number, value in enumerate(attribute.get("Value", ()), 1):
        if value is None:
            continue
        if attribute["vr"] == "SQ":
            yield f'<Item number="{number}">'
            yield from _attributes(value)
            yield "</Item>"
        elif attribute["vr"] == "PN":
            yield f'<PersonName number="{number}">'
            yield from _person_name(value)
            yield "</PersonName>"
        else:
            yield f'<Value number="{number}">{_text(str(value))}</Value>'


def _person_name(name: Mapping[str, str]) -> Iterator[str]:
    for group in _NAME_GROUPS:
        written = name.get(group)
        if not written:
            continue
        yield f"<{group}>"
        # What stands behind the fifth component belongs to it: there is no sixth.
        for component, part in zip(_NAME_COMPONENTS, written.split("^", 4), strict=False):
            if part:
                yield f"<{component}>{_text(part)}</{component}>"
        yield f"</{group}>"


def _text(value: str) -> str:
    return _escaped(_NO_CHARACTERS.sub("\ufffd", value), _IN_TEXT)


def _quoted(value: str) -> str:
    return _escaped(_NO_CHARACTERS.sub("\ufffd", value), _IN_ATTRIBUTES)
