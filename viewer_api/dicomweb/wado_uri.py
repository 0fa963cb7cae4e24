"""WADO-URI: one object by the parameters of a query (PS3.18 section 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from pacs.dicom.header import is_video
from pacs.dicom.rendering import MediaType
from pacs.dicom.scaling import View
from pacs.pictures import Look, rendered
from pacs.retrieve import StoredInstance, check_frame
from pacs.transcoded import TARGETS
from viewer_api.access import Principal, Reader
from viewer_api.dicomweb.accept import Offer, choose
from viewer_api.dicomweb.immutable import IMMUTABLE, not_modified
from viewer_api.dicomweb.looks import (
    besides,
    checked_window,
    quality_of,
    region_of,
    size_within,
)
from viewer_api.dicomweb.objects import DICOM, can_become, single_object
from viewer_api.dicomweb.resources import (
    Target,
    frame_numbers,
    record_read,
    stored_instance,
    target,
)
from viewer_api.dicomweb.transfer_syntaxes import EXPLICIT_LITTLE_ENDIAN
from viewer_api.dicomweb.videos import video_offers, video_response
from viewer_api.door import door_of
from viewer_api.problems import Problem, bad_request
from viewer_api.responses import PiecesResponse, etag_of

router = APIRouter(tags=["WADO-URI"])

_UIDS = ("studyUID", "seriesUID", "objectUID")
_NOT_DONE = {
    "presentationUID": "Presentation states are not applied here.",
    "presentationSeriesUID": "Presentation states are not applied here.",
}


@dataclass(frozen=True, slots=True)
class _Form(Offer):
    """What an object can become; `kind` where it is a picture."""

    kind: MediaType | None = None


_AS_OBJECT = _Form(DICOM)
_AS_PICTURE = [
    _Form("image/jpeg", kind="image/jpeg"),
    _Form("image/png", kind="image/png"),
    _Form("image/webp", kind="image/webp"),
]


@router.get("/wado", summary="Retrieve an object by URI")
def wado(request: Request, principal: Reader) -> Response:
    """An object as DICOM or as a picture: `requestType=WADO&studyUID=…&seriesUID=…&objectUID=…`.

    Images come as JPEG, several frames and what is no image as DICOM, unless `contentType` says
    otherwise. `rows`, `columns`, `region`, `windowCenter`, `windowWidth`, `frameNumber` and
    `imageQuality` say how pictures look. Nothing is anonymized here, and so who asks for that gets
    nothing.
    """
    parameters = request.query_params
    asked = _asked(request, principal, parameters)
    stored = stored_instance(request, principal, asked)
    accept = parameters.get("contentType") or request.headers.get("accept")
    if is_video(stored.transfer_syntax_uid) and choose(
        video_offers(stored.transfer_syntax_uid), accept
    ):
        return video_response(request, principal, asked, stored)
    form = choose(_forms(stored, parameters), accept)
    if form is None:
        raise Problem(406, "not_acceptable", "This object cannot be had as that contentType.")
    if form.kind is None:
        return _object(request, principal, stored, parameters)
    return _picture(request, principal, stored, form.kind)


def _asked(request: Request, principal: Principal, parameters: Mapping[str, str]) -> Target:
    if parameters.get("requestType") != "WADO":
        raise bad_request("invalid_request_type", "requestType must be WADO.")
    missing = [name for name in _UIDS if not parameters.get(name)]
    if missing:
        raise bad_request("missing_parameter", f"{', '.join(missing)}: missing.")
    if parameters.get("anonymize", "no").strip().lower() != "no":
        raise Problem(406, "not_acceptable", "Objects are not anonymized here.")
    for name, reason in _NOT_DONE.items():
        if parameters.get(name):
            raise Problem(406, "not_acceptable", reason)
    study, series, instance = (parameters[name] for name in _UIDS)
    return target(request, principal, study, series, instance)


def _forms(stored: StoredInstance, parameters: Mapping[str, str]) -> list[_Form]:
    """The best first: that which PS3.18 section 9.1.2.2.1 has as the default."""
    if stored.number_of_frames == 0 or is_video(stored.transfer_syntax_uid):
        return [_AS_OBJECT]
    if stored.number_of_frames > 1 and "frameNumber" not in parameters:
        return [_AS_OBJECT, *_AS_PICTURE]
    return [*_AS_PICTURE, _AS_OBJECT]


def _object(
    request: Request, principal: Principal, stored: StoredInstance, parameters: Mapping[str, str]
) -> Response:
    """In the syntax that is named, else in Explicit VR Little Endian where it can be had so."""
    wanted = parameters.get("transferSyntax") or EXPLICIT_LITTLE_ENDIAN
    own = stored.transfer_syntax_uid
    if wanted in ("*", own):
        wanted = own
    elif wanted not in TARGETS or not can_become(stored, wanted):
        if "transferSyntax" in parameters:
            raise Problem(406, "not_acceptable", "This object cannot be had in that syntax.")
        wanted = own
    record_read(request, principal, "study.retrieved", stored.study_instance_uid)
    return single_object(door_of(request).archive, stored, wanted)


def _picture(
    request: Request, principal: Principal, stored: StoredInstance, kind: MediaType
) -> Response:
    parameters = request.query_params
    (number, *more) = frame_numbers(parameters.get("frameNumber", "1"))
    if more:
        raise bad_request("invalid_frame", "frameNumber is one number.")
    check_frame(stored, number)
    region = parameters.get("region")
    centre, width = parameters.get("windowCenter"), parameters.get("windowWidth")
    if (centre is None) != (width is None):
        raise bad_request("invalid_window", "windowCenter and windowWidth go together.")
    look = Look(
        kind,
        View(
            size_within(parameters.get("columns"), parameters.get("rows")),
            region_of(region, stored) if region is not None else None,
            enlarge=True,
        ),
        checked_window(centre, width, "linear") if centre and width else None,
        quality_of(parameters, "imageQuality"),
    )
    more_headers = besides(parameters)
    record_read(request, principal, "study.viewed", stored.study_instance_uid)
    etag = etag_of(stored.object_key, str(number), repr(look))
    known = not_modified(request, etag)
    if known is not None:
        return known
    picture = rendered(door_of(request).archive, stored, number, look)
    return PiecesResponse([picture], {**IMMUTABLE, "ETag": etag, **more_headers}, kind)
