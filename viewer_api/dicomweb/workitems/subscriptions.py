"""UPS-RS: who is told about which workitems (PS3.18 11.10-11.12)."""

from __future__ import annotations

import re
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from pacs.workitems import subscriptions
from pacs.workitems.reports import FILTERED_SUBSCRIPTION, GLOBAL_SUBSCRIPTION
from viewer_api.access import Principal
from viewer_api.dicomweb.workitems.access import WorkitemReader
from viewer_api.dicomweb.workitems.answers import refusals_answered
from viewer_api.dicomweb.workitems.bodies import ae_title, workitem_uid
from viewer_api.dicomweb.workitems.search import parse_query
from viewer_api.door import base_url, door_of
from viewer_api.problems import bad_request

router = APIRouter(tags=["DICOMweb workitems"])

_GLOBAL = (GLOBAL_SUBSCRIPTION, FILTERED_SUBSCRIPTION)
_NEXT_KEY = re.compile(r",(?=[A-Za-z0-9.]+=)")


@router.post(
    "/workitems/{workitem}/subscribers/{aet}", summary="Subscribe to workitems", status_code=201
)
def subscribe(request: Request, workitem: str, aet: str, principal: WorkitemReader) -> Response:
    """To one workitem, to all (1.2.840.10008.5.1.4.34.5), or to those of a filter (….34.5.1).

    Content-Location is where the reports are sent: a WebSocket.
    """
    uid, title = workitem_uid(workitem), ae_title(aet)
    lock = _deletion_lock(request)
    keys = _keys(request) if uid == FILTERED_SUBSCRIPTION else None
    with (
        refusals_answered(request, "subscribe"),
        door_of(request).archive.engine.begin() as connection,
    ):
        if uid in _GLOBAL:
            subscriptions.subscribe_to_worklist(connection, title, deletion_lock=lock, keys=keys)
        else:
            subscriptions.subscribe(connection, uid, title, deletion_lock=lock)
    _record(request, principal, "workitem.subscribed", uid, title)
    line = f"{base_url(request)}/dicomweb/ws/subscribers/{quote(title, safe='')}"
    return Response(None, 201, {"Content-Location": line.replace("http", "ws", 1)})


@router.delete("/workitems/{workitem}/subscribers/{aet}", summary="Unsubscribe from workitems")
def unsubscribe(request: Request, workitem: str, aet: str, principal: WorkitemReader) -> Response:
    """From one workitem; by either well-known UID, from all."""
    uid, title = workitem_uid(workitem), ae_title(aet)
    with (
        refusals_answered(request, "subscribe"),
        door_of(request).archive.engine.begin() as connection,
    ):
        if uid in _GLOBAL:
            subscriptions.unsubscribe_from_worklist(connection, uid, title)
        else:
            subscriptions.unsubscribe(connection, uid, title)
    _record(request, principal, "workitem.unsubscribed", uid, title)
    return Response(None, 200)


@router.post(
    "/workitems/{workitem}/subscribers/{aet}/suspend",
    summary="Suspend the subscription to workitems to come",
)
def suspend(request: Request, workitem: str, aet: str, principal: WorkitemReader) -> Response:
    """What the AE is subscribed to stays; new workitems are not added to it."""
    uid, title = workitem_uid(workitem), ae_title(aet)
    with (
        refusals_answered(request, "subscribe"),
        door_of(request).archive.engine.begin() as connection,
    ):
        subscriptions.suspend(connection, uid, title)
    _record(request, principal, "workitem.suspended", uid, title)
    return Response(None, 200)


def _deletion_lock(request: Request) -> bool:
    text = request.query_params.get("deletionlock", "false").lower()
    if text not in ("true", "false"):
        raise bad_request("bad_query", "deletionlock must be true or false.")
    return text == "true"


def _keys(request: Request) -> dict[str, str]:
    """The keys of a filter, `attribute=value` with commas between (PS3.18 11.10.1.2)."""
    filters = ",".join(text for text in request.query_params.getlist("filter") if text)
    pairs = [pair.partition("=") for pair in _NEXT_KEY.split(filters)] if filters else []
    query = parse_query((name.strip(), value) for name, equals, value in pairs if equals)
    if not query.matches or any(not equals for _, equals, _ in pairs):
        raise bad_request("bad_query", "filter must be attribute=value, or several with commas.")
    return dict(query.matches)


def _record(request: Request, principal: Principal, action: str, uid: str, aet: str) -> None:
    door_of(request).audit.record(
        principal.actor,
        action,
        detail={"workitem": uid, "aet": aet},
        address=principal.address,
    )
