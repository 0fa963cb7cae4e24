"""Counters in the Prometheus text format, and the middleware that counts."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy import text
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pacs.people.permissions import Permission
from viewer_api.access import Principal, allow
from viewer_api.door import door_of

router = APIRouter(tags=["health"])

_BUCKETS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)


class RequestCounts:
    """What the requests of this process came to. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str, int], int] = defaultdict(int)
        self._seconds: dict[str, float] = defaultdict(float)
        self._within: dict[tuple[str, float], int] = defaultdict(int)
        self._count: dict[str, int] = defaultdict(int)
        self.in_flight = 0

    def begin(self) -> None:
        """A request has come."""
        with self._lock:
            self.in_flight += 1

    def end(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """A request has been answered whole."""
        with self._lock:
            self.in_flight -= 1
            self._answers[endpoint, method, status] += 1
            self._seconds[endpoint] += seconds
            self._count[endpoint] += 1
            for bucket in _BUCKETS:
                if seconds <= bucket:
                    self._within[endpoint, bucket] += 1

    def lines(self) -> list[str]:
        """The counters as Prometheus reads them."""
        with self._lock:
            lines = ["# TYPE filmless_http_requests_total counter"]
            for (endpoint, method, status), count in sorted(self._answers.items()):
                labels = f'endpoint="{endpoint}",method="{method}",status="{status}"'
                lines.append(f"filmless_http_requests_total{{{labels}}} {count}")
            lines.append("# TYPE filmless_http_request_seconds histogram")
            for endpoint, count in sorted(self._count.items()):
                name, label = "filmless_http_request_seconds", f'endpoint="{endpoint}"'
                for bucket in _BUCKETS:
                    within = self._within[endpoint, bucket]
                    lines.append(f'{name}_bucket{{{label},le="{bucket}"}} {within}')
                lines.append(f'{name}_bucket{{{label},le="+Inf"}} {count}')
                lines.append(f"{name}_sum{{{label}}} {self._seconds[endpoint]:.6f}")
                lines.append(f"{name}_count{{{label}}} {count}")
            lines.append("# TYPE filmless_http_requests_in_flight gauge")
            lines.append(f"filmless_http_requests_in_flight {self.in_flight}")
            return lines


class CountRequests:
    """ASGI middleware: counts by endpoint, never by URL, which would name patients' studies."""

    def __init__(self, app: ASGIApp, counts: RequestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._counts.begin()
        try:
            await self._app(scope, receive, send_and_note)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._counts.end(_endpoint(scope), method, status, time.perf_counter() - started)


def _endpoint(scope: Scope) -> str:
    """The function that answered, such as `dicomweb.search.studies`."""
    function = scope.get("endpoint")
    if function is None:
        return "none"
    return f"{function.__module__.removeprefix('viewer_api.')}.{function.__name__}"


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
def metrics(
    request: Request, _principal: Annotated[Principal, Depends(allow(Permission.READ_METRICS))]
) -> Response:
    """Requests of this process, and jobs of all."""
    lines = request.app.state.counts.lines()
    with door_of(request).reading() as connection:
        jobs = connection.execute(
            text(
                "SELECT queue_name, status::text, count(*) FROM procrastinate_jobs "
                "WHERE status IN ('todo', 'doing', 'failed') GROUP BY 1, 2 ORDER BY 1, 2"
            )
        ).all()
    lines.append("# TYPE filmless_jobs gauge")
    lines += [
        f'filmless_jobs{{queue="{queue}",status="{status}"}} {n}' for queue, status, n in jobs
    ]
    body = "\n".join(lines) + "\n"
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")
