"""DICOM JSON from bytes, held against pydicom's, and text in every character set."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pydicom
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pacs.dicom.charset import decoder
from pacs.dicom.header import read_attributes
from pacs.dicom.json import to_json

LIMIT = 1 << 30
PIXELS = ("7FE00008", "7FE00009", "7FE00010")
FILES = [
    "693_UNCI.dcm",
    "JPEG-LL.dcm",
    "JPEG2000_UNC.dcm",
    "MR-SIEMENS-DICOM-WithOverlays.dcm",
    "OBXXXX1A_rle.dcm",
    "RG1_J2KI.dcm",
    "SC_rgb_dcmtk_ebcr_dcmd.dcm",
    "US1_UNCI.dcm",
    "eCT_Supplemental.dcm",
    "emri_small_big_endian.dcm",
    "explicit_VR-UN.dcm",
    "liver.dcm",
    "mlut_18.dcm",
]


def ours(data: bytes) -> dict[str, Any]:
    return plain(to_json(read_attributes(data, LIMIT, len(data))))


def plain(model: dict[str, Any]) -> dict[str, Any]:
    """The model without what the two may write differently: padding, and how nothing is said."""
    found = {}
    for tag, attribute in model.items():
        if tag in (*PIXELS, "00080005") or tag.endswith("0000"):
            continue
        values = [_plain_value(value) for value in attribute.get("Value", [])]
        while values and values[-1] in (None, "", {}):
            values.pop()
        found[tag] = {**attribute, "Value": values}
    return found


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        is_item = all(len(key) == 8 for key in value)
        if is_item:
            return plain(value)
        return {group: text for group, name in value.items() if (text := _plain_value(name))}
    # Ours is in NFC, which makes U+F900 (a compatibility ideograph) U+8C48; pydicom leaves it.
    return (normalize("NFC", value).strip() or None) if isinstance(value, str) else value


def pydicoms(dataset: Dataset) -> dict[str, Any]:
    return plain(dataset.to_json_dict(bulk_data_threshold=LIMIT, suppress_invalid_tags=True))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_files_read_as_pydicom_reads_them(real_file: Callable[[str], Path], name: str) -> None:
    whole = pydicom.dcmread(real_file(name), stop_before_pixels=True)
    expected, found = pydicoms(whole), ours(real_file(name).read_bytes())
    if not whole.original_encoding[1]:  # pydicom leaves big endian words as they are
        for tag in [tag for tag, value in expected.items() if value["vr"] == "OW"]:
            assert found.pop(tag)["vr"] == expected.pop(tag)["vr"]
    assert found == expected


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\\^=", exclude_categories=["C"]))
DATASETS = st.fixed_dictionaries(
    {},
    optional={
        "PatientName": TEXT.map(lambda text: text.strip()[:60]),
        "StudyDescription": TEXT.map(lambda text: text.strip()[:60]),
        "PatientComments": TEXT.map(str.strip),
        "ImageType": st.lists(st.sampled_from(["ORIGINAL", "PRIMARY", "AXIAL"]), max_size=3),
        "PixelSpacing": st.lists(st.integers(1, 9999).map(lambda n: n / 1000), max_size=2),
        "SeriesNumber": st.integers(-(2**31), 2**31 - 1),
        "Rows": st.integers(0, 65535),
        "FrameIncrementPointer": st.lists(st.sampled_from([0x00181063, 0x00209157]), max_size=2),
        "RecommendedDisplayFrameRateInFloat": st.floats(
            width=32, allow_nan=False, allow_infinity=False
        ),
        "RealWorldValueSlope": st.floats(allow_nan=False, allow_infinity=False),
        "SelectorSLValue": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
    },
)
SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


@settings(max_examples=60, deadline=None)
@given(DATASETS, DATASETS, st.sampled_from(SYNTAXES), st.booleans())
@example({}, {"PatientName": "\uf900"}, ImplicitVRLittleEndian, False)
def test_any_data_set_reads_as_pydicom_reads_it(
    attributes: dict[str, Any], nested: dict[str, Any], syntax: UID, undefined: bool
) -> None:
    dataset, item = Dataset(), Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for target, values in ((dataset, attributes), (item, nested)):
        for keyword, value in values.items():
            if pydicom.datadict.tag_for_keyword(keyword) is not None:
                setattr(target, keyword, value)
    item.is_undefined_length_sequence_item = undefined
    dataset.RequestAttributesSequence = [item]
    dataset["RequestAttributesSequence"].is_undefined_length = undefined
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = UID("1.2")
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2")
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    data = out.getvalue()
    assert ours(data) == pydicoms(pydicom.dcmread(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [  # PS3.5 H.3, I.2, K.2 and this country's
        (b"", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
        (b"ISO_IR 192", "Nguyễn^Văn^Đức".encode(), "Nguyễn^Văn^Đức"),
        (
            rb"\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "Yamada^Tarou=山田^太郎",
        ),
        (
            rb"\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
            "Hong^Gildong=洪^吉洞",
        ),
        (b"ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (b"GB18030", "王^小东".encode("gb18030"), "王^小东"),
        (b"no such set", b"caf\xe9", "café"),
        (b"ISO_IR 192", b"\xff^x", "\ufffd^x"),
    ],
)
def test_text_in_its_character_set(declared: bytes, value: bytes, expected: str) -> None:
    assert decoder(declared)(value) == expected


@given(st.binary(max_size=200), st.sampled_from([b"", rb"\ISO 2022 IR 87", b"ISO_IR 192"]))
def test_any_bytes_are_some_text(value: bytes, declared: bytes) -> None:
    assert isinstance(decoder(declared)(value), str)
