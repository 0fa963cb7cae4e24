"""WADO-RS frames: as they are stored, or decoded where the client asks (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from pacs.archive import Archive
from pacs.retrieve import NotFound, StoredInstance, frame, instances, pixels
from viewer_api.access import Reader
from viewer_api.dicomweb.accept import Offer
from viewer_api.dicomweb.multipart import (
    PART_STOP,
    message_end,
    new_boundary,
    part_start,
    write_message,
)
from viewer_api.dicomweb.resources import (
    frame_numbers,
    negotiate,
    record_read,
    target,
    url_of,
)
from viewer_api.dicomweb.transfer_syntaxes import (
    EXPLICIT_LITTLE_ENDIAN,
    OCTETS,
    compression,
    is_native,
    must_be_decoded,
)
from viewer_api.door import door_of
from viewer_api.responses import PRIVATE, PiecesResponse, etag_of, unchanged

router = APIRouter(tags=["DICOMweb retrieve"])

ReadFrame = Callable[[Archive, StoredInstance, int], bytes]


def _decoded(archive: Archive, stored: StoredInstance, number: int) -> bytes:
    """The pixels of a frame as Explicit VR Little Endian has them."""
    array = pixels(archive, stored, number)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


@dataclass(frozen=True, slots=True)
class FrameOffer(Offer):
    """A form of a frame, and how its bytes are had."""

    read: ReadFrame = frame


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
    """Frames by number, such as `1,2,7`: as stored, or uncompressed, as the client accepts."""
    asked = target(request, principal, study, series, instance)
    numbers = frame_numbers(frames)
    door = door_of(request)
    archive = door.archive
    with door.reading() as connection:
        stored = instances(
            connection,
            study=study,
            series=series,
            instance=instance,
            scope=principal.scope,
        )[0]
    form = negotiate(request, _offers(stored.transfer_syntax_uid, single=len(numbers) == 1))
    record_read(request, principal, "study.viewed", study)
    etag = etag_of(stored.object_key, frames, form.media_type, str(form.transfer_syntax))
    not_modified = unchanged(request, etag)
    if not_modified is not None:
        return not_modified
    headers = {**PRIVATE, "ETag": etag, "Vary": "Accept"}
    media_type = f"{form.media_type}; transfer-syntax={form.transfer_syntax}"
    first = form.read(archive, stored, numbers[0])
    if not form.multipart:
        return PiecesResponse([first], headers, media_type)
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
        yield part_headers(numbers[0]), [first]
        for number in numbers[1:]:
            yield part_headers(number), [form.read(archive, stored, number)]

    _check_numbers(stored, numbers)
    return StreamingResponse(
        write_message(boundary, parts()), headers=headers, media_type=whole_type
    )


def _offers(syntax: str, *, single: bool) -> list[FrameOffer]:
    """The forms in which a stored frame can be given, the best first."""
    uncompressed = FrameOffer(
        OCTETS, multipart=True, transfer_syntax=EXPLICIT_LITTLE_ENDIAN, read=_decoded
    )
    if is_native(syntax):
        multipart = [replace(uncompressed, read=frame)]
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
    if not single:
        return multipart
    return multipart + [replace(offer, multipart=False) for offer in multipart]


def _check_numbers(stored: StoredInstance, numbers: list[int]) -> None:
    """Refuse the whole list before any of it is on its way. Raises NotFound."""
    for number in numbers:
        if number > stored.number_of_frames:
            raise NotFound(f"{number} of {stored.sop_instance_uid}", "frame")
