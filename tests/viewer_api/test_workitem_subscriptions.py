"""UPS-RS: who is told what about which workitems (PS3.4 CC.2.3, CC.2.4)."""

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from websockets.sync.client import connect

from tests.plugins.workitems import (
    EVERYTHING,
    FILTERED,
    Worklist,
    code,
    performed,
    report,
    silent,
)

UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
STATE_REPORT, CANCEL_REQUESTED, PROGRESS, _, ASSIGNED = range(1, 6)


def priority(value: str) -> Dataset:
    changes = Dataset()
    changes.ScheduledProcedureStepPriority = value
    return changes


def test_a_workitem_is_followed_to_its_end(worklist: Worklist, aet: str) -> None:
    uid = worklist.create()
    answer = worklist.subscribe(uid, aet)
    assert answer.status_code == 201
    url = answer.headers["content-location"]
    assert url.startswith("ws://") and url.endswith(f"/dicomweb/ws/subscribers/{aet}")
    token = {"Authorization": worklist.http.headers["Authorization"]}
    with connect(url, additional_headers=token, proxy=None) as line:
        first = report(line)
        assert first.AffectedSOPClassUID == UPS_PUSH
        assert first.AffectedSOPInstanceUID == uid
        assert first.EventTypeID == STATE_REPORT
        assert isinstance(first.MessageID, int)
        assert (first.ProcedureStepState, first.InputReadinessState) == ("SCHEDULED", "READY")

        transaction = worklist.claim(uid)
        assert report(line).ProcedureStepState == "IN PROGRESS"

        assert worklist.update(uid, priority("HIGH"), transaction).status_code == 200
        assert silent(line), "nobody has to be told of a priority"

        changes, progress = performed(), Dataset()
        progress.ProcedureStepProgressDescription = "Đang xử lý"
        changes.ProcedureStepProgressInformationSequence = [progress]
        assert worklist.update(uid, changes, transaction).status_code == 200
        told = report(line)
        assert told.EventTypeID == PROGRESS
        [kept] = told.ProcedureStepProgressInformationSequence
        assert kept.ProcedureStepProgressDescription == "Đang xử lý"

        request = Dataset()
        request.ReasonForCancellation = "Không cần nữa"
        request.ContactDisplayName = "Bs. An"
        assert worklist.post(f"/{uid}/cancelrequest/RIS", request).status_code == 202
        told = report(line)
        assert (told.EventTypeID, told.RequestingAE) == (CANCEL_REQUESTED, "RIS")
        assert told.ReasonForCancellation == "Không cần nữa"
        assert told.ContactDisplayName == "Bs. An"

        assert worklist.state(uid, "COMPLETED", transaction).status_code == 200
        assert report(line).ProcedureStepState == "COMPLETED"
        gone = worklist.http.delete(f"/dicomweb/workitems/{uid}/subscribers/{aet}")
        assert gone.status_code == 200
        gone = worklist.http.delete(f"/dicomweb/workitems/{uid}/subscribers/{aet}")
        assert (gone.status_code, gone.json()["code"]) == (404, "not_subscribed")


def test_what_is_changed_before_it_begins(worklist: Worklist, aet: str) -> None:
    uid = worklist.create(InputReadinessState="INCOMPLETE")
    worklist.subscribe(uid, aet)
    with worklist.line(aet) as line:
        assert report(line).InputReadinessState == "INCOMPLETE"
        changes, performer = Dataset(), Dataset()
        performer.HumanPerformerCodeSequence = [code("BS1", "Bs. An")]
        performer.HumanPerformerName = "Nguyễn^An"
        performer.HumanPerformerOrganization = "Khoa CĐHA"
        changes.InputReadinessState = "READY"
        changes.ScheduledHumanPerformersSequence = [performer]
        changes.ScheduledStationNameCodeSequence = [code("AI1", "Máy AI 1")]
        assert worklist.update(uid, changes).status_code == 200
        ready, assigned = report(line), report(line)
        assert (ready.EventTypeID, ready.InputReadinessState) == (STATE_REPORT, "READY")
        assert assigned.EventTypeID == ASSIGNED
        assert assigned.ScheduledStationNameCodeSequence[0].CodeValue == "AI1"
        assert assigned.HumanPerformerCodeSequence[0].CodeValue == "BS1"
        assert assigned.HumanPerformerOrganization == "Khoa CĐHA"
        assert worklist.update(uid, changes).status_code == 200
        assert silent(line), "a change that is none"

        assert worklist.post(f"/{uid}/cancelrequest/RIS", None).status_code == 202
        told = [report(line) for _ in range(3)]
        assert [one.EventTypeID for one in told] == [CANCEL_REQUESTED, STATE_REPORT, STATE_REPORT]
        assert [one.ProcedureStepState for one in told[1:]] == ["IN PROGRESS", "CANCELED"]
        [reason] = told[2].ProcedureStepDiscontinuationReasonCodeSequence
        assert reason.CodeValue == "110513"


def test_all_workitems_that_are_and_will_be(own: Worklist) -> None:
    before = own.create()
    assert own.subscribe(EVERYTHING, "LOCKING", "?deletionlock=true").status_code == 201
    assert own.subscribe(EVERYTHING, "LOOKING").status_code == 201
    with own.line("LOCKING") as locking, own.line("LOOKING") as looking:
        assert report(locking).AffectedSOPInstanceUID == before
        assert silent(looking), "without a lock, nothing is reported of what there is"
        new = own.create(ScheduledStationNameCodeSequence=[code("AI1", "Máy AI 1")])
        for line in (locking, looking):
            told = [report(line), report(line)]
            assert [one.AffectedSOPInstanceUID for one in told] == [new, new]
            assert [one.EventTypeID for one in told] == [STATE_REPORT, ASSIGNED]
        own.claim(before)
        assert report(looking).ProcedureStepState == "IN PROGRESS"
        assert report(locking).ProcedureStepState == "IN PROGRESS"

        path = f"/dicomweb/workitems/{EVERYTHING}/subscribers"
        assert own.http.post(f"{path}/LOOKING/suspend").status_code == 200
        assert own.http.post(f"{path}/LOOKING/suspend").status_code == 404
        own.create()
        assert report(locking)
        own.claim(new)
        assert report(looking).AffectedSOPInstanceUID == new
        assert report(locking)

        assert own.http.delete(f"{path}/LOCKING").status_code == 200
        assert own.http.delete(f"{path}/LOCKING").status_code == 404
        own.bring_to("CANCELED")
        assert silent(locking)
        assert silent(looking)
        # Suspended, it is still subscribed to what it was; unsubscribed, to nothing.
        assert own.http.delete(f"{path}/LOOKING").status_code == 200


def test_workitems_of_a_filter(own: Worklist) -> None:
    mine = {"WorklistLabel": "Phổi", "PatientName": "Trần^Ánh"}
    before = own.create(**mine)
    other = own.create(WorklistLabel="Sọ não")
    keys = "WorklistLabel=phoi,PatientName=tran*,ScheduledWorkitemCodeSequence.CodeValue=110005"
    path = f"/dicomweb/workitems/{FILTERED}/subscribers/LUNGS"
    answer = own.http.post(path, params={"filter": keys, "deletionlock": "true"})
    assert answer.status_code == 201
    with own.line("LUNGS") as line:
        assert report(line).AffectedSOPInstanceUID == before
        own.create(WorklistLabel="Sọ não")
        own.claim(other)
        assert silent(line)
        new = own.create(**mine)
        assert report(line).AffectedSOPInstanceUID == new
        assert own.http.post(f"{path}/suspend").status_code == 200
        own.create(**mine)
        assert silent(line)


@pytest.mark.parametrize(
    ("uid", "query", "status"),
    [
        (FILTERED, "", 400),
        (FILTERED, "?filter=", 400),
        (FILTERED, "?filter=PatientName", 400),
        (FILTERED, "?filter=NoSuchThing=1", 400),
        (FILTERED, "?filter=ScheduledProcedureStepStartDateTime=yesterday", 400),
        (EVERYTHING, "?deletionlock=perhaps", 400),
    ],
)
def test_subscriptions_that_cannot_be(
    worklist: Worklist, uid: str, query: str, status: int
) -> None:
    assert worklist.subscribe(uid, "AE", query).status_code == status


def test_only_the_worklist_can_be_suspended(worklist: Worklist) -> None:
    uid = worklist.create()
    answer = worklist.http.post(f"/dicomweb/workitems/{uid}/subscribers/AE/suspend")
    assert (answer.status_code, answer.json()["code"]) == (400, "not_appropriate")


def test_lines_are_not_in_the_way_of_a_thousand_reports(own: Worklist) -> None:
    """Batches: more than one look at the database brings."""
    uids = [own.create() for _ in range(130)]
    assert own.subscribe(EVERYTHING, "MANY", "?deletionlock=true").status_code == 201
    with own.line("MANY") as line:
        told = [report(line).AffectedSOPInstanceUID for _ in uids]
        assert told == uids
        assert silent(line)


def test_subscribing_to_what_is_not_there(worklist: Worklist) -> None:
    assert worklist.subscribe(str(generate_uid()), "AE").status_code == 404
