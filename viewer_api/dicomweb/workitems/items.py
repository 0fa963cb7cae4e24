"""UPS-RS: workitems made, retrieved, changed, claimed, finished, canceled (PS3.18 11.4-11.8)."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from pacs.workitems import operations
from pacs.workitems.worklist import Workitem, find
from viewer_api.access import Principal
from viewer_api.dicomweb.models import FORMS, XML, models_response
from viewer_api.dicomweb.resources import negotiate
from viewer_api.dicomweb.workitems.access import WorkitemReader, WorkitemWriter
from viewer_api.dicomweb.workitems.answers import refusals_answered, warning
from viewer_api.dicomweb.workitems.bodies import (
    Body,
    data_set,
    drop_own_uid,
    new_uid,
    requester_of,
    transaction_uid,
    workitem_uid,
)
from viewer_api.door import base_url, door_of
from viewer_api.responses import etag_of, unchanged

router = APIRouter(tags=["DICOMweb workitems"])

_CREATED_MODIFIED = "The Workitem was created with modifications."
_UPDATED_MODIFIED = "The Workitem was updated with modifications."


@router.post("/workitems", summary="Create a workitem", status_code=201)
def create(request: Request, body: Body, principal: WorkitemWriter) -> Response:
    """A new workitem, in the state SCHEDULED; its UID is the query or in the data set."""
    with refusals_answered(request, "create"):
        model = data_set(request, body)
        uid = new_uid(request, model)
        with door_of(request).archive.engine.begin() as connection:
            done = operations.create(connection, uid, model)
    _record(request, principal, "workitem.created", done.workitem)
    headers = {"Location": _url(request, uid), "Content-Location": _url(request, uid)}
    if done.modified:
        headers |= warning(request, _CREATED_MODIFIED)
    return Response(None, 201, headers)


@router.get("/workitems/{workitem}", summary="Retrieve a workitem")
def retrieve(request: Request, workitem: str, principal: WorkitemReader) -> Response:
    """All attributes of the workitem but its Transaction UID."""
    form = negotiate(request, FORMS)
    door = door_of(request)
    with refusals_answered(request, "retrieve"), door.reading() as connection:
        found = find(connection, workitem_uid(workitem))
    _record_read(request, principal, found)
    headers = {"Content-Location": _url(request, found.sop_instance_uid)}
    if form is XML:
        return models_response(request, form, [found.attributes], headers)
    etag = etag_of(orjson.dumps(found.attributes), form.media_type)
    return unchanged(request, etag) or models_response(
        request, form, [found.attributes], headers | {"ETag": etag}
    )


@router.post("/workitems/{workitem}", summary="Update a workitem")
def update(request: Request, workitem: str, body: Body, principal: WorkitemWriter) -> Response:
    """Other values for some of its attributes; of a claimed one with its Transaction UID."""
    uid = workitem_uid(workitem)
    with refusals_answered(request, "update"):
        model = data_set(request, body)
        drop_own_uid(model, uid)
        transaction = transaction_uid(request, model)
        with door_of(request).archive.engine.begin() as connection:
            done = operations.change(connection, uid, model, transaction)
    _record(request, principal, "workitem.updated", done.workitem)
    headers = {"Content-Location": _url(request, uid)}
    if done.modified:
        headers |= warning(request, _UPDATED_MODIFIED)
    return Response(None, 200, headers)


@router.put("/workitems/{workitem}/state", summary="Change the state of a workitem")
def change_state(
    request: Request, workitem: str, body: Body, principal: WorkitemWriter
) -> Response:
    """IN PROGRESS with a new Transaction UID claims it; COMPLETED or CANCELED ends it."""
    return _change_state(request, workitem, body, principal, None)


@router.put(
    "/workitems/{workitem}/state/{requester}", summary="Change the state of a workitem, as an AE"
)
def change_state_as(
    request: Request, workitem: str, requester: str, body: Body, principal: WorkitemWriter
) -> Response:
    """The same, by the application entity with this title."""
    return _change_state(request, workitem, body, principal, requester)


@router.post(
    "/workitems/{workitem}/cancelrequest",
    summary="Request the cancellation of a workitem",
    status_code=202,
)
def request_cancellation(
    request: Request, workitem: str, body: Body, principal: WorkitemWriter
) -> Response:
    """Cancels what nobody has claimed; tells whoever performs it otherwise."""
    return _request_cancellation(request, workitem, body, principal, None)


@router.post(
    "/workitems/{workitem}/cancelrequest/{requester}",
    summary="Request the cancellation of a workitem, as an AE",
    status_code=202,
)
def request_cancellation_as(
    request: Request, workitem: str, requester: str, body: Body, principal: WorkitemWriter
) -> Response:
    """The same, by the application entity with this title."""
    return _request_cancellation(request, workitem, body, principal, requester)


def _change_state(
    request: Request, workitem: str, body: bytes, principal: Principal, requester: str | None
) -> Response:
    uid = workitem_uid(workitem)
    with refusals_answered(request, "state"):
        model = data_set(request, body)
        drop_own_uid(model, uid)
        asking = requester_of(principal, requester, model)
        with door_of(request).archive.engine.begin() as connection:
            done = operations.change_state(connection, uid, model)
    _record(request, principal, "workitem.state", done.workitem, asking)
    headers = {"Content-Location": _url(request, uid)}
    if done.warning is not None:
        headers |= warning(request, done.warning.meaning)
    return Response(None, 200, headers)


def _request_cancellation(
    request: Request, workitem: str, body: bytes, principal: Principal, requester: str | None
) -> Response:
    uid = workitem_uid(workitem)
    with refusals_answered(request, "cancel"):
        model = data_set(request, body) if body else {}
        drop_own_uid(model, uid)
        asking = requester_of(principal, requester, model)
        with door_of(request).archive.engine.begin() as connection:
            done = operations.request_cancellation(connection, uid, asking, model)
    _record(request, principal, "workitem.cancel_requested", done.workitem, asking)
    headers = {} if done.warning is None else warning(request, done.warning.meaning)
    return Response(None, 202, headers)


def _url(request: Request, uid: str) -> str:
    return f"{base_url(request)}/dicomweb/workitems/{uid}"


def _record(
    request: Request, principal: Principal, action: str, workitem: Workitem, aet: str | None = None
) -> None:
    detail = {"workitem": workitem.sop_instance_uid, "state": workitem.state.value}
    door_of(request).audit.record(
        principal.actor,
        action,
        study_instance_uid=workitem.study_instance_uid,
        detail=detail if aet is None else detail | {"aet": aet},
        address=principal.address,
    )


def _record_read(request: Request, principal: Principal, workitem: Workitem) -> None:
    door_of(request).audit.record_once(
        principal.actor,
        "workitem.read",
        study_instance_uid=workitem.study_instance_uid,
        about=workitem.sop_instance_uid,
        detail={"workitem": workitem.sop_instance_uid},
        address=principal.address,
    )
