"""What may be asked of workitems (PS3.4 CC.2): to make, change, claim, finish, cancel one."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from pacs.workitems import reports, states
from pacs.workitems.attributes import tag_of
from pacs.workitems.dataset import Model, element, first, values_of
from pacs.workitems.errors import InvalidWorkitem, Status, WorkitemRefused
from pacs.workitems.requirements import check_change, check_new, missing_for
from pacs.workitems.states import FINAL, State, Step
from pacs.workitems.subscriptions import subscribe_watchers
from pacs.workitems.worklist import (
    READINESS,
    STATE,
    UPS_PUSH,
    Workitem,
    add,
    dt,
    find,
    one_at_a_time,
    put,
)

DEFAULT_WORKLIST = "FILMLESS"
_SOP_CLASS = tag_of("SOPClassUID")
_SOP_INSTANCE = tag_of("SOPInstanceUID")
_WORKLIST_LABEL = tag_of("WorklistLabel")
_TRANSACTION = tag_of("TransactionUID")
_MODIFIED = tag_of("ScheduledProcedureStepModificationDateTime")
_CANCELED_AT = tag_of("ProcedureStepCancellationDateTime")
_REASON_CODES = tag_of("ProcedureStepDiscontinuationReasonCodeSequence")
_UNSPECIFIED = {
    "00080100": element("SH", "110513"),
    "00080102": element("SH", "DCM"),
    "00080104": element("LO", "Discontinued for unspecified reason"),
}
_CHARACTER_SET = {tag_of("SpecificCharacterSet"): element("CS", "ISO_IR 192")}
# Kept at least empty (SCP type 2), though nobody has to give them.
_AT_LEAST_EMPTY = {
    tag_of("PatientID"): element("LO"),
    tag_of("StudyInstanceUID"): element("UI"),
    reports.PERFORMERS: element("SQ"),
}
_TOLD_OF_PROGRESS = tuple(
    map(
        tag_of,
        (
            "ProcedureStepProgress",
            "ProcedureStepProgressDescription",
            "ProcedureStepCommunicationsURISequence",
        ),
    )
)
_REQUEST = tuple(
    map(
        tag_of,
        (
            "ReasonForCancellation",
            "ProcedureStepDiscontinuationReasonCodeSequence",
            "ContactURI",
            "ContactDisplayName",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Done:
    """The workitem after a request. `modified`: we have put in other values than were given;
    `warning`: nothing was to be done."""

    workitem: Workitem
    modified: bool = False
    warning: Status | None = None


def create(connection: Connection, sop_instance_uid: str, model: Model) -> Done:
    """A new workitem in the state SCHEDULED (N-CREATE). Raises InvalidWorkitem, WorkitemRefused."""
    check_new(model)
    for tag, ours in ((_SOP_CLASS, UPS_PUSH), (_SOP_INSTANCE, sop_instance_uid)):
        if first(model, tag) not in ("", ours):
            raise InvalidWorkitem([f"{tag}: is {ours}, or is not given"])
    modified = _MODIFIED in model
    kept = _AT_LEAST_EMPTY | model | _CHARACTER_SET
    kept.pop(_TRANSACTION, None)
    kept |= {
        _SOP_CLASS: element("UI", UPS_PUSH),
        _SOP_INSTANCE: element("UI", sop_instance_uid),
    }
    if not first(model, _WORKLIST_LABEL):
        kept[_WORKLIST_LABEL] = element("LO", DEFAULT_WORKLIST)
        modified = True
    one_at_a_time(connection)
    workitem = add(connection, sop_instance_uid, kept)
    subscribe_watchers(connection, workitem)
    told = [reports.state_report(workitem)]
    if any(values_of(kept, tag) for tag in (reports.STATIONS, reports.PERFORMERS)):
        told.append(reports.assigned(workitem))
    reports.tell_subscribers(connection, workitem, told)
    return Done(workitem, modified)


def change(
    connection: Connection, sop_instance_uid: str, model: Model, transaction_uid: str | None
) -> Done:
    """Other values for some attributes (N-SET). Raises InvalidWorkitem, WorkitemRefused.

    What is in progress is changed with its Transaction UID, what is scheduled without one.
    """
    one_at_a_time(connection)
    workitem = find(connection, sop_instance_uid)
    _may_change(workitem, transaction_uid)
    check_change(model)
    changed = put(connection, workitem, model | _CHARACTER_SET)
    reports.tell_subscribers(connection, changed, _told_of_change(workitem, changed))
    return Done(changed, modified=_MODIFIED in model)


def change_state(connection: Connection, sop_instance_uid: str, model: Model) -> Done:
    """Another state (Change UPS State). Raises InvalidWorkitem, WorkitemRefused."""
    asked = _asked_state(model)
    transaction_uid = first(model, _TRANSACTION)
    one_at_a_time(connection)
    workitem = find(connection, sop_instance_uid)
    correct = transaction_uid != "" and workitem.transaction_uid in (None, transaction_uid)
    if workitem.transaction_uid is None and workitem.state is not State.SCHEDULED:
        correct = False
    match states.change(workitem.state, asked, correct=correct):
        case Step.CLAIM:
            changes = {STATE: element("CS", State.IN_PROGRESS)}
            changed = put(connection, workitem, changes, transaction_uid=transaction_uid)
        case Step.FINISH:
            changed = _finish(connection, workitem, asked)
        case (Status.ALREADY_CANCELED | Status.ALREADY_COMPLETE) as warning:
            return Done(workitem, warning=warning)
        case Status.TRANSACTION_WRONG if not transaction_uid:
            raise WorkitemRefused(sop_instance_uid, Status.TRANSACTION_MISSING)
        case Status() as refusal:
            raise WorkitemRefused(sop_instance_uid, refusal)
        case _ as unforeseen:
            raise AssertionError(unforeseen)
    reports.tell_subscribers(connection, changed, [reports.state_report(changed)])
    return Done(changed)


def request_cancellation(
    connection: Connection, sop_instance_uid: str, requester: str, model: Model
) -> Done:
    """Somebody who does not perform it wants it canceled (Request UPS Cancel).

    What nobody has claimed is canceled; whoever performs another is told. Raises WorkitemRefused.
    """
    request = {tag: model[tag] for tag in _REQUEST if tag in model}
    one_at_a_time(connection)
    workitem = find(connection, sop_instance_uid)
    match states.cancel_request(workitem.state):
        case Step.CANCEL:
            return Done(_cancel_unclaimed(connection, workitem, requester, request))
        case Step.TELL:
            told = [reports.cancel_requested(workitem, requester, request)]
            if not reports.tell_subscribers(connection, workitem, told):
                raise WorkitemRefused(sop_instance_uid, Status.PERFORMER_OUT_OF_REACH)
            return Done(workitem)
        case Status.ALREADY_CANCELED as warning:
            return Done(workitem, warning=warning)
        case _:
            raise WorkitemRefused(sop_instance_uid, Status.ALREADY_COMPLETED)


def _may_change(workitem: Workitem, transaction_uid: str | None) -> None:
    uid = workitem.sop_instance_uid
    if workitem.state in FINAL:
        raise WorkitemRefused(uid, Status.NOT_UPDATABLE)
    if workitem.state is State.SCHEDULED and transaction_uid:
        raise WorkitemRefused(uid, Status.NOT_IN_PROGRESS)
    if workitem.state is State.IN_PROGRESS:
        if not transaction_uid:
            raise WorkitemRefused(uid, Status.TRANSACTION_MISSING)
        if transaction_uid != workitem.transaction_uid:
            raise WorkitemRefused(uid, Status.TRANSACTION_WRONG)


def _told_of_change(before: Workitem, after: Workitem) -> list[Model]:
    told = []
    if _differ(before, after, READINESS):
        told.append(reports.state_report(after))
    if any(_differ(before, after, tag) for tag in (reports.STATIONS, reports.PERFORMERS)):
        told.append(reports.assigned(after))
    if _progress(before) != _progress(after):
        told.append(reports.progress_report(after))
    return told


def _differ(before: Workitem, after: Workitem, tag: str) -> bool:
    return values_of(before.attributes, tag) != values_of(after.attributes, tag)


def _progress(workitem: Workitem) -> list[Any]:
    items = values_of(workitem.attributes, reports.PROGRESS)
    return [[values_of(item, tag) for tag in _TOLD_OF_PROGRESS] for item in items]


def _asked_state(model: Model) -> State:
    try:
        return State(first(model, STATE))
    except ValueError as error:
        choices = ", ".join(state for state in State if state is not State.SCHEDULED)
        raise InvalidWorkitem([f"ProcedureStepState: is one of {choices}"]) from error


def _finish(connection: Connection, workitem: Workitem, asked: State) -> Workitem:
    changes: dict[str, Any] = {STATE: element("CS", asked)}
    if asked is State.CANCELED:
        changes |= _cancellation(workitem, {})
    lacking = missing_for(workitem.attributes | changes, asked)
    if lacking:
        raise WorkitemRefused(
            workitem.sop_instance_uid, Status.FINAL_STATE_UNMET, f"{', '.join(lacking)}."
        )
    return put(connection, workitem, changes)


def _cancellation(workitem: Workitem, request: Mapping[str, Any]) -> Model:
    """The progress information of what is canceled, with when and why (its final state's X)."""
    held = values_of(workitem.attributes, reports.PROGRESS)
    progress: Model = dict(held[0]) if held else {}
    progress |= {tag: request[tag] for tag in request if values_of(request, tag)}
    if not values_of(progress, _CANCELED_AT):
        progress[_CANCELED_AT] = element("DT", dt(datetime.now(UTC)))
    if not values_of(progress, _REASON_CODES):
        progress[_REASON_CODES] = element("SQ", _UNSPECIFIED)
    return {reports.PROGRESS: element("SQ", dict(sorted(progress.items())))}


def _cancel_unclaimed(
    connection: Connection, workitem: Workitem, requester: str, request: Mapping[str, Any]
) -> Workitem:
    ours = f"2.25.{uuid.uuid4().int}"
    claimed = put(
        connection,
        workitem,
        {STATE: element("CS", State.IN_PROGRESS)},
        transaction_uid=ours,
    )
    said = {tag: value for tag, value in request.items() if tag not in _CONTACT}
    changes = {STATE: element("CS", State.CANCELED)} | _cancellation(workitem, said)
    canceled = put(connection, claimed, changes)
    told = [
        reports.cancel_requested(workitem, requester, request),
        reports.state_report(claimed),
        reports.state_report(canceled),
    ]
    reports.tell_subscribers(connection, canceled, told)
    return canceled


_CONTACT = (tag_of("ContactURI"), tag_of("ContactDisplayName"))
