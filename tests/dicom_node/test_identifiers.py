"""Answers as bytes: what pydicom reads of them is what the index said, in every character set."""

import unicodedata
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.character_sets import CharacterSet, ascii_letters
from dicom_node.identifiers import AnswerWriter, Key, UnreadableIdentifier, read_identifier
from pacs.devices import CHARACTER_SETS, CODE_EXTENSIONS

UTF8 = CharacterSet("ISO_IR 192")
LONG_NAME = "Công Tằng Tôn Nữ^Thị^Phương Thảo Nguyên Hương Trà=阮氏芳草=グエン"

# Letters as people and modalities use them: no control characters, no padding around, no delimiter.
_letters = st.characters(exclude_categories=("C", "Z"), exclude_characters="\\^=~")
_text = st.text(_letters, min_size=1, max_size=40).map(lambda t: unicodedata.normalize("NFC", t))
_component = st.text(_letters, max_size=20)
_group = st.lists(_component, min_size=1, max_size=4).map("^".join)
_name = st.fixed_dictionaries(
    {"Alphabetic": _group}, optional={"Ideographic": _text, "Phonetic": _text}
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "00100010": _name,
    "00100020": _text,
    "00081030": _text,
    "0020000D": st.from_regex(r"1\.[1-9][0-9]{0,40}", fullmatch=True),
    "00080060": st.sampled_from(["CT", "CR", "DX"]),
    "00080020": st.dates().map(lambda day: f"{day:%Y%m%d}".rjust(8, "0")),
    "00200011": st.integers(-(2**31), 2**31 - 1),
    "00101030": st.floats(-1e30, 1e30),
    "00280010": st.integers(0, 65535),
    "00189073": st.floats(allow_nan=False, allow_infinity=False),
    "00104000": _text,
}
VR = dict(zip(VALUES, "PN LO LO UI CS DA IS DS US FD LT".split(), strict=True))
_element = st.sampled_from(sorted(VALUES)).flatmap(lambda tag: st.tuples(st.just(tag), VALUES[tag]))
_models = st.lists(_element, max_size=11).map(
    lambda elements: {tag: {"vr": VR[tag], "Value": [value]} for tag, value in elements}
)


def answer(
    model: Mapping[str, Any], character_set: CharacterSet = UTF8, *, implicit: bool = True
) -> Dataset:
    """What pydicom makes of the answer to a question for all of the model's keys."""
    keys = [Key(int(tag, 16), element["vr"]) for tag, element in model.items()]
    data = AnswerWriter(keys, {}, character_set, implicit=implicit).write(model)
    assert len(data) % 2 == 0
    dataset = read_dataset(BytesIO(data), implicit, True)
    dataset.decode()
    return dataset


def text_of(dataset: Dataset, tag: str) -> str:
    return str(dataset[int(tag, 16)].value)


@given(model=_models, implicit=st.booleans())
def test_pydicom_reads_what_the_index_said(model: dict[str, Any], implicit: bool) -> None:
    read = answer(model, implicit=implicit)
    told = read.to_json_dict()
    assert told.pop("00080005") == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert told.keys() == model.keys()
    for tag, element in model.items():
        (expected,), value = element["Value"], told[tag].get("Value", [None])[0]
        if VR[tag] == "DS":
            assert value == pytest.approx(expected, rel=1e-8)
        elif VR[tag] == "PN":
            assert _groups(value or {}) == _groups(expected)
        else:
            assert value == expected


def _groups(name: Mapping[str, str]) -> list[str]:
    groups = (name.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic"))
    return [group.strip("^") for group in groups]


@given(model=_models)
def test_what_is_not_known_is_returned_empty(model: dict[str, Any]) -> None:
    keys = [Key(int(tag, 16), vr) for tag, vr in VR.items()]
    data = AnswerWriter(keys, {}, UTF8, implicit=False).write(model)
    read = read_dataset(BytesIO(data), False, True)
    assert {f"{int(element.tag):08X}" for element in read} == VR.keys() | {"00080005"}
    for tag in VR.keys() - model.keys():
        assert not read[int(tag, 16)].value


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_of_vietnam_come_whole(form: Any) -> None:
    group = unicodedata.normalize(form, LONG_NAME.partition("=")[0])
    assert len(group.encode()) > 64
    read = answer({"00100010": {"vr": "PN", "Value": [{"Alphabetic": group}]}})
    assert text_of(read, "00100010") == group


@pytest.mark.parametrize(
    ("terms", "name", "expected"),
    [
        ("ISO_IR 6", "Nguyễn^Văn^Đức", "Nguyen^Van^Duc"),
        ("ISO_IR 6", unicodedata.normalize("NFD", "Đặng^Thị^Ửng"), "Dang^Thi^Ung"),
        ("ISO_IR 100", "Müller^Đỗ^Hà", "Müller^Do^Hà"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", "Nguyễn^Hà=山田^太郎", "Nguyen^Ha=山田^太郎"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう", None),
        ("GB18030", "Nguyễn^Văn=阮^文", None),
        ("ISO_IR 6", "王^小明", "?^??"),
    ],
)
def test_each_peer_hears_what_it_can_read(terms: str, name: str, expected: str | None) -> None:
    groups = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=False))
    read = answer(
        {
            "00100010": {"vr": "PN", "Value": [groups]},
            "00081030": {"vr": "LO", "Value": ["Đầu gối"]},
        },
        CharacterSet(terms),
    )
    assert text_of(read, "00100010") == (expected or name)
    assert ("SpecificCharacterSet" in read) == (terms != "ISO_IR 6")
    if terms == "ISO_IR 6":
        assert text_of(read, "00081030") == "Dau goi"


@given(st.text())
def test_any_text_has_ascii_letters(text: str) -> None:
    assert ascii_letters(text).isascii()
    assert all(term.encode(text) is not None for term in (CharacterSet("ISO_IR 100"), UTF8))


@pytest.mark.parametrize("term", sorted(CHARACTER_SETS | CODE_EXTENSIONS))
def test_whatever_a_device_may_be_answered_in_is_known(term: str) -> None:
    for character_set in (CharacterSet(term), CharacterSet(f"\\{term}")):
        assert character_set.encode("A") == character_set.encode_name("A") == b"A"
        assert character_set.encode("Đức")


def test_no_such_character_set() -> None:
    with pytest.raises(LookupError, match="UTF-8"):
        CharacterSet("UTF-8")


def test_elements_that_are_always_the_same() -> None:
    fixed = {0x00080052: ("CS", "STUDY"), 0x00080054: ("AE", "FILMLESS")}
    keys = [Key(0x00080052, "CS", "STUDY"), Key(0x00100020, "LO")]
    data = AnswerWriter(keys, fixed, UTF8, implicit=True).write(
        {"00100020": {"vr": "LO", "Value": ["079001", "079002"]}}
    )
    read = read_dataset(BytesIO(data), True, True)
    assert (read.QueryRetrieveLevel, read.RetrieveAETitle) == ("STUDY", "FILMLESS")
    assert read.PatientID == ["079001", "079002"]


SEQUENCE = {
    "00400275": {
        "vr": "SQ",
        "Value": [
            {
                "00400007": {"vr": "LO", "Value": ["Ngực thẳng"]},
                "00400009": {"vr": "SH", "Value": ["P1"]},
                "00400008": {
                    "vr": "SQ",
                    "Value": [{"00080100": {"vr": "SH", "Value": ["71020"]}}],
                },
            }
        ],
    }
}


@pytest.mark.parametrize("implicit", [True, False])
def test_of_sequences_the_asked_keys_come(implicit: bool) -> None:
    inner = (Key(0x00400009, "SH"), Key(0x00401001, "SH"))
    keys = [Key(0x00400275, "SQ", items=(inner,))]
    data = AnswerWriter(keys, {}, UTF8, implicit=implicit).write(SEQUENCE)
    (item,) = read_dataset(BytesIO(data), implicit, True).RequestAttributesSequence
    assert {element.keyword for element in item} == {
        *("ScheduledProcedureStepID", "RequestedProcedureID"),
    }
    assert (item.ScheduledProcedureStepID, item.RequestedProcedureID) == ("P1", "")


@pytest.mark.parametrize("implicit", [True, False])
def test_of_sequences_all_comes_where_no_key_is_named(implicit: bool) -> None:
    data = AnswerWriter([Key(0x00400275, "SQ")], {}, UTF8, implicit=implicit).write(SEQUENCE)
    read = read_dataset(BytesIO(data), implicit, True)
    read.decode()
    (item,) = read.RequestAttributesSequence
    assert item.ScheduledProcedureStepDescription == "Ngực thẳng"
    assert item.ScheduledProtocolCodeSequence[0].CodeValue == "71020"


def identifier(dataset: Dataset, *, implicit: bool) -> bytes:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, implicit
    write_dataset(out, dataset)
    return out.getvalue()


@pytest.mark.parametrize("implicit", [True, False])
def test_an_identifier_is_read(implicit: bool) -> None:
    asked = Dataset()
    asked.SpecificCharacterSet = "ISO_IR 192"
    asked.QueryRetrieveLevel = "STUDY"
    asked.PatientName = "Nguyễn*"
    asked.StudyInstanceUID = ["1.2.3", "1.2.4"]
    asked.StudyDate = "20260101-"
    asked.NumberOfStudyRelatedInstances = ""
    step = Dataset()
    step.ScheduledProcedureStepID = "P*"
    asked.RequestAttributesSequence = [step]
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    keys = read_identifier(identifier(asked, implicit=implicit), syntax)
    assert keys[0x00100010].value == "Nguyễn*"
    assert keys[0x0020000D].value == "1.2.3\\1.2.4"
    assert keys[0x00080020].value == "20260101-"
    assert (keys[0x00201208].vr, keys[0x00201208].value) == ("IS", "")
    assert keys[0x00400275].items == ((Key(0x00400009, "SH", "P*"),),)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("Đức".encode(), "Đức"), ("Müller".encode("latin-1"), "Müller"), (b"An", "An")],
)
def test_text_without_a_character_set(raw: bytes, expected: str) -> None:
    value = raw + b" " * (len(raw) % 2)
    data = b"\x10\x00\x10\x00" + len(value).to_bytes(4, "little") + value
    keys = read_identifier(data, ImplicitVRLittleEndian, "ISO_IR 100")
    assert keys[0x00100010].value == expected


@given(st.binary(max_size=300))
def test_garbage_is_read_or_refused(data: bytes) -> None:
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        try:
            read_identifier(data, syntax)
        except UnreadableIdentifier as refused:
            assert "identifier" in str(refused)
