"""A study as DICOM media in a ZIP (PS3.18 8.7.3.3): DICOMDIR, its files, and a page to look at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from pacs.media.file_set import file_set
from pacs.media.package import entries
from pacs.media.writing import zipped
from pacs.people.permissions import Permission
from viewer_api.access import Principal, require
from viewer_api.dicomweb.accept import Offer, choose
from viewer_api.dicomweb.resources import Target, accepted
from viewer_api.door import door_of

ZIP = "application/zip"
_FORMS = [Offer("application/dicom", multipart=True), Offer(ZIP)]


def wants_media(request: Request) -> bool:
    """Whether the caller would rather have a ZIP than the objects one after the other."""
    chosen = choose(_FORMS, accepted(request))
    return chosen is not None and chosen.media_type == ZIP


def media(request: Request, principal: Principal, asked: Target) -> Response:
    """The study's media, made while they are sent; each time on record.

    To copy is another right than to read. Raises NotFound, and a 403 problem.
    """
    require(request, principal, Permission.EXPORT)
    door = door_of(request)
    files = file_set(door.archive, [asked.study], principal.scope)
    door.audit.record(
        principal.actor,
        "study.exported",
        study_instance_uid=asked.study,
        detail={"form": "zip", "objects": len(files)},
        address=principal.address,
    )
    written = entries(door.archive, files, door.archive.settings.institution_name)
    pieces = zipped(written, datetime.now(UTC))
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{asked.study}.zip"',
        "Vary": "Accept",
    }
    return StreamingResponse(_begun(pieces), headers=headers, media_type=ZIP)


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same, once the first piece is there: what fails before it can still be told."""
    return chain([next(pieces)], pieces)
