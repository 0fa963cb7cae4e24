"""What this server's DICOMweb can do (PS3.18 sections 8.9 and H), told from the routes it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import quoteattr

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from viewer_api.access import Caller
from viewer_api.dicomweb.accept import Offer
from viewer_api.dicomweb.models import FORMS
from viewer_api.dicomweb.resources import negotiate
from viewer_api.door import base_url
from viewer_api.responses import etag_of, text_response, unchanged

router = APIRouter(tags=["DICOMweb capabilities"])

ROOT = "/dicomweb"
WADL = "application/vnd.sun.wadl+xml"
_FORMS = [Offer(WADL, aliases=("application/xml", "text/xml")), Offer("application/json")]

_MODELS = tuple(
    f'multipart/related; type="{form.media_type}"' if form.multipart else form.media_type
    for form in FORMS
)
# Those whose answers are data sets; of all others the media type hangs on what is stored.
_OF_MODELS = ("/studies", "/series", "/instances", "/metadata", "/workitems")
_SEARCHES = ("/studies", "/series", "/instances", "/workitems")
_SEARCH_PARAMETERS = ("limit", "offset", "fuzzymatching", "includefield", "{attribute}")


@dataclass(slots=True)
class _Resource:
    """A part of a path: what can be done there, and what lies below."""

    methods: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    below: dict[str, _Resource] = field(default_factory=dict)


@router.get(ROOT, summary="Retrieve the capabilities", include_in_schema=False)
@router.get(f"{ROOT}/", summary="Retrieve the capabilities", include_in_schema=False)
@router.options(ROOT, summary="Retrieve the capabilities", include_in_schema=False)
@router.options(f"{ROOT}/", summary="Retrieve the capabilities")
def capabilities(request: Request, _caller: Caller) -> Response:
    """Every resource with its methods, as WADL, or as the OpenAPI description of them in JSON."""
    form = negotiate(request, _FORMS)
    description = request.app.openapi()
    paths = {
        path.removeprefix(ROOT): operations
        for path, operations in description["paths"].items()
        if path.startswith(f"{ROOT}/") and path != f"{ROOT}/"
    }
    base = f"{base_url(request)}{ROOT}"
    if form.media_type == WADL:
        body = "".join(_wadl(description["info"], base, paths)).encode()
    else:
        body = orjson.dumps(description | {"paths": paths, "servers": [{"url": base}]})
    etag = etag_of(body)
    return unchanged(request, etag) or text_response(
        request, body, form.media_type, headers={"ETag": etag, "Allow": "GET, OPTIONS"}
    )


def _wadl(info: Mapping[str, str], base: str, paths: Mapping[str, Any]) -> Iterator[str]:
    root = _Resource()
    for path, operations in paths.items():
        resource = root
        for segment in path.strip("/").split("/"):
            resource = resource.below.setdefault(segment, _Resource())
        resource.methods = operations
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield '<application xmlns="http://wadl.dev.java.net/2009/02">'
    yield f"<doc title={quoteattr(info['title'] + ' ' + info['version'])}/>"
    yield f"<resources base={quoteattr(base)}>"
    for segment, resource in root.below.items():
        yield from _resource(segment, resource, "")
    yield "</resources></application>\n"


def _resource(segment: str, resource: _Resource, above: str) -> Iterator[str]:
    path = f"{above}/{segment}"
    yield f"<resource path={quoteattr(segment)}>"
    if segment.startswith("{"):
        yield f'<param name={quoteattr(segment.strip("{}"))} style="template"/>'
    for method, operation in resource.methods.items():
        yield from _method(method.upper(), operation, path)
    for name, inner in resource.below.items():
        yield from _resource(name, inner, path)
    yield "</resource>"


def _method(method: str, operation: Mapping[str, Any], path: str) -> Iterator[str]:
    summary = operation.get("summary", "")
    yield f"<method name={quoteattr(method)} id={quoteattr(operation['operationId'])}>"
    yield f"<doc title={quoteattr(summary)}/><request>"
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            yield f'<param name={quoteattr(parameter["name"])} style="query"/>'
    if method == "GET" and path.endswith(_SEARCHES):
        for name in _SEARCH_PARAMETERS:
            yield f'<param name={quoteattr(name)} style="query" repeating="true"/>'
    of_models = method == "GET" and path.endswith(_OF_MODELS)
    if of_models:
        yield '<param name="Accept" style="header">'
        yield from (f"<option value={quoteattr(kind)}/>" for kind in _MODELS)
        yield "</param>"
    yield '</request><response status="200">'
    if of_models:
        yield from (f"<representation mediaType={quoteattr(kind)}/>" for kind in _MODELS)
    yield "</response></method>"
