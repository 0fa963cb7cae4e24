"""The worklist and the study page, as the web gets them."""

import httpx2
import pytest

from pacs.triage import Assessment, Finding, record
from tests.plugins.hospital import CT, RADIOGRAPH, STUDIES, Hospital

ITEM_KEYS = {
    "studyInstanceUID",
    "patient",
    "accessionNumber",
    "studyDate",
    "studyTime",
    "modalities",
    "bodyPart",
    "description",
    "station",
    "institution",
    "referringPhysician",
    "seriesCount",
    "instanceCount",
    "arrivedAt",
    "state",
    "thumbnail",
    "seriesInstanceUID",
    "triage",
}


@pytest.fixture(scope="module")
def hospital(own_hospital: Hospital) -> Hospital:
    """What is found here is counted."""
    return own_hospital


@pytest.fixture
def doctor(hospital: Hospital) -> httpx2.Client:
    return hospital.signed_in()


def test_the_list_holds_the_studies_as_agreed(hospital: Hospital, doctor: httpx2.Client) -> None:
    answer = doctor.get("/api/v1/worklist")
    assert answer.headers["cache-control"] == "no-store"
    page = answer.json()
    assert page["total"] >= len(STUDIES)
    by_uid = {item["studyInstanceUID"]: item for item in page["items"]}
    stored = hospital.stored[RADIOGRAPH]
    item = by_uid[stored.study_instance_uid]
    assert set(item) == ITEM_KEYS
    assert item["patient"] == {
        "name": "CompressedSamples^RG1",
        "id": "9RG1",
        "issuer": "LOCAL",
        "birthDate": "1940-03-05",
        "sex": "F",
        "identityConflict": False,
    }
    assert item["studyDate"] == "2004-08-26"
    assert item["studyTime"] == "18:50:59"
    assert item["modalities"] == ["CR"]
    assert item["thumbnail"] == stored.sop_instance_uid
    assert item["seriesInstanceUID"] == stored.series_instance_uid
    assert item["arrivedAt"].endswith("Z")
    assert set(item["triage"]) == {"class", "status", "score", "reason", "findings", "model"}
    assert hospital.audit(actor="user:radiologist", action="worklist.opened")


@pytest.mark.parametrize(
    ("query", "name"),
    [("search=compressed+ct1", CT), ("search=9RG", RADIOGRAPH), ("modality=CR", RADIOGRAPH)],
)
def test_filters(hospital: Hospital, doctor: httpx2.Client, query: str, name: str) -> None:
    items = doctor.get(f"/api/v1/worklist?{query}").json()["items"]
    uids = [item["studyInstanceUID"] for item in items]
    assert uids == [hospital.stored[name].study_instance_uid]


def test_pages(doctor: httpx2.Client) -> None:
    first = doctor.get("/api/v1/worklist?limit=3").json()
    second = doctor.get("/api/v1/worklist?limit=3&offset=3").json()
    uids = [item["studyInstanceUID"] for item in first["items"] + second["items"]]
    assert len(set(uids)) == 6
    assert first["total"] == second["total"]


@pytest.mark.parametrize(
    "query",
    ["state=gone", "triage=green", "limit=-1", "limit=5000", "offset=x", "search=" + "x" * 300],
)
def test_filters_that_do_not_exist_are_refused(doctor: httpx2.Client, query: str) -> None:
    answer = doctor.get(f"/api/v1/worklist?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_the_study_page_holds_everything_that_it_shows(
    hospital: Hospital, doctor: httpx2.Client
) -> None:
    stored = hospital.stored[CT]
    page = doctor.get(f"/api/v1/studies/{stored.study_instance_uid}").json()
    assert set(page) == {"study", "series", "assessments", "priors"}
    (series,) = page["series"]
    assert series["seriesInstanceUID"] == stored.series_instance_uid
    assert series["modality"] == "CT"
    assert series["instances"] == [
        {
            "sopInstanceUID": stored.sop_instance_uid,
            "sopClassUID": stored.sop_class_uid,
            "instanceNumber": 1,
            "frames": 1,
            "rows": 128,
            "columns": 128,
            "transferSyntaxUID": "1.2.840.10008.1.2.1",
        }
    ]
    found = hospital.audit(study_instance_uid=stored.study_instance_uid, action="study.opened")
    assert "user:radiologist" in {event.actor for event in found}


def test_an_assessment_is_shown_or_hidden_by_whether_its_model_is_registered(
    hospital: Hospital, doctor: httpx2.Client
) -> None:
    uid = hospital.stored[RADIOGRAPH].study_instance_uid
    instance = hospital.stored[RADIOGRAPH].sop_instance_uid

    def assess(model: str, *, registered: bool) -> None:
        found = (Finding("mass", 0.9, 0.5), Finding("hernia", 0.1, 0.5))
        assessment = Assessment(instance, model, "1.0", registered, "critical", 0.97, found, None)
        with hospital.archive.engine.begin() as connection:
            record(connection, uid, [assessment])

    def triage() -> dict[str, object]:
        page = doctor.get(f"/api/v1/studies/{uid}").json()
        word: dict[str, object] = page["study"]["triage"]
        return word

    assess("research", registered=False)
    assert triage()["status"] == "hidden"
    assert triage()["score"] is None
    assess("device", registered=True)
    assert triage() == {
        "class": "critical",
        "status": "assessed",
        "score": 0.97,
        "reason": None,
        "findings": [
            {"code": "mass", "probability": 0.9, "threshold": 0.5, "present": True},
            {"code": "hernia", "probability": 0.1, "threshold": 0.5, "present": False},
        ],
        "model": {"name": "device", "version": "1.0", "registered": True},
    }
    first = doctor.get("/api/v1/worklist").json()["items"][0]
    assert first["studyInstanceUID"] == uid
    assessments = doctor.get(f"/api/v1/studies/{uid}").json()["assessments"]
    assert [one["status"] for one in assessments] == ["hidden", "assessed"]
    assert assessments[1]["sopInstanceUID"] == instance
    assert {"heatmapInstanceUID", "heatmapSeriesUID", "srInstanceUID"} <= set(assessments[1])


@pytest.mark.parametrize(("uid", "status"), [("1.2.3", 404), ("abc", 400)])
def test_studies_that_are_not_here(doctor: httpx2.Client, uid: str, status: int) -> None:
    assert doctor.get(f"/api/v1/studies/{uid}").status_code == status


def test_who_looked_at_what_is_answered(hospital: Hospital, doctor: httpx2.Client) -> None:
    uid = hospital.stored[CT].study_instance_uid
    assert doctor.get(f"/api/v1/studies/{uid}").status_code == 200
    assert doctor.get(f"/dicomweb/studies/{uid}/metadata").status_code == 200
    admin = hospital.signed_in("admin")
    events = admin.get("/api/v1/audit", params={"patientID": "1CT1", "limit": 1000}).json()
    assert {event["studyInstanceUID"] for event in events} == {uid}
    assert {"issuer": "LOCAL", "id": "1CT1"} in [event["patient"] for event in events]
    assert "user:radiologist" in {event["actor"] for event in events}
    first, second = events[:2]
    rest = admin.get(
        "/api/v1/audit", params={"patientID": "1CT1", "before": first["id"], "limit": 1}
    ).json()
    assert rest == [second]
    assert hospital.audit(actor="user:admin", action="audit.read")
