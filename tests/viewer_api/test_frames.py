"""Frames, as real clients ask for them, in every form they are stored in."""

from io import BytesIO

import httpx2
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import generate_uid

from pacs.ingest import Source
from tests.plugins.hospital import RADIOGRAPH, Hospital, file_of

CORNERSTONE = "multipart/related; type=application/octet-stream; transfer-syntax=*"
DICOMWEB_CLIENT_JS = 'multipart/related; type="application/octet-stream"'
EXPLICIT = "1.2.840.10008.1.2.1"

COMPRESSED = {
    RADIOGRAPH: "image/jp2",
    "emri_small_jpeg_ls_lossless.dcm": "image/jls",
    "OBXXXX1A_rle_2frame.dcm": "image/dicom-rle",
    "examples_ybr_color.dcm": "image/jpeg",
    "JPEG-LL.dcm": "image/jpeg",
}
NATIVE = ("CT_small.dcm", "MR_small.dcm", "examples_rgb_color.dcm", "ExplVR_BigEnd.dcm")


@pytest.fixture
def machine(hospital: Hospital) -> httpx2.Client:
    return hospital.machine()


def parts(answer: httpx2.Response) -> list[tuple[str, bytes]]:
    """Content type and bytes of each part."""
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].split("boundary=")[1].encode()
    # Cornerstone wants the boundary at the very first byte.
    assert answer.content.startswith(b"--" + boundary)
    pieces = (b"\r\n" + answer.content).split(b"\r\n--" + boundary)
    found = []
    for piece in pieces[1:-1]:
        head, body = piece.split(b"\r\n\r\n", 1)
        (line,) = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Type: ")]
        found.append((line.removeprefix(b"Content-Type: ").decode(), body))
    return found


def stored_frames(name: str) -> list[bytes]:
    dataset = pydicom.dcmread(file_of(name))
    return list(
        generate_frames(dataset.PixelData, number_of_frames=dataset.get("NumberOfFrames", 1))
    )


@pytest.mark.parametrize(("name", "media_type"), COMPRESSED.items())
def test_compressed_frames_come_as_they_are_stored(
    hospital: Hospital, machine: httpx2.Client, name: str, media_type: str
) -> None:
    frames = stored_frames(name)
    syntax = pydicom.dcmread(file_of(name)).file_meta.TransferSyntaxUID
    numbers = ",".join(str(number + 1) for number in range(len(frames)))
    path = f"{hospital.path(name)}/frames/{numbers}"
    for accept, kind in (
        ("*/*", media_type),
        (f'multipart/related; type="{media_type}"', media_type),
        ('multipart/related; type="image/*"; transfer-syntax=*', media_type),
        (CORNERSTONE, "application/octet-stream"),
    ):
        answer = machine.get(path, headers={"Accept": accept})
        expected = f"{kind}; transfer-syntax={syntax}"
        assert parts(answer) == [(expected, frame) for frame in frames], accept
        assert f'type="{kind}"' in answer.headers["content-type"]


@pytest.mark.parametrize("name", [*COMPRESSED, *NATIVE])
def test_pixels_come_uncompressed_to_who_takes_nothing_else(
    hospital: Hospital, machine: httpx2.Client, name: str
) -> None:
    dataset = pydicom.dcmread(file_of(name))
    array = pixel_array(dataset, index=0, raw=True)
    for accept in (DICOMWEB_CLIENT_JS, f"{DICOMWEB_CLIENT_JS}; transfer-syntax={EXPLICIT}"):
        answer = machine.get(f"{hospital.path(name)}/frames/1", headers={"Accept": accept})
        ((media_type, body),) = parts(answer)
        assert media_type == f"application/octet-stream; transfer-syntax={EXPLICIT}"
        found = np.frombuffer(body, array.dtype.newbyteorder("<")).reshape(array.shape)
        np.testing.assert_array_equal(found, array)


def test_cornerstone_gets_native_frames_as_stored(
    hospital: Hospital, machine: httpx2.Client
) -> None:
    answer = machine.get(
        f"{hospital.path('CT_small.dcm')}/frames/1", headers={"Accept": CORNERSTONE}
    )
    pixels = pydicom.dcmread(file_of("CT_small.dcm")).PixelData
    assert parts(answer) == [(f"application/octet-stream; transfer-syntax={EXPLICIT}", pixels)]
    etag = answer.headers["etag"]
    again = machine.get(
        f"{hospital.path('CT_small.dcm')}/frames/1",
        headers={"Accept": CORNERSTONE, "If-None-Match": etag},
    )
    assert again.status_code == 304


def test_one_frame_without_an_envelope(hospital: Hospital, machine: httpx2.Client) -> None:
    path = f"{hospital.path(RADIOGRAPH)}/frames/1"
    answer = machine.get(path, headers={"Accept": "image/jp2"})
    assert answer.headers["content-type"] == "image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90"
    assert [answer.content] == stored_frames(RADIOGRAPH)
    two = f"{hospital.path('OBXXXX1A_rle_2frame.dcm')}/frames/1,2"
    assert machine.get(two, headers={"Accept": "image/dicom-rle"}).status_code == 406


def test_frames_come_in_the_order_asked_for(hospital: Hospital, machine: httpx2.Client) -> None:
    name = "emri_small_jpeg_ls_lossless.dcm"
    frames = stored_frames(name)
    answer = machine.get(f"{hospital.path(name)}/frames/7,2,7")
    assert [body for _, body in parts(answer)] == [frames[6], frames[1], frames[6]]


@pytest.mark.parametrize("accept", ["image/png", "video/mp4", 'multipart/related; type="text/x"'])
def test_forms_that_cannot_be_had_are_406(
    hospital: Hospital, machine: httpx2.Client, accept: str
) -> None:
    path = f"{hospital.path(RADIOGRAPH)}/frames/1"
    answer = machine.get(path, headers={"Accept": accept})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    assert "image/jp2" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("frames", "status"),
    [
        ("0", 400),
        ("-1", 400),
        ("a", 400),
        ("1,,2", 400),
        ("1.5", 400),
        ("99999999999", 400),
        ("%D9%A1", 400),
        (",".join(["1"] * 2001), 400),
        ("2", 404),
        ("1,2", 404),
        ("999999999", 404),
    ],
)
def test_frames_that_do_not_exist(
    hospital: Hospital, machine: httpx2.Client, frames: str, status: int
) -> None:
    answer = machine.get(f"{hospital.path(RADIOGRAPH)}/frames/{frames}")
    assert answer.status_code == status


def test_a_report_has_no_frames(hospital: Hospital, machine: httpx2.Client) -> None:
    assert machine.get(f"{hospital.path('test-SR.dcm')}/frames/1").status_code == 404


def test_pixels_that_cannot_be_decoded_are_said_to_be(hospital: Hospital) -> None:
    dataset = pydicom.dcmread(file_of("emri_small_jpeg_ls_lossless.dcm"))
    uids = [generate_uid() for _ in range(3)]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uids
    dataset.NumberOfFrames = 1
    dataset.PixelData = encapsulate([b"\xff\xd8 this is no picture \xff\xd9"])
    file = BytesIO()
    dataset.save_as(file)
    received = hospital.archive.ingest.receive([file.getvalue()], Source("import", "test"))
    path = (
        f"/dicomweb/studies/{received.study_instance_uid}/series/"
        f"{received.series_instance_uid}/instances/{received.sop_instance_uid}"
    )
    client = hospital.machine()
    stored = client.get(f"{path}/frames/1", headers={"Accept": CORNERSTONE})
    assert stored.status_code == 200
    for answer in (
        client.get(f"{path}/rendered"),
        client.get(f"{path}/frames/1", headers={"Accept": DICOMWEB_CLIENT_JS}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "pixels_unreadable")
