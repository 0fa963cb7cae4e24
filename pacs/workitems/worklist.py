"""Workitems as rows: looked up, made, changed; one request at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from pacs.dicom.text import fold, fold_name
from pacs.index.ranges import moments
from pacs.workitems.attributes import tag_of
from pacs.workitems.dataset import Model, element, first, values_of
from pacs.workitems.errors import Status, WorkitemRefused
from pacs.workitems.states import FINAL, State
from pacs.workitems.tables import workitems

UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
"""The SOP class of every workitem (PS3.4 CC.3.1)."""

STATE = tag_of("ProcedureStepState")
READINESS = tag_of("InputReadinessState")
STUDY = tag_of("StudyInstanceUID")
REQUESTS = tag_of("ReferencedRequestSequence")
_MODIFIED = tag_of("ScheduledProcedureStepModificationDateTime")
_LOCK = 3_271_998


@dataclass(frozen=True, slots=True)
class Workitem:
    """A workitem as it is now; `attributes` are all but the Transaction UID."""

    id: int
    sop_instance_uid: str
    state: State
    transaction_uid: str | None
    attributes: Model

    @property
    def study_instance_uid(self) -> str | None:
        """The study that it is about, where it says so."""
        requests = values_of(self.attributes, REQUESTS)
        own = first(self.attributes, STUDY)
        return own or next((first(request, STUDY) for request in requests), None) or None


def one_at_a_time(connection: Connection) -> None:
    """Until the transaction ends, nobody else changes the worklist or who is told about it.

    So no new workitem escapes who subscribes to all at that moment, and reports are numbered in
    the order in which they are committed.
    """
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": _LOCK})


def find(connection: Connection, sop_instance_uid: str) -> Workitem:
    """The workitem with this UID. Raises WorkitemRefused (UNKNOWN, DELETED)."""
    row = connection.execute(
        select(
            workitems.c.id,
            workitems.c.state,
            workitems.c.transaction_uid,
            workitems.c.attributes,
            workitems.c.deleted_at,
        ).where(workitems.c.sop_instance_uid == sop_instance_uid)
    ).one_or_none()
    if row is None:
        raise WorkitemRefused(sop_instance_uid, Status.UNKNOWN)
    if row.deleted_at is not None:
        raise WorkitemRefused(sop_instance_uid, Status.DELETED)
    return Workitem(row.id, sop_instance_uid, State(row.state), row.transaction_uid, row.attributes)


def add(connection: Connection, sop_instance_uid: str, attributes: Model) -> Workitem:
    """A new workitem. Raises WorkitemRefused where there is, or was, one with this UID."""
    known = connection.execute(
        select(workitems.c.id).where(workitems.c.sop_instance_uid == sop_instance_uid)
    ).one_or_none()
    if known is not None:
        raise WorkitemRefused(sop_instance_uid, Status.DUPLICATE)
    now = datetime.now(UTC)
    kept = _stamped(attributes, now)
    row = connection.execute(
        insert(workitems)
        .values(sop_instance_uid=sop_instance_uid, **_columns(kept, now))
        .returning(workitems.c.id)
    ).one()
    return Workitem(row.id, sop_instance_uid, State.SCHEDULED, None, kept)


def put(
    connection: Connection,
    workitem: Workitem,
    changes: Mapping[str, Any],
    *,
    transaction_uid: str | None = None,
) -> Workitem:
    """The workitem with these attributes instead of those it had under their tags."""
    now = datetime.now(UTC)
    kept = _stamped(workitem.attributes | dict(changes), now)
    state = State(first(kept, STATE))
    transaction = transaction_uid or workitem.transaction_uid
    connection.execute(
        update(workitems)
        .where(workitems.c.id == workitem.id)
        .values(
            transaction_uid=transaction,
            ended_at=now if state in FINAL else None,
            **_columns(kept, now),
        )
    )
    return Workitem(workitem.id, workitem.sop_instance_uid, state, transaction, kept)


def dt(moment: datetime) -> str:
    """The moment as a DT value (PS3.5 6.2), in UTC."""
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}.{moment.microsecond:06d}+0000"


def _stamped(attributes: Mapping[str, Any], now: datetime) -> Model:
    return dict(sorted((dict(attributes) | {_MODIFIED: element("DT", dt(now))}).items()))


def _columns(attributes: Model, now: datetime) -> dict[str, Any]:
    """What searches match by."""
    return {
        "state": first(attributes, STATE),
        "attributes": attributes,
        "patient_name_folded": fold_name(_name(attributes)),
        "label_folded": fold(first(attributes, tag_of("ProcedureStepLabel"))),
        "worklist_label_folded": fold(first(attributes, tag_of("WorklistLabel"))),
        "starts_at": _moment(attributes, "ScheduledProcedureStepStartDateTime"),
        "expected_at": _moment(attributes, "ExpectedCompletionDateTime"),
        "expires_at": _moment(attributes, "ScheduledProcedureStepExpirationDateTime"),
        "modified_at": now,
    }


def _name(attributes: Model) -> str:
    names = values_of(attributes, tag_of("PatientName"))
    groups = names[0] if names else {}
    order = ("Alphabetic", "Ideographic", "Phonetic")
    return "=".join(groups.get(group, "") for group in order).rstrip("=")


def _moment(attributes: Model, keyword: str) -> datetime | None:
    text = first(attributes, tag_of(keyword))
    return moments(tag_of(keyword), text)[0] if text else None
