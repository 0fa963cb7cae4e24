"""The one way out: frames, metadata, pictures; and what is not there."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pydicom
import pytest
from PIL import Image

from pacs import retrieve
from pacs.archive import Archive
from pacs.dicom.rendering import Window
from pacs.dicom.scaling import View
from pacs.index.query import Scope
from pacs.ingest import Source
from pacs.pictures import Look, rendered
from pacs.retrieve import NotFound, StoredInstance

MODALITY = Source("dimse", "CR1", "127.0.0.1")


def store(archive: Archive, path: Path) -> StoredInstance:
    received = archive.ingest.receive([path.read_bytes()], MODALITY)
    with archive.engine.connect() as connection:
        return retrieve.find_instance(connection, received.sop_instance_uid)


@pytest.mark.parametrize(
    "name",
    [
        "RG1_UNCR.dcm",
        "RG1_J2KR.dcm",
        "emri_small_RLE.dcm",
        "emri_small_big_endian.dcm",
        "OBXXXX1A_expb_2frame.dcm",
        "liver.dcm",
        "color3d_jpeg_baseline.dcm",
    ],
)
def test_pixels_of_the_last_frame(
    archive: Archive, real_file: Callable[[str], Path], name: str
) -> None:
    stored = store(archive, real_file(name))
    whole = pydicom.dcmread(real_file(name))
    whole.pixel_array_options(raw=True)
    expected = whole.pixel_array
    last = expected[-1] if stored.number_of_frames > 1 else expected
    found = retrieve.pixels(archive, stored, stored.number_of_frames)
    np.testing.assert_array_equal(found, last)


def test_a_frame_of_an_uncompressed_object_is_its_bytes(
    archive: Archive, real_file: Callable[[str], Path]
) -> None:
    stored = store(archive, real_file("emri_small.dcm"))
    whole = pydicom.dcmread(real_file("emri_small.dcm"))
    frames = [retrieve.frame(archive, stored, number) for number in range(1, 11)]
    assert b"".join(frames) == whole.PixelData


def test_metadata_is_every_attribute_but_pixels(
    archive: Archive, real_file: Callable[[str], Path]
) -> None:
    stored = store(archive, real_file("693_UNCR.dcm"))
    (text,) = retrieve.metadata(archive, study=stored.study_instance_uid)
    document = orjson.loads(text)
    uri = document.pop("7FE00010")["BulkDataURI"]
    assert uri.endswith(f"/instances/{stored.sop_instance_uid}/bulkdata/7FE00010")
    found = pydicom.Dataset.from_json(document)
    whole = pydicom.dcmread(real_file("693_UNCR.dcm"), stop_before_pixels=True)
    for tag in [element.tag for element in whole if element.tag.element == 0]:
        del whole[tag]  # group lengths are retired (PS3.5 7.2) and say nothing
    del whole[0x00080005]
    del found[0x00080005]
    assert found == whole


@pytest.mark.parametrize("kind", ["value", "sequence"])
def test_metadata_holds_what_lies_behind_the_beginning(
    archive: Archive, make_file: Callable[..., bytes], kind: str
) -> None:
    value = bytes(range(250)) * 400  # more than is read at first, and less than a URI stands for
    attributes: dict[str, object] = {"SpectroscopyData": value}
    if kind == "sequence":
        items = [pydicom.Dataset() for _ in range(200)]
        for item in items:
            item.TextValue = "x" * 1000
        attributes = {"WaveformSequence": items}
    data = make_file(PixelData=None, **attributes)
    received = archive.ingest.receive([data], MODALITY)
    (text,) = retrieve.metadata(archive, study=received.study_instance_uid)
    found = pydicom.Dataset.from_json(text)
    if kind == "value":
        assert found.SpectroscopyData == value
    else:
        assert [item.TextValue for item in found.WaveformSequence] == ["x" * 1000] * 200


@pytest.mark.parametrize(
    "name",
    [
        "RG1_UNCR.dcm",
        "RG3_J2KR.dcm",
        "mlut_18.dcm",
        "vlut_04.dcm",
        "US1_J2KR.dcm",
        "SC_rgb.dcm",
        "OBXXXX1A.dcm",
        "color-pl.dcm",
        "693_UNCI.dcm",
        "liver.dcm",
        "eCT_Supplemental.dcm",
    ],
)
def test_every_kind_of_image_becomes_a_picture(
    archive: Archive, real_file: Callable[[str], Path], name: str
) -> None:
    stored = store(archive, real_file(name))
    picture = Image.open(io.BytesIO(rendered(archive, stored, 1, Look(view=View((256, 256))))))
    assert max(picture.size) <= 256
    assert np.asarray(picture).std() > 5


def test_monochrome1_is_shown_the_right_way_round(
    archive: Archive, real_file: Callable[[str], Path]
) -> None:
    stored = store(archive, real_file("RG1_UNCR.dcm"))
    values = retrieve.pixels(archive, stored)
    shown = np.asarray(Image.open(io.BytesIO(rendered(archive, stored, 1, Look("image/png")))))
    assert np.corrcoef(values.ravel()[::97], shown.ravel()[::97])[0, 1] < -0.9


def test_a_window_that_is_asked_for_is_used(
    archive: Archive, real_file: Callable[[str], Path]
) -> None:
    stored = store(archive, real_file("eCT_Supplemental.dcm"))
    narrow = rendered(archive, stored, 1, Look("image/png", window=Window(-5000, 10)))
    assert set(np.asarray(Image.open(io.BytesIO(narrow))).ravel()) == {255}


def test_what_is_not_there(archive: Archive, real_file: Callable[[str], Path]) -> None:
    stored = store(archive, real_file("SC_rgb.dcm"))
    with archive.engine.connect() as connection:
        with pytest.raises(NotFound, match=r"1\.2\.3"):
            retrieve.find_instance(connection, "1.2.3")
        with pytest.raises(NotFound):
            retrieve.find_instance(connection, stored.sop_instance_uid, Scope("1.2.3"))
    with pytest.raises(NotFound):
        retrieve.metadata(archive, study=stored.study_instance_uid, scope=Scope("1.2.3"))
    for number in (0, 2, -1):
        with pytest.raises(NotFound):
            retrieve.frame(archive, stored, number)


def test_the_middle_image_of_a_study(archive: Archive, real_file: Callable[[str], Path]) -> None:
    stored = [store(archive, real_file(name)) for name in ("RG1_UNCR.dcm", "emri_small.dcm")]
    with archive.engine.connect() as connection:
        for one in stored:
            assert retrieve.middle_image(connection, study=one.study_instance_uid) == one
        for scope in (Scope("1.2.3"), Scope(institutions=("elsewhere",))):
            with pytest.raises(NotFound):
                retrieve.middle_image(connection, study=stored[0].study_instance_uid, scope=scope)


def test_one_instance_keeps_to_its_scope(
    archive: Archive, real_file: Callable[[str], Path]
) -> None:
    stored = store(archive, real_file("RG1_UNCR.dcm"))
    uids: dict[str, Any] = {
        "study": stored.study_instance_uid,
        "series": stored.series_instance_uid,
        "instance": stored.sop_instance_uid,
    }
    with archive.engine.connect() as connection:
        assert retrieve.one_instance(connection, **uids) == stored
        name = connection.exec_driver_sql("SELECT institution_name FROM series").scalar_one()
        for scope in (Scope(stored.study_instance_uid), Scope(institutions=("elsewhere", name))):
            assert retrieve.one_instance(connection, **uids, scope=scope) == stored
        for scope in (Scope("1.2.3"), Scope(institutions=()), Scope(institutions=("elsewhere",))):
            with pytest.raises(NotFound):
                retrieve.one_instance(connection, **uids, scope=scope)
        for key in uids:
            with pytest.raises(NotFound):
                retrieve.one_instance(connection, **{**uids, key: "1.2.3"})


def test_neighbouring_frames_are_one_read(
    archive: Archive, real_file: Callable[[str], Path]
) -> None:
    whole = pydicom.dcmread(real_file("emri_small.dcm"))
    stored = store(archive, real_file("emri_small.dcm"))
    size = len(whole.PixelData) // 10
    numbers = [1, 2, 3, 9, 8, 8, 10, 1]
    found = list(retrieve.frames(archive, stored, numbers))
    assert found == [whole.PixelData[size * (n - 1) : size * n] for n in numbers]
    # Those that follow each other, and what is near, are views of one buffer.
    views = [frame.obj for frame in found if isinstance(frame, memoryview)]
    assert views[0] is views[1] is views[2] is views[3]
    assert views[4] is not views[3]
