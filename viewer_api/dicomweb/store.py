"""STOW-RS: store instances (PS3.18 section 10.5), streamed through the one way in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from pacs.archive import Archive
from pacs.ingest import Source
from pacs.people.permissions import Permission
from viewer_api.access import Principal, allow
from viewer_api.dicomweb.assembly import JSON, XML, Assembly
from viewer_api.dicomweb.multipart import (
    MultipartError,
    MultipartParser,
    boundary_of,
    parse_content_type,
)
from viewer_api.dicomweb.resources import negotiate, target
from viewer_api.dicomweb.store_answers import FORMS, answer
from viewer_api.dicomweb.storing import (
    DICOM,
    Commits,
    Objects,
    Outcome,
    Parts,
    parts_of,
    pour,
)
from viewer_api.door import door_of
from viewer_api.problems import Problem, bad_request

router = APIRouter(tags=["DICOMweb store"])

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
    form = negotiate(request, FORMS)
    media_type, parser = _message(request.headers.get("content-type", ""))
    source = Source("stow", principal.actor, principal.address)
    with ThreadPoolExecutor(1, thread_name_prefix="stow") as thread:
        in_thread = partial(asyncio.get_running_loop().run_in_executor, thread)
        parts = await in_thread(_parts, door_of(request).archive, source, study, media_type)
        take, ended = _reading(parser, parts, media_type)
        try:
            await pour(request.stream(), take, thread)
            await in_thread(ended)
            outcome = await in_thread(partial(parts.finish, whole=True))
        except (MultipartError, ClientDisconnect) as error:
            outcome = await in_thread(partial(parts.finish, whole=False))
            if not outcome.stored:
                raise _unreadable(error) from error
            outcome.failed.append(error)
        finally:
            await in_thread(parts.close)
    await to_thread.run_sync(_record, request, principal, outcome)
    return answer(request, form, outcome, study)


def _message(content_type: str) -> tuple[str, MultipartParser | None]:
    """The media type of what the body holds, and the parser of a body in parts.

    Raises 415 for what is neither, and 400 for a message without a boundary.
    """
    media_type, parameters = parse_content_type(content_type)
    root = media_type
    if media_type == "multipart/related":
        root = parse_content_type(parameters.get("type", DICOM))[0]
    if root not in (DICOM, JSON, XML):
        raise Problem(
            415,
            "unsupported_media_type",
            f"Instances are stored as {DICOM}, {JSON} or {XML}, each of them also as the type of "
            "multipart/related.",
        )
    try:
        return root, None if root == media_type else MultipartParser(boundary_of(parameters))
    except MultipartError as error:
        raise _unreadable(error) from error


def _parts(archive: Archive, source: Source, study: str | None, media_type: str) -> Parts:
    commits = Commits(study)
    if media_type == DICOM:
        return Objects(archive, source, commits)
    return Assembly(archive, source, commits, media_type)


def _reading(
    parser: MultipartParser | None, parts: Parts, media_type: str
) -> tuple[Callable[[bytes], None], Callable[[], None]]:
    """What to do with the next bytes of the body, and at its end. Either raises MultipartError."""
    if parser is not None:
        return parts_of(parser, parts), parser.close
    begun = False

    def take(data: bytes) -> None:
        nonlocal begun
        if data and not begun:
            parts.begin({"content-type": media_type})
            begun = True
        parts.write(data)

    return take, parts.end


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
