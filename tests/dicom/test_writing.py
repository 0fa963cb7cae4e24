"""Data sets from JSON and XML to DICOM: pydicom reads what is written, our reader gives it back."""

import io
import math
import unicodedata
from functools import partial
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dicom.header import read_attributes
from pacs.dicom.json import to_json
from pacs.dicom.native_xml import native_xml
from pacs.dicom.native_xml_reading import read_native_xml
from pacs.dicom.writing import BadModel, Bulk, Encapsulated, part10

UIDS = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
    "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
}
LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

# What has neither padding nor separators, which DICOM does not keep apart from the value.
words = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="\\=^"),
    min_size=1,
    max_size=12,
).map(partial(unicodedata.normalize, "NFC"))


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=3)


elements: dict[str, st.SearchStrategy[Any]] = {
    "00081030": words.map(lambda v: {"vr": "LO", "Value": [v]}),
    "00100010": words.map(lambda v: {"vr": "PN", "Value": [{"Alphabetic": v}]}),
    "00104000": words.map(lambda v: {"vr": "LT", "Value": [v]}),
    "00080061": several(st.sampled_from(["CT", "MR", "SR"])).map(
        lambda v: {"vr": "CS", "Value": v}
    ),
    "00280010": st.integers(0, 65535).map(lambda v: {"vr": "US", "Value": [v]}),
    "00186020": several(st.integers(-(2**31), 2**31 - 1)).map(lambda v: {"vr": "SL", "Value": v}),
    "00189087": several(st.floats(allow_nan=False, allow_infinity=False)).map(
        lambda v: {"vr": "FD", "Value": v}
    ),
    "00200013": st.integers(-(2**31), 2**31 - 1).map(lambda v: {"vr": "IS", "Value": [v]}),
    "00281050": several(st.integers(-(10**9), 10**9).map(lambda v: v / 4)).map(
        lambda v: {"vr": "DS", "Value": v}
    ),
    "00280009": st.sampled_from(["00181063", "FFFEE00D"]).map(lambda v: {"vr": "AT", "Value": [v]}),
}
models = st.fixed_dictionaries({}, optional=elements)
nested = st.recursive(
    models,
    lambda inner: st.builds(
        lambda model, items: {**model, "00081140": {"vr": "SQ", "Value": items}},
        models,
        st.lists(inner, min_size=1, max_size=2),
    ),
    max_leaves=6,
)


def nowhere(uri: str) -> Bulk | Encapsulated:
    raise BadModel(f"{uri} did not come")


def written(model: dict[str, Any]) -> bytes:
    return b"".join(part10({**UIDS, **model}, nowhere, LITTLE_ENDIAN))


def read(content: bytes) -> dict[str, Any]:
    found = to_json(read_attributes(content, 1 << 20, len(content)), "")
    return {tag: value for tag, value in found.items() if tag != "00080005"}


@settings(deadline=None)
@given(nested)
def test_what_is_written_is_read_again(model: dict[str, Any]) -> None:
    content = written(model)
    assert read(content) == {**UIDS, **model}
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.decode()
    assert dataset.file_meta.TransferSyntaxUID == LITTLE_ENDIAN
    assert {f"{int(element.tag):08X}" for element in dataset} >= model.keys()


@settings(deadline=None)
@given(nested)
def test_xml_says_the_same_as_json(model: dict[str, Any]) -> None:
    assert read(written(read_native_xml(native_xml(model)))) == read(written(model))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["00080018", "00100010", "00280010", "7FE00010", "0008114", "00091001"]),
        json_values
        | st.builds(
            lambda vr, name, value: {"vr": vr, name: value},
            st.sampled_from("UI PN US OW SQ AT FD DS UN LO".split()),
            st.sampled_from(["Value", "InlineBinary", "BulkDataURI"]),
            json_values,
        ),
    )
)
def test_any_json_is_written_or_refused(model: dict[str, Any]) -> None:
    try:
        content = b"".join(part10(model, nowhere, LITTLE_ENDIAN))
    except BadModel:
        return
    assert content[128:132] == b"DICM"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_xml_are_read_or_refused(data: bytes) -> None:
    for document in (data, b"<NativeDicomModel>" + data + b"</NativeDicomModel>"):
        try:
            read_native_xml(document)
        except BadModel:
            continue


def test_private_attributes_of_xml_get_a_block() -> None:
    document = (
        b'<NativeDicomModel><DicomAttribute tag="00090002" vr="LO" privateCreator="ACME">'
        b'<Value number="1">x</Value></DicomAttribute>'
        b'<DicomAttribute tag="00090003" vr="LO" privateCreator="OTHER"/></NativeDicomModel>'
    )
    assert read_native_xml(document) == {
        "00090010": {"vr": "LO", "Value": ["ACME"]},
        "00091002": {"vr": "LO", "Value": ["x"]},
        "00090011": {"vr": "LO", "Value": ["OTHER"]},
        "00091103": {"vr": "LO"},
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5, "1.5"), (3.0, "3"), (1 / 3, "0.3333333333"), (1e-20 / 3, "3.333333333e-21"), (7, "7")],
)
def test_decimal_strings_fit_into_16_characters(value: float, text: str) -> None:
    content = written({"00281050": {"vr": "DS", "Value": [value]}})
    found = pydicom.dcmread(io.BytesIO(content))
    assert str(found["00281050"].value.original_string or found["00281050"].value) == text
    assert math.isclose(float(found["00281050"].value), value, rel_tol=1e-9)


def test_frames_are_fragments_and_odd_ones_are_padded() -> None:
    frames = [b"abc", b"", b"defg"]
    value = Encapsulated([Bulk(len(one), partial(iter, [one])) for one in frames])
    model = {**UIDS, "7FE00010": {"vr": "OB", "BulkDataURI": "x"}}
    content = b"".join(part10(model, lambda _: value, "1.2.840.10008.1.2.4.50"))
    assert content.endswith(
        b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\x00\x00\x00"
        b"\xfe\xff\x00\xe0\x04\x00\x00\x00abc\x00\xfe\xff\x00\xe0\x04\x00\x00\x00defg"
        b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    )
