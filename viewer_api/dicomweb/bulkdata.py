"""WADO-RS bulk data: the values that metadata name by a URI (PS3.18 sections 10.4.1.1.5, 8.7.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from pacs.archive import Archive
from pacs.bulk import (
    ENCAPSULATED_DOCUMENT,
    BulkValue,
    bulk_paths,
    bulk_value,
    mime_type,
    parse_path,
)
from pacs.dicom.header import is_video
from pacs.dicom.layout import PIXEL_DATA_TAGS
from pacs.retrieve import StoredInstance, pixels
from pacs.retrieve import frames as stored_frames
from pacs.video import video_of
from viewer_api.access import Principal, Reader
from viewer_api.dicomweb.accept import Offer, choose
from viewer_api.dicomweb.frames import retrieve_frames
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
    Target,
    accepted,
    negotiate,
    record_read,
    stored_instance,
    stored_instances,
    target,
    url_of,
)
from viewer_api.dicomweb.transfer_syntaxes import OCTETS, compression
from viewer_api.door import door_of
from viewer_api.problems import bad_request
from viewer_api.responses import PRIVATE, etag_of

router = APIRouter(tags=["DICOMweb retrieve"])

_PIXEL_DATA = "7FE00010"
# What browsers may be told that a document is; anything else is bytes.
_DOCUMENTS = frozenset(
    ("application/pdf", "text/xml", "application/xml", "model/stl", "model/obj", "model/mtl")
)
_OFFERS = [Offer(OCTETS, multipart=True), Offer(OCTETS)]

Part = tuple[Mapping[str, str], Iterator[bytes]]


@router.get("/studies/{study}/bulkdata", summary="Retrieve the bulk data of a study")
def study_bulkdata(request: Request, study: str, principal: Reader) -> Response:
    """Every value that the metadata of the study name by a URI, a part each."""
    return _all(request, principal, target(request, principal, study))


@router.get(
    "/studies/{study}/series/{series}/bulkdata", summary="Retrieve the bulk data of a series"
)
def series_bulkdata(request: Request, study: str, series: str, principal: Reader) -> Response:
    """Every value that the metadata of the series name by a URI, a part each."""
    return _all(request, principal, target(request, principal, study, series))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/bulkdata",
    summary="Retrieve the bulk data of an instance",
)
def instance_bulkdata(
    request: Request, study: str, series: str, instance: str, principal: Reader
) -> Response:
    """Every value that the metadata of the instance name by a URI, a part each."""
    return _all(request, principal, target(request, principal, study, series, instance))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/pixeldata",
    summary="Retrieve the pixel data of an instance",
)
def pixel_data(
    *, request: Request, study: str, series: str, instance: str, principal: Reader
) -> Response:
    """The pixel data of the instance: as one value, compressed frame by frame, or a video."""
    return one_value(
        request=request,
        study=study,
        series=series,
        instance=instance,
        path=_PIXEL_DATA,
        principal=principal,
    )


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path:path}",
    summary="Retrieve one value of an instance",
)
def one_value(
    *, request: Request, study: str, series: str, instance: str, path: str, principal: Reader
) -> Response:
    """One value: `7FE00010`, or `54000100/1/54001010` for an attribute of a sequence's first item.

    A single part can be had by ranges of bytes. Compressed pixel data come frame by frame.
    """
    asked = target(request, principal, study, series, instance)
    tags = parse_path(path)
    if tags is None:
        raise bad_request("invalid_path", f"{path[:80]!r} is no path to a value.")
    door = door_of(request)
    stored = stored_instance(request, principal, asked)
    found = bulk_value(door.archive, stored, tags)
    if found.value.encapsulated:
        numbers = [1] if is_video(stored.transfer_syntax_uid) else _numbers(stored)
        return retrieve_frames(
            request=request,
            study=study,
            series=series,
            instance=instance,
            frames=",".join(map(str, numbers)),
            principal=principal,
        )
    form = negotiate(request, _offers(door.archive, found))
    record_read(request, principal, "study.viewed", study)
    etag = etag_of(stored.object_key, path.upper(), form.media_type)
    known = not_modified(request, etag)
    if known is not None:
        return known
    location = f"{url_of(request, asked)}/bulkdata/{path.upper()}"
    return _value_response(request, found, form, etag, location)


def _value_response(
    request: Request, found: BulkValue, form: Offer, etag: str, location: str
) -> Response:
    """The value, or the range of it that is asked for, in an envelope or bare."""
    part = asked_part(request, found.size, etag)
    first, last = (part.start, part.end) if part else (0, found.size)
    pieces = found.read(door_of(request).archive, first, last)
    begun = chain(list(islice(pieces, 1)), pieces)
    headers = {**IMMUTABLE, "ETag": etag, "Accept-Ranges": "bytes"}
    described = dict(part.headers) if part else {}
    status = 206 if part else 200
    if not form.multipart:
        headers |= described | {"Content-Length": str(last - first)}
        return StreamingResponse(begun, status, headers, media_type=form.media_type)
    boundary = new_boundary()
    start = part_start(
        boundary, {"Content-Type": form.media_type, "Content-Location": location} | described
    )
    end = PART_STOP + message_end(boundary)
    headers["Content-Length"] = str(len(start) + last - first + len(end))
    return StreamingResponse(
        chain([start], begun, [end]),
        status,
        headers,
        media_type=f'multipart/related; type="{form.media_type}"; boundary={boundary}',
    )


def _offers(archive: Archive, found: BulkValue) -> list[Offer]:
    """As octets; a document as what it is, which comes first."""
    if found.path != (ENCAPSULATED_DOCUMENT,):
        return _OFFERS
    named = mime_type(archive, found.stored)
    if named not in _DOCUMENTS:
        return _OFFERS
    return [Offer(named), Offer(named, multipart=True), *_OFFERS]


def _all(request: Request, principal: Principal, asked: Target) -> Response:
    door = door_of(request)
    found = stored_instances(request, principal, asked)
    forms = [Offer(OCTETS, multipart=True, aliases=_compressions(found))]
    negotiate(request, forms)
    record_read(request, principal, "study.retrieved", asked.study)
    boundary = new_boundary()
    parts = (part for stored in found for part in _parts(request, door.archive, stored))
    pieces = write_message(boundary, parts)
    return StreamingResponse(
        chain(list(islice(pieces, 2)), pieces),
        headers=PRIVATE,
        media_type=f'multipart/related; type="{OCTETS}"; boundary={boundary}',
    )


def _compressions(found: list[StoredInstance]) -> tuple[str, ...]:
    """The media types of those parts that are compressed, with which one may ask for all."""
    known = (compression(stored.transfer_syntax_uid) for stored in found)
    return tuple({of.media_type for of in known if of is not None})


def _parts(request: Request, archive: Archive, stored: StoredInstance) -> Iterator[Part]:
    where = Target(stored.study_instance_uid, stored.series_instance_uid, stored.sop_instance_uid)
    location = url_of(request, where)
    for text in bulk_paths(archive, stored):
        path = parse_path(text)
        assert path is not None  # noqa: S101 - it was made for that
        found = bulk_value(archive, stored, path)
        if path[0] in PIXEL_DATA_TAGS and found.value.encapsulated:
            yield from _frames(request, archive, stored, location)
            continue
        headers = {"Content-Type": OCTETS, "Content-Location": f"{location}/bulkdata/{text}"}
        yield headers, found.read(archive)


def _frames(
    request: Request, archive: Archive, stored: StoredInstance, location: str
) -> Iterator[Part]:
    """Compressed pixel data as they are stored, where that is accepted; else decoded."""
    known = compression(stored.transfer_syntax_uid)
    syntax = f"; transfer-syntax={stored.transfer_syntax_uid}"
    if is_video(stored.transfer_syntax_uid):
        video = video_of(archive, stored)
        kind = known.media_type if known else OCTETS
        headers = {"Content-Type": kind + syntax, "Content-Location": f"{location}/frames/1"}
        yield headers, iter(video.read(archive, 0, video.size))
        return
    as_stored = known is not None and _takes(request, known.media_type)
    for number in _numbers(stored):
        headers = {"Content-Location": f"{location}/frames/{number}"}
        if as_stored and known is not None:
            headers["Content-Type"] = known.media_type + syntax
            body = bytes(next(stored_frames(archive, stored, [number])))
        else:
            headers["Content-Type"] = OCTETS
            array = pixels(archive, stored, number)
            body = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        yield headers, iter([body])


def _takes(request: Request, media_type: str) -> bool:
    return choose([Offer(media_type, multipart=True)], accepted(request)) is not None


def _numbers(stored: StoredInstance) -> range:
    return range(1, stored.number_of_frames + 1)
