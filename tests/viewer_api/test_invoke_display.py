"""IHE Invoke Image Display: the EMR's link into the viewer."""

import httpx2
import pytest

from tests.plugins.hospital import RADIOGRAPH, Hospital


@pytest.fixture
def browser(hospital: Hospital) -> httpx2.Client:
    return hospital.signed_in()


def invoke(browser: httpx2.Client, **parameters: str) -> httpx2.Response:
    return browser.get("/viewer", params=parameters)


def test_a_study_is_opened_by_uid_and_by_accession_number(
    hospital: Hospital, browser: httpx2.Client
) -> None:
    uid = hospital.stored[RADIOGRAPH].study_instance_uid
    for answer in (
        invoke(browser, requestType="STUDY", studyUID=uid),
        invoke(browser, requestType="study", studyuid=uid),
        invoke(browser, requestType="STUDY", accessionNumber="exam Number"),
        invoke(browser, requestType="STUDY", accessionNumber="exam Number", patientID="9RG1"),
        invoke(
            browser, requestType="STUDY", accessionNumber="exam Number", patientID="9RG1^^^LOCAL"
        ),
    ):
        assert (answer.status_code, answer.headers["location"]) == (302, f"/study/{uid}")
    assert hospital.audit(study_instance_uid=uid, action="viewer.invoked")


def test_a_patient_is_opened_as_the_list_of_their_studies(browser: httpx2.Client) -> None:
    answer = invoke(browser, requestType="PATIENT", patientID="9RG1^^^LOCAL")
    assert (answer.status_code, answer.headers["location"]) == (302, "/?search=9RG1")


def test_what_is_not_here_is_said_in_both_languages(browser: httpx2.Client) -> None:
    for answer in (
        invoke(browser, requestType="STUDY", studyUID="1.2.3"),
        invoke(browser, requestType="PATIENT", patientID="nobody"),
        invoke(browser, requestType="STUDY", accessionNumber="exam Number", patientID="1CT1"),
    ):
        assert answer.status_code == 404
        assert "Không tìm thấy" in answer.text
        assert "No images" in answer.text


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"requestType": "SERIES"},
        {"requestType": "STUDY"},
        {"requestType": "PATIENT"},
        {"requestType": "STUDY", "studyUID": "abc"},
        {"requestType": "STUDY", "studyUID": "1.2,1.3"},
        {"requestType": "STUDY", "accessionNumber": "*"},
        {"requestType": "PATIENT", "patientID": "9RG?"},
        {"requestType": "PATIENT", "patientID": "x" * 300},
    ],
)
def test_requests_that_cannot_be_are_refused(
    browser: httpx2.Client, parameters: dict[str, str]
) -> None:
    assert invoke(browser, **parameters).status_code == 400


def test_who_is_not_signed_in_signs_in_and_comes_back(hospital: Hospital) -> None:
    answer = invoke(hospital.client(), requestType="PATIENT", patientID="9RG1")
    assert answer.status_code == 302
    assert answer.headers["location"] == (
        "/sign-in?next=%2Fviewer%3FrequestType%3DPATIENT%26patientID%3D9RG1"
    )
