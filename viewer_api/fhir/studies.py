"""ImagingStudy: read and search (FHIR R4 section 3.1.0 and 3.1.1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection, select
from starlette.responses import Response

from pacs.dicom.header import is_uid
from pacs.index.query import Query, Scope, count, search
from pacs.index.tables import patients, studies
from pacs.people.permissions import Permission
from pacs.retrieve import NotFound
from viewer_api.access import Principal, allow
from viewer_api.door import base_url, door_of
from viewer_api.fhir.identifiers import (
    Token,
    accession_system,
    is_uid_urn,
    issuer_of_system,
    parse_token,
    uid_of_urn,
)
from viewer_api.fhir.resources import capability_statement, imaging_study, search_set, text
from viewer_api.problems import Problem, bad_request, not_found
from viewer_api.responses import text_response

router = APIRouter(tags=["FHIR"])

FHIR_JSON = "application/fhir+json"
_MOST_STUDIES = 100
_DEFAULT_STUDIES = 20
_MOST_INSTANCES = 5000
_LONGEST_VALUE = 1024
_STARTED = datetime.now(UTC)
_DAY = re.compile(r"(eq|ge|le|gt|lt)?(\d{4})-(\d{2})-(\d{2})")

STUDY, ACCESSION, PATIENT_ID, ISSUER = "0020000D", "00080050", "00100020", "00100021"
STUDY_DATE, MODALITIES = "00080020", "00080061"
_CONTROLS = frozenset(
    {"_count", "_offset", "_format", "_pretty", "_summary", "_elements", "_total"}
)

EmrReader = Annotated[Principal, Depends(allow(Permission.READ_FHIR))]


@router.get("/metadata", summary="What this server does with FHIR")
def capabilities(request: Request, _principal: EmrReader) -> Response:
    """The CapabilityStatement."""
    statement = capability_statement(base_url(request), version("filmless"), _STARTED)
    return _answer(request, statement)


@router.get("/ImagingStudy/{study}", summary="Read an imaging study")
def read(request: Request, study: str, principal: EmrReader) -> Response:
    """The study with its series and instances; its id is its Study Instance UID."""
    if not is_uid(study):
        raise not_found(f"There is no ImagingStudy {study[:64]!r}.")
    door = door_of(request)
    with door.reading() as connection:
        found = search(connection, Query("STUDY", {STUDY: study}, "all"), principal.scope)
        if not found:
            raise NotFound(study, "ImagingStudy")
        _name_issuers(connection, found)
        series = _series_of(connection, study, principal.scope)
        instances = _instances_of(connection, study, principal.scope)
    door.audit.record_once(
        principal.actor, "fhir.read", study_instance_uid=study, address=principal.address
    )
    return _answer(request, imaging_study(base_url(request), found[0], series, instances))


@router.get(
    "/ImagingStudy",
    summary="Search for imaging studies",
    openapi_extra={
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string"}}
            for name in (
                "identifier",
                "patient.identifier",
                "_id",
                "started",
                "modality",
                "_count",
                "_offset",
            )
        ]
    },
)
def find(request: Request, principal: EmrReader) -> Response:
    """By study UID or accession number (`identifier`), patient (`patient.identifier`), day."""
    base = base_url(request)
    matches, limit, offset = parse_search(base, request.query_params.multi_items())
    query = Query("STUDY", matches, "all", limit, offset)
    door = door_of(request)
    with door.reading() as connection:
        total = count(connection, query, principal.scope)
        found = search(connection, query, principal.scope) if limit else []
        _name_issuers(connection, found)
        resources = [
            imaging_study(base, study, _series_of(connection, text(study, STUDY), principal.scope))
            for study in found
        ]
    for resource in resources:
        door.audit.record_once(
            principal.actor,
            "fhir.search",
            study_instance_uid=resource["id"],
            address=principal.address,
        )
    if not resources:
        door.audit.record_once(principal.actor, "fhir.search", address=principal.address)
    links = _links(base, request, limit=limit, offset=offset, total=total)
    return _answer(request, search_set(resources, base=base, total=total, links=links))


@router.get("/{resource:path}", include_in_schema=False)
def unknown(resource: str, _principal: EmrReader) -> Response:
    """Everything else that FHIR knows and this server does not."""
    raise not_found(f"This server has no resource {resource[:80]!r}.")


def parse_search(base: str, parameters: list[tuple[str, str]]) -> tuple[dict[str, str], int, int]:
    """Conditions for the index, limit and offset. Raises 400 problems.

    An unknown parameter is refused instead of ignored: a search that silently drops a condition
    gives one patient's EMR the images of another.
    """
    matches: dict[str, str] = {}
    numbers = {"_count": _DEFAULT_STUDIES, "_offset": 0}
    for name, value in parameters:
        if len(value) > _LONGEST_VALUE:
            raise bad_request("value_too_long", f"The value of {name[:40]} is too long.")
        if name in numbers:
            numbers[name] = _whole_number(name, value)
            continue
        if name in _CONTROLS:
            continue
        for tag, wanted in _condition(base, name, value).items():
            if matches.setdefault(tag, wanted) != wanted:
                raise bad_request("bad_search", f"{name[:40]} is given twice with other values.")
    return matches, min(numbers["_count"], _MOST_STUDIES), numbers["_offset"]


def _condition(base: str, name: str, value: str) -> dict[str, str]:
    if not value.strip():
        raise bad_request("bad_search", f"{name[:40]} has no value.")
    if name in ("patient.identifier", "subject.identifier", "patient:identifier"):
        return _patient(base, parse_token(value))
    if name == "identifier":
        return _identifier(base, parse_token(value))
    if name == "_id":
        return {STUDY: _uid(value)}
    if name == "started":
        return {STUDY_DATE: _days(value)}
    if name == "modality":
        return {MODALITIES: _literal("modality", parse_token(value).value)}
    raise bad_request("unknown_parameter", f"This server does not search by {name[:40]!r}.")


def _patient(base: str, token: Token) -> dict[str, str]:
    found = {PATIENT_ID: _literal("patient.identifier", token.value)}
    if token.system is None:
        return found
    issuer = issuer_of_system(base, token.system)
    return found | {ISSUER: _literal("patient.identifier", issuer)}


def _identifier(base: str, token: Token) -> dict[str, str]:
    if is_uid_urn(token.value) or token.system in ("urn:dicom:uid", "urn:ietf:rfc:3986"):
        return {STUDY: _uid(uid_of_urn(token.value))}
    if token.system not in (None, accession_system(base)):
        # An identifier of a system that is not ours belongs to no study here.
        return {ACCESSION: _literal("identifier", f"{token.system}|{token.value}")}
    return {ACCESSION: _literal("identifier", token.value)}


def _uid(value: str) -> str:
    uid = value.strip()
    if not is_uid(uid):
        raise bad_request("invalid_uid", f"{uid[:80]!r} is not a UID.")
    return uid


def _days(value: str) -> str:
    """A FHIR date with its prefix as a DICOM range."""
    parts = _DAY.fullmatch(value.strip())
    if parts is None:
        raise bad_request("bad_search", "started is a day such as 2026-11-22 or ge2026-11-22.")
    day = "".join(parts.groups()[1:])
    match parts.group(1):
        case "ge":
            return f"{day}-"
        case "le":
            return f"-{day}"
        case None | "eq":
            return day
        case _:
            raise Problem(400, "bad_search", "started takes the prefixes ge, le and eq only.")


def _literal(name: str, value: str) -> str:
    """A value to be found as it stands: FHIR tokens know no patterns."""
    if not value or any(mark in value for mark in "*?\\"):
        raise bad_request("bad_search", f"{name} must be a value without * ? or \\.")
    return value


def _whole_number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 7):
        raise bad_request("bad_search", f"{name} must be a whole number from 0 on.")
    return int(value)


def _name_issuers(connection: Connection, found: list[dict[str, Any]]) -> None:
    """Say of each study which issuer its patient's number counts under.

    Images often leave it out (the default issuer stands for it then), and a number without its
    issuer may be another person's.
    """
    uids = [text(study, STUDY) for study in found]
    rows = connection.execute(
        select(studies.c.study_instance_uid, patients.c.issuer)
        .join_from(studies, patients, studies.c.patient_ref == patients.c.id)
        .where(studies.c.study_instance_uid.in_(uids))
    )
    issuers = {row.study_instance_uid: row.issuer for row in rows}
    for study in found:
        study[ISSUER] = {"vr": "LO", "Value": [issuers.get(text(study, STUDY), "")]}


def _series_of(connection: Connection, study: str, scope: Scope) -> list[dict[str, Any]]:
    query = Query("SERIES", {STUDY: study}, "all", limit=_MOST_INSTANCES)
    return search(connection, query, scope)


def _instances_of(
    connection: Connection, study: str, scope: Scope
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    query = Query("IMAGE", {STUDY: study}, limit=_MOST_INSTANCES)
    for instance in search(connection, query, scope):
        found.setdefault(text(instance, "0020000E"), []).append(instance)
    return found


def _links(base: str, request: Request, *, limit: int, offset: int, total: int) -> dict[str, str]:
    kept = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in ("_count", "_offset")
    ]

    def link(start: int) -> str:
        paging = [("_count", str(limit)), ("_offset", str(start))]
        return f"{base}/fhir/ImagingStudy?{urlencode(kept + paging)}"

    links = {"self": link(offset)}
    if limit and offset + limit < total:
        links["next"] = link(offset + limit)
    return links


def _answer(request: Request, resource: dict[str, Any]) -> Response:
    return text_response(request, orjson.dumps(resource), FHIR_JSON)
