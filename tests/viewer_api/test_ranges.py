"""Ranges of bytes, videos, and what a browser may keep."""

from io import BytesIO
from itertools import pairwise
from random import Random

import httpx2
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID, generate_uid

from pacs.ingest import Source
from tests.plugins.hospital import CT, Hospital, file_of

MPEG4 = UID("1.2.840.10008.1.2.4.102")
FRAGMENTABLE = UID("1.2.840.10008.1.2.4.102.1")
STREAM = Random(4).randbytes(5_000_002)


def video(hospital: Hospital, syntax: UID, pieces: list[bytes]) -> str:
    """The path of an object of 250 frames whose pixels are that stream."""
    dataset = pydicom.dcmread(file_of("examples_rgb_color.dcm"))
    uids = [generate_uid() for _ in range(3)]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uids
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
    dataset.NumberOfFrames = 250
    dataset.PhotometricInterpretation = "YBR_PARTIAL_420"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(pieces, has_bot=False)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    file = BytesIO()
    dataset.save_as(file)
    hospital.archive.ingest.receive([file.getvalue()], Source("import", "test"))
    return f"/dicomweb/studies/{uids[0]}/series/{uids[1]}/instances/{uids[2]}"


@pytest.fixture(scope="module")
def videos(hospital: Hospital) -> list[str]:
    cuts = [0, 1_000_000, 1_000_002, 3_500_000, len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(cuts)]
    return [video(hospital, MPEG4, [STREAM]), video(hospital, FRAGMENTABLE, pieces)]


@pytest.mark.parametrize("which", [0, 1])
def test_a_video_is_one_stream(hospital: Hospital, videos: list[str], which: int) -> None:
    machine = hospital.machine()
    for path in (f"{videos[which]}/frames/1", f"{videos[which]}/rendered"):
        for accept in ("video/mp4", "*/*", "video/*;q=0.5, image/png;q=0.1"):
            answer = machine.get(path, headers={"Accept": accept})
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == "video/mp4"
            assert answer.headers["accept-ranges"] == "bytes"
            assert int(answer.headers["content-length"]) == len(STREAM)
            assert answer.content == STREAM
    whole = machine.get(
        f"{videos[which]}/frames/1",
        headers={"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'},
    )
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert STREAM in whole.content


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, 5_000_002),
        ("bytes=0-0", 0, 1),
        ("bytes=999990-1000009", 999_990, 1_000_010),
        ("bytes=1000001-3600000", 1_000_001, 3_600_001),
        ("bytes=4999999-99999999", 4_999_999, 5_000_002),
        ("bytes=-7", 4_999_995, 5_000_002),
        ("bytes=-99999999", 0, 5_000_002),
    ],
)
def test_ranges_of_a_video(
    hospital: Hospital, videos: list[str], which: int, asked: str, start: int, end: int
) -> None:
    answer = hospital.machine().get(f"{videos[which]}/frames/1", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(STREAM)}"
    assert int(answer.headers["content-length"]) == end - start
    assert answer.content == STREAM[start:end]


def test_ranges_that_cannot_be(hospital: Hospital, videos: list[str]) -> None:
    machine = hospital.machine()
    path = f"{videos[0]}/frames/1"
    for asked in ("bytes=5000002-", "bytes=9999999-10000000", "bytes=-0"):
        answer = machine.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
        assert answer.headers["content-range"] == f"bytes */{len(STREAM)}"
    for asked in ("bytes=5-2", "bytes=-", "lines=1-2", "bytes=1-2,5-6", "bytes=a-b", "rubbish"):
        answer = machine.get(path, headers={"Range": asked})
        assert (answer.status_code, len(answer.content)) == (200, len(STREAM)), asked


def test_a_range_of_what_has_changed_is_all_of_it(hospital: Hospital, videos: list[str]) -> None:
    machine = hospital.machine()
    path = f"{videos[0]}/frames/1"
    etag = machine.get(path, headers={"Range": "bytes=0-1"}).headers["etag"]
    for condition, status in ((etag, 206), ('"other"', 200), (f"W/{etag}", 200)):
        headers = {"Range": "bytes=0-1", "If-Range": condition}
        assert machine.get(path, headers=headers).status_code == status
    headers = {"Range": "bytes=0-1", "If-None-Match": etag}
    assert machine.get(path, headers=headers).status_code == 304


def test_a_video_has_no_frames_and_no_pictures(hospital: Hospital, videos: list[str]) -> None:
    machine = hospital.machine()
    for path in ("frames/2", "frames/1,2", "frames/1/rendered"):
        assert machine.get(f"{videos[0]}/{path}").status_code == 406, path
    jpeg = {"Accept": "image/jpeg"}
    assert machine.get(f"{videos[0]}/rendered", headers=jpeg).status_code == 406
    assert machine.get(f"{videos[0]}/thumbnail").status_code == 404


def test_a_frame_by_ranges(hospital: Hospital) -> None:
    machine = hospital.machine()
    path = f"{hospital.path(CT)}/frames/1"
    single = {"Accept": "application/octet-stream"}
    pixels = pydicom.dcmread(file_of(CT)).PixelData
    answer = machine.get(path, headers={**single, "Range": "bytes=100-199"})
    assert (answer.status_code, answer.content) == (206, pixels[100:200])
    assert answer.headers["content-range"] == f"bytes 100-199/{len(pixels)}"
    assert machine.get(path, headers={**single, "Range": "bytes=32768-"}).status_code == 416


def test_frames_may_be_kept_by_whom_they_were_given_to(hospital: Hospital) -> None:
    machine = hospital.machine()
    for kind in ("frames/1", "rendered", "frames/1/rendered", "thumbnail"):
        path = f"{hospital.path(CT)}/{kind}"
        answer = machine.get(path)
        for sent in (answer, machine.get(path, headers={"If-None-Match": answer.headers["etag"]})):
            assert sent.headers["cache-control"] == "private, max-age=3600, immutable"
            assert sent.headers["vary"] == "Accept, Authorization, Cookie"
    study = machine.get(f"{hospital.path(CT, 'study')}/thumbnail")
    assert study.headers["cache-control"] == "private, no-cache"


def test_neighbouring_frames_say_their_length(hospital: Hospital) -> None:
    dataset = pydicom.dcmread(file_of("emri_small.dcm"))
    # Under UIDs of its own: the hospital has these images in another transfer syntax.
    uids = [generate_uid() for _ in range(3)]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uids
    file = BytesIO()
    dataset.save_as(file)
    hospital.archive.ingest.receive([file.getvalue()], Source("import", "test"))
    answer: httpx2.Response = hospital.machine().get(
        f"/dicomweb/studies/{uids[0]}/series/{uids[1]}/instances/{uids[2]}/frames/2,3,4,9,1"
    )
    assert int(answer.headers["content-length"]) == len(answer.content)
    size = len(dataset.PixelData) // 10
    at = 0
    for number in (2, 3, 4, 9, 1):
        at = answer.content.index(dataset.PixelData[(number - 1) * size : number * size], at)
        at += size
