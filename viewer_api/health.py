"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from pacs.database.errors import DatabaseError
from storage.errors import StoreError
from viewer_api.door import door_of
from viewer_api.problems import RETRY_SECONDS

log = logging.getLogger(__name__)

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="The process lives")
async def alive() -> dict[str, str]:
    """Answers as long as the process takes requests."""
    return {"status": "ok"}


@router.get("/readyz", summary="The server can serve")
def ready(request: Request) -> JSONResponse:
    """200 when database and object store answer; 503 naming the one that does not."""
    archive = door_of(request).archive

    def ask_database() -> None:
        with archive.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    parts = {"database": _answers(ask_database), "store": _answers(archive.store.check)}
    if all(parts.values()):
        return JSONResponse({"status": "ready"} | dict.fromkeys(parts, "ok"))
    state = {name: "ok" if answers else "unavailable" for name, answers in parts.items()}
    return JSONResponse(
        {"status": "not ready"} | state, 503, headers={"Retry-After": str(RETRY_SECONDS)}
    )


def _answers(ask: Callable[[], None]) -> bool:
    try:
        ask()
    except (DatabaseError, OperationalError, StoreError) as error:
        log.warning("not ready: %s", error)
        return False
    return True
