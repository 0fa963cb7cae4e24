"""UPS-RS: the lines on which subscribers hear of events, WebSockets (PS3.18 8.10, 11.13)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg
from anyio import to_thread
from fastapi import APIRouter
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from starlette.websockets import WebSocket, WebSocketDisconnect

from pacs.archive import Archive
from pacs.database.errors import DatabaseError
from pacs.index.question import EVERYTHING
from pacs.people.permissions import Permission
from pacs.workitems.reports import (
    as_text,
    confirm,
    listen,
    status_change,
    tell_of_restart,
    told_up_to,
    waiting,
)
from pacs.workitems.worklist import one_at_a_time
from viewer_api.access import Principal, authenticate, unauthenticated
from viewer_api.dicomweb.workitems.bodies import ae_title
from viewer_api.door import door_of
from viewer_api.problems import Problem, problem_of, problem_response

log = logging.getLogger(__name__)

router = APIRouter()

GOING_AWAY, REFUSED = 1001, 1008
# Codes of a closing handshake: what was sent before it has arrived.
_CLOSED_IN_ORDER = frozenset((1000, GOING_AWAY, 1005))
CHECK_SECONDS = 30.0
# uvicorn pings every 20 seconds and waits 20 for the answer: what is older has arrived.
ARRIVED_SECONDS = 50.0
_RETRY_SECONDS = 2.0
_FAREWELL_SECONDS = 2.0
_AT_ONCE = 100
_DATABASE_TROUBLE = (DatabaseError, OperationalError)
_LINES_PER_PROCESS = 500

_Answer = TypeVar("_Answer")


@dataclass(eq=False)
class Line:
    """One open WebSocket. `woken` when there may be new reports for it, or it is to end.

    `ending`: we are to say goodbye; `ended`: the subscriber has gone, and how far it has heard is
    being written down.
    """

    woken: asyncio.Event = field(default_factory=asyncio.Event)
    ending: bool = False
    ended: bool = False


class Lines:
    """The open lines of this process; it hears from all processes for whom there is news."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._open: dict[str, set[Line]] = defaultdict(set)
        self._closed = False
        self._restart_told = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen in the background; the lines end with it."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            self.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @contextlib.contextmanager
    def line(self, aet: str) -> Iterator[Line]:
        """A line to the AE for as long as the context lasts. Raises a 503 problem."""
        if self._closed or sum(map(len, self._open.values())) >= _LINES_PER_PROCESS:
            raise Problem(503, "too_many_lines", "No more lines can be opened here right now.")
        line = Line()
        self._open[aet].add(line)
        try:
            yield line
        finally:
            self._open[aet].discard(line)
            if not self._open[aet]:
                del self._open[aet]

    def close(self) -> None:
        """End every line, now and from now on."""
        self._closed = True
        for line in self._all():
            line.ending = True
            line.woken.set()

    async def settled(self, aet: str) -> None:
        """Wait until it is known how far lines of the AE have heard that have just ended here.

        Else a subscriber that hangs up and calls again would hear some things twice.
        """
        deadline = time.monotonic() + _FAREWELL_SECONDS
        while any(line.ended for line in self._open.get(aet, ())) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    async def ended(self, seconds: float) -> None:
        """Wait until the lines have said goodbye, so long at most."""
        deadline = time.monotonic() + seconds
        while self._open and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    async def ask(self, question: Callable[[Connection], _Answer]) -> _Answer:
        """What the database answers, asked in a thread and a transaction of its own."""

        def asked() -> _Answer:
            with self._archive.engine.begin() as connection:
                return question(connection)

        return await to_thread.run_sync(asked)

    async def _listen(self) -> None:
        while True:
            try:
                async for aet in listen(self._archive.database_url):
                    if aet is None:
                        await self._tell_of_restart()
                    for line in self._all() if aet is None else self._open.get(aet, ()):
                        line.woken.set()
            except (psycopg.OperationalError, *_DATABASE_TROUBLE) as error:
                log.warning("workitem reports: the database is out of reach: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _tell_of_restart(self) -> None:
        if self._restart_told:
            return

        def tell(connection: Connection) -> None:
            one_at_a_time(connection)
            tell_of_restart(connection)

        await self.ask(tell)
        self._restart_told = True

    def _all(self) -> list[Line]:
        return [line for lines in self._open.values() for line in lines]


@router.websocket("/ws/subscribers/{aet}")
@router.websocket("/subscribers/{aet}")
async def open_line(websocket: WebSocket, aet: str) -> None:
    """Sends the AE's event reports, one DICOM JSON data set a message, those that wait first."""
    door = door_of(websocket)
    try:
        title = ae_title(aet)
        principal = await to_thread.run_sync(_authorized, websocket)
        with door.lines.line(title) as line:
            await door.lines.settled(title)
            position = await door.lines.ask(lambda connection: told_up_to(connection, title))
            await to_thread.run_sync(_record, websocket, principal, title)
            await websocket.accept()
            await _Conversation(websocket, door.lines, line, title, position).run()
    except WebSocketDisconnect:
        return  # it hung up before it was answered
    except (Problem, *_DATABASE_TROUBLE) as error:
        answer = problem_response(websocket, problem_of(error))
        with contextlib.suppress(WebSocketDisconnect):
            await websocket.send_denial_response(answer)


class _Conversation:
    """Reports on their way to one subscriber.

    How far they have arrived is kept once it is certain: by a closing handshake, or because the
    line has answered to pings since. A line that breaks hears the last minute's again.
    """

    def __init__(
        self, websocket: WebSocket, lines: Lines, line: Line, aet: str, position: int
    ) -> None:
        self._websocket = websocket
        self._lines = lines
        self._line = line
        self._aet = aet
        self._position = position
        self._kept = position
        self._sent: deque[tuple[float, int]] = deque()

    async def run(self) -> None:
        """Until either side ends it."""
        receiving = asyncio.create_task(self._receive())
        sending = asyncio.create_task(self._send())
        try:
            await asyncio.wait((receiving, sending), return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done() and sending.exception() is None:
                # Who answers to our goodbye has heard what came before it.
                await asyncio.wait((receiving,), timeout=_FAREWELL_SECONDS)
                arrived = receiving.done()
            else:
                arrived = receiving.done() and receiving.result()
        finally:
            for task in (receiving, sending):
                task.cancel()
            ended = await asyncio.gather(receiving, sending, return_exceptions=True)
        for failure in ended:
            if isinstance(failure, Exception) and not isinstance(failure, WebSocketDisconnect):
                log.warning("workitem reports: the line to a subscriber broke: %s", failure)
        if arrived:
            with contextlib.suppress(*_DATABASE_TROUBLE):
                await self._keep(self._position)

    async def _receive(self) -> bool:
        """Whatever a subscriber says is ignored, but that it ends: whether with a goodbye."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                self._line.ended = True
                # uvicorn gives a connection that was lost the same code, but no reason.
                return "reason" in message and message["code"] in _CLOSED_IN_ORDER

    async def _send(self) -> None:
        checked = time.monotonic()
        while not self._line.ending:
            self._line.woken.clear()
            try:
                await self._send_waiting()
                if time.monotonic() - checked >= CHECK_SECONDS:
                    checked = time.monotonic()
                    await self._keep_what_arrived()
                    if await to_thread.run_sync(_may_read, self._websocket) is None:
                        await self._websocket.close(REFUSED)
                        return
            except _DATABASE_TROUBLE as error:
                log.warning("workitem reports: a line waits for the database: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._line.woken.wait(), CHECK_SECONDS)
        with contextlib.suppress(*_DATABASE_TROUBLE):
            await self._send_waiting()
        await self._websocket.send_text(as_text(status_change("GOING DOWN"), self._position))
        await self._websocket.close(GOING_AWAY)

    async def _send_waiting(self) -> None:
        while True:
            reports = await self._lines.ask(
                lambda connection: waiting(connection, self._aet, self._position, _AT_ONCE)
            )
            for report in reports:
                await self._websocket.send_text(report.text)
                self._position = report.id
            if reports:
                self._sent.append((time.monotonic(), self._position))
            if len(reports) < _AT_ONCE:
                return

    async def _keep_what_arrived(self) -> None:
        arrived = self._kept
        while self._sent and self._sent[0][0] < time.monotonic() - ARRIVED_SECONDS:
            arrived = self._sent.popleft()[1]
        await self._keep(arrived)

    async def _keep(self, position: int) -> None:
        if position > self._kept:
            await self._lines.ask(lambda connection: confirm(connection, self._aet, position))
            self._kept = position


def _authorized(websocket: WebSocket) -> Principal:
    """Whoever may read the worklist. Raises 401 and 403 problems."""
    principal = authenticate(websocket)
    if principal is None:
        raise unauthenticated()
    if not _reads(principal):
        door_of(websocket).audit.record_once(
            principal.actor,
            "access.refused",
            "refused",
            detail={"permission": Permission.READ_WORKITEMS.value},
            address=principal.address,
        )
        raise Problem(403, "forbidden", "This needs the permission workitems:read.")
    return principal


def _may_read(websocket: WebSocket) -> Principal | None:
    """The principal, if it still may read the worklist."""
    principal = authenticate(websocket)
    return principal if principal is not None and _reads(principal) else None


def _reads(principal: Principal) -> bool:
    return principal.may(Permission.READ_WORKITEMS) and principal.scope == EVERYTHING


def _record(websocket: WebSocket, principal: Principal, aet: str) -> None:
    door_of(websocket).audit.record(
        principal.actor, "workitem.line", detail={"aet": aet}, address=principal.address
    )
