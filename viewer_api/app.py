"""The web's door put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Request, Response

from pacs.archive import Archive
from pacs.audit.trail import AuditTrail
from pacs.retrieve import StoredInstance
from viewer_api import (
    audit,
    docs,
    events,
    health,
    invoke_display,
    links,
    metrics,
    ohif,
    problems,
    session,
    web,
    worklist,
)
from viewer_api.access import Principal, require_principal
from viewer_api.dicomweb import (
    bulkdata,
    capabilities,
    frames,
    objects,
    pictures,
    rejection,
    search,
    store,
    wado_uri,
)
from viewer_api.dicomweb.workitems import items, lines, subscriptions
from viewer_api.dicomweb.workitems import search as workitems_search
from viewer_api.door import Door
from viewer_api.events import EventHub
from viewer_api.fhir import studies as fhir_studies
from viewer_api.head import HeadAsGet
from viewer_api.known import Known
from viewer_api.metrics import CountRequests, RequestCounts
from viewer_api.problems import not_found
from viewer_api.security import RequestChecks, SecurityHeaders

_DESCRIPTION = (
    "DICOMweb (PS3.18), FHIR R4 and the reading room's own API. People sign in for a session "
    "cookie; machines send `Authorization: Bearer` with a token from `pacs tokens create`."
)


_PRINCIPALS_KNOWN = 1000
_INSTANCES_KNOWN = 10_000


def create_app(archive: Archive, static: Path = web.STATIC) -> FastAPI:
    """The ASGI application on an open archive; `static` is where the built web lies."""
    known = Known[Principal](_PRINCIPALS_KNOWN)
    stored = Known[StoredInstance](_INSTANCES_KNOWN)
    hub = EventHub(archive, (known, stored))
    subscribers = lines.Lines(archive)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with hub.running(), subscribers.running():
            yield

    app = FastAPI(
        title="Filmless",
        version=version("filmless"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        # Described to those who may use it (viewer_api.docs), not to everybody.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.door = Door(archive, AuditTrail(archive.engine), hub, known, stored, subscribers)
    app.state.counts = RequestCounts()
    app.state.static = static
    problems.install(app)
    # Routes are tried one after another, and frames are asked for by the thousand.
    app.include_router(frames.router, prefix="/dicomweb")
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(_reading_room(), prefix="/api/v1")
    app.include_router(docs.router, prefix="/api")
    app.include_router(_dicomweb(), prefix="/dicomweb")
    app.include_router(capabilities.router)
    app.include_router(fhir_studies.router, prefix="/fhir")
    app.include_router(invoke_display.router)
    app.include_router(links.public_router)
    app.include_router(_nothing_else())
    app.include_router(ohif.router)
    app.include_router(web.router)
    # The last one added is the first to see a request.
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestChecks, public_url=archive.settings.public_url)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(CountRequests, counts=app.state.counts)
    return app


def _reading_room() -> APIRouter:
    router = APIRouter()
    for part in (session, worklist, links, events, audit):
        router.include_router(part.router)
    router.include_router(rejection.api_router)
    return router


def _dicomweb() -> APIRouter:
    router = APIRouter()
    for part in (search, objects, bulkdata, pictures, wado_uri, store, rejection):
        router.include_router(part.router)
    for part in (workitems_search, items, subscriptions, lines):
        router.include_router(part.router)
    return router


def _nothing_else() -> APIRouter:
    """Below the programs' prefixes an unknown path is a problem, not the web's page."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(require_principal)])

    def unknown(request: Request) -> Response:
        raise not_found("There is nothing at this address.")

    for prefix in ("/api", "/dicomweb", "/fhir"):
        router.add_api_route(prefix, unknown)
        router.add_api_route(f"{prefix}/{{path:path}}", unknown)
    return router
