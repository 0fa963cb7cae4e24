"""Rejecting studies, series and instances with a reason, and restoring them.

`DELETE` and `POST .../reject/{title}` hide; nothing that is stored is removed (pacs.rejection).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from pacs.people.permissions import Permission
from pacs.rejection import (
    LONGEST_REASON,
    QUALITY,
    RETENTION,
    TITLES,
    Rejection,
    RejectionNotFound,
    UnknownTitle,
    find_rejection,
    reject,
    rejections,
    restore,
    restore_target,
    title,
)
from viewer_api import schemas
from viewer_api.access import Principal, allow
from viewer_api.dicomweb.resources import Target, target
from viewer_api.door import Door, door_of
from viewer_api.problems import Problem, bad_request, not_found

router = APIRouter(tags=["DICOMweb rejection"])
api_router = APIRouter(tags=["rejections"])

Rejecter = Annotated[Principal, Depends(allow(Permission.REJECT_FOR_QUALITY))]
Reason = Annotated[str, Query(max_length=LONGEST_REASON, description="In your own words.")]
Title = Annotated[str, Query(max_length=100, description="Code of the ground, `113001^DCM`.")]
_LARGEST_ID = 2**62

_STUDY = "/studies/{study}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"


@router.delete(_STUDY, summary="Reject a study")
@router.delete(_SERIES, summary="Reject a series")
@router.delete(_INSTANCE, summary="Reject an instance")
def delete(
    *,
    request: Request,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    title: Title = RETENTION,
    reason: Reason = "",
    principal: Rejecter,
) -> schemas.Rejection:
    """Hide it for the ground that `title` names; unless one is given, that its retention ended."""
    return _reject(
        request, principal, target(request, principal, study, series, instance), title, reason
    )


@router.post(f"{_STUDY}/reject/{{title}}", summary="Reject a study")
@router.post(f"{_SERIES}/reject/{{title}}", summary="Reject a series")
@router.post(f"{_INSTANCE}/reject/{{title}}", summary="Reject an instance")
def reject_target(
    *,
    request: Request,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    title: str,
    reason: Reason = "",
    principal: Rejecter,
) -> schemas.Rejection:
    """Hide it for the ground that the title names, such as `113001^DCM` (quality)."""
    return _reject(
        request, principal, target(request, principal, study, series, instance), title, reason
    )


@router.post(f"{_STUDY}/restore", summary="Restore a study")
@router.post(f"{_SERIES}/restore", summary="Restore a series")
@router.post(f"{_INSTANCE}/restore", summary="Restore an instance")
def restore_hidden(
    *,
    request: Request,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    principal: Rejecter,
) -> list[schemas.Rejection]:
    """Show again what was rejected of it, by whichever rejections; these are the answer."""
    asked = target(request, principal, study, series, instance)
    door = door_of(request)
    with door.archive.engine.begin() as connection:
        restored = restore_target(
            connection,
            study=asked.study,
            series=asked.series,
            instance=asked.instance,
            by=principal.actor,
            codes=[code for code in TITLES if _may(principal, code)],
            scope=principal.scope,
        )
    for rejection in restored:
        _record(door, principal, "study.restored", rejection)
    return [_schema(rejection) for rejection in restored]


@api_router.get("/rejections", summary="What is rejected, by whom and why")
def list_rejections(
    *,
    request: Request,
    study: Annotated[str | None, Query(max_length=64)] = None,
    restored: Annotated[bool, Query(description="Those too that were taken back.")] = False,
    before: Annotated[int | None, Query(ge=1, le=_LARGEST_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    principal: Rejecter,
) -> list[schemas.Rejection]:
    """Latest first; `before` the id of the last one goes on."""
    door = door_of(request)
    with door.reading() as connection:
        found = rejections(
            connection,
            study=study,
            restored=restored,
            before=before,
            limit=limit,
            scope=principal.scope,
        )
    door.audit.record_once(principal.actor, "rejections.read", address=principal.address)
    return [_schema(rejection) for rejection in found]


@api_router.post("/rejections/{rejection}/restore", summary="Take a rejection back")
def restore_rejection(request: Request, rejection: str, principal: Rejecter) -> schemas.Rejection:
    """Show again all that it hides."""
    if not (rejection.isascii() and rejection.isdigit() and len(rejection) <= 18):
        raise not_found(f"There is no rejection number {rejection[:20]}.")
    door = door_of(request)
    try:
        with door.archive.engine.begin() as connection:
            standing = find_rejection(connection, int(rejection), principal.scope)
            _check(principal, standing.code)
            restored = restore(connection, standing.id, by=principal.actor, scope=principal.scope)
    except RejectionNotFound as error:
        raise not_found(f"{error}.") from error
    _record(door, principal, "study.restored", restored)
    return _schema(restored)


def _reject(
    request: Request, principal: Principal, asked: Target, name: str, reason: str
) -> schemas.Rejection:
    try:
        code = title(name)
    except UnknownTitle as error:
        raise bad_request("unknown_title", f"{error}.") from error
    _check(principal, code)
    door = door_of(request)
    with door.archive.engine.begin() as connection:
        rejection = reject(
            connection,
            code,
            study=asked.study,
            series=asked.series,
            instances=None if asked.instance is None else [asked.instance],
            reason=reason,
            by=principal.actor,
            scope=principal.scope,
        )
    assert rejection is not None  # noqa: S101 - only notes may have been followed already
    _record(door, principal, "study.rejected", rejection)
    return _schema(rejection)


def _may(principal: Principal, code: str) -> bool:
    return code == QUALITY or principal.may(Permission.REJECT)


def _check(principal: Principal, code: str) -> None:
    if not _may(principal, code):
        raise Problem(
            403,
            "forbidden",
            f"Whoever lacks the permission {Permission.REJECT.value} rejects for quality only "
            f"({QUALITY}).",
        )


def _record(door: Door, principal: Principal, action: str, rejection: Rejection) -> None:
    door.stored.forget()
    door.audit.record(
        principal.actor,
        action,
        study_instance_uid=rejection.study_instance_uid,
        detail={
            "rejection": rejection.id,
            "code": rejection.code,
            "reason": rejection.reason,
            "series": rejection.series_instance_uid,
            "instance": rejection.sop_instance_uid,
            "instances": rejection.instances,
        },
        address=principal.address,
    )


def _schema(rejection: Rejection) -> schemas.Rejection:
    names = schemas.Rejection.model_fields
    return schemas.Rejection(**{name: getattr(rejection, name) for name in names})
