"""WADO-RS: whole objects and their metadata (PS3.18 sections 10.4.1.1.1 and 10.4.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse
from zlib_ng import zlib_ng

from pacs.archive import Archive
from pacs.dicom.header import is_video
from pacs.dicom.transcoding import can_transcode
from pacs.documents import Document, document, etag_of
from pacs.retrieve import StoredInstance, metadata, read_object
from pacs.transcoded import TARGETS as TRANSCODED
from pacs.transcoded import read_transcoded
from viewer_api.access import Principal, Reader
from viewer_api.dicomweb.accept import Offer
from viewer_api.dicomweb.media import media, wants_media
from viewer_api.dicomweb.models import FORMS, XML, xml_response
from viewer_api.dicomweb.multipart import (
    PART_STOP,
    message_end,
    new_boundary,
    part_start,
    write_message,
)
from viewer_api.dicomweb.resources import (
    Target,
    negotiate,
    record_read,
    stored_instances,
    target,
    url_of,
)
from viewer_api.dicomweb.transfer_syntaxes import HTJ2K_LOSSLESS, is_lossless, is_native
from viewer_api.door import door_of
from viewer_api.responses import PRIVATE, known_etags, takes_gzip, text_response, unchanged

router = APIRouter(tags=["DICOMweb retrieve"])

DICOM = "application/dicom"
_LARGE = 1 << 20  # bytes, compressed: of some thousand slices
_GZIP = 31  # the window of zlib, with a header of gzip


@router.get("/studies/{study}", summary="Retrieve a study")
def study_objects(request: Request, study: str, principal: Reader) -> Response:
    """Every instance of the study: byte for byte as it was sent, or transcoded where asked.

    As `application/zip`: DICOM media with a DICOMDIR and a page that shows them without a server.
    """
    asked = target(request, principal, study)
    if wants_media(request):
        return media(request, principal, asked)
    return _objects(request, principal, asked)


@router.get("/studies/{study}/series/{series}", summary="Retrieve a series")
def series_objects(request: Request, study: str, series: str, principal: Reader) -> Response:
    """Every instance of the series: byte for byte as it was sent, or transcoded where asked."""
    return _objects(request, principal, target(request, principal, study, series))


@router.get("/studies/{study}/series/{series}/instances/{instance}", summary="Retrieve an instance")
def instance_object(
    request: Request, study: str, series: str, instance: str, principal: Reader
) -> Response:
    """The instance: byte for byte as it was sent, or transcoded where asked."""
    return _objects(request, principal, target(request, principal, study, series, instance))


@router.get("/studies/{study}/metadata", summary="Retrieve the metadata of a study")
def study_metadata(request: Request, study: str, principal: Reader) -> Response:
    """All attributes of every instance of the study, as DICOM JSON or XML."""
    return _metadata(request, principal, target(request, principal, study))


@router.get(
    "/studies/{study}/series/{series}/metadata", summary="Retrieve the metadata of a series"
)
def series_metadata(request: Request, study: str, series: str, principal: Reader) -> Response:
    """All attributes of every instance of the series, as DICOM JSON or XML."""
    return _metadata(request, principal, target(request, principal, study, series))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/metadata",
    summary="Retrieve the metadata of an instance",
)
def instance_metadata(
    request: Request, study: str, series: str, instance: str, principal: Reader
) -> Response:
    """All attributes of the instance, as DICOM JSON or XML."""
    return _metadata(request, principal, target(request, principal, study, series, instance))


def _metadata(request: Request, principal: Principal, asked: Target) -> Response:
    media_type = negotiate(request, FORMS).media_type
    archive = door_of(request).archive
    if asked.instance is None and media_type != XML.media_type:
        found = document(
            archive,
            study=asked.study,
            series=asked.series,
            known=[tag.strip('"') for tag in known_etags(request)],
            scope=principal.scope,
        )
        if found is not None:
            record_read(request, principal, "study.metadata", asked.study)
            return _ready(request, found, media_type)
    rows = metadata(
        archive,
        study=asked.study,
        series=asked.series,
        instance=asked.instance,
        scope=principal.scope,
    )
    record_read(request, principal, "study.metadata", asked.study)
    if media_type == XML.media_type:
        return xml_response(map(orjson.loads, rows), {})
    body = f"[{','.join(rows)}]".encode()
    etag = f'"{etag_of(body)}"'
    return unchanged(request, etag) or text_response(
        request, body, media_type, headers={"ETag": etag}
    )


def _ready(request: Request, found: Document, media_type: str) -> Response:
    """A document as it lies in the index, or what it says where the caller takes no gzip."""
    headers = {**PRIVATE, "ETag": f'"{found.etag}"', "Vary": "Accept, Accept-Encoding"}
    if found.gzip is None:
        return Response(None, 304, headers)
    if takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return Response(found.gzip, headers=headers, media_type=media_type)
    body = zlib_ng.decompress(found.gzip, wbits=_GZIP)
    return Response(body, headers=headers, media_type=media_type)


def _objects(request: Request, principal: Principal, asked: Target) -> Response:
    archive = door_of(request).archive
    found = stored_instances(request, principal, asked)
    one = asked.instance is not None
    # Objects that are stored in several ways may be sent in several, as the client takes them.
    kinds = {_kind(stored): stored for stored in found}
    forms = {kind: negotiate(request, _offers(stored, one=one)) for kind, stored in kinds.items()}
    record_read(request, principal, "study.retrieved", asked.study)
    targets = [_syntax(stored, forms[_kind(stored)]) for stored in found]
    if not forms[_kind(found[0])].multipart:
        return single_object(archive, found[0], targets[0])
    return _multipart(request, archive, found, targets)


def _kind(stored: StoredInstance) -> tuple[str, bool]:
    """What decides in which forms an object can be had."""
    return stored.transfer_syntax_uid, stored.number_of_frames > 0


def _syntax(stored: StoredInstance, form: Offer) -> str:
    """That of the form; what has no pixels to compress stays uncompressed."""
    wanted = str(form.transfer_syntax)
    if stored.number_of_frames or wanted not in HTJ2K_LOSSLESS:
        return wanted
    return stored.transfer_syntax_uid if is_native(stored.transfer_syntax_uid) else TRANSCODED[0]


def _offers(stored: StoredInstance, *, one: bool) -> list[Offer]:
    """As stored, and what it can be transcoded to for who names that."""
    syntax = stored.transfer_syntax_uid
    multipart = [Offer(DICOM, multipart=True, transfer_syntax=syntax)]
    multipart += [
        Offer(DICOM, multipart=True, transfer_syntax=target_syntax, by_default=False)
        for target_syntax in TRANSCODED
        if target_syntax != syntax and can_become(stored, target_syntax)
    ]
    return [*multipart, *(replace(offer, multipart=False) for offer in multipart)][
        : None if one else len(multipart)
    ]


def can_become(stored: StoredInstance, target_syntax: str) -> bool:
    """Whether the object can be transcoded to that one of TRANSCODED."""
    if target_syntax in HTJ2K_LOSSLESS:
        return stored.number_of_frames == 0 or is_lossless(stored.transfer_syntax_uid)
    return can_transcode(stored.transfer_syntax_uid) and not is_video(stored.transfer_syntax_uid)


def _pieces(archive: Archive, stored: StoredInstance, target_syntax: str) -> Iterator[bytes]:
    if target_syntax == stored.transfer_syntax_uid:
        return read_object(archive, stored)
    return read_transcoded(archive, stored, target_syntax)


def single_object(archive: Archive, stored: StoredInstance, target_syntax: str) -> Response:
    """The object without an envelope, as stored or transcoded to one of TRANSCODED."""
    if target_syntax != stored.transfer_syntax_uid:
        return StreamingResponse(
            _begun(read_transcoded(archive, stored, target_syntax)),
            headers=PRIVATE,
            media_type=f"{DICOM}; transfer-syntax={target_syntax}",
        )
    return StreamingResponse(
        _begun(read_object(archive, stored)),
        headers={**PRIVATE, "Content-Length": str(stored.size)},
        media_type=f"{DICOM}; transfer-syntax={stored.transfer_syntax_uid}",
    )


def _multipart(
    request: Request, archive: Archive, found: list[StoredInstance], targets: list[str]
) -> Response:
    boundary = new_boundary()
    headers = [
        _part_headers(request, stored, syntax)
        for stored, syntax in zip(found, targets, strict=True)
    ]
    parts = (
        (head, _pieces(archive, stored, syntax))
        for head, stored, syntax in zip(headers, found, targets, strict=True)
    )
    sent = dict(PRIVATE)
    if targets == [stored.transfer_syntax_uid for stored in found]:
        # The length is known, so that a transfer that breaks off is seen to have broken off.
        length = (
            sum(len(part_start(boundary, head)) for head in headers)
            + sum(stored.size + len(PART_STOP) for stored in found)
            + len(message_end(boundary))
        )
        sent["Content-Length"] = str(length)
    return StreamingResponse(
        _begun(write_message(boundary, parts)),
        headers=sent,
        media_type=f'multipart/related; type="{DICOM}"; boundary={boundary}',
    )


def _part_headers(request: Request, stored: StoredInstance, syntax: str) -> Mapping[str, str]:
    where = Target(stored.study_instance_uid, stored.series_instance_uid, stored.sop_instance_uid)
    headers = {
        "Content-Type": f"{DICOM}; transfer-syntax={syntax}",
        "Content-Location": url_of(request, where),
    }
    if syntax == stored.transfer_syntax_uid:
        headers["Content-Length"] = str(stored.size)
    return headers


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, with the first ones read: what fails at once fails with a right status."""
    return chain(list(islice(pieces, 2)), pieces)
