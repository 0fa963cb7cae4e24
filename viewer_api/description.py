"""The OpenAPI description: what each operation may be asked, and in which media types it answers.

FastAPI tells paths, bodies and the answers that are models. DICOMweb, FHIR and pictures negotiate
their media types and take parameters by names that PS3.18 lists, which is added here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

_MULTIPART = "multipart/related"
_MODELS = ("application/dicom+json", "application/json", _MULTIPART)
_PICTURES = ("image/jpeg", "image/png", "image/webp", "image/gif", _MULTIPART)
_OCTETS = (_MULTIPART, "application/octet-stream", "image/*", "video/*")

_Schema = Mapping[str, Any]
_TEXT: _Schema = {"type": "string"}
_WHOLE: _Schema = {"type": "integer", "minimum": 0}
_SEARCH: Mapping[str, _Schema] = {
    "limit": _WHOLE,
    "offset": _WHOLE,
    "fuzzymatching": {"type": "boolean"},
    "includefield": _TEXT,
    "PatientID": _TEXT,
    "PatientName": _TEXT,
    "StudyDate": _TEXT,
    "AccessionNumber": _TEXT,
    "ModalitiesInStudy": _TEXT,
    "Modality": _TEXT,
    "StudyInstanceUID": _TEXT,
    "00080020": _TEXT,
}
_LOOK: Mapping[str, _Schema] = {
    "window": _TEXT,
    "viewport": _TEXT,
    "quality": {"type": "integer", "minimum": 1, "maximum": 100},
    "accept": _TEXT,
}
_WADO: Mapping[str, _Schema] = {
    "requestType": {"type": "string", "enum": ["WADO"]},
    "studyUID": _TEXT,
    "seriesUID": _TEXT,
    "objectUID": _TEXT,
    "contentType": _TEXT,
    "transferSyntax": _TEXT,
    "frameNumber": _WHOLE,
    "rows": _WHOLE,
    "columns": _WHOLE,
    "windowCenter": _TEXT,
    "windowWidth": _TEXT,
    "region": _TEXT,
    "imageQuality": _WHOLE,
}


_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": _TEXT,
    },
}

_REFUSAL = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_OUTCOME = {
    "description": "An OperationOutcome",
    "content": {"application/fhir+json": {"schema": {"type": "object"}}},
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """What operations have in common whose path ends so; the first that fits decides."""

    path: str
    media_types: tuple[str, ...]
    parameters: Mapping[str, _Schema] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    """Further statuses of an answer that is none of a failure."""
    methods: tuple[str, ...] = ("get",)


_KINDS = (
    _Kind("/dicomweb/.*(studies|series|instances)", _MODELS, _SEARCH, ("206",)),
    _Kind("/dicomweb/workitems", _MODELS, _SEARCH, ("204", "206")),
    _Kind("/dicomweb/.*/metadata", _MODELS, more=("304",)),
    _Kind("/dicomweb/.*/(rendered|thumbnail)", _PICTURES, _LOOK, ("206", "304")),
    _Kind("/dicomweb/wado", ("application/dicom", *_PICTURES, "video/*"), _WADO, ("206", "304")),
    _Kind("/dicomweb/.*/(bulkdata.*|pixeldata|frames/{frames})", _OCTETS, more=("206", "304")),
    _Kind(
        "/dicomweb/studies.*",
        (_MULTIPART, "application/dicom", "application/zip"),
        more=("206", "304"),
    ),
    _Kind("/dicomweb/studies.*", _MODELS, more=("202", "409"), methods=("post",)),
    _Kind("/dicomweb/.*", _MODELS, methods=("get", "post", "put")),
    _Kind(
        "/dicomweb/?", ("application/vnd.sun.wadl+xml", "application/json"), methods=("options",)
    ),
    _Kind("/fhir/.*", ("application/fhir+json",)),
)
_COMPILED = tuple((re.compile(kind.path), kind) for kind in _KINDS)


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole description; made once for each application."""
    description: dict[str, Any] | None = getattr(app.state, "description", None)
    if description is None:
        description = app.openapi()
        description.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
        for path, operations in description["paths"].items():
            for method, operation in operations.items():
                _complete(path, method, operation)
        app.state.description = description
    return description


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    # Of whatever a request lacks; FastAPI names but one of these, in a form that is not ours.
    answers.pop("422", None)
    answers["4XX"] = _OUTCOME if path.startswith("/fhir/") else _REFUSAL
    kind = _kind(path, method)
    if kind is None:
        return
    content: dict[str, Any] = {media_type: {} for media_type in kind.media_types}
    for status, answer in answers.items():
        if status.startswith("2"):
            answer["content"] = content
    for status in kind.more:
        empty = status in ("204", "304")
        body = {} if empty else {"content": content}
        answers.setdefault(status, {"description": _WORDS[status], **body})
    known = operation.setdefault("parameters", [])
    named = {parameter["name"] for parameter in known}
    known += [
        {"name": name, "in": "query", "required": False, "schema": dict(schema)}
        for name, schema in kind.parameters.items()
        if name not in named
    ]


_WORDS = {
    "202": "Some instances were stored, others were not",
    "204": "Nothing matches",
    "206": "A part of it",
    "304": "Nothing has changed",
    "409": "No instance was stored",
}


def _kind(path: str, method: str) -> _Kind | None:
    return next(
        (kind for fits, kind in _COMPILED if method in kind.methods and fits.fullmatch(path)), None
    )
