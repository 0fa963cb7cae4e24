"""Who looked at what: the audit trail for those who may read it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from pacs.audit.events import events
from pacs.people.permissions import Permission
from viewer_api import schemas
from viewer_api.access import Principal, allow
from viewer_api.door import door_of

router = APIRouter(tags=["audit"])

Text = Annotated[str | None, Query(max_length=200)]


@router.get("/audit", summary="Who looked at what")
def read_audit(
    *,
    request: Request,
    study: Text = None,
    patientID: Text = None,  # noqa: N803 - the name on the wire
    actor: Text = None,
    action: Text = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    principal: Annotated[Principal, Depends(allow(Permission.READ_AUDIT))],
) -> list[schemas.AuditEvent]:
    """Events that fit every condition, latest first; `before` the id of the last one goes on."""
    door = door_of(request)
    with door.reading() as connection:
        found = events(
            connection,
            study_instance_uid=study,
            patient_id=patientID,
            actor=actor,
            action=action,
            since=since,
            until=until,
            before_id=before,
            limit=limit,
        )
    door.audit.record_once(principal.actor, "audit.read", address=principal.address)
    return [
        schemas.AuditEvent(
            id=event.id,
            at=event.at,
            actor=event.actor,
            action=event.action,
            outcome=event.outcome,
            study_instance_uid=event.study_instance_uid,
            patient=None
            if event.patient is None
            else schemas.AuditPatient(issuer=event.patient.issuer, id=event.patient.id),
            address=event.address,
            detail=dict(event.detail),
        )
        for event in found
    ]
