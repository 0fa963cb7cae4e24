"""WADO-URI, as the clients ask that have not heard of WADO-RS."""

from io import BytesIO
from typing import Any

import httpx2
import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.plugins.hospital import CT, RADIOGRAPH, Hospital, file_of

REPORT = "test-SR.dcm"
MULTIFRAME = "emri_small_jpeg_ls_lossless.dcm"


def ask(hospital: Hospital, name: str, **parameters: Any) -> httpx2.Response:
    received = hospital.stored[name]
    asked = {
        "requestType": "WADO",
        "studyUID": received.study_instance_uid,
        "seriesUID": received.series_instance_uid,
        "objectUID": received.sop_instance_uid,
        **parameters,
    }
    present = {key: value for key, value in asked.items() if value is not None}
    return hospital.machine().get("/dicomweb/wado", params=present)


def picture(answer: httpx2.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content))


def test_an_image_is_a_jpeg_unless_said_otherwise(hospital: Hospital) -> None:
    assert picture(ask(hospital, CT)).format == "JPEG"
    assert picture(ask(hospital, CT, contentType="image/png")).format == "PNG"
    both = "image/gif, image/webp;q=0.9, image/png;q=0.5"
    assert picture(ask(hospital, CT, contentType=both)).format == "WEBP"
    assert ask(hospital, CT, contentType="image/gif").status_code == 406
    for name in (MULTIFRAME, REPORT):
        assert ask(hospital, name).headers["content-type"].startswith("application/dicom")
    assert picture(ask(hospital, MULTIFRAME, frameNumber=3)).size == (64, 64)
    assert ask(hospital, REPORT, contentType="image/jpeg").status_code == 406


@pytest.mark.parametrize(
    ("syntax", "expected"),
    [
        (None, "1.2.840.10008.1.2.1"),
        ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.90"),
        ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.201"),
    ],
)
def test_an_object_in_the_syntax_asked_for(
    hospital: Hospital, syntax: str | None, expected: str
) -> None:
    answer = ask(hospital, RADIOGRAPH, contentType="application/dicom", transferSyntax=syntax)
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={expected}"
    found = pydicom.dcmread(BytesIO(answer.content))
    assert found.file_meta.TransferSyntaxUID == expected
    original = pydicom.dcmread(file_of(RADIOGRAPH))
    np.testing.assert_array_equal(found.pixel_array, original.pixel_array)


def test_how_pictures_look(hospital: Hospital) -> None:
    whole = picture(ask(hospital, CT, contentType="image/png"))
    assert whole.size == (128, 128)
    assert picture(ask(hospital, CT, rows=64)).size == (64, 64)
    assert picture(ask(hospital, CT, columns=32, rows=64)).size == (32, 32)
    part = picture(ask(hospital, CT, contentType="image/png", region="0.25,0.5,0.75,1"))
    np.testing.assert_array_equal(np.asarray(part), np.asarray(whole)[64:, 32:96])
    window = {"windowCenter": 40, "windowWidth": 80, "contentType": "image/png"}
    assert np.asarray(picture(ask(hospital, CT, **window))).std() > np.asarray(whole).std()
    low, high = (ask(hospital, CT, imageQuality=q).content for q in (10, 95))
    assert len(low) < len(high)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"requestType": None}, 400),
        ({"requestType": "wado"}, 400),
        ({"objectUID": None}, 400),
        ({"objectUID": "1.2.abc"}, 400),
        ({"objectUID": "1.2.3"}, 404),
        ({"studyUID": "1.2.3"}, 404),
        ({"frameNumber": "2"}, 404),
        ({"frameNumber": "0"}, 400),
        ({"frameNumber": "1,2"}, 400),
        ({"rows": "0"}, 400),
        ({"rows": "many"}, 400),
        ({"columns": "99999"}, 400),
        ({"region": "0,0,1"}, 400),
        ({"region": "0.5,0,0.5,1"}, 400),
        ({"region": "0,0,1,2"}, 400),
        ({"windowCenter": "40"}, 400),
        ({"windowCenter": "40", "windowWidth": "-1"}, 400),
        ({"imageQuality": "101"}, 400),
        ({"anonymize": "yes"}, 406),
        ({"presentationUID": "1.2.3"}, 406),
        ({"contentType": "application/dicom", "transferSyntax": "1.2.3"}, 406),
    ],
)
def test_what_cannot_be(hospital: Hospital, changes: dict[str, str | None], status: int) -> None:
    answer = ask(hospital, CT, **changes)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_only_who_may_read_and_only_what(hospital: Hospital) -> None:
    received = hospital.stored[CT]
    parameters = {
        "requestType": "WADO",
        "studyUID": received.study_instance_uid,
        "seriesUID": received.series_instance_uid,
        "objectUID": received.sop_instance_uid,
    }
    assert hospital.client().get("/dicomweb/wado", params=parameters).status_code == 401
    follower = hospital.follower(CT)
    assert follower.get("/dicomweb/wado", params=parameters).status_code == 200
    other = hospital.stored[RADIOGRAPH]
    elsewhere = {**parameters, "studyUID": other.study_instance_uid}
    assert follower.get("/dicomweb/wado", params=elsewhere).status_code == 404
