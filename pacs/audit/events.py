"""Recording an event and asking for events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select

from pacs.audit.tables import audit_events
from pacs.index.tables import patients, studies

Outcome = Literal["ok", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient's identity: identifiers are unique within their issuer only."""

    issuer: str
    id: str


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One recorded event."""

    id: int
    at: datetime
    actor: str
    action: str
    outcome: Outcome
    study_instance_uid: str | None
    patient: Patient | None
    address: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def record(
    connection: Connection,
    actor: str,
    action: str,
    outcome: Outcome,
    *,
    study_instance_uid: str | None = None,
    patient: Patient | None = None,
    detail: Mapping[str, Any] | None = None,
    address: str = "",
) -> None:
    """Add one row, in the caller's transaction.

    The patient of a study is looked up and kept with the row as it is now: studies move between
    patients later, and who was looked at on that day must not move with them.
    """
    if patient is None and study_instance_uid is not None:
        patient = _patient_of(connection, study_instance_uid)
    connection.execute(
        insert(audit_events).values(
            actor=actor,
            action=action,
            outcome=outcome,
            study_instance_uid=study_instance_uid,
            patient_issuer=patient.issuer if patient else None,
            patient_id=patient.id if patient else None,
            detail=dict(detail or {}),
            address=address,
        )
    )


def events(
    connection: Connection,
    *,
    study_instance_uid: str | None = None,
    patient: Patient | None = None,
    patient_id: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[AuditEvent]:
    """Events that fit every given condition, latest first.

    `patient_id` alone means that number from any issuer. `before_id` continues a list: pass the
    id of its last event.
    """
    table = audit_events.c
    statement = select(audit_events).order_by(table.id.desc()).limit(limit)
    if study_instance_uid is not None:
        statement = statement.where(table.study_instance_uid == study_instance_uid)
    if patient is not None:
        statement = statement.where(
            table.patient_id == patient.id, table.patient_issuer == patient.issuer
        )
    if patient_id is not None:
        statement = statement.where(table.patient_id == patient_id)
    if actor is not None:
        statement = statement.where(table.actor == actor)
    if action is not None:
        statement = statement.where(table.action == action)
    if since is not None:
        statement = statement.where(table.at >= since)
    if until is not None:
        statement = statement.where(table.at < until)
    if before_id is not None:
        statement = statement.where(table.id < before_id)
    return [
        AuditEvent(
            id=row.id,
            at=row.at,
            actor=row.actor,
            action=row.action,
            outcome=row.outcome,
            study_instance_uid=row.study_instance_uid,
            patient=None if row.patient_id is None else Patient(row.patient_issuer, row.patient_id),
            address=row.address,
            detail=row.detail,
        )
        for row in connection.execute(statement)
    ]


def _patient_of(connection: Connection, study_instance_uid: str) -> Patient | None:
    row = connection.execute(
        select(patients.c.issuer, patients.c.patient_id)
        .join_from(studies, patients, studies.c.patient_ref == patients.c.id)
        .where(studies.c.study_instance_uid == study_instance_uid)
    ).one_or_none()
    return None if row is None else Patient(row.issuer, row.patient_id)
