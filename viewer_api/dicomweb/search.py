"""QIDO-RS: search for studies, series and instances (PS3.18 section 10.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from pacs.index.attributes import Level, is_key
from pacs.index.query import Query, QueryError, keyword_to_tag, search_texts
from viewer_api.access import Principal, Reader
from viewer_api.dicomweb.models import FORMS, texts_response
from viewer_api.dicomweb.resources import Target, negotiate, target
from viewer_api.door import base_url, door_of
from viewer_api.problems import Problem, bad_request

router = APIRouter(tags=["DICOMweb search"])

DEFAULT_LIMIT = 1000
MAX_LIMIT = 4000
_MOST_PARAMETERS = 100
_MOST_FIELDS = 500
_LONGEST_VALUE = 8192

_ATTRIBUTE = re.compile(r"[A-Z][A-Za-z0-9]*|[0-9A-Fa-f]{8}")
_ATTRIBUTE_PATH = re.compile(rf"(?:{_ATTRIBUTE.pattern})(?:\.(?:{_ATTRIBUTE.pattern}))+")

# Of studies and series, what PS3.18 tables 10.6.3-3 and 10.6.3-4 ask for in any case.
OF_STUDIES = frozenset(
    "00080020 00080030 00080050 00080056 00080061 00080090 00080201 00100010 00100020 00100030 "
    "00100040 0020000D 00200010 00201206 00201208".split()
)
OF_SERIES = frozenset(
    "00080060 00080201 0008103E 0020000E 00200011 00201209 00400244 00400245 00400275".split()
)
STUDY, SERIES = "0020000D", "0020000E"


@dataclass(frozen=True, slots=True)
class Search:
    """A search as its URL asks for it; `unmatched` attributes select nothing out."""

    query: Query
    unmatched: tuple[str, ...]


def parse_search(
    level: Level, parameters: Iterable[tuple[str, str]], fixed: dict[str, str]
) -> Search:
    """Read the parameters of a search. Raises QueryError and 400 problems.

    `fixed`: the UIDs that stand in the path. Parameters that are neither defined by PS3.18 nor
    look like an attribute are ignored, as browsers and proxies add such.
    """
    matches: dict[str, str] = {}
    include: set[str] = set()
    everything = False
    unmatched: list[str] = []
    numbers = {"limit": DEFAULT_LIMIT, "offset": 0}
    fuzzy = False
    for position, (name, value) in enumerate(parameters):
        if position == _MOST_PARAMETERS:
            raise bad_request("too_many_parameters", f"More than {_MOST_PARAMETERS} parameters.")
        if len(value) > _LONGEST_VALUE:
            raise bad_request("value_too_long", f"The value of {name[:64]} is too long.")
        word = name.lower()
        if word in numbers:
            numbers[word] = _whole_number(name, value)
        elif word == "fuzzymatching":
            fuzzy = _truth(name, value)
        elif word == "includefield":
            fields = [field.strip() for field in value.split(",") if field.strip()]
            if len(fields) > _MOST_FIELDS:
                raise _too_many_fields()
            everything = everything or "all" in fields
            include.update(_tag(field) for field in fields if field != "all")
        elif _ATTRIBUTE.fullmatch(name) or _ATTRIBUTE_PATH.fullmatch(name):
            key = ".".join(map(keyword_to_tag, name.split(".")))
            matches[key] = f"{matches[key]}\\{value}" if key in matches else value
            if not is_key(key) and value not in ("", "*"):
                unmatched.append(name)
    if len(include) > _MOST_FIELDS:
        raise _too_many_fields()
    for tag, uid in fixed.items():
        if matches.get(tag, uid) != uid:
            raise QueryError(tag, "stands in the path and in a parameter, with another value")
    query = Query(
        level,
        matches | fixed,
        "all" if everything else frozenset(include),
        min(numbers["limit"], MAX_LIMIT),
        numbers["offset"],
        fuzzy,
    )
    return Search(query, tuple(unmatched))


def _answer(
    request: Request, principal: Principal, level: Level, within: Target | None
) -> Response:
    form = negotiate(request, FORMS)
    fixed = {} if within is None else _fixed(within)
    asked = parse_search(level, request.query_params.multi_items(), fixed)
    query = asked.query
    # One more than asked for tells whether there are more, without counting them all.
    one_more = replace(query, include=_include(query, within), limit=query.limit + 1)
    door = door_of(request)
    with door.reading() as connection:
        url = f"{base_url(request)}/dicomweb/studies"
        found = search_texts(connection, one_more, principal.scope, url)
    door.audit.record_once(
        principal.actor,
        "dicomweb.search",
        study_instance_uid=within.study if within else None,
        detail={"level": level, "keys": sorted(query.matches)},
        address=principal.address,
    )
    more = len(found) > query.limit
    headers = _warnings(request, asked, more=more)
    if not more and (found or not query.offset):
        headers["X-Total-Count"] = str(query.offset + len(found))
    del found[query.limit :]
    return texts_response(request, form, found, headers)


def _include(query: Query, within: Target | None) -> frozenset[str] | Literal["all"]:
    """With what is said of the levels above where the URL does not name them (PS3.18 10.6.3.3)."""
    if query.include == "all" or query.level == "STUDY":
        return query.include
    above = frozenset() if within is not None else OF_STUDIES
    if query.level == "IMAGE" and (within is None or within.series is None):
        above |= OF_SERIES
    return query.include | above


@router.get("/studies", summary="Search for studies")
def studies(request: Request, principal: Reader) -> Response:
    """All matching studies; keys by keyword or tag, wildcards, ranges, paging."""
    return _answer(request, principal, "STUDY", None)


@router.get("/series", summary="Search for series")
def series(request: Request, principal: Reader) -> Response:
    """All matching series, of any study."""
    return _answer(request, principal, "SERIES", None)


@router.get("/instances", summary="Search for instances")
def instances(request: Request, principal: Reader) -> Response:
    """All matching instances, of any study."""
    return _answer(request, principal, "IMAGE", None)


@router.get("/studies/{study}/series", summary="Search for the series of a study")
def series_of_study(request: Request, study: str, principal: Reader) -> Response:
    """The matching series of a study."""
    return _answer(request, principal, "SERIES", target(request, principal, study))


@router.get("/studies/{study}/instances", summary="Search for the instances of a study")
def instances_of_study(request: Request, study: str, principal: Reader) -> Response:
    """The matching instances of a study."""
    return _answer(request, principal, "IMAGE", target(request, principal, study))


@router.get(
    "/studies/{study}/series/{series}/instances", summary="Search for the instances of a series"
)
def instances_of_series(request: Request, study: str, series: str, principal: Reader) -> Response:
    """The matching instances of a series."""
    return _answer(request, principal, "IMAGE", target(request, principal, study, series))


def _fixed(within: Target) -> dict[str, str]:
    fixed = {STUDY: within.study}
    return fixed if within.series is None else fixed | {SERIES: within.series}


def _warnings(request: Request, asked: Search, *, more: bool) -> dict[str, str]:
    """Warning 299 (PS3.18 sections 8.3.4.4 and 10.6.3): what the answer leaves out."""
    warnings = []
    if more:
        warnings.append("There are additional results that can be requested")
    if asked.unmatched:
        names = " ".join(asked.unmatched[:20])
        warnings.append(f"These attributes are not matched on: {names}")
    agent = base_url(request)
    return {"Warning": ", ".join(f'299 {agent} "{text}"' for text in warnings)} if warnings else {}


def _tag(name: str) -> str:
    """The tag of an attribute; of a path into sequences, that of the sequence."""
    tags = [keyword_to_tag(part) for part in name.split(".")]
    return tags[0]


def _too_many_fields() -> Problem:
    return bad_request("too_many_fields", f"More than {_MOST_FIELDS} fields to include.")


def _whole_number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise bad_request("bad_query", f"{name} must be a whole number from 0 on.")
    return int(value)


def _truth(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise bad_request("bad_query", f"{name} must be true or false.")
    return value.lower() == "true"
