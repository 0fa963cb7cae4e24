"""UPS-RS: every cell of the state table, final states, cancellation."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from tests.plugins.hospital import Hospital
from tests.plugins.workitems import (
    Worklist,
    performed,
)

STATES = ("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED")


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


def test_one_of_two_that_claim_at_once_gets_it(worklist: Worklist, hospital: Hospital) -> None:
    uid = worklist.create()
    others = [Worklist(hospital.machine()) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda one: one.state(uid, "IN PROGRESS", generate_uid()), others))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5
