"""DICOM in XML: what another parser reads in it is what was written."""

import re
from typing import Any
from xml.etree import ElementTree

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dicom.native_xml import native_xml
from tests.plugins.hospital import file_of

NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
NUMBERS = {"DS": float, "FL": float, "FD": float, "IS": int, "US": int, "SS": int, "UL": int}


def read(element: ElementTree.Element) -> dict[str, Any]:
    """DICOM JSON, as a reader of PS3.19 A.1 finds it."""
    model: dict[str, Any] = {}
    for attribute in element:
        assert attribute.tag == f"{NAMESPACE}DicomAttribute"
        found: dict[str, Any] = {"vr": attribute.attrib["vr"]}
        values: dict[int, Any] = {}
        for child in attribute:
            kind = child.tag.removeprefix(NAMESPACE)
            if kind == "BulkData":
                found["BulkDataURI"] = child.attrib["uri"]
            elif kind == "InlineBinary":
                found["InlineBinary"] = child.text
            else:
                values[int(child.attrib["number"])] = read_value(kind, child, found["vr"])
        if values:
            found["Value"] = [values.get(number) for number in range(1, max(values) + 1)]
        model[attribute.attrib["tag"]] = found
    return model


def read_value(kind: str, child: ElementTree.Element, vr: str) -> Any:
    if kind == "Item":
        return read(child)
    if kind == "PersonName":
        return {group.tag.removeprefix(NAMESPACE): read_group(group) for group in child}
    assert kind == "Value"
    return NUMBERS.get(vr, str)(child.text or "")


def read_group(group: ElementTree.Element) -> str:
    parts = {part.tag.removeprefix(NAMESPACE): part.text or "" for part in group}
    return "^".join(parts.get(component, "") for component in COMPONENTS).rstrip("^")


def parsed(model: dict[str, Any]) -> dict[str, Any]:
    root = ElementTree.fromstring(native_xml(model))
    assert root.tag == f"{NAMESPACE}NativeDicomModel"
    assert root.attrib == {"{http://www.w3.org/XML/1998/namespace}space": "preserve"}
    return read(root)


def representable(text: str) -> str:
    """With U+FFFD for what XML 1.0 cannot hold."""
    return "".join(
        letter
        if letter in "\t\n\r" or 0x20 <= ord(letter) <= 0xFFFD or ord(letter) > 0xFFFF
        else "\ufffd"
        for letter in text
    )


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
PART = TEXT.map(lambda text: re.sub(r"[\^=\\]", "", text)).filter(bool)
NAMES = st.dictionaries(
    st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]),
    st.lists(PART, min_size=1, max_size=5).map("^".join),
    min_size=1,
)


def attributes(values: st.SearchStrategy[Any], vr: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(values, min_size=1, max_size=3).map(lambda found: {"vr": vr, "Value": found})


PLAIN = st.fixed_dictionaries(
    {},
    optional={
        "00081030": attributes(TEXT, "LO"),
        "00100010": attributes(NAMES, "PN"),
        "00104000": attributes(TEXT, "LT"),
        "00180050": attributes(st.floats(allow_nan=False, allow_infinity=False), "DS"),
        "00200013": attributes(st.integers(-(2**31), 2**31 - 1), "IS"),
        "00280010": attributes(st.integers(0, 65535), "US"),
        "00420011": TEXT.map(lambda uri: {"vr": "OB", "BulkDataURI": uri}),
        "00282000": st.just({"vr": "OB", "InlineBinary": "AAEC"}),
        "00080050": st.just({"vr": "SH"}),
    },
)
MODELS = st.recursive(
    PLAIN, lambda inner: st.builds(lambda items: {"00400275": items}, attributes(inner, "SQ"))
)


def expected(value: Any) -> Any:
    if isinstance(value, str):
        return representable(value)
    if isinstance(value, list):
        return list(map(expected, value))
    if isinstance(value, dict):
        return {key: expected(of) for key, of in value.items()}
    return value


@settings(max_examples=150, deadline=None)
@given(MODELS)
def test_whatever_is_written_is_read(model: dict[str, Any]) -> None:
    assert parsed(model) == expected(model)


def test_values_that_are_missing_keep_the_numbers_of_the_others() -> None:
    model = {"00081030": {"vr": "LO", "Value": ["a", None, "c"]}}
    assert parsed(model) == model
    assert b'<Value number="2">' not in native_xml(model)


def test_a_private_attribute_names_its_creator() -> None:
    model = {
        "00090010": {"vr": "LO", "Value": ["GEMS <1>"]},
        "00091027": {"vr": "SL", "Value": [7]},
        "00091101": {"vr": "LO", "Value": ["whose?"]},
    }
    text = native_xml(model).decode()
    assert '<DicomAttribute tag="00090027" vr="SL" privateCreator="GEMS &lt;1&gt;">' in text
    assert "00090010" not in text
    assert 'vr="LO"><Value number="1">whose?' in text


@pytest.mark.parametrize("name", ["CT_small.dcm", "test-SR.dcm", "RG1_J2KR.dcm"])
def test_real_objects_come_back_as_pydicom_reads_them(name: str) -> None:
    dataset = pydicom.dcmread(file_of(name), stop_before_pixels=True)
    dataset.remove_private_tags()
    found = pydicom.Dataset.from_json(parsed(dataset.to_json_dict()))
    assert found == dataset
