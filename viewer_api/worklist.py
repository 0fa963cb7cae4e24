"""The worklist and the study page."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from pacs.people.permissions import Permission
from pacs.study import study_detail
from pacs.worklist import worklist
from viewer_api.access import Principal, Reader, allow
from viewer_api.dicomweb.resources import record_read, target
from viewer_api.door import door_of
from viewer_api.schemas import StudyPage, Worklist, study_answer, worklist_item

router = APIRouter(tags=["worklist"])

State = Literal["arriving", "complete", "triaged", "read", "reported", "delivered"]
TriageClass = Literal["critical", "urgent", "routine"]


@router.get("/worklist", summary="What waits to be read")
def read_worklist(
    *,
    request: Request,
    response: Response,
    state: State | None = None,
    triage: TriageClass | None = None,
    modality: Annotated[str | None, Query(max_length=16)] = None,
    search: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    principal: Annotated[Principal, Depends(allow(Permission.READ_WORKLIST))],
) -> Worklist:
    """In reading order: critical, urgent, all others; what waits longest first."""
    door = door_of(request)
    with door.reading() as connection:
        found = worklist(
            connection,
            show_unregistered=door.archive.settings.show_unregistered_models,
            state=state,
            triage=triage,
            modality=modality or None,
            search=search,
            limit=limit,
            offset=offset,
            scope=principal.scope,
        )
    door.audit.record_once(
        principal.actor,
        "worklist.searched" if search else "worklist.opened",
        address=principal.address,
    )
    response.headers["Cache-Control"] = "no-store"
    return Worklist(total=found.total, items=[worklist_item(item) for item in found.items])


@router.get("/studies/{study}", summary="A study's page")
def read_study(request: Request, response: Response, study: str, principal: Reader) -> StudyPage:
    """Series, instances, the AI's word, earlier studies (not through a share link)."""
    asked = target(request, principal, study)
    door = door_of(request)
    with door.reading() as connection:
        page = study_detail(
            connection,
            asked.study,
            show_unregistered=door.archive.settings.show_unregistered_models,
            scope=principal.scope,
        )
    record_read(request, principal, "study.opened", asked.study)
    response.headers["Cache-Control"] = "no-store"
    return study_answer(page)
