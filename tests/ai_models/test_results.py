"""What the model makes of a radiograph is standard DICOM, and stays with its patient."""

import io
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom.sr import ComprehensiveSR
from pydicom import Dataset

from ai_models.assess import Candidate, admit, assessment, judge, objects
from ai_models.labels import LABELS
from ai_models.model import Model
from ai_models.results import Result
from pacs.triage import Assessment

Radiograph = Callable[[str], Dataset]
WHEN = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
DCIODVFY = Path(sys.executable).with_name("dciodvfy")


def candidate(dataset: Dataset, model: Model) -> Candidate:
    admitted = admit(dataset, lambda: dataset.pixel_array, model)
    assert isinstance(admitted, Candidate)
    return admitted


def result_of(admitted: Candidate, model: Model) -> Result:
    found = judge(admitted, model.predict(admitted.prepared.tensor), 0, model)
    assert isinstance(found, Result)
    return found


def made(dataset: Dataset, model: Model) -> tuple[Dataset, Dataset]:
    admitted = candidate(dataset, model)
    result = result_of(admitted, model)
    report, heat = objects(admitted, result, model, WHEN)
    return pydicom.dcmread(io.BytesIO(report)), pydicom.dcmread(io.BytesIO(heat))


def errors(dataset: Dataset, folder: Path) -> list[str]:
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    said = subprocess.run([DCIODVFY, "-new", path], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert lines
    return [line for line in lines if line.startswith(("Error", "Failed"))]


def minimal(radiograph: Radiograph) -> Dataset:
    """The radiograph with the least header that ingest takes in, and its body part."""
    real = radiograph("RG1_UNCR.dcm")
    kept = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        kept[keyword] = real[keyword]
    kept.Modality, kept.BodyPartExamined = "CR", "CHEST"
    for element in real.group_dataset(0x0028):
        kept.add(element)
    kept["PixelData"] = real["PixelData"]
    kept.file_meta = real.file_meta
    return kept


@pytest.mark.parametrize("form", ["UNCR", "UNCI", "J2KR", "J2KI"])
def test_lung_masses_are_seen_in_every_form_of_the_image(
    form: str, radiograph: Radiograph, model: Model
) -> None:
    result = result_of(candidate(radiograph(f"RG1_{form}.dcm"), model), model)
    assert result.triage_class in {"critical", "urgent"}
    assert result.abnormal >= model.rule.urgent


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("RG3_UNCR.dcm", "not_chest"),
        ("RG3_J2KI.dcm", "not_chest"),
        ("MR2_UNCR.dcm", "not_radiograph"),
        ("US1_UNCR.dcm", "not_radiograph"),
    ],
)
def test_everything_else_is_left_alone(
    name: str, reason: str, radiograph: Radiograph, model: Model
) -> None:
    dataset = radiograph(name)
    refused = admit(dataset, lambda: dataset.pixel_array, model)
    assert isinstance(refused, Assessment)
    assert (refused.reason, refused.triage_class) == (reason, None)


@pytest.mark.parametrize("said", [None, "CHEST"])
def test_a_leg_that_says_nothing_or_lies_is_refused_by_its_picture(
    said: str | None, radiograph: Radiograph, model: Model
) -> None:
    dataset = radiograph("RG3_UNCR.dcm")
    for keyword in ("StudyDescription", "AcquisitionDeviceProcessingDescription"):
        delattr(dataset, keyword)
    dataset.BodyPartExamined = said
    admitted = candidate(dataset, model)
    assert judge(admitted, model.predict(admitted.prepared.tensor), 0, model) == "not_chest"


def test_a_header_without_pixels_to_match_is_unreadable(
    radiograph: Radiograph, model: Model
) -> None:
    dataset = radiograph("RG1_UNCR.dcm")
    refused = admit(dataset, lambda: np.zeros((64, 64), dtype=np.uint16), model)
    assert isinstance(refused, Assessment)
    assert refused.reason == "unreadable"


def test_the_objects_have_no_error(radiograph: Radiograph, model: Model, tmp_path: Path) -> None:
    for source in (radiograph("RG1_UNCR.dcm"), minimal(radiograph)):
        for result in made(source, model):
            assert errors(result, tmp_path) == []


def test_what_is_no_date_or_sex_does_not_reach_the_objects(
    radiograph: Radiograph, model: Model, tmp_path: Path
) -> None:
    source = radiograph("RG1_UNCR.dcm")
    source.PatientSex = "Nam"
    source.PatientBirthDate = "1960"
    for result in made(source, model):
        assert result.PatientSex == ""
        assert result.PatientBirthDate == ""
        assert errors(result, tmp_path) == []


def test_they_stay_with_patient_and_study(radiograph: Radiograph, model: Model) -> None:
    source = radiograph("RG1_UNCR.dcm")
    source.SpecificCharacterSet = "ISO_IR 192"
    source.PatientName = "Nguyễn^Văn Đức"
    source.IssuerOfPatientID = "BV Đa khoa"
    source.StudyDescription = "X-quang ngực thẳng"
    for result in made(source, model):
        assert result.SpecificCharacterSet == "ISO_IR 192"
        for keyword in (
            "PatientName",
            "PatientID",
            "IssuerOfPatientID",
            "PatientBirthDate",
            "PatientSex",
            "StudyInstanceUID",
            "StudyID",
            "StudyDate",
            "StudyTime",
            "StudyDescription",
            "AccessionNumber",
            "ReferringPhysicianName",
        ):
            assert result[keyword].value == source[keyword].value, keyword
        assert result.SeriesInstanceUID != source.SeriesInstanceUID
        assert "AI, for research use" in result.SeriesDescription


def test_a_latin_1_name_becomes_unicode(radiograph: Radiograph, model: Model) -> None:
    source = radiograph("RG1_UNCR.dcm")
    source.SpecificCharacterSet = "ISO_IR 100"
    source.PatientName = "Müller^Jörg"
    again = io.BytesIO()
    source.save_as(again)
    again.seek(0)
    for result in made(pydicom.dcmread(again), model):
        assert str(result.PatientName) == "Müller^Jörg"


def test_the_report_says_what_the_model_said(radiograph: Radiograph, model: Model) -> None:
    source = radiograph("RG1_UNCR.dcm")
    admitted = candidate(source, model)
    result = result_of(admitted, model)
    report = pydicom.dcmread(io.BytesIO(objects(admitted, result, model, WHEN)[0]))
    groups = ComprehensiveSR.from_dataset(report).content.get_image_measurement_groups()
    assert len(groups) == len(LABELS)
    said = [str(element.value) for element in report.iterall() if element.keyword == "TextValue"]
    for text in (model.bundle.name, model.bundle.version):
        assert said.count(text) >= len(LABELS)
    assert any("Not a registered medical device" in text for text in said)
    images = [e.value for e in report.iterall() if e.keyword == "ReferencedSOPInstanceUID"]
    assert images.count(source.SOPInstanceUID) >= len(LABELS)
    values = [float(e.value) for e in report.iterall() if e.keyword == "NumericValue"]
    assert values[0] == pytest.approx(result.abnormal, abs=1e-4)
    assert len(values) == len(LABELS)


def test_the_heat_map_lies_on_the_whole_radiograph(radiograph: Radiograph, model: Model) -> None:
    source = radiograph("RG1_UNCR.dcm")
    _, heat = made(source, model)
    picture = heat.pixel_array
    assert picture.shape == (1024, round(1024 * source.Columns / source.Rows), 3)
    assert heat.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert "AI, for research use" in heat.ImageComments
    colourful = np.ptp(picture.astype(int), axis=2) > 30
    assert 0.02 < colourful.mean() < 0.9


def test_a_second_run_makes_the_same_objects(radiograph: Radiograph, model: Model) -> None:
    source = radiograph("RG1_UNCR.dcm")
    admitted = candidate(source, model)
    result = result_of(admitted, model)
    once, again = (objects(admitted, result, model, WHEN) for _ in range(2))
    assert once == again
    word = assessment(admitted, result, model)
    assert pydicom.dcmread(io.BytesIO(once[0])).SOPInstanceUID == word.sr_instance_uid
    assert pydicom.dcmread(io.BytesIO(once[1])).SOPInstanceUID == word.heatmap_instance_uid
