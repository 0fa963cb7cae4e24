"""Data sets as they go out: in DICOM JSON (PS3.18 F) or in XML (PS3.19 A.1), as the client asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import orjson
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from pacs.dicom.native_xml import native_xml
from viewer_api.dicomweb.accept import Offer
from viewer_api.dicomweb.multipart import new_boundary, write_message
from viewer_api.responses import PRIVATE, text_response

JSON_OFFERS = [Offer("application/dicom+json"), Offer("application/json")]
XML = Offer("application/dicom+xml", multipart=True)
FORMS = [*JSON_OFFERS, XML]


def models_response(
    request: Request, form: Offer, models: list[dict[str, Any]], headers: Mapping[str, str]
) -> Response:
    """Data sets in one of `FORMS`."""
    if form.media_type == XML.media_type:
        return xml_response(models, headers)
    return text_response(request, orjson.dumps(models), form.media_type, headers=headers)


def texts_response(
    request: Request, form: Offer, texts: list[str], headers: Mapping[str, str]
) -> Response:
    """Data sets that are JSON texts already, in one of `FORMS`."""
    if form.media_type == XML.media_type:
        return xml_response(map(orjson.loads, texts), headers)
    body = f"[{','.join(texts)}]".encode()
    return text_response(request, body, form.media_type, headers=headers)


def xml_response(models: Iterable[dict[str, Any]], headers: Mapping[str, str]) -> Response:
    """A part for each data set, written one after another."""

    def parts() -> Iterator[tuple[Mapping[str, str], list[bytes]]]:
        for model in models:
            yield {"Content-Type": XML.media_type}, [native_xml(model)]

    boundary = new_boundary()
    pieces = write_message(boundary, parts())
    return StreamingResponse(
        chain(list(islice(pieces, 2)), pieces),
        headers={**PRIVATE, **headers, "Vary": "Accept"},
        media_type=f'multipart/related; type="{XML.media_type}"; boundary={boundary}',
    )
