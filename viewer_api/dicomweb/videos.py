"""Videos as they are stored, whole or by ranges of bytes (PS3.18 8.7.3.3.3, RFC 9110 14)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from pacs.archive import Archive
from pacs.retrieve import StoredInstance
from pacs.video import Video, video_of
from viewer_api.access import Principal
from viewer_api.dicomweb.accept import Offer
from viewer_api.dicomweb.immutable import IMMUTABLE, not_modified
from viewer_api.dicomweb.multipart import PART_STOP, message_end, new_boundary, part_start
from viewer_api.dicomweb.ranges import asked_part
from viewer_api.dicomweb.resources import Target, negotiate, record_read, url_of
from viewer_api.dicomweb.transfer_syntaxes import OCTETS, compression
from viewer_api.door import door_of
from viewer_api.responses import etag_of


def video_response(
    request: Request, principal: Principal, asked: Target, stored: StoredInstance
) -> Response:
    """The whole video of an instance, or the range that the client asks for."""
    form = negotiate(request, video_offers(stored.transfer_syntax_uid))
    record_read(request, principal, "study.viewed", asked.study)
    etag = etag_of(stored.object_key, form.media_type)
    known = not_modified(request, etag)
    if known is not None:
        return known
    archive = door_of(request).archive
    video = video_of(archive, stored)
    headers = {**IMMUTABLE, "ETag": etag}
    media_type = f"{form.media_type}; transfer-syntax={stored.transfer_syntax_uid}"
    if form.multipart:
        boundary = new_boundary()
        location = f"{url_of(request, asked)}/frames/1"
        start = part_start(boundary, {"Content-Type": media_type, "Content-Location": location})
        end = PART_STOP + message_end(boundary)
        headers["Content-Length"] = str(len(start) + video.size + len(end))
        return StreamingResponse(
            chain([start], _begun(video, archive, 0, video.size), [end]),
            headers=headers,
            media_type=f'multipart/related; type="{form.media_type}"; boundary={boundary}',
        )
    headers["Accept-Ranges"] = "bytes"
    part = asked_part(request, video.size, etag)
    first, last = (part.start, part.end) if part else (0, video.size)
    headers |= part.headers if part else {}
    headers["Content-Length"] = str(last - first)
    return StreamingResponse(
        _begun(video, archive, first, last),
        status_code=206 if part else 200,
        headers=headers,
        media_type=form.media_type,
    )


def video_offers(transfer_syntax_uid: str) -> list[Offer]:
    """The forms in which a stored video can be given: single part first, as browsers want it."""
    known = compression(transfer_syntax_uid)
    offers = [
        Offer(OCTETS, multipart=True, transfer_syntax=transfer_syntax_uid, by_default=False),
    ]
    if known is not None:
        own = Offer(known.media_type, transfer_syntax=transfer_syntax_uid, aliases=known.aliases)
        multipart = Offer(
            known.media_type,
            multipart=True,
            transfer_syntax=transfer_syntax_uid,
            aliases=known.aliases,
        )
        offers = [own, multipart, *offers]
    return offers


def _begun(video: Video, archive: Archive, start: int, end: int) -> Iterator[bytes]:
    """The bytes, with the first of them read: what fails at once fails with a right status."""
    pieces = video.read(archive, start, end)
    return chain(list(islice(pieces, 1)), pieces)
