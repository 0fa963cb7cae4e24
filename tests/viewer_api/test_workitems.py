"""UPS-RS: workitems made, retrieved and changed, by whom, and every refusal of it."""

import json

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from pacs.people.permissions import Role
from pacs.people.tokens import create_token
from tests.plugins.hospital import CT, Hospital
from tests.plugins.workitems import (
    DICOM_JSON,
    Worklist,
    code,
    new_workitem,
    performed,
    reference,
)

UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"


def test_a_workitem_from_creation_to_completion(worklist: Worklist) -> None:
    uid = generate_uid()
    answer = worklist.post(f"?{uid}", new_workitem())
    assert answer.status_code == 201
    assert answer.headers["location"].endswith(f"/dicomweb/workitems/{uid}")
    assert "warning" not in answer.headers
    assert answer.content == b""

    made = worklist.get(uid)
    assert made.SOPClassUID == UPS_PUSH
    assert made.SOPInstanceUID == uid
    assert made.ProcedureStepState == "SCHEDULED"
    assert made.PatientName == "Nguyễn^Văn Đức"
    assert made.ScheduledProcedureStepModificationDateTime
    assert made.ReferencedRequestSequence[0].RequestedProcedureDescription == "Chụp X-quang ngực"
    assert "TransactionUID" not in made

    transaction = worklist.claim(uid)
    changes = performed()
    progress = Dataset()
    progress.ProcedureStepProgress = "50"
    progress.ProcedureStepProgressDescription = "nửa chừng"
    changes.ProcedureStepProgressInformationSequence = [progress]
    assert worklist.update(uid, changes, transaction).status_code == 200
    claimed = worklist.get(uid)
    assert claimed.ProcedureStepState == "IN PROGRESS"
    assert "TransactionUID" not in claimed
    assert claimed.ProcedureStepProgressInformationSequence[0].ProcedureStepProgress == 50

    assert worklist.state(uid, "COMPLETED", transaction).status_code == 200
    done = worklist.get(uid)
    assert done.ProcedureStepState == "COMPLETED"
    assert done.PatientName == made.PatientName
    again = worklist.state(uid, "COMPLETED", transaction)
    assert again.status_code == 200
    assert "already in the requested state of COMPLETED" in again.headers["warning"]


@pytest.mark.parametrize(
    "query", ["?{uid}", "?workitem={uid}", "?AffectedSOPInstanceUID={uid}", ""]
)
def test_the_uid_of_a_new_workitem_is_in_the_query_or_in_the_data_set(
    worklist: Worklist, query: str
) -> None:
    uid = str(generate_uid())
    body = new_workitem().to_json_dict()
    if not query:
        body["00001000"] = {"vr": "UI", "Value": [uid]}
    answer = worklist.http.post(
        "/dicomweb/workitems" + query.format(uid=uid),
        content=json.dumps(body),
        headers={"Content-Type": DICOM_JSON},
    )
    assert answer.status_code == 201, answer.text
    assert worklist.get(uid).SOPInstanceUID == uid


def test_what_we_put_in_is_said(worklist: Worklist) -> None:
    uid = generate_uid()
    answer = worklist.post(f"?{uid}", new_workitem(WorklistLabel=""))
    assert answer.status_code == 201
    assert "created with modifications" in answer.headers["warning"]
    assert worklist.get(uid).WorklistLabel == "FILMLESS"


def test_a_uid_is_used_once(worklist: Worklist) -> None:
    uid = worklist.create()
    answer = worklist.post(f"?{uid}", new_workitem())
    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate")


REQUIRED = [
    element.keyword
    for element in new_workitem()
    if element.keyword not in ("PatientID", "StudyInstanceUID")
]


@pytest.mark.parametrize("keyword", REQUIRED)
def test_what_creation_requires_must_be_there(worklist: Worklist, keyword: str) -> None:
    answer = worklist.post(f"?{generate_uid()}", new_workitem(**{keyword: None}))
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_workitem"
    assert keyword in answer.json()["detail"]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ScheduledProcedureStepPriority", "URGENT"),
        ("ScheduledProcedureStepPriority", ""),
        ("InputReadinessState", "PERHAPS"),
        ("ProcedureStepState", "IN PROGRESS"),
        ("ProcedureStepState", "COMPLETED"),
        ("ProcedureStepLabel", ""),
        ("TransactionUID", "1.2.3"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.1"),
        ("ScheduledWorkitemCodeSequence", [Dataset.from_json({"00080104": {"vr": "LO"}})]),
        ("UnifiedProcedureStepPerformedProcedureSequence", [performed()]),
        ("ProcedureStepProgressInformationSequence", [code("1", "x")]),
        ("InputInformationSequence", [code("1", "x")]),
    ],
)
def test_what_creation_forbids(worklist: Worklist, keyword: str, value: object) -> None:
    answer = worklist.post(f"?{generate_uid()}", new_workitem(**{keyword: value}))
    assert answer.status_code == 400
    assert keyword in answer.json()["detail"] or keyword == "SOPClassUID"


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"CodeValue": None}, "CodeValue"),
        ({"CodingSchemeDesignator": None}, "CodingSchemeDesignator"),
        ({"CodeMeaning": None}, "CodeMeaning"),
        ({"LongCodeValue": "x"}, "CodeValue"),
    ],
)
def test_codes_are_whole(worklist: Worklist, attributes: dict[str, object], reason: str) -> None:
    item = code("1", "x")
    for keyword, value in attributes.items():
        if value is None:
            delattr(item, keyword)
        else:
            setattr(item, keyword, value)
    answer = worklist.post(
        f"?{generate_uid()}", new_workitem(ScheduledStationNameCodeSequence=[item])
    )
    assert answer.status_code == 400
    assert reason in answer.json()["detail"]


def test_references_say_how_to_retrieve(worklist: Worklist) -> None:
    item = reference("1.2", "1.2.3", "1.2.3.4")
    del item.WADORSRetrievalSequence
    answer = worklist.post(f"?{generate_uid()}", new_workitem(InputInformationSequence=[item]))
    assert answer.status_code == 400
    assert "retrieval" in answer.json()["detail"]


NOT_CHANGED = [
    ("PatientName", "Another^One"),
    ("PatientID", "X"),
    ("IssuerOfPatientID", "X"),
    ("PatientBirthDate", "20000101"),
    ("PatientSex", "F"),
    ("AdmissionID", "X"),
    ("ReferencedRequestSequence", []),
    ("ReplacedProcedureStepSequence", []),
    ("ProcedureStepState", "COMPLETED"),
    ("SOPClassUID", UPS_PUSH),
]


@pytest.mark.parametrize(("keyword", "value"), NOT_CHANGED)
def test_what_may_not_be_changed(worklist: Worklist, keyword: str, value: object) -> None:
    uid, changes = worklist.create(), Dataset()
    setattr(changes, keyword, value)
    answer = worklist.update(uid, changes)
    assert answer.status_code == 400
    assert keyword in answer.json()["detail"]


def test_what_must_have_a_value_is_not_emptied(worklist: Worklist) -> None:
    uid, changes = worklist.create(), Dataset()
    changes.ScheduledProcedureStepPriority = ""
    assert worklist.update(uid, changes).status_code == 400
    changes = Dataset()
    changes.ScheduledStationNameCodeSequence = []
    assert worklist.update(uid, changes).status_code == 200


def test_the_transaction_uid_may_be_in_the_data_set_and_is_not_kept(worklist: Worklist) -> None:
    uid, transaction = worklist.bring_to("IN PROGRESS")
    changes = Dataset()
    changes.TransactionUID = transaction
    changes.CommentsOnTheScheduledProcedureStep = "Ghi chú"
    assert worklist.update(uid, changes).status_code == 200
    kept = worklist.get(uid)
    assert kept.CommentsOnTheScheduledProcedureStep == "Ghi chú"
    assert "TransactionUID" not in kept


def test_what_does_not_exist_is_not_found(worklist: Worklist) -> None:
    uid, changes = generate_uid(), Dataset()
    changes.ScheduledProcedureStepPriority = "HIGH"
    for answer in (
        worklist.http.get(f"/dicomweb/workitems/{uid}"),
        worklist.update(uid, changes),
        worklist.state(uid, "IN PROGRESS", generate_uid()),
        worklist.post(f"/{uid}/cancelrequest", None),
        worklist.subscribe(uid, "AE"),
        worklist.http.delete(f"/dicomweb/workitems/{uid}/subscribers/AE"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown"), answer.url


@pytest.mark.parametrize(
    "path",
    ["/not-a-uid", "/" + "1" * 65, "/1.2.3/subscribers/A%5CB", "/1.2.3/subscribers/" + "A" * 17],
)
def test_what_is_no_uid_or_ae_title(worklist: Worklist, path: str) -> None:
    method = "POST" if "subscribers" in path else "GET"
    assert worklist.http.request(method, f"/dicomweb/workitems{path}").status_code == 400


def test_who_may_do_what(hospital: Hospital, worklist: Worklist) -> None:
    uid = worklist.create()
    path = f"/dicomweb/workitems/{uid}"
    assert hospital.client().get(path).status_code == 401
    assert hospital.machine("clinician").get(path).status_code == 403
    assert hospital.machine("clinician").get("/dicomweb/workitems").status_code == 403
    assert hospital.follower(CT).get(path).status_code == 403
    assert hospital.follower(CT).get("/dicomweb/workitems").status_code == 403
    for role in ("admin", "radiologist", "technician", "service"):
        assert hospital.machine(role).get(path).status_code == 200
    assert hospital.signed_in().get(path).status_code == 200


def test_who_is_confined_to_an_institution_sees_no_workitem(
    hospital: Hospital, worklist: Worklist
) -> None:
    with hospital.archive.engine.begin() as connection:
        _, secret = create_token(connection, Role.SERVICE, "district", institutions=["Trạm y tế"])
    uid = worklist.create()
    confined = hospital.client(headers={"Authorization": f"Bearer {secret}"})
    for path in ("/dicomweb/workitems", f"/dicomweb/workitems/{uid}"):
        answer = confined.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_what_was_done_is_on_record(hospital: Hospital, worklist: Worklist) -> None:
    uid = worklist.create()
    transaction = worklist.claim(uid)
    worklist.state(uid, "CANCELED", transaction)
    worklist.get(uid)
    worklist.get(uid)
    found = [event for event in hospital.audit() if event.detail.get("workitem") == uid]
    assert [(event.action, event.detail.get("state")) for event in reversed(found)] == [
        ("workitem.created", "SCHEDULED"),
        ("workitem.state", "IN PROGRESS"),
        ("workitem.state", "CANCELED"),
        ("workitem.read", None),
    ]
    assert transaction not in str([event.detail for event in found])


def test_a_workitem_known_to_the_caller_is_not_sent_again(worklist: Worklist) -> None:
    uid = worklist.create()
    first = worklist.http.get(f"/dicomweb/workitems/{uid}")
    again = worklist.http.get(
        f"/dicomweb/workitems/{uid}", headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
    worklist.claim(uid)
    again = worklist.http.get(
        f"/dicomweb/workitems/{uid}", headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 200
