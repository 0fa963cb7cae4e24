"""UPS-RS: search for workitems (PS3.18 11.9), with the keys and the matching of QIDO-RS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from pacs.workitems.search import WorkitemQuery, is_key, search
from viewer_api.dicomweb.models import FORMS, models_response
from viewer_api.dicomweb.resources import negotiate
from viewer_api.dicomweb.search import parse_search
from viewer_api.dicomweb.workitems.access import WorkitemReader
from viewer_api.dicomweb.workitems.answers import warning
from viewer_api.door import door_of

router = APIRouter(tags=["DICOMweb workitems"])


def parse_query(parameters: Iterable[tuple[str, str]]) -> WorkitemQuery:
    """Read the parameters of a search. Raises QueryError and 400 problems."""
    # Parameters are the same at every level; how they match is not asked of the index here.
    asked = parse_search("STUDY", parameters, {}).query
    return WorkitemQuery(asked.matches, asked.include, asked.limit, asked.offset, asked.fuzzy)


@router.get("/workitems", summary="Search for workitems")
def search_workitems(request: Request, principal: WorkitemReader) -> Response:
    """All matching workitems; keys by keyword or tag, wildcards, ranges, paging; 204 if none."""
    form = negotiate(request, FORMS)
    query = parse_query(request.query_params.multi_items())
    # One more than asked for tells whether there are more, without counting them all.
    one_more = replace(query, limit=query.limit + 1)
    door = door_of(request)
    with door.reading() as connection:
        found = search(connection, one_more)
    door.audit.record_once(
        principal.actor,
        "workitem.search",
        detail={"keys": sorted(query.matches)},
        address=principal.address,
    )
    texts = []
    if len(found) > query.limit:
        texts.append("There are additional results that can be requested")
    unmatched = [
        key for key, value in query.matches.items() if not is_key(key) and value not in ("", "*")
    ]
    if unmatched:
        texts.append(f"These attributes are not matched on: {' '.join(unmatched[:20])}")
    headers = warning(request, *texts)
    if not found:
        return Response(None, 204, headers)
    return models_response(request, form, found[: query.limit], headers)
