"""STOW-RS: store instances (PS3.18 section 10.5), streamed through the one way in."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any

import orjson
from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from pacs.database.errors import DatabaseError
from pacs.ingest import (
    InvalidUid,
    MissingAttribute,
    OtherStudy,
    Received,
    Source,
    TooLarge,
)
from pacs.people.permissions import Permission
from storage.errors import StoreError, StoreFull
from viewer_api.access import Principal, allow
from viewer_api.dicomweb.multipart import (
    MultipartError,
    MultipartParser,
    boundary_of,
    parse_content_type,
)
from viewer_api.dicomweb.resources import Target, target, url_of
from viewer_api.dicomweb.storing import DICOM, Commits, Objects, Outcome, parts_of, pour
from viewer_api.door import door_of
from viewer_api.problems import Problem, bad_request, problem_of

router = APIRouter(tags=["DICOMweb store"])

# Failure reasons, PS3.18 table 10.5.3-1 and PS3.4 table B.2-1.
PROCESSING_FAILURE = 0x0110
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

Writer = Annotated[Principal, Depends(allow(Permission.STORE))]


@router.post("/studies", summary="Store instances")
async def store(request: Request, principal: Writer) -> Response:
    """Store DICOM objects of any study; each is safe on disk when the answer names it."""
    return await _store(request, principal, None)


@router.post("/studies/{study}", summary="Store instances of a study")
async def store_in_study(request: Request, study: str, principal: Writer) -> Response:
    """Store DICOM objects of this study; those of another are refused."""
    return await _store(request, principal, target(request, principal, study).study)


async def _store(request: Request, principal: Principal, study: str | None) -> Response:
    parser = _parser(request.headers.get("content-type", ""))
    archive = door_of(request).archive
    source = Source("stow", principal.actor, principal.address)
    parts = Objects(archive, source, Commits(study))
    with ThreadPoolExecutor(1, thread_name_prefix="stow") as thread:
        in_thread = partial(asyncio.get_running_loop().run_in_executor, thread)
        try:
            await pour(request.stream(), parts_of(parser, parts), thread)
            parser.close()
            outcome = await in_thread(parts.finish)
        except (MultipartError, ClientDisconnect) as error:
            outcome = await in_thread(parts.finish)
            if not outcome.stored:
                raise _unreadable(error) from error
            outcome.failed.append(error)
        finally:
            await in_thread(parts.close)
    await to_thread.run_sync(_record, request, principal, outcome)
    return _answer(request, outcome, study)


def _parser(content_type: str) -> MultipartParser:
    media_type, parameters = parse_content_type(content_type)
    if media_type != "multipart/related" or parameters.get("type", DICOM).lower() != DICOM:
        raise Problem(
            415,
            "unsupported_media_type",
            'Objects are stored as multipart/related; type="application/dicom".',
        )
    try:
        return MultipartParser(boundary_of(parameters))
    except (MultipartError, ClientDisconnect) as error:
        raise _unreadable(error) from error


def _unreadable(error: MultipartError | ClientDisconnect) -> Problem:
    why = str(error) or "the connection broke off"
    return bad_request("bad_multipart", f"The body cannot be read: {why}.")


def _record(request: Request, principal: Principal, outcome: Outcome) -> None:
    door = door_of(request)
    studies: dict[str, int] = {}
    for received in outcome.stored:
        studies[received.study_instance_uid] = studies.get(received.study_instance_uid, 0) + 1
    for study, count in studies.items():
        door.audit.record(
            principal.actor,
            "dicomweb.store",
            study_instance_uid=study,
            detail={"instances": count},
            address=principal.address,
        )
    if outcome.failed:
        door.audit.record(
            principal.actor,
            "dicomweb.store",
            "failed",
            detail={"instances": len(outcome.failed)},
            address=principal.address,
        )


def _answer(request: Request, outcome: Outcome, study: str | None) -> Response:
    if not outcome.stored and outcome.failed:
        _raise_if_temporary(outcome.failed)
    if not outcome.stored and not outcome.failed:
        raise bad_request("no_instances", "The body holds no instance.")
    body: dict[str, Any] = {}
    uid = study or (outcome.stored[0].study_instance_uid if outcome.stored else None)
    if uid is not None:
        body["00081190"] = _element("UR", url_of(request, Target(uid)))
    if outcome.stored:
        items = [_stored_item(request, received) for received in outcome.stored]
        body["00081199"] = {"vr": "SQ", "Value": items}
    named, unnamed = _failures(outcome.failed)
    if named:
        body["00081198"] = {"vr": "SQ", "Value": named}
    if unnamed:
        body["0008119A"] = {"vr": "SQ", "Value": unnamed}
    status = 200 if not outcome.failed else 202 if outcome.stored else 409
    return Response(orjson.dumps(body), status, media_type="application/dicom+json")


def _raise_if_temporary(failed: list[Exception]) -> None:
    """Where nothing could be kept for a reason that will pass, the whole request may come again."""
    for error in failed:
        if isinstance(error, StoreError | DatabaseError):
            raise problem_of(error)


def _stored_item(request: Request, received: Received) -> dict[str, Any]:
    where = Target(
        received.study_instance_uid, received.series_instance_uid, received.sop_instance_uid
    )
    return {
        "00081150": _element("UI", received.sop_class_uid),
        "00081155": _element("UI", received.sop_instance_uid),
        "00081190": _element("UR", url_of(request, where)),
    }


def _failures(failed: list[Exception]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Items of Failed SOP Sequence, and of Other Failures Sequence for what has no name."""
    named, unnamed = [], []
    for error in failed:
        reason = {"00081197": _element("US", _reason(error))}
        uid = getattr(error, "sop_instance_uid", None)
        if uid:
            identity = {"00081155": _element("UI", uid)}
            sop_class = getattr(error, "sop_class_uid", None)
            if sop_class:
                identity["00081150"] = _element("UI", sop_class)
            named.append(identity | reason)
        else:
            unnamed.append(reason)
    return named, unnamed


def _reason(error: Exception) -> int:
    match error:
        case StoreFull():
            return OUT_OF_RESOURCES
        case StoreError() | DatabaseError():
            return PROCESSING_FAILURE
        case TooLarge():
            return OUT_OF_RESOURCES
        case MissingAttribute() | InvalidUid() | OtherStudy():
            return DATA_SET_MISMATCH
        case _:
            return CANNOT_UNDERSTAND


def _element(vr: str, value: object) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
