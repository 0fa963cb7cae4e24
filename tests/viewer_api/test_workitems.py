"""UPS-RS: workitems made, changed, claimed, finished and canceled, and every refusal of it."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import generate_uid

from pacs.dicom.native_xml import native_xml
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
STATES = ("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED")


@pytest.fixture
def worklist(hospital: Hospital) -> Worklist:
    return Worklist(hospital.machine())


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


def asked_state_cells() -> list[tuple[str, str, bool, int, str]]:
    """Table CC.1.1-2: state, state asked for, correct Transaction UID, answer, its Warning."""
    missing, conflict, wrong = "incorrect", "inconsistent", "incorrect"
    return [
        ("SCHEDULED", "IN PROGRESS", True, 200, ""),
        ("IN PROGRESS", "IN PROGRESS", True, 409, conflict),
        ("COMPLETED", "IN PROGRESS", True, 409, conflict),
        ("CANCELED", "IN PROGRESS", True, 409, conflict),
        *((state, "IN PROGRESS", False, 400, wrong) for state in STATES[1:]),
        *((state, "SCHEDULED", True, 400, conflict) for state in STATES),
        *((state, "SCHEDULED", False, 400, conflict) for state in STATES),
        ("SCHEDULED", "COMPLETED", True, 409, conflict),
        ("IN PROGRESS", "COMPLETED", True, 409, conflict),  # the final state's requirements
        ("COMPLETED", "COMPLETED", True, 200, "already in the requested state of COMPLETED"),
        ("CANCELED", "COMPLETED", True, 409, conflict),
        *((state, "COMPLETED", False, 400, missing) for state in STATES[1:]),
        ("SCHEDULED", "CANCELED", True, 409, conflict),
        ("IN PROGRESS", "CANCELED", True, 200, ""),
        ("COMPLETED", "CANCELED", True, 409, conflict),
        ("CANCELED", "CANCELED", True, 200, "already in the requested state of CANCELED"),
        *((state, "CANCELED", False, 400, wrong) for state in STATES[1:]),
    ]


@pytest.mark.parametrize(("state", "asked", "correct", "status", "warning"), asked_state_cells())
def test_every_cell_of_the_state_table(
    worklist: Worklist, state: str, asked: str, correct: bool, status: int, warning: str
) -> None:
    uid, transaction = worklist.bring_to(state)
    given = (transaction or generate_uid()) if correct else generate_uid()
    answer = worklist.state(uid, asked, given)
    assert answer.status_code == status, answer.text
    assert warning in answer.headers.get("warning", "")
    assert bool(warning) == ("warning" in answer.headers)
    changed = status == 200 and not warning
    assert worklist.get(uid).ProcedureStepState == (asked if changed else state)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("asked", STATES[1:])
def test_a_state_is_not_changed_without_a_transaction_uid(
    worklist: Worklist, state: str, asked: str
) -> None:
    uid, _ = worklist.bring_to(state)
    answer = worklist.state(uid, asked, None)
    assert answer.status_code == 400
    assert "Transaction UID is missing" in answer.headers["warning"]
    assert worklist.get(uid).ProcedureStepState == state


@pytest.mark.parametrize(
    "keyword",
    [
        "PerformedStationNameCodeSequence",
        "PerformedProcedureStepStartDateTime",
        "PerformedProcedureStepEndDateTime",
        "PerformedWorkitemCodeSequence",
    ],
)
def test_what_completed_demands(worklist: Worklist, keyword: str) -> None:
    uid, transaction = worklist.bring_to("IN PROGRESS")
    assert worklist.update(uid, performed(**{keyword: None}), transaction).status_code == 200
    answer = worklist.state(uid, "COMPLETED", transaction)
    assert (answer.status_code, answer.json()["code"]) == (409, "final_state_unmet")
    assert keyword in answer.json()["detail"]
    assert worklist.get(uid).ProcedureStepState == "IN PROGRESS"
    assert worklist.update(uid, performed(), transaction).status_code == 200
    assert worklist.state(uid, "COMPLETED", transaction).status_code == 200


def test_what_canceled_demands_is_filled_in(worklist: Worklist) -> None:
    uid, transaction = worklist.bring_to("IN PROGRESS")
    progress, changes = Dataset(), Dataset()
    progress.ReasonForCancellation = "Bệnh nhân từ chối"
    changes.ProcedureStepProgressInformationSequence = [progress]
    assert worklist.update(uid, changes, transaction).status_code == 200
    assert worklist.state(uid, "CANCELED", transaction).status_code == 200
    [kept] = worklist.get(uid).ProcedureStepProgressInformationSequence
    assert kept.ReasonForCancellation == "Bệnh nhân từ chối"
    assert kept.ProcedureStepCancellationDateTime
    assert kept.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110513"


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


@pytest.mark.parametrize(
    ("state", "given", "status", "code_", "warning"),
    [
        ("SCHEDULED", "none", 200, "", ""),
        ("SCHEDULED", "another", 409, "not_in_progress", "did not reference a claimed"),
        ("IN PROGRESS", "right", 200, "", ""),
        ("IN PROGRESS", "none", 400, "transaction_missing", "inconsistent"),
        ("IN PROGRESS", "another", 400, "transaction_wrong", "inconsistent"),
        ("COMPLETED", "right", 400, "not_updatable", "inconsistent"),
        ("CANCELED", "right", 400, "not_updatable", "inconsistent"),
    ],
)
def test_who_may_update(
    worklist: Worklist, state: str, given: str, status: int, code_: str, warning: str
) -> None:
    uid, transaction = worklist.bring_to(state)
    given_uid = {"none": None, "right": transaction, "another": str(generate_uid())}[given]
    changes = Dataset()
    changes.ScheduledProcedureStepPriority = "HIGH"
    answer = worklist.update(uid, changes, given_uid)
    assert answer.status_code == status, answer.text
    assert warning in answer.headers.get("warning", "")
    if status == 200:
        assert worklist.get(uid).ScheduledProcedureStepPriority == "HIGH"
    else:
        assert answer.json()["code"] == code_
        assert worklist.get(uid).ScheduledProcedureStepPriority == "MEDIUM"


def test_the_transaction_uid_may_be_in_the_data_set_and_is_not_kept(worklist: Worklist) -> None:
    uid, transaction = worklist.bring_to("IN PROGRESS")
    changes = Dataset()
    changes.TransactionUID = transaction
    changes.CommentsOnTheScheduledProcedureStep = "Ghi chú"
    assert worklist.update(uid, changes).status_code == 200
    kept = worklist.get(uid)
    assert kept.CommentsOnTheScheduledProcedureStep == "Ghi chú"
    assert "TransactionUID" not in kept


def test_a_cancel_request_cancels_what_nobody_has_claimed(worklist: Worklist) -> None:
    uid, request = worklist.create(), Dataset()
    request.ReasonForCancellation = "Nhầm bệnh nhân"
    answer = worklist.post(f"/{uid}/cancelrequest/RIS", request)
    assert answer.status_code == 202
    canceled = worklist.get(uid)
    assert canceled.ProcedureStepState == "CANCELED"
    [progress] = canceled.ProcedureStepProgressInformationSequence
    assert progress.ReasonForCancellation == "Nhầm bệnh nhân"
    again = worklist.post(f"/{uid}/cancelrequest", None)
    assert again.status_code == 202
    assert "already in the requested state of CANCELED" in again.headers["warning"]


def test_a_cancel_request_for_what_cannot_be_canceled(worklist: Worklist) -> None:
    uid, _ = worklist.bring_to("COMPLETED")
    answer = worklist.post(f"/{uid}/cancelrequest", None)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_completed")
    assert "The UPS is already COMPLETED." in answer.headers["warning"]
    uid, _ = worklist.bring_to("IN PROGRESS")
    answer = worklist.post(f"/{uid}/cancelrequest", None)
    assert (answer.status_code, answer.json()["code"]) == (409, "performer_out_of_reach")
    assert worklist.subscribe(uid, "PERFORMER").status_code == 201
    assert worklist.post(f"/{uid}/cancelrequest", None).status_code == 202
    assert worklist.get(uid).ProcedureStepState == "IN PROGRESS"


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


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({"Content-Type": DICOM_JSON, "Content-Encoding": "gzip"}, b"{}", 415),
        ({"Content-Type": DICOM_JSON}, b"{", 400),
        ({"Content-Type": DICOM_JSON}, b"[]", 400),
        ({"Content-Type": DICOM_JSON}, b"[{},{}]", 400),
        ({"Content-Type": DICOM_JSON}, b"7", 400),
        ({"Content-Type": DICOM_JSON}, b" " * (1024 * 1024 + 1), 413),
    ],
)
def test_bodies_that_are_none(
    worklist: Worklist, headers: dict[str, str], content: bytes, status: int
) -> None:
    answer = worklist.http.post(
        f"/dicomweb/workitems?{generate_uid()}", content=content, headers=headers
    )
    assert answer.status_code == status


def test_one_of_two_that_claim_at_once_gets_it(worklist: Worklist, hospital: Hospital) -> None:
    uid = worklist.create()
    others = [Worklist(hospital.machine()) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda one: one.state(uid, "IN PROGRESS", generate_uid()), others))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5


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


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
ELEMENTS = st.fixed_dictionaries(
    {"vr": st.sampled_from("AE CS DA DS DT IS LO LT PN SH SQ ST TM UI UN UR UT".split())},
    optional={"Value": st.lists(ANYTHING, max_size=2)},
)
TAGS = st.sampled_from([*new_workitem().to_json_dict(), "00404011", "00091001", "0020000D"])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(TAGS, ELEMENTS | ANYTHING, min_size=1, max_size=3),
    st.sampled_from(("create", "update", "state", "cancelrequest")),
)
def test_no_body_makes_the_server_fail(
    worklist: Worklist, hostile: dict[str, Any], operation: str
) -> None:
    headers = {"Content-Type": DICOM_JSON}
    uid = str(generate_uid())
    body = new_workitem().to_json_dict() | (hostile if operation == "create" else {})
    made = worklist.http.post(
        f"/dicomweb/workitems?{uid}", content=json.dumps(body), headers=headers
    )
    assert made.status_code in (201, 400), made.text
    if made.status_code == 400:
        return
    path = f"/dicomweb/workitems/{uid}"
    content = json.dumps(hostile)
    if operation == "update":
        answer = worklist.http.post(path, content=content, headers=headers)
        assert answer.status_code in (200, 400, 409), answer.text
    elif operation != "create":
        method = "PUT" if operation == "state" else "POST"
        answer = worklist.http.request(
            method, f"{path}/{operation}", content=content, headers=headers
        )
        assert answer.status_code in (200, 202, 400), answer.text
    kept = worklist.http.get(path)
    assert kept.status_code == 200
    Dataset.from_json(kept.json()[0])
    found = worklist.http.get(f"/dicomweb/workitems?SOPInstanceUID={uid}&includefield=all")
    assert found.json() == kept.json()


XML = "application/dicom+xml"


@pytest.mark.parametrize("multipart", [True, False])
def test_workitems_in_xml(worklist: Worklist, multipart: bool) -> None:
    uid = generate_uid()
    model = new_workitem().to_json_dict()
    content, headers = native_xml(model), {"Content-Type": XML}
    if multipart:
        headers = {"Content-Type": f'multipart/related; type="{XML}"; boundary=b'}
        content = b"--b\r\nContent-Type: " + XML.encode() + b"\r\n\r\n" + content + b"\r\n--b--"
    made = worklist.http.post(f"/dicomweb/workitems?{uid}", content=content, headers=headers)
    assert made.status_code == 201, made.text
    kept = worklist.get(uid).to_json_dict()
    for tag in model.keys() - {"00404010"}:
        assert kept[tag] == model[tag], tag

    accept = {"Accept": f'multipart/related; type="{XML}"'}
    for path in (f"/dicomweb/workitems/{uid}", f"/dicomweb/workitems?SOPInstanceUID={uid}"):
        answer = worklist.http.get(path, headers=accept)
        assert answer.status_code == 200
        assert f'type="{XML}"' in answer.headers["content-type"]
        assert 'keyword="ProcedureStepState"' in answer.text
        assert "Phân tích phổi" in answer.text
    refused = worklist.http.get(f"/dicomweb/workitems/{uid}", headers={"Accept": "image/png"})
    assert refused.status_code == 406


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [
        (XML, b"<NativeDicomModel>", 400),
        (XML, b"<Something/>", 400),
        (XML, b"<!DOCTYPE a [<!ENTITY b 'b'>]><NativeDicomModel/>", 400),
        (XML, b"", 400),
        (f'multipart/related; type="{XML}"; boundary=b', b"--b--", 400),
        (f'multipart/related; type="{XML}"', b"", 400),
        ("multipart/related; type=image/png; boundary=b", b"--b\r\n\r\nx\r\n--b--", 415),
    ],
)
def test_xml_that_is_none(
    worklist: Worklist, content_type: str, content: bytes, status: int
) -> None:
    answer = worklist.http.post(
        f"/dicomweb/workitems?{generate_uid()}",
        content=content,
        headers={"Content-Type": content_type},
    )
    assert answer.status_code == status, answer.text


def test_searching_and_paging(worklist: Worklist) -> None:
    label = f"Nhóm {generate_uid()}"[:60]
    uids = [
        worklist.create(WorklistLabel=label, ScheduledProcedureStepStartDateTime=f"2026112{day}")
        for day in (3, 1, 2)
    ]
    search = {"WorklistLabel": label}

    def found(**parameters: str) -> tuple[list[str], str]:
        answer = worklist.http.get("/dicomweb/workitems", params=search | parameters)
        assert answer.status_code == 200, answer.text
        names = [one["00080018"]["Value"][0] for one in answer.json()]
        return names, answer.headers.get("warning", "")

    in_order = [uids[1], uids[2], uids[0]]
    assert found() == (in_order, "")
    names, warning = found(limit="2")
    assert names == in_order[:2] and "additional results" in warning
    assert found(limit="2", offset="2") == (in_order[2:], "")
    names, warning = found(TransactionUID="1.2.3")
    assert names == in_order and "not matched on" in warning
    names, _ = found(ScheduledProcedureStepStartDateTime="20261122-20261123")
    assert names == in_order[1:]
    none = worklist.http.get("/dicomweb/workitems", params={"WorklistLabel": "gibt es nicht"})
    assert (none.status_code, none.content) == (204, b"")
    for bad in ({"limit": "-1"}, {"PatientBirthDate": "gestern"}, {"NoSuchThing": "1"}):
        assert worklist.http.get("/dicomweb/workitems", params=bad).status_code == 400


def test_the_example_of_the_documents(worklist: Worklist) -> None:
    text = (Path(__file__).parents[2] / "docs" / "workitems.md").read_text()
    [example] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    uid = generate_uid()
    answer = worklist.http.post(
        f"/dicomweb/workitems?{uid}",
        content=example.encode(),
        headers={"Content-Type": DICOM_JSON},
    )
    assert answer.status_code == 201, answer.text
    assert worklist.get(uid).WorklistLabel == "AI"
