"""What a STOW-RS request hears: what is stored and where, what failed and why (PS3.18 10.5.3)."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Request
from starlette.responses import Response

from pacs.database.errors import DatabaseError
from pacs.dicom.native_xml import native_xml
from pacs.ingest import InvalidUid, MissingAttribute, OtherStudy, Received, TooLarge
from storage.errors import StoreError, StoreFull
from viewer_api.dicomweb.accept import Offer
from viewer_api.dicomweb.assembly import SyntaxNotSupported
from viewer_api.dicomweb.resources import Target, url_of
from viewer_api.dicomweb.storing import Outcome
from viewer_api.problems import bad_request, problem_of
from viewer_api.responses import PRIVATE

FORMS = [
    Offer("application/dicom+json"),
    Offer("application/json"),
    Offer("application/dicom+xml"),
]

# Failure reasons, PS3.18 table 10.5.3-1 and PS3.4 table B.2-1.
PROCESSING_FAILURE = 0x0110
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
SYNTAX_NOT_SUPPORTED = 0xC122
# Warning reason, table 10.5.3-2: what is shown under this UID is no longer what it was.
CHANGED = 0xB000
_LONGEST_COMMENT = 64


def answer(request: Request, form: Offer, outcome: Outcome, study: str | None) -> Response:
    """200 where all is stored, 202 where not all, or not without a warning, 409 where nothing.

    Raises the problem of the store or the database where nothing could be kept for a reason that
    will pass, and a 400 problem where there was nothing to store.
    """
    if not outcome.stored and outcome.failed:
        _raise_if_temporary(outcome.failed)
    if not outcome.stored and not outcome.failed:
        raise bad_request("no_instances", "The body holds no instance.")
    model: dict[str, Any] = {}
    uid = study or (outcome.stored[0].study_instance_uid if outcome.stored else None)
    if uid is not None:
        model["00081190"] = _element("UR", url_of(request, Target(uid)))
    if outcome.stored:
        items = [_stored_item(request, received) for received in outcome.stored]
        model["00081199"] = {"vr": "SQ", "Value": items}
    named, unnamed = _failures(outcome.failed)
    if named:
        model["00081198"] = {"vr": "SQ", "Value": named}
    if unnamed:
        model["0008119A"] = {"vr": "SQ", "Value": unnamed}
    warned = any(received.outcome == "conflict" for received in outcome.stored)
    status = 409 if not outcome.stored else 202 if outcome.failed or warned else 200
    written = native_xml(model) if form.media_type.endswith("xml") else orjson.dumps(model)
    return Response(written, status, PRIVATE, media_type=form.media_type)


def _raise_if_temporary(failed: list[Exception]) -> None:
    """Where nothing could be kept for a reason that will pass, the whole request may come again."""
    for error in failed:
        if isinstance(error, StoreError | DatabaseError):
            raise problem_of(error)


def _stored_item(request: Request, received: Received) -> dict[str, Any]:
    where = Target(
        received.study_instance_uid, received.series_instance_uid, received.sop_instance_uid
    )
    item = {
        "00081150": _element("UI", received.sop_class_uid),
        "00081155": _element("UI", received.sop_instance_uid),
        "00081190": _element("UR", url_of(request, where)),
    }
    if received.outcome == "conflict":
        item["00081196"] = _element("US", CHANGED)
    return item


def _failures(failed: list[Exception]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Items of Failed SOP Sequence, and of Other Failures Sequence for what has no name.

    Error Comment (0000,0902) says in words what the reason's number stands for.
    """
    named, unnamed = [], []
    for error in failed:
        words = str(getattr(error, "reason", "") or error)[:_LONGEST_COMMENT]
        item = {"00000902": _element("LO", words), "00081197": _element("US", _reason(error))}
        uid = getattr(error, "sop_instance_uid", None)
        if uid:
            item["00081155"] = _element("UI", uid)
            sop_class = getattr(error, "sop_class_uid", None)
            if sop_class:
                item["00081150"] = _element("UI", sop_class)
            named.append(item)
        else:
            unnamed.append(item)
    return named, unnamed


def _reason(error: Exception) -> int:
    match error:
        case StoreFull() | TooLarge():
            return OUT_OF_RESOURCES
        case StoreError() | DatabaseError():
            return PROCESSING_FAILURE
        case MissingAttribute() | InvalidUid() | OtherStudy():
            return DATA_SET_MISMATCH
        case SyntaxNotSupported():
            return SYNTAX_NOT_SUPPORTED
        case _:
            return CANNOT_UNDERSTAND


def _element(vr: str, value: object) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
