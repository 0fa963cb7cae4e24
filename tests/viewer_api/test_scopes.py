"""Whose studies somebody sees: institutions, links as tokens, and rights that are lost at once."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any

import httpx2
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from pacs.ingest import Source
from pacs.links.share import create_link, revoke_link
from pacs.people.permissions import Role
from pacs.people.tokens import create_token, revoke_token
from pacs.people.users import disable_user, enable_user, restrict_user
from tests.plugins.hospital import PASSWORD, RADIOGRAPH, Hospital, file_of

DISTRICT = "Trung tâm Y tế huyện Mộc Châu"


@pytest.fixture(scope="module")
def district_study(hospital: Hospital) -> str:
    """A study that a district hospital's modality made."""
    dataset = dcmread(file_of("CT_small.dcm"))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.InstitutionName = DISTRICT
    dataset.PatientID, dataset.PatientName = "district", "District^Patient"
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(dataset, keyword, generate_uid())
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    received = hospital.archive.ingest.receive([out.getvalue()], Source("import", "test"))
    return received.study_instance_uid


@pytest.fixture
def district_machine(hospital: Hospital, district_study: str) -> httpx2.Client:
    """A machine that may see the district's studies alone."""
    with hospital.archive.engine.begin() as connection:
        _, secret = create_token(
            connection, Role.SERVICE, "district EMR", institutions=[DISTRICT, "Không có"]
        )
    return hospital.client(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def clinician(hospital: Hospital) -> Iterator[Callable[[], httpx2.Client]]:
    """Signs the clinician in, who is restricted to the district's studies until the test ends."""

    def restrict(institutions: list[str] | None) -> None:
        with hospital.archive.engine.begin() as connection:
            restrict_user(connection, "clinician", institutions)

    restrict([DISTRICT])
    yield lambda: hospital.signed_in("clinician")
    restrict(None)


def uids(answer: httpx2.Response, tag: str = "0020000D") -> set[str]:
    assert answer.status_code == 200, answer.text
    return {item[tag]["Value"][0] for item in answer.json()}


def comes_about(condition: Callable[[], bool]) -> None:
    """What the database tells of is heard within moments."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


@pytest.mark.parametrize("level", ["studies", "series", "instances"])
def test_lists_show_what_may_be_opened(
    hospital: Hospital, district_machine: httpx2.Client, district_study: str, level: str
) -> None:
    assert uids(district_machine.get(f"/dicomweb/{level}")) == {district_study}
    assert uids(hospital.machine().get(f"/dicomweb/{level}")) > {district_study}


def test_what_is_not_listed_is_not_found(
    hospital: Hospital, district_machine: httpx2.Client, district_study: str
) -> None:
    theirs, other = f"/dicomweb/studies/{district_study}", hospital.path(RADIOGRAPH, "study")
    instance = hospital.path(RADIOGRAPH)
    for end in ("", "/metadata", "/thumbnail"):
        assert district_machine.get(other + end).status_code == 404, end
        assert district_machine.get(theirs + end).status_code == 200, end
    for end in ("", "/metadata", "/frames/1", "/rendered"):
        assert district_machine.get(instance + end).status_code == 404, end
    study = hospital.stored[RADIOGRAPH].study_instance_uid
    found = district_machine.get(f"/fhir/ImagingStudy?identifier=urn:oid:{study}")
    assert found.json()["total"] == 0
    share = {"expiresInHours": 1, "basis": "referral"}
    assert district_machine.post(f"/api/v1/studies/{study}/links", json=share).status_code == 404
    made = district_machine.post(f"/api/v1/studies/{district_study}/links", json=share)
    assert made.status_code == 201
    assert district_machine.get(f"/api/v1/studies/{study}/links").json() == []
    assert len(district_machine.get(f"/api/v1/studies/{district_study}/links").json()) == 1


def test_the_reading_room_is_restricted_too(
    hospital: Hospital, clinician: Callable[[], httpx2.Client], district_study: str
) -> None:
    browser = clinician()
    worklist: dict[str, Any] = browser.get("/api/v1/worklist").json()
    assert [item["studyInstanceUID"] for item in worklist["items"]] == [district_study]
    assert worklist["total"] == 1
    study = hospital.stored[RADIOGRAPH].study_instance_uid
    assert browser.get(f"/api/v1/studies/{study}").status_code == 404
    detail = browser.get(f"/api/v1/studies/{district_study}").json()
    # Its priors are of the same patient, but another hospital's.
    assert detail["priors"] == []


def test_a_restriction_holds_from_the_next_request_on(
    hospital: Hospital, clinician: Callable[[], httpx2.Client], district_study: str
) -> None:
    browser = clinician()
    assert uids(browser.get("/dicomweb/studies")) == {district_study}
    with hospital.archive.engine.begin() as connection:
        restrict_user(connection, "clinician", ["Nowhere"])
    comes_about(lambda: uids(browser.get("/dicomweb/studies")) == set())


def test_a_revoked_token_opens_nothing(hospital: Hospital) -> None:
    with hospital.archive.engine.begin() as connection:
        token, secret = create_token(connection, Role.SERVICE, "soon gone")
    machine = hospital.client(headers={"Authorization": f"Bearer {secret}"})
    for _ in range(3):
        assert machine.get("/dicomweb/studies?limit=1").status_code == 200
    with hospital.archive.engine.begin() as connection:
        revoke_token(connection, token.id)
    comes_about(lambda: machine.get("/dicomweb/studies?limit=1").status_code == 401)


def test_a_disabled_account_opens_nothing(hospital: Hospital) -> None:
    browser = hospital.signed_in("technician")
    assert browser.get("/api/v1/session").status_code == 200
    with hospital.archive.engine.begin() as connection:
        disable_user(connection, "technician")
    comes_about(lambda: browser.get("/api/v1/session").status_code == 401)
    with hospital.archive.engine.begin() as connection:
        enable_user(connection, "technician")
    refused = browser.get("/api/v1/session")
    assert refused.status_code == 401, "its sessions have ended"
    again = browser.post("/api/v1/session", json={"username": "technician", "password": PASSWORD})
    assert again.status_code == 200


def test_signing_out_ends_the_session_at_once(hospital: Hospital) -> None:
    browser = hospital.signed_in()
    cookies = dict(browser.cookies)
    copy = hospital.client(cookies=cookies)
    for _ in range(10):
        assert copy.get("/api/v1/session").status_code == 200
    assert browser.delete("/api/v1/session").status_code == 204
    assert copy.get("/api/v1/session").status_code == 401


def test_the_secret_of_a_link_is_a_token_for_its_study(hospital: Hospital) -> None:
    with hospital.archive.engine.begin() as connection:
        link, secret = create_link(
            connection,
            hospital.stored[RADIOGRAPH].study_instance_uid,
            made_by="user:test",
            basis="referral",
            lifetime=timedelta(hours=1),
        )
    viewer = hospital.client(headers={"Authorization": f"Bearer {secret}"})
    assert viewer.get(hospital.path(RADIOGRAPH) + "/frames/1").status_code == 200
    assert viewer.get(hospital.path("CT_small.dcm") + "/frames/1").status_code == 404
    assert uids(viewer.get("/dicomweb/studies")) == {link.study_instance_uid}
    assert viewer.get("/api/v1/worklist").status_code == 403
    with hospital.archive.engine.begin() as connection:
        revoke_link(connection, link.id, revoked_by="user:test")
    comes_about(lambda: viewer.get("/dicomweb/studies").status_code == 401)


def test_a_frame_that_is_replaced_or_rejected_is_served_no_more(hospital: Hospital) -> None:
    dataset = dcmread(file_of("CT_small.dcm"))
    dataset.PatientID, dataset.PatientName = "replaced", "Replaced^Frame"
    dataset.StudyInstanceUID, dataset.SOPInstanceUID = generate_uid(), generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID

    def receive() -> str:
        out = BytesIO()
        dataset.save_as(out, enforce_file_format=True)
        hospital.archive.ingest.receive([out.getvalue()], Source("import", "test"))
        return (
            f"/dicomweb/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
            f"/instances/{dataset.SOPInstanceUID}/frames/1"
        )

    frame, octets = receive(), {"Accept": "application/octet-stream"}
    machine = hospital.machine("admin")
    for _ in range(3):
        assert machine.get(frame, headers=octets).content == dataset.PixelData
    dataset.PixelData = dataset.PixelData[::-1]
    receive()
    comes_about(lambda: machine.get(frame, headers=octets).content == dataset.PixelData)
    assert machine.delete(f"/dicomweb/studies/{dataset.StudyInstanceUID}").status_code == 200
    assert machine.get(frame, headers=octets).status_code == 404
    assert machine.post(f"/dicomweb/studies/{dataset.StudyInstanceUID}/restore").status_code == 200
    assert machine.get(frame, headers=octets).content == dataset.PixelData
