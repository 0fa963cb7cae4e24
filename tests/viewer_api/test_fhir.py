"""FHIR: what the EMR finds, and that it is FHIR."""

from typing import Any

import fhirkit
import httpx2
import pytest

from tests.plugins.hospital import CT, RADIOGRAPH, STUDIES, Hospital


@pytest.fixture
def emr(hospital: Hospital) -> httpx2.Client:
    return hospital.machine()


def valid(answer: httpx2.Response, status: int = 200) -> dict[str, Any]:
    """The resource of an answer, which the validator finds nothing wrong with."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    issues = [str(issue) for issue in fhirkit.validate(answer.text)]
    assert issues == []
    resource: dict[str, Any] = answer.json()
    return resource


def found(emr: httpx2.Client, **parameters: str) -> list[str]:
    bundle = valid(emr.get("/fhir/ImagingStudy", params=parameters))
    assert bundle["type"] == "searchset"
    studies = [entry["resource"]["id"] for entry in bundle.get("entry", [])]
    assert bundle["total"] >= len(studies)
    return studies


def test_the_server_says_what_it_does(emr: httpx2.Client) -> None:
    statement = valid(emr.get("/fhir/metadata"))
    assert statement["fhirVersion"] == "4.0.1"
    (resource,) = statement["rest"][0]["resource"]
    assert resource["type"] == "ImagingStudy"


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_a_valid_resource(hospital: Hospital, emr: httpx2.Client, name: str) -> None:
    stored = hospital.stored[name]
    study = valid(emr.get(f"/fhir/ImagingStudy/{stored.study_instance_uid}"))
    assert study["resourceType"] == "ImagingStudy"
    assert study["identifier"][0] == {
        "use": "official",
        "system": "urn:dicom:uid",
        "value": f"urn:oid:{stored.study_instance_uid}",
    }
    assert study["numberOfSeries"] == len(study["series"]) == 1
    (instance,) = study["series"][0]["instance"]
    assert instance["uid"] == stored.sop_instance_uid
    assert instance["sopClass"]["code"] == f"urn:oid:{stored.sop_class_uid}"


def test_its_endpoints_lead_to_the_images_and_to_the_viewer(
    hospital: Hospital, emr: httpx2.Client
) -> None:
    uid = hospital.stored[RADIOGRAPH].study_instance_uid
    study = valid(emr.get(f"/fhir/ImagingStudy/{uid}"))
    assert study["endpoint"] == [{"reference": "#dicomweb"}, {"reference": "#viewer"}]
    dicomweb, viewer = study["contained"]
    assert dicomweb["connectionType"]["code"] == "dicom-wado-rs"
    assert emr.get(f"{dicomweb['address']}/studies/{uid}/metadata").status_code == 200
    assert viewer["connectionType"]["code"] == "ihe-iid"
    assert emr.get(viewer["address"]).headers["location"] == f"/study/{uid}"


def test_a_study_is_found_by_each_of_its_names(hospital: Hospital, emr: httpx2.Client) -> None:
    uid = hospital.stored[RADIOGRAPH].study_instance_uid
    study = valid(emr.get(f"/fhir/ImagingStudy/{uid}"))
    accession = study["identifier"][1]
    patient = study["subject"]["identifier"]
    assert accession["value"] == "exam Number"
    for identifier in (
        f"urn:oid:{uid}",
        f"urn:dicom:uid|urn:oid:{uid}",
        "exam Number",
        "|exam Number",
        f"{accession['system']}|{accession['value']}",
    ):
        assert found(emr, identifier=identifier) == [uid], identifier
    for identifier in ("9RG1", f"{patient['system']}|9RG1", "LOCAL|9RG1"):
        assert found(emr, **{"patient.identifier": identifier}) == [uid], identifier
    assert found(emr, _id=uid) == [uid]
    assert found(emr, modality="CR", started="2004-08-26") == [uid]
    assert found(emr, **{"patient.identifier": "9RG1", "started": "ge2020-01-01"}) == []
    assert found(emr, identifier="http://elsewhere.example|exam Number") == []
    assert found(emr, **{"patient.identifier": "OTHER|9RG1"}) == []


def test_a_bundle_is_turned_page_by_page(emr: httpx2.Client) -> None:
    studies: list[str] = []
    url = "/fhir/ImagingStudy?_count=4"
    while url:
        bundle = valid(emr.get(url))
        studies += [entry["resource"]["id"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        url = links.get("next", "")
    assert len(studies) == len(set(studies)) == bundle["total"] >= len(STUDIES)
    assert valid(emr.get("/fhir/ImagingStudy?_count=0"))["total"] == bundle["total"]


@pytest.mark.parametrize(
    "query",
    [
        "patient.identifier=",
        "patient.identifier=*",
        "identifier=a*",
        "identifier=urn:oid:no",
        "started=yesterday",
        "started=gt2026-01-01",
        "started=2026-13-45",
        "patient=Patient/1",
        "patient.name=x",
        "_count=many",
        "_id=x",
        "identifier=1&identifier=2",
        "identifier=" + "x" * 2000,
    ],
)
def test_a_search_that_is_not_understood_is_refused_not_ignored(
    emr: httpx2.Client, query: str
) -> None:
    outcome = valid(emr.get(f"/fhir/ImagingStudy?{query}"), 400)
    assert outcome["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/fhir/ImagingStudy/1.2.3", 404, "not-found"),
        ("/fhir/ImagingStudy/nobody", 404, "not-found"),
        ("/fhir/Patient/1", 404, "not-found"),
        ("/fhir", 404, "not-found"),
    ],
)
def test_what_is_not_there_is_an_operation_outcome(
    emr: httpx2.Client, path: str, status: int, code: str
) -> None:
    outcome = valid(emr.get(path), status)
    assert outcome["issue"][0]["code"] == code


def test_without_credentials_the_answer_is_fhir_too(hospital: Hospital) -> None:
    outcome = valid(hospital.client().get("/fhir/ImagingStudy"), 401)
    assert outcome["issue"][0]["code"] == "login"


def test_reads_are_on_record(hospital: Hospital, emr: httpx2.Client) -> None:
    uid = hospital.stored[CT].study_instance_uid
    valid(emr.get(f"/fhir/ImagingStudy/{uid}"))
    assert hospital.audit(study_instance_uid=uid, action="fhir.read")
