"""WADO-RS rendered and thumbnail: pictures that any browser shows (PS3.18 10.4.1.1.3, .4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from pacs.retrieve import NotFound, StoredInstance, instances, rendered
from viewer_api.access import Principal, Reader
from viewer_api.dicomweb.accept import Offer
from viewer_api.dicomweb.resources import (
    Target,
    accepted,
    frame_numbers,
    negotiate,
    record_read,
    target,
)
from viewer_api.door import door_of
from viewer_api.problems import Problem, bad_request
from viewer_api.responses import PRIVATE, PiecesResponse, etag_of, unchanged

router = APIRouter(tags=["DICOMweb rendered"])

MediaType = Literal["image/jpeg", "image/png"]
_JPEG, _PNG = Offer("image/jpeg"), Offer("image/png")
_LARGEST_SIDE = 8192
_THUMBNAIL = (256, 256)
_INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"


@dataclass(frozen=True, slots=True)
class Look:
    """How a frame is to be shown."""

    media_type: MediaType = "image/jpeg"
    size: tuple[int, int] | None = None
    window: tuple[float, float] | None = None
    quality: int = 90


@router.get(f"{_INSTANCE}/rendered", summary="Render an instance")
def rendered_instance(
    request: Request, study: str, series: str, instance: str, principal: Reader
) -> Response:
    """The first frame, windowed, as JPEG or PNG; `window`, `viewport` and `quality` say how."""
    asked = target(request, principal, study, series, instance)
    return _picture(request, principal, asked, 1, _look(request))


@router.get(f"{_INSTANCE}/frames/{{frames}}/rendered", summary="Render a frame")
def rendered_frame(
    *,
    request: Request,
    study: str,
    series: str,
    instance: str,
    frames: str,
    principal: Reader,
) -> Response:
    """One frame, windowed, as JPEG or PNG; `window`, `viewport` and `quality` say how."""
    asked = target(request, principal, study, series, instance)
    return _picture(request, principal, asked, _one_frame(frames), _look(request))


@router.get("/studies/{study}/thumbnail", summary="Thumbnail of a study")
def study_thumbnail(request: Request, study: str, principal: Reader) -> Response:
    """A small JPEG of an image from the middle of the study."""
    return _thumbnail(request, principal, target(request, principal, study))


@router.get("/studies/{study}/series/{series}/thumbnail", summary="Thumbnail of a series")
def series_thumbnail(request: Request, study: str, series: str, principal: Reader) -> Response:
    """A small JPEG of an image from the middle of the series."""
    return _thumbnail(request, principal, target(request, principal, study, series))


@router.get(f"{_INSTANCE}/thumbnail", summary="Thumbnail of an instance")
def instance_thumbnail(
    request: Request, study: str, series: str, instance: str, principal: Reader
) -> Response:
    """A small JPEG of the instance's first frame."""
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
    """A small JPEG of one frame."""
    asked = target(request, principal, study, series, instance)
    return _thumbnail(request, principal, asked, _one_frame(frames))


def _thumbnail(request: Request, principal: Principal, asked: Target, number: int = 1) -> Response:
    # OHIF asks for multipart octets here and takes a JPEG; so the Accept header decides nothing.
    viewport = request.query_params.get("viewport")
    size = _viewport(viewport) if viewport is not None else _THUMBNAIL
    return _picture(request, principal, asked, number, Look(size=size, quality=80), small=True)


def _picture(
    request: Request,
    principal: Principal,
    asked: Target,
    number: int,
    look: Look,
    *,
    small: bool = False,
) -> Response:
    door = door_of(request)
    archive = door.archive
    with door.reading() as connection:
        found = instances(
            connection,
            study=asked.study,
            series=asked.series,
            instance=asked.instance,
            scope=principal.scope,
        )
    stored = _representative(found)
    record_read(request, principal, "study.thumbnail" if small else "study.viewed", asked.study)
    etag = etag_of(stored.object_key, str(number), repr(look))
    not_modified = unchanged(request, etag)
    if not_modified is not None:
        return not_modified
    picture = rendered(
        archive,
        stored,
        number,
        size=look.size,
        window=look.window,
        media_type=look.media_type,
        quality=look.quality,
    )
    headers = {**PRIVATE, "ETag": etag, "Vary": "Accept"}
    return PiecesResponse([picture], headers, look.media_type)


def _representative(found: list[StoredInstance]) -> StoredInstance:
    """The image in the middle, where the anatomy is. Raises NotFound where there is no image."""
    images = [stored for stored in found if stored.number_of_frames > 0]
    if not images:
        raise NotFound(found[0].sop_instance_uid, "image")
    return images[len(images) // 2]


def _look(request: Request) -> Look:
    """How the query parameters want it (PS3.18 section 8.3.5). Raises 400 and 406 problems."""
    parameters = request.query_params
    offers = [_JPEG, _PNG]
    # Browsers' own Accept header names types we cannot make before those we can.
    chosen = _JPEG if accepted(request) in (None, "", "*/*") else negotiate(request, offers)
    viewport = parameters.get("viewport")
    window = parameters.get("window")
    return Look(
        "image/png" if chosen is _PNG else "image/jpeg",
        _viewport(viewport) if viewport is not None else None,
        _window(window) if window is not None else None,
        _quality(parameters.get("quality", "90")),
    )


def _viewport(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) == 6 and any(part.strip() for part in parts[2:]):
        raise Problem(501, "not_implemented", "A viewport is given as width,height only.")
    numbers = [_number("viewport", part) for part in parts[:2]]
    if len(numbers) != 2 or not all(1 <= side <= _LARGEST_SIDE for side in numbers):
        raise bad_request(
            "invalid_viewport", f"viewport is width,height, each from 1 to {_LARGEST_SIDE}."
        )
    return int(numbers[0]), int(numbers[1])


def _window(text: str) -> tuple[float, float]:
    """Centre and width; the function after them is LINEAR unless the image says otherwise."""
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise bad_request("invalid_window", "window is centre,width or centre,width,function.")
    if len(parts) == 3 and parts[2].strip().lower() not in ("linear", "linear-exact", "sigmoid"):
        raise bad_request("invalid_window", "The window's function is linear.")
    if len(parts) == 3 and parts[2].strip().lower() != "linear":
        raise Problem(501, "not_implemented", "Only the window function linear is made here.")
    centre, width = (_number("window", part) for part in parts[:2])
    if width < 1:
        raise bad_request("invalid_window", "The window's width must be at least 1.")
    return centre, width


def _quality(text: str) -> int:
    quality = _number("quality", text)
    if not 1 <= quality <= 100:
        raise bad_request("invalid_quality", "quality is a number from 1 to 100.")
    return int(quality)


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e9:
        raise bad_request(f"invalid_{name}", f"{text[:40]!r} in {name} is not a number.")
    return number


def _one_frame(text: str) -> int:
    numbers = frame_numbers(text)
    if len(numbers) != 1:
        raise Problem(501, "not_implemented", "Pictures are made of one frame at a time.")
    return numbers[0]
