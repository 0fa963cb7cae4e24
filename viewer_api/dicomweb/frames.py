"""WADO-RS frames: as stored, decoded, or as HTJ2K, as the client asks (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from pacs.archive import Archive
from pacs.dicom.codecs import Buffer
from pacs.dicom.header import is_video
from pacs.renditions import htj2k
from pacs.retrieve import StoredInstance, check_frame, uncompressed
from pacs.retrieve import frames as stored_frames
from viewer_api.access import Reader
from viewer_api.dicomweb.accept import Offer, choose
from viewer_api.dicomweb.immutable import IMMUTABLE, not_modified
from viewer_api.dicomweb.multipart import (
    PART_STOP,
    message_end,
    new_boundary,
    part_start,
    write_message,
)
from viewer_api.dicomweb.ranges import asked_part
from viewer_api.dicomweb.resources import (
    accepted,
    frame_numbers,
    negotiate,
    record_read,
    stored_instance,
    target,
    url_of,
)
from viewer_api.dicomweb.transfer_syntaxes import (
    EXPLICIT_LITTLE_ENDIAN,
    HTJ2K,
    HTJ2K_LOSSLESS,
    OCTETS,
    compression,
    is_lossless,
    is_native,
    must_be_decoded,
)
from viewer_api.dicomweb.videos import video_response
from viewer_api.door import door_of
from viewer_api.problems import Problem
from viewer_api.responses import PiecesResponse, etag_of

router = APIRouter(tags=["DICOMweb retrieve"])

ReadFrames = Callable[[Archive, StoredInstance, Sequence[int]], Iterator[Buffer]]


def _decoded(archive: Archive, stored: StoredInstance, numbers: Sequence[int]) -> Iterator[Buffer]:
    for number in numbers:
        yield uncompressed(archive, stored, number)


def _as_htj2k(archive: Archive, stored: StoredInstance, numbers: Sequence[int]) -> Iterator[Buffer]:
    for number in numbers:
        yield htj2k(archive, stored, number)


@dataclass(frozen=True, slots=True)
class FrameOffer(Offer):
    """A form of a frame, and how its bytes are had."""

    read: ReadFrames = stored_frames


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}",
    summary="Retrieve frames",
)
def retrieve_frames(
    *,
    request: Request,
    study: str,
    series: str,
    instance: str,
    frames: str,
    principal: Reader,
) -> Response:
    """Frames by number, such as `1,2,7`: as stored, uncompressed or as lossless HTJ2K.

    A single frame, and a video (which is frame 1), can be had without an envelope, and then by
    ranges of bytes.
    """
    asked = target(request, principal, study, series, instance)
    numbers = frame_numbers(frames)
    archive = door_of(request).archive
    stored = stored_instance(request, principal, asked)
    if is_video(stored.transfer_syntax_uid):
        if numbers != [1]:
            raise Problem(406, "not_acceptable", "The frames of a video come together, as frame 1.")
        return video_response(request, principal, asked, stored)
    for number in numbers:
        check_frame(stored, number)
    single = len(numbers) == 1
    form = _chosen(accepted(request), stored.transfer_syntax_uid, single)
    if form is None:
        form = negotiate(request, _offers(stored.transfer_syntax_uid, single=single))
    record_read(request, principal, "study.viewed", study)
    etag = etag_of(stored.object_key, frames, form.media_type, str(form.transfer_syntax))
    known = not_modified(request, etag)
    if known is not None:
        return known
    headers = {**IMMUTABLE, "ETag": etag}
    media_type = f"{form.media_type}; transfer-syntax={form.transfer_syntax}"
    bodies = form.read(archive, stored, numbers)
    # What cannot be had at all is said before anything is on its way.
    first = next(bodies)
    if not form.multipart:
        return _single(request, first, headers, media_type)
    boundary = new_boundary()
    whole_type = f'multipart/related; type="{form.media_type}"; boundary={boundary}'
    location = url_of(request, asked)

    def part_headers(number: int) -> dict[str, str]:
        return {"Content-Type": media_type, "Content-Location": f"{location}/frames/{number}"}

    if len(numbers) == 1:
        start = part_start(boundary, part_headers(numbers[0]))
        pieces = [start, first, PART_STOP + message_end(boundary)]
        return PiecesResponse(pieces, headers, whole_type)

    def parts() -> Iterator[tuple[dict[str, str], list[bytes]]]:
        yield part_headers(numbers[0]), [bytes(first)]
        for number, body in zip(numbers[1:], bodies, strict=True):
            yield part_headers(number), [bytes(body)]

    if is_native(stored.transfer_syntax_uid) and form.read is stored_frames:
        # Then all frames are as long as the first.
        around = sum(len(part_start(boundary, part_headers(number))) for number in numbers)
        each = len(first) + len(PART_STOP)
        length = around + each * len(numbers) + len(message_end(boundary))
        headers["Content-Length"] = str(length)
    return StreamingResponse(
        write_message(boundary, parts()), headers=headers, media_type=whole_type
    )


def _single(request: Request, body: Buffer, headers: dict[str, str], media_type: str) -> Response:
    headers["Accept-Ranges"] = "bytes"
    part = asked_part(request, len(body), headers["ETag"])
    if part is None:
        return PiecesResponse([body], headers, media_type)
    piece = memoryview(body)[part.start : part.end]
    return PiecesResponse([piece], {**headers, **part.headers}, media_type, 206)


@lru_cache(maxsize=256)
def _chosen(accept: str | None, syntax: str, single: bool) -> FrameOffer | None:
    """The form for an Accept header, of which a scroll sends the same a thousand times."""
    return choose(_offers(syntax, single=single), accept)


def _offers(syntax: str, *, single: bool) -> list[FrameOffer]:
    """The forms in which a stored frame can be given, the best first."""
    uncompressed = FrameOffer(
        OCTETS, multipart=True, transfer_syntax=EXPLICIT_LITTLE_ENDIAN, read=_decoded
    )
    if is_native(syntax):
        multipart = [replace(uncompressed, read=stored_frames)]
    elif must_be_decoded(syntax):
        multipart = [uncompressed]
    else:
        as_stored = FrameOffer(OCTETS, multipart=True, transfer_syntax=syntax, by_default=False)
        multipart = [as_stored, uncompressed]
        known = compression(syntax)
        if known is not None:
            own = replace(
                as_stored, media_type=known.media_type, aliases=known.aliases, by_default=True
            )
            multipart.insert(0, own)
    if is_lossless(syntax):
        multipart += _htj2k_offers(syntax)
    if not single:
        return multipart
    return multipart + [replace(offer, multipart=False) for offer in multipart]


def _htj2k_offers(syntax: str) -> list[FrameOffer]:
    """Lossless HTJ2K, by its media type or as octets of a syntax that is named."""
    found = []
    for target_syntax in HTJ2K_LOSSLESS:
        if target_syntax == syntax:
            continue
        offer = FrameOffer(
            HTJ2K.media_type,
            multipart=True,
            transfer_syntax=target_syntax,
            aliases=HTJ2K.aliases,
            read=_as_htj2k,
        )
        # Who names no syntax gets the first.
        by_default = target_syntax == HTJ2K_LOSSLESS[0] and syntax not in HTJ2K_LOSSLESS
        found.append(replace(offer, by_default=by_default))
        found.append(replace(offer, media_type=OCTETS, by_default=False))
    return found
