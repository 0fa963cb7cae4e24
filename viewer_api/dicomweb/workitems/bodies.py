"""What requests about workitems carry: the data set of the body, UIDs, AE titles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection, Request

from pacs.dicom.header import is_uid
from pacs.dicom.native_xml_reading import read_native_xml
from pacs.dicom.writing import BadModel
from pacs.workitems import dataset
from pacs.workitems.dataset import Model, first
from pacs.workitems.errors import InvalidWorkitem
from viewer_api.access import Principal
from viewer_api.dicomweb.multipart import (
    MultipartError,
    MultipartParser,
    PartBegin,
    PartData,
    boundary_of,
    parse_content_type,
)
from viewer_api.problems import Problem, bad_request

_JSON = ("application/dicom+json", "application/json")
_XML = "application/dicom+xml"
_AFFECTED, _REQUESTED, _SOP_INSTANCE = "00001000", "00001001", "00080018"
_TRANSACTION = "00081195"
_REQUESTING_AE = "00741236"
_NAMES = {
    "workitem": ("workitem", "AffectedSOPInstanceUID"),
    "transaction": ("transaction-uid", "transaction", "TransactionUID"),
}
# PS3.5 6.2: an AE is up to 16 characters of the default repertoire, no backslash.
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")


async def _body(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_body)]
"""The whole body; `viewer_api.security` bounds it."""


def data_set(request: Request, payload: bytes) -> Model:
    """The data set of the body, in JSON or XML. Raises 400 and 415 problems, InvalidWorkitem."""
    media_type, parameters = parse_content_type(request.headers.get("content-type", ""))
    if media_type == "multipart/related":
        media_type = parameters.get("type", "").lower()
        payload = _only_part(parameters, payload)
    if "content-encoding" in request.headers or media_type not in (*_JSON, _XML):
        raise Problem(415, "unsupported_media_type", f"A workitem is sent as {_JSON[0]} or {_XML}.")
    if media_type in _JSON:
        return dataset.read(payload)
    try:
        return dataset.checked(read_native_xml(payload))
    except BadModel as error:
        raise InvalidWorkitem([str(error)]) from error


def _only_part(parameters: Mapping[str, str], payload: bytes) -> bytes:
    parts: list[bytes] = []
    try:
        parser = MultipartParser(boundary_of(parameters))
        for event in parser.feed(payload):
            if isinstance(event, PartBegin):
                parts.append(b"")
            elif isinstance(event, PartData):
                parts[-1] += event.data
        parser.close()
    except MultipartError as error:
        raise bad_request("bad_multipart", f"The body cannot be read: {error}.") from error
    if len(parts) != 1:
        raise bad_request("bad_multipart", f"The body has {len(parts)} parts instead of one.")
    return parts[0]


def workitem_uid(uid: str) -> str:
    """The UID of a URL. Raises a 400 problem."""
    if not is_uid(uid):
        raise bad_request("invalid_uid", f"{uid[:80]!r} is not a UID.")
    return uid


def new_uid(request: Request, model: Model) -> str:
    """The UID of a workitem to be made: from the query or the data set, which it is taken from.

    Raises 400 problems.
    """
    named = {uid for uid in (_from_query(request, "workitem"), *_own_uids(model)) if uid}
    if len(named) != 1:
        raise bad_request(
            "invalid_uid",
            "Name one UID for the workitem: POST /workitems?{uid}, or (0000,1000) in its data set.",
        )
    return workitem_uid(named.pop())


def transaction_uid(request: Request, model: Model) -> str | None:
    """The Transaction UID of the query, or of the data set, which it is taken from.

    Raises 400 problems.
    """
    named = {_from_query(request, "transaction"), first(model, _TRANSACTION)} - {None, ""}
    model.pop(_TRANSACTION, None)
    if len(named) > 1:
        raise bad_request("invalid_uid", "Two Transaction UIDs are given.")
    uid = named.pop() if named else None
    return workitem_uid(uid) if uid is not None else None


def drop_own_uid(model: Model, uid: str) -> None:
    """Take the workitem's UID, which the URL has named, from its data set. Raises a 400 problem."""
    if any(named != uid for named in _own_uids(model)):
        raise bad_request("invalid_uid", "The data set names another workitem than the address.")


def ae_title(text: str) -> str:
    """An AE title without padding. Raises a 400 problem."""
    title = text.strip(" ")
    if not _AE_TITLE.fullmatch(title):
        raise bad_request(
            "invalid_ae_title", "An AE title is 1 to 16 ASCII characters without a backslash."
        )
    return title


def requester_of(principal: Principal, path: str | None, model: Model) -> str:
    """The AE title of who asks: from the address, the data set, or made of who it is."""
    named = path or first(model, _REQUESTING_AE)
    if named:
        return ae_title(named)
    own = re.sub(r"[^ -\[\]-~]", "", principal.actor.rpartition(":")[2]).strip()
    return own[:16].strip() or "UNKNOWN"


def _own_uids(model: Model) -> list[str]:
    """The UIDs that the data set gives itself; those of the command set are taken from it."""
    tags = (_AFFECTED, _REQUESTED, _SOP_INSTANCE)
    found = [first(model, tag) for tag in tags if first(model, tag)]
    for tag in tags:
        model.pop(tag, None)
    return found


def _from_query(request: HTTPConnection, what: str) -> str | None:
    """`?{uid}` (PS3.18 11.4.1), or the same with a name before it."""
    for name, value in request.query_params.multi_items():
        if name in _NAMES[what] and value:
            return value
        if not value and is_uid(name):
            return name
    return None
