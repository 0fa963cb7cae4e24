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
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom import Dataset

from ai_models.assess import Candidate, admit, assessment, judge, objects
from ai_models.labels import LABELS
from ai_models.model import Model
from ai_models.preprocessing import Box, Prepared
from ai_models.report import FINDING_CODES, structured_report
from ai_models.results import Result, tracking_uid
from ai_models.salience import salient_outline
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
    content = ComprehensiveSR.from_dataset(report).content
    groups = [
        *content.get_planar_roi_measurement_groups(),
        *content.get_image_measurement_groups(),
    ]
    assert len(groups) == len(LABELS)
    probability = {
        group.finding_type.meaning: float(group.get_measurements()[0].value) for group in groups
    }
    assert probability["Abnormal"] == pytest.approx(result.abnormal, abs=1e-4)
    said = [str(element.value) for element in report.iterall() if element.keyword == "TextValue"]
    for text in (model.bundle.name, model.bundle.version):
        assert said.count(text) >= len(LABELS)
    assert any("Not a registered medical device" in text for text in said)
    images = [e.value for e in report.iterall() if e.keyword == "ReferencedSOPInstanceUID"]
    assert images.count(source.SOPInstanceUID) >= len(LABELS)
    values = [float(e.value) for e in report.iterall() if e.keyword == "NumericValue"]
    assert len(values) == len(LABELS)


def test_the_region_lies_where_the_heat_map_is_hot(radiograph: Radiograph, model: Model) -> None:
    source = radiograph("RG1_UNCR.dcm")
    admitted = candidate(source, model)
    result = result_of(admitted, model)
    report, heat = (pydicom.dcmread(io.BytesIO(o)) for o in objects(admitted, result, model, WHEN))
    content = ComprehensiveSR.from_dataset(report).content
    (group,) = content.get_planar_roi_measurement_groups()
    assert group.finding_type == FINDING_CODES[result.explained]
    assert group.tracking_uid == tracking_uid(source, model.bundle, result.explained)
    first = report.ContentSequence[-1].ContentSequence[0]
    assert [item.UID for item in first.ContentSequence if item.ValueType == "UIDREF"] == [
        group.tracking_uid
    ]
    region = group.roi
    assert region.ContentSequence[0].referenced_sop_instance_uid == source.SOPInstanceUID
    corners = region.value
    assert (corners[0] == corners[-1]).all()
    assert 4 < len(corners) < 200
    assert (corners >= 0).all()
    assert (corners <= (source.Columns, source.Rows)).all()
    picture = heat.pixel_array
    colour = np.ptp(picture.astype(int), axis=2)
    inside = within(corners * (picture.shape[0] / source.Rows), colour.shape)
    assert 0.01 < inside.mean() < 0.5
    assert colour[inside].mean() > 3 * colour[~inside].mean()


def within(outline: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which pixels of a picture (rows, columns) lie in the outline."""
    drawn = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in outline], fill=1)
    return np.asarray(drawn)


def prepared(source: Box, canvas: Box) -> Prepared:
    return Prepared(np.zeros((1, 1, 10, 10), np.float32), source, canvas)


def test_the_region_is_found_in_the_pixels_of_the_radiograph() -> None:
    heat = np.zeros((10, 10), dtype=np.float32)
    heat[4:6, 2:5] = 0.6
    heat[5, 3] = 1.0
    heat[4:6, 8] = 0.7  # hot, but apart from the maximum
    heat[0, 0] = 0.9  # beside the picture
    seen = prepared(source=Box(100, 50, 600, 1000), canvas=Box(2, 0, 6, 10))
    outline = salient_outline(seen, heat)
    assert outline is not None
    assert outline.tolist() == [[250, 300], [550, 300], [550, 500], [250, 500], [250, 300]]
    assert salient_outline(seen, np.zeros_like(heat)) is None


def test_the_region_follows_what_hangs_together() -> None:
    rows, columns = np.mgrid[0:200, 0:200]
    heat = (np.hypot(rows - 90, columns - 110) < 50).astype(np.float32)
    heat[85:95, 100:120] = 0  # a hole
    heat[60:62, 110] = 2.0
    heat[40:42, 108:112] = 0.4
    heat[heat == 1] = 1.5
    whole = Box(0, 0, 200, 200)
    outline = salient_outline(prepared(whole, whole), heat)
    assert outline is not None
    assert len(outline) < 60
    away = np.hypot(outline[:, 0] - 110, outline[:, 1] - 90)
    assert 47 < away.min() <= away.max() < 53


@given(hot=arrays(np.bool_, (8, 8)))
def test_every_hot_part_has_an_outline_around_its_maximum(hot: NDArray[np.bool_]) -> None:
    heat = hot.astype(np.float32)
    whole = Box(0, 0, 8, 8)
    outline = salient_outline(prepared(whole, whole), heat)
    if not hot.any():
        assert outline is None
        return
    assert outline is not None
    assert (outline[0] == outline[-1]).all()
    assert (outline >= 0).all()
    assert (outline <= 8).all()
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert outline[:, 0].min() <= column < outline[:, 0].max()
    assert outline[:, 1].min() <= row < outline[:, 1].max()


def test_without_a_hot_region_every_finding_is_of_the_whole_image(
    radiograph: Radiograph, model: Model
) -> None:
    source = radiograph("RG1_UNCR.dcm")
    result = result_of(candidate(source, model), model)
    report = structured_report(source, result, None, model.bundle, WHEN)
    content = ComprehensiveSR.from_dataset(report).content
    assert content.get_planar_roi_measurement_groups() == []
    assert len(content.get_image_measurement_groups()) == len(LABELS)


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
