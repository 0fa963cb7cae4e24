"""Frontal chest radiographs pass; everything else is refused with the right reason."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from ai_models.eligibility import folded, header_verdict

Radiograph = Callable[[str], Dataset]


def header(**attributes: object) -> Dataset:
    made = Dataset()
    made.Modality = "CR"
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def region(meaning: str) -> list[Dataset]:
    item = Dataset()
    item.CodeMeaning = meaning
    return [item]


@pytest.mark.parametrize(
    ("attributes", "certain"),
    [
        ({"BodyPartExamined": "CHEST", "ViewPosition": "PA"}, True),
        ({"BodyPartExamined": "CHEST", "ViewPosition": "AP", "Modality": "DX"}, True),
        ({"BodyPartExamined": "CHEST"}, True),
        ({"SeriesDescription": "X-quang ngực thẳng"}, True),
        ({"StudyDescription": "Chụp Xquang tim phổi thẳng"}, True),
        ({"StudyDescription": "CHỤP X-QUANG NGỰC THẲNG NGHIÊNG"}, True),
        ({"ProtocolName": "Thorax pa"}, True),
        ({"AnatomicRegionSequence": region("Chest"), "BodyPartExamined": ""}, True),
        ({"BodyPartExamined": "CHEST", "PatientOrientation": ["L", "F"]}, True),
        ({"BodyPartExamined": "UNKNOWN"}, False),
        ({"StudyDescription": "Chest and abdomen"}, False),
        ({}, False),
    ],
)
def test_admitted(attributes: dict[str, object], certain: bool) -> None:
    verdict = header_verdict(header(**attributes))
    assert (verdict.reason, verdict.certain) == (None, certain)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Modality": "CT", "BodyPartExamined": "CHEST"}, "not_radiograph"),
        ({"Modality": "MG"}, "not_radiograph"),
        ({"Modality": ""}, "not_radiograph"),
        ({"BodyPartExamined": "EXTREMITY"}, "not_chest"),
        ({"BodyPartExamined": "ABDOMEN", "StudyDescription": "Chest"}, "not_chest"),
        ({"SeriesDescription": "Xương bàn tay thẳng"}, "not_chest"),
        ({"SeriesDescription": "Cột sống ngực thẳng"}, "not_chest"),
        ({"StudyDescription": "Khớp gối (P)"}, "not_chest"),
        ({"AnatomicRegionSequence": region("Knee")}, "not_chest"),
        ({"BodyPartExamined": "CHEST", "ViewPosition": "LL"}, "not_frontal"),
        ({"BodyPartExamined": "CHEST", "SeriesDescription": "Ngực nghiêng trái"}, "not_frontal"),
        ({"BodyPartExamined": "CHEST", "SeriesDescription": "CHEST LAT"}, "not_frontal"),
        ({"BodyPartExamined": "CHEST", "PatientOrientation": ["A", "F"]}, "not_frontal"),
        (
            {"BodyPartExamined": "CHEST", "ViewCodeSequence": region("left lateral")},
            "not_frontal",
        ),
        (
            {"BodyPartExamined": "CHEST", "PresentationIntentType": "FOR PROCESSING"},
            "unreadable",
        ),
    ],
)
def test_refused(attributes: dict[str, object], reason: str) -> None:
    assert header_verdict(header(**attributes)).reason == reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("RG1_UNCR.dcm", None),
        ("RG3_UNCR.dcm", "not_chest"),
        ("MR2_UNCR.dcm", "not_radiograph"),
        ("US1_UNCR.dcm", "not_radiograph"),
    ],
)
def test_real_headers(name: str, reason: str | None, radiograph: Radiograph) -> None:
    assert header_verdict(radiograph(name)).reason == reason


@given(st.dictionaries(st.sampled_from(["StudyDescription", "SeriesDescription"]), st.text()))
@settings(deadline=None)
def test_no_text_breaks_it(texts: dict[str, str]) -> None:
    assert header_verdict(header(**texts)).reason in {None, "not_chest", "not_frontal"}


@given(st.text())
@settings(deadline=None)
def test_folding_is_idempotent(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert set(folded(text)) <= set("abcdefghijklmnopqrstuvwxyz0123456789 ")


def test_folding() -> None:
    assert folded("X-quang NGỰC thẳng, đứng") == "x quang nguc thang dung"
