"""STOW-RS: what is stored, what is refused, and that neighbours do not suffer."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.uid import generate_uid

from pacs.archive import Archive, open_archive
from pacs.settings import load_settings
from tests.plugins.hospital import Hospital, file_of, serving

TYPE = 'multipart/related; type="application/dicom"; boundary=b'


def new_object(study: str | None = None, **changes: object) -> bytes:
    """A real CT slice under new UIDs."""
    dataset = pydicom.dcmread(file_of("CT_small.dcm"))
    dataset.PatientID, dataset.PatientName = "STOW", "Stored^Over the web"
    dataset.StudyInstanceUID = study or generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def body(objects: Sequence[bytes]) -> bytes:
    head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    return b"\r\n".join(head + one for one in objects) + b"\r\n--b--"


def send(
    hospital: Hospital, content: bytes, path: str = "/dicomweb/studies", kind: str = TYPE
) -> httpx2.Response:
    return hospital.machine().post(path, content=content, headers={"Content-Type": kind})


def items(answer: httpx2.Response, tag: str) -> list[dict[str, Any]]:
    return list(answer.json().get(tag, {}).get("Value", []))


def reasons(answer: httpx2.Response) -> list[int]:
    """Failure reasons, of named and unnamed objects."""
    failed = items(answer, "00081198") + items(answer, "0008119A")
    return sorted(item["00081197"]["Value"][0] for item in failed)


def uid_of(content: bytes) -> str:
    return str(pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID)


def test_dicomweb_client_stores_and_gets_the_same_back(hospital: Hospital) -> None:
    headers = {"Authorization": f"Bearer {hospital.tokens['technician']}"}
    client = DICOMwebClient(f"{hospital.url}/dicomweb", headers=headers, chunk_size=10_000)
    study = generate_uid()
    sent = [pydicom.dcmread(io.BytesIO(new_object(study))) for _ in range(3)]
    answer = client.store_instances(sent)
    assert {item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence} == {
        dataset.SOPInstanceUID for dataset in sent
    }
    assert "FailedSOPSequence" not in answer
    got = client.retrieve_study(study)
    assert {d.SOPInstanceUID: d for d in got} == {d.SOPInstanceUID: d for d in sent}


def test_the_answer_names_what_is_stored_and_where(hospital: Hospital) -> None:
    content = new_object()
    answer = send(hospital, body([content]))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    (stored,) = items(answer, "00081199")
    assert stored["00081155"]["Value"] == [uid_of(content)]
    url = stored["00081190"]["Value"][0]
    assert hospital.machine().get(url, headers={"Accept": "application/dicom"}).content == content
    study = url.split("/series/")[0]
    assert answer.json()["00081190"]["Value"] == [study]
    (event,) = hospital.audit(study_instance_uid=study.rsplit("/", 1)[1], action="dicomweb.store")
    assert event.actor.startswith("token:")
    assert event.detail == {"instances": 1}


def test_storing_again_is_success_and_changes_nothing(hospital: Hospital) -> None:
    content = new_object()
    assert send(hospital, body([content])).status_code == 200
    assert send(hospital, body([content, content])).status_code == 200


def test_what_is_refused_does_not_disturb_its_neighbours(hospital: Hospital) -> None:
    good = [new_object() for _ in range(3)]
    no_study = new_object(StudyInstanceUID=None)
    objects = [good[0], b"this is no DICOM", good[1], no_study, good[1][:20_000], good[2]]
    answer = send(hospital, body(objects))
    assert answer.status_code == 202
    stored = {item["00081155"]["Value"][0] for item in items(answer, "00081199")}
    assert stored == {uid_of(content) for content in good}
    assert reasons(answer) == [0xA900, 0xC000, 0xC000]
    named = {item["00081155"]["Value"][0] for item in items(answer, "00081198")}
    assert uid_of(no_study) in named


def test_when_all_are_refused_it_is_a_conflict(hospital: Hospital) -> None:
    answer = send(hospital, body([b"no", b""]))
    assert answer.status_code == 409
    assert reasons(answer) == [0xC000, 0xC000]


def test_objects_of_another_study_are_refused_where_one_is_named(hospital: Hospital) -> None:
    study = generate_uid()
    mine, other = new_object(study), new_object()
    answer = send(hospital, body([mine, other]), f"/dicomweb/studies/{study}")
    assert answer.status_code == 202
    assert [item["00081155"]["Value"][0] for item in items(answer, "00081199")] == [uid_of(mine)]
    assert reasons(answer) == [0xA900]
    found = hospital.machine().get(f"/dicomweb/instances?SOPInstanceUID={uid_of(other)}")
    assert found.json() == []


def test_parts_of_other_types_are_refused(hospital: Hospital) -> None:
    content = b"--b\r\nContent-Type: image/png\r\n\r\nxx\r\n" + body([new_object()])
    answer = send(hospital, content)
    assert answer.status_code == 202
    assert reasons(answer) == [0xC000]


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("application/dicom", b"", 400),
        ("application/octet-stream", b"x", 415),
        ("image/jpeg", b"x", 415),
        ('multipart/related; type="text/html"; boundary=b', b"x", 415),
        ("multipart/form-data; boundary=b", b"x", 415),
        ('multipart/related; type="application/dicom+json"; boundary=b', b"x", 400),
        ("", b"x", 415),
        ('multipart/related; type="application/dicom"', b"x", 400),
        ("multipart/related; boundary=" + "b" * 90, b"x", 400),
        (TYPE, b"", 400),
        (TYPE, b"not multipart at all", 400),
        (TYPE, b"--b\r\n\r\nhalf", 400),
        (TYPE, b"--b--", 400),
        (TYPE, b"--b\r\n" + b"X: y\r\n" * 5000 + b"\r\n\r\n", 400),
    ],
)
def test_bodies_that_are_no_multipart_are_refused(
    hospital: Hospital, kind: str, content: bytes, status: int
) -> None:
    answer = send(hospital, content, kind=kind)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_that_breaks_off_keeps_what_was_whole(hospital: Hospital) -> None:
    whole, half = new_object(), new_object()
    content = body([whole, half])[:-10_000]
    answer = send(hospital, content)
    assert answer.status_code == 202
    assert [item["00081155"]["Value"][0] for item in items(answer, "00081199")] == [uid_of(whole)]
    found = hospital.machine().get(f"/dicomweb/instances?SOPInstanceUID={uid_of(half)}")
    assert found.json() == []


def test_a_connection_that_breaks_leaves_nothing_half(hospital: Hospital) -> None:
    content = new_object()

    def broken() -> Iterator[bytes]:
        yield body([content])[:30_000]
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        hospital.machine().post(
            "/dicomweb/studies", content=broken(), headers={"Content-Type": TYPE}
        )
    found = hospital.machine().get(f"/dicomweb/instances?SOPInstanceUID={uid_of(content)}")
    assert found.json() == []


@pytest.fixture
def small_archive(database_url: str, tmp_path: Any) -> Iterator[Archive]:
    settings = load_settings(data_dir=tmp_path / "data", max_object_bytes=30_000)
    with open_archive(settings, database_url) as archive:
        yield archive


def test_an_object_over_the_limit_is_refused_and_the_next_one_taken(
    small_archive: Archive,
) -> None:
    small = file_of("MR_small.dcm").read_bytes()
    with serving(small_archive) as hospital:
        answer = send(hospital, body([new_object(), small]))
    assert answer.status_code == 202
    assert reasons(answer) == [0xA700]
    assert [item["00081155"]["Value"][0] for item in items(answer, "00081199")] == [uid_of(small)]


def test_a_body_may_be_one_object(hospital: Hospital) -> None:
    content = new_object()
    answer = send(hospital, content, kind="application/dicom")
    assert answer.status_code == 200, answer.text
    assert [item["00081155"]["Value"][0] for item in items(answer, "00081199")] == [uid_of(content)]
    answer = send(hospital, content[:5000], kind="application/dicom")
    assert (answer.status_code, reasons(answer)) == (409, [0xC000])
    assert items(answer, "0008119A")[0]["00000902"]["Value"][0]


def test_other_bytes_under_a_known_uid_are_stored_with_a_warning(hospital: Hospital) -> None:
    content = new_object(SOPInstanceUID=generate_uid())
    assert send(hospital, body([content])).status_code == 200
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.SeriesDescription = "another"
    file = io.BytesIO()
    dataset.save_as(file)
    answer = send(hospital, body([file.getvalue()]))
    assert answer.status_code == 202
    assert items(answer, "00081199")[0]["00081196"]["Value"] == [0xB000]
