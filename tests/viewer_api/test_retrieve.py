"""WADO-RS: whole objects, metadata, pictures."""

import io
from email import message_from_bytes
from email.policy import HTTP

import httpx2
import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image

from pacs.documents import describe_study
from tests.plugins.hospital import CT, RADIOGRAPH, STUDIES, Hospital, file_of

REPORT = "test-SR.dcm"


@pytest.fixture
def machine(hospital: Hospital) -> httpx2.Client:
    return hospital.machine()


def parts(answer: httpx2.Response) -> list[tuple[str, bytes]]:
    """Content type and bytes of each part, read by the standard library."""
    assert answer.status_code == 200, answer.text
    head = b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n"
    message = message_from_bytes(head + answer.content, policy=HTTP)
    assert message.is_multipart()
    found = []
    for part in message.iter_parts():
        body = part.get_payload(decode=True)
        assert isinstance(body, bytes)
        found.append((part["content-type"], body))
    return found


def raw_parts(answer: httpx2.Response) -> list[bytes]:
    """The bytes of each part, cut out by hand: the email package changes line ends."""
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].split("boundary=")[1].encode()
    pieces = (b"\r\n" + answer.content).split(b"\r\n--" + boundary)
    assert pieces[0] == b""
    assert pieces[-1].startswith(b"--")
    return [piece.split(b"\r\n\r\n", 1)[1] for piece in pieces[1:-1]]


@pytest.mark.parametrize("name", STUDIES)
def test_every_byte_comes_back_as_it_was_sent(
    hospital: Hospital, machine: httpx2.Client, name: str
) -> None:
    sent = file_of(name).read_bytes()
    for level in ("instance", "series", "study"):
        answer = machine.get(hospital.path(name, level))
        assert raw_parts(answer) == [sent]
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert answer.headers["content-type"].startswith(
            'multipart/related; type="application/dicom"; boundary='
        )


def test_dicomweb_client_retrieves_the_same_data_set(hospital: Hospital) -> None:
    stored = hospital.stored[RADIOGRAPH]
    headers = {"Authorization": f"Bearer {hospital.tokens['service']}"}
    client = DICOMwebClient(f"{hospital.url}/dicomweb", headers=headers)
    uids = (stored.study_instance_uid, stored.series_instance_uid, stored.sop_instance_uid)
    assert client.retrieve_instance(*uids) == pydicom.dcmread(file_of(RADIOGRAPH))
    assert len(client.retrieve_study(uids[0])) == 1
    (metadata,) = client.retrieve_series_metadata(*uids[:2])
    assert metadata["00080018"]["Value"] == [uids[2]]
    assert "7FE00010" not in metadata or "Value" not in metadata["7FE00010"]
    (frame,) = client.retrieve_instance_frames(
        *uids, [1], media_types=(("image/jp2", "1.2.840.10008.1.2.4.90"),)
    )
    assert np.frombuffer(frame[:4], ">u4")[0] == 0xFF4FFF51
    picture = client.retrieve_instance_rendered(*uids, media_types=("image/png",))
    assert Image.open(io.BytesIO(picture)).mode == "L"


def test_a_single_object_without_its_envelope(hospital: Hospital, machine: httpx2.Client) -> None:
    answer = machine.get(hospital.path(CT), headers={"Accept": "application/dicom"})
    assert answer.content == file_of(CT).read_bytes()
    assert (
        answer.headers["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    )
    answer = machine.get(hospital.path(CT, "study"), headers={"Accept": "application/dicom"})
    assert answer.status_code == 406


@pytest.mark.parametrize(
    ("syntax", "status"),
    [("*", 200), ("1.2.840.10008.1.2.4.90", 200), ("1.2.840.10008.1.2.4.80", 406)],
)
def test_a_transfer_syntax_asked_for_by_name(
    hospital: Hospital, machine: httpx2.Client, syntax: str, status: int
) -> None:
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
    answer = machine.get(hospital.path(RADIOGRAPH), headers={"Accept": accept})
    assert answer.status_code == status


def test_metadata_is_whole_cached_and_compressed(
    hospital: Hospital, machine: httpx2.Client
) -> None:
    for level in ("instance", "series", "study"):
        path = f"{hospital.path(CT, level)}/metadata"
        answer = machine.get(path, headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["cache-control"] == "private, no-cache"
        (document,) = answer.json()
        original = pydicom.dcmread(file_of(CT), stop_before_pixels=True)
        assert pydicom.Dataset.from_json(document).PatientName == original.PatientName
        assert document["00280010"]["Value"] == [128]
        plain = machine.get(path, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert (plain.content, plain.headers["etag"]) == (answer.content, answer.headers["etag"])
        again = machine.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = machine.get(path, headers={"If-None-Match": '"other"'})
        assert other.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/dicomweb/studies/1.2.3",
        "/dicomweb/studies/1.2.3/metadata",
        "/dicomweb/studies/1.2.3/thumbnail",
        "/dicomweb/studies/1.2.3/series/1.2/instances/1.2/frames/1",
        "/dicomweb/studies/1.2.3/series/1.2/instances/1.2/rendered",
    ],
)
def test_what_is_not_stored_is_404(machine: httpx2.Client, path: str) -> None:
    answer = machine.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("uid", ["1.2.abc", "x" * 70, "1." + "2" * 70, "%31.2.%C3%A9"])
def test_what_is_no_uid_is_400(machine: httpx2.Client, uid: str) -> None:
    for path in (f"/studies/{uid}", f"/studies/1.2/series/{uid}/metadata"):
        answer = machine.get(f"/dicomweb{path}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_uid"), path


@pytest.mark.parametrize("name", [name for name in STUDIES if name != REPORT])
def test_every_image_can_be_looked_at(
    hospital: Hospital, machine: httpx2.Client, name: str
) -> None:
    for kind in ("rendered", "thumbnail", "frames/1/rendered", "frames/1/thumbnail"):
        answer = machine.get(f"{hospital.path(name)}/{kind}")
        assert answer.status_code == 200, f"{kind}: {answer.text}"
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.format == "JPEG"
        extremes = picture.convert("L").getextrema()
        assert extremes[0] != extremes[1], "a picture of one colour"
        if kind.endswith("thumbnail"):
            assert max(picture.size) <= 256


def test_a_thumbnail_of_series_and_study_whatever_is_accepted(
    hospital: Hospital, machine: httpx2.Client
) -> None:
    ohif = {"Accept": 'multipart/related; type="application/octet-stream"'}
    for level in ("series", "study"):
        answer = machine.get(f"{hospital.path(CT, level)}/thumbnail", headers=ohif)
        assert answer.headers["content-type"] == "image/jpeg"
        again = {"If-None-Match": answer.headers["etag"]}
        path = f"{hospital.path(CT, level)}/thumbnail"
        assert machine.get(path, headers=again).status_code == 304


def test_window_viewport_and_quality_change_the_picture(
    hospital: Hospital, machine: httpx2.Client
) -> None:
    def picture(query: str, accept: str = "image/png") -> Image.Image:
        path = f"{hospital.path(CT)}/rendered?{query}"
        answer = machine.get(path, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == accept
        return Image.open(io.BytesIO(answer.content))

    assert picture("viewport=64,32").size == (32, 32)
    assert picture("viewport=64,64,,,,").size == (64, 64)
    narrow, wide = picture("window=40,80"), picture("window=40,4000,linear")
    assert np.asarray(narrow).std() > np.asarray(wide).std()
    path = f"{hospital.path(CT)}/rendered"
    low, high = (machine.get(f"{path}?quality={q}").content for q in (10, 95))
    assert len(low) < len(high)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("window=1", 400),
        ("window=1,0", 400),
        ("window=a,b", 400),
        ("window=nan,inf", 400),
        ("window=1,2,wavy", 400),
        ("viewport=0,5", 400),
        ("viewport=9999999,1", 400),
        ("viewport=5", 400),
        ("viewport=5,5,128,0,2,2", 400),
        ("viewport=5,5,-1,0,2,2", 400),
        ("viewport=5,5,1,1,0,2", 400),
        ("viewport=5,5,1,1,2,2,2", 400),
        ("annotation=jokes", 400),
        ("iccprofile=cmyk", 400),
        ("quality=0", 400),
        ("quality=ten", 400),
    ],
)
def test_a_look_that_cannot_be_is_refused(
    hospital: Hospital, machine: httpx2.Client, query: str, status: int
) -> None:
    assert machine.get(f"{hospital.path(CT)}/rendered?{query}").status_code == status


def test_pictures_that_are_not_made_here(hospital: Hospital, machine: httpx2.Client) -> None:
    gif = {"Accept": "image/gif"}
    assert machine.get(f"{hospital.path(CT)}/rendered", headers=gif).status_code == 406
    browser = {"Accept": "image/avif,image/webp,image/png,image/*,*/*;q=0.8"}
    assert machine.get(f"{hospital.path(CT)}/rendered", headers=browser).status_code == 200
    assert machine.get(f"{hospital.path(REPORT)}/rendered").status_code == 406
    assert machine.get(f"{hospital.path(REPORT, 'study')}/thumbnail").status_code == 404
    assert machine.get(f"{hospital.path(CT)}/frames/1,2/rendered").status_code == 404


def test_reads_are_on_record_once_for_a_scroll(hospital: Hospital) -> None:
    name = "emri_small_jpeg_ls_lossless.dcm"
    client = hospital.signed_in("clinician")

    def viewed(of: str) -> int:
        study = hospital.stored[of].study_instance_uid
        found = hospital.audit(
            actor="user:clinician", study_instance_uid=study, action="study.viewed"
        )
        assert all(event.patient is not None for event in found)
        return len(found)

    assert (viewed(name), viewed(CT)) == (0, 0)
    for number in range(1, 11):
        assert client.get(f"{hospital.path(name)}/frames/{number}").status_code == 200
    assert (viewed(name), viewed(CT)) == (1, 0)
    assert client.get(f"{hospital.path(CT)}/frames/1").status_code == 200
    assert (viewed(name), viewed(CT)) == (1, 1)


def test_metadata_is_the_same_once_the_study_has_settled(hospital: Hospital) -> None:
    machine = hospital.machine()
    paths = [f"{hospital.path(CT, level)}/metadata" for level in ("series", "study")]
    before = [machine.get(path) for path in paths]
    describe_study(hospital.archive, hospital.stored[CT].study_instance_uid)
    for path, earlier in zip(paths, before, strict=True):
        for encoding in ("gzip", "identity"):
            answer = machine.get(path, headers={"Accept-Encoding": encoding})
            assert answer.content == earlier.content
            assert answer.headers["etag"] == earlier.headers["etag"]
            assert answer.headers.get("content-encoding", "identity") == encoding
        again = machine.get(path, headers={"If-None-Match": f'"other", {answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
    assert hospital.follower(RADIOGRAPH).get(paths[0]).status_code == 404
