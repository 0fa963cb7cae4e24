"""WADO-RS rendered and thumbnail: pictures that any browser shows (PS3.18 10.4.1.1.3, .4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from pacs.archive import Archive
from pacs.dicom.header import is_video
from pacs.dicom.rendering import MediaType
from pacs.pictures import Look, rendered
from pacs.retrieve import NotFound, StoredInstance, check_frame, middle_image
from viewer_api.access import Principal, Reader
from viewer_api.dicomweb.accept import Offer, choose
from viewer_api.dicomweb.immutable import IMMUTABLE, not_modified
from viewer_api.dicomweb.looks import (
    besides,
    quality_of,
    thumbnail_view,
    viewport_of,
    window_of,
)
from viewer_api.dicomweb.multipart import new_boundary, write_message
from viewer_api.dicomweb.resources import (
    Target,
    accepted,
    frame_numbers,
    negotiate,
    record_read,
    stored_instances,
    target,
    url_of,
)
from viewer_api.dicomweb.videos import video_response
from viewer_api.door import door_of
from viewer_api.problems import Problem
from viewer_api.responses import PRIVATE, PiecesResponse, etag_of, unchanged

router = APIRouter(tags=["DICOMweb rendered"])

_MEDIA_TYPES: tuple[MediaType, ...] = ("image/jpeg", "image/png", "image/webp")
_THUMBNAIL = (256, 256)
_INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"


@dataclass(frozen=True, slots=True)
class PictureOffer(Offer):
    """A kind of picture, or of envelope full of them."""

    kind: MediaType = "image/jpeg"


_SINGLE = [PictureOffer(kind, kind=kind) for kind in _MEDIA_TYPES]
_SEVERAL = [replace(offer, multipart=True) for offer in _SINGLE]

Shown = tuple[StoredInstance, int]
"""An image and the number of its frame."""


@router.get("/studies/{study}/rendered", summary="Render a study")
def rendered_study(request: Request, study: str, principal: Reader) -> Response:
    """Every frame of every image of the study as JPEG, PNG or WebP, in one multipart answer."""
    return _all_pictures(request, principal, target(request, principal, study))


@router.get("/studies/{study}/series/{series}/rendered", summary="Render a series")
def rendered_series(request: Request, study: str, series: str, principal: Reader) -> Response:
    """Every frame of every image of the series as JPEG, PNG or WebP, in one multipart answer."""
    return _all_pictures(request, principal, target(request, principal, study, series))


@router.get(f"{_INSTANCE}/rendered", summary="Render an instance")
def rendered_instance(
    request: Request, study: str, series: str, instance: str, principal: Reader
) -> Response:
    """The instance as JPEG, PNG or WebP; `window`, `viewport` and `quality` say how.

    Of several frames the first, unless multipart is accepted; a video is what it is.
    """
    asked = target(request, principal, study, series, instance)
    stored = stored_instances(request, principal, asked)[0]
    if is_video(stored.transfer_syntax_uid):
        return video_response(request, principal, asked, stored)
    count = stored.number_of_frames
    if count == 0:
        raise _nothing_to_show()
    form = negotiate(request, [*_SINGLE, *_SEVERAL])
    numbers = range(1, count + 1) if form.multipart else [1]
    return _pictures(request, principal, asked, [(stored, number) for number in numbers], form)


@router.get(f"{_INSTANCE}/frames/{{frames}}/rendered", summary="Render frames")
def rendered_frames(
    *,
    request: Request,
    study: str,
    series: str,
    instance: str,
    frames: str,
    principal: Reader,
) -> Response:
    """Frames as JPEG, PNG or WebP; `window`, `viewport` and `quality` say how."""
    asked = target(request, principal, study, series, instance)
    numbers = frame_numbers(frames)
    stored = stored_instances(request, principal, asked)[0]
    if is_video(stored.transfer_syntax_uid):
        raise Problem(406, "not_acceptable", "The frames of a video come together, as a video.")
    for number in numbers:
        check_frame(stored, number)
    form = negotiate(request, [*_SINGLE, *_SEVERAL] if len(numbers) == 1 else _SEVERAL)
    return _pictures(request, principal, asked, [(stored, number) for number in numbers], form)


@router.get("/studies/{study}/thumbnail", summary="Thumbnail of a study")
def study_thumbnail(request: Request, study: str, principal: Reader) -> Response:
    """A small picture of an image from the middle of the study."""
    return _thumbnail(request, principal, target(request, principal, study))


@router.get("/studies/{study}/series/{series}/thumbnail", summary="Thumbnail of a series")
def series_thumbnail(request: Request, study: str, series: str, principal: Reader) -> Response:
    """A small picture of an image from the middle of the series."""
    return _thumbnail(request, principal, target(request, principal, study, series))


@router.get(f"{_INSTANCE}/thumbnail", summary="Thumbnail of an instance")
def instance_thumbnail(
    request: Request, study: str, series: str, instance: str, principal: Reader
) -> Response:
    """A small picture of the instance's first frame."""
    return _thumbnail(request, principal, target(request, principal, study, series, instance))


@router.get(f"{_INSTANCE}/frames/{{frames}}/thumbnail", summary="Thumbnail of a frame")
def frame_thumbnail(
    *,
    request: Request,
    study: str,
    series: str,
    instance: str,
    frames: str,
    principal: Reader,
) -> Response:
    """A small picture of a frame, the first of those named."""
    asked = target(request, principal, study, series, instance)
    return _thumbnail(request, principal, asked, frame_numbers(frames)[0])


def _thumbnail(request: Request, principal: Principal, asked: Target, number: int = 1) -> Response:
    view = thumbnail_view(request.query_params, _THUMBNAIL)
    # OHIF asks for multipart octets here and takes a JPEG; so nothing is refused.
    form = choose(_SINGLE, accepted(request)) or _SINGLE[0]
    stored = _representative(request, principal, asked)
    check_frame(stored, number)
    record_read(request, principal, "study.thumbnail", asked.study)
    return _one(request, asked, (stored, number), Look(form.kind, view, quality=80))


def _all_pictures(request: Request, principal: Principal, asked: Target) -> Response:
    shown = [
        (stored, number)
        for stored in stored_instances(request, principal, asked)
        if not is_video(stored.transfer_syntax_uid)
        for number in range(1, stored.number_of_frames + 1)
    ]
    if not shown:
        raise _nothing_to_show()
    form = negotiate(request, [*_SEVERAL, *_SINGLE] if len(shown) == 1 else _SEVERAL)
    return _pictures(request, principal, asked, shown, form)


def _pictures(
    request: Request,
    principal: Principal,
    asked: Target,
    shown: Sequence[Shown],
    form: PictureOffer,
) -> Response:
    parameters = request.query_params
    window, quality = window_of(parameters), quality_of(parameters)
    looks = [
        Look(form.kind, viewport_of(parameters, stored), window, quality) for stored, _ in shown
    ]
    record_read(request, principal, "study.viewed", asked.study)
    archive = door_of(request).archive
    if not form.multipart:
        return _one(request, asked, shown[0], looks[0], besides(parameters))
    boundary = new_boundary()
    return StreamingResponse(
        _begun(write_message(boundary, _parts(request, archive, shown, looks))),
        headers={**PRIVATE, **besides(parameters), "Vary": "Accept"},
        media_type=f'multipart/related; type="{form.kind}"; boundary={boundary}',
    )


def _parts(
    request: Request, archive: Archive, shown: Sequence[Shown], looks: Sequence[Look]
) -> Iterator[tuple[dict[str, str], list[bytes]]]:
    for (stored, number), look in zip(shown, looks, strict=True):
        uids = stored.study_instance_uid, stored.series_instance_uid, stored.sop_instance_uid
        location = f"{url_of(request, Target(*uids))}/frames/{number}/rendered"
        picture = rendered(archive, stored, number, look)
        yield {"Content-Type": look.media_type, "Content-Location": location}, [picture]


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """With the first picture made: what fails at once fails with a right status."""
    return chain(list(islice(pieces, 1)), pieces)


def _one(
    request: Request,
    asked: Target,
    shown: Shown,
    look: Look,
    more: dict[str, str] | None = None,
) -> Response:
    stored, number = shown
    etag = etag_of(stored.object_key, str(number), repr(look))
    # Which image stands for a study or series changes while it arrives; an image does not.
    lasting = asked.instance is not None
    known = not_modified(request, etag) if lasting else unchanged(request, etag)
    if known is not None:
        return known
    picture = rendered(door_of(request).archive, stored, number, look)
    keeping = IMMUTABLE if lasting else {**PRIVATE, "Vary": "Accept"}
    return PiecesResponse([picture], {**keeping, "ETag": etag, **(more or {})}, look.media_type)


def _nothing_to_show() -> Problem:
    return Problem(406, "not_renderable", "There are no pixels here of which a picture is made.")


def _representative(request: Request, principal: Principal, asked: Target) -> StoredInstance:
    """The image that stands for what the URL names. Raises NotFound where there is none."""
    if asked.instance is None:
        with door_of(request).reading() as connection:
            return middle_image(
                connection, study=asked.study, series=asked.series, scope=principal.scope
            )
    (stored,) = stored_instances(request, principal, asked)
    if stored.number_of_frames == 0 or is_video(stored.transfer_syntax_uid):
        raise NotFound(stored.sop_instance_uid, "image")
    return stored
