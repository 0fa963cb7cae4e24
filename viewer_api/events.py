"""Live events: what happens to studies, heard once a process and told to every open page."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from anyio import to_thread
from fastapi import APIRouter, Request
from sqlalchemy.exc import OperationalError
from sse_starlette import EventSourceResponse, ServerSentEvent

from pacs.archive import Archive
from pacs.database.errors import DatabaseError
from pacs.events import StudyEvent, Withdrawn, listen
from pacs.index.query import Scope, scoped
from pacs.index.question import EVERYTHING
from pacs.index.tables import studies
from pacs.worklist import WorklistItem, items
from viewer_api.access import Reader
from viewer_api.door import door_of
from viewer_api.known import Known
from viewer_api.schemas import StudyChange, worklist_item

log = logging.getLogger(__name__)

router = APIRouter(tags=["live events"])

PING_SECONDS = 15
_QUEUED_PER_CLIENT = 200
_GATHER_SECONDS = 0.1
_RETRY_SECONDS = 2.0


@dataclass(eq=False)
class Subscription:
    """One open page. Its queue ends with None: too slow, cut off, or the server stops."""

    scope: Scope
    queue: asyncio.Queue[StudyChange | None] = field(
        default_factory=lambda: asyncio.Queue(_QUEUED_PER_CLIENT)
    )

    async def changes(self) -> AsyncIterator[StudyChange]:
        """What happens, until the stream ends."""
        while (change := await self.queue.get()) is not None:
            yield change


class EventHub:
    """Hears the events of all processes and passes each to the pages that may know of it."""

    def __init__(self, archive: Archive, known: Sequence[Known[Any]]) -> None:
        self._archive = archive
        self._known = known
        self._subscriptions: set[Subscription] = set()
        self._heard: asyncio.Queue[StudyEvent] = asyncio.Queue(10_000)
        self._closed = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen in the background; the streams end with it."""
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._tell())]
        try:
            yield
        finally:
            self.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @contextlib.contextmanager
    def subscribed(self, scope: Scope) -> Iterator[Subscription]:
        """A subscription for as long as the context lasts."""
        subscription = Subscription(scope)
        if self._closed:
            subscription.queue.put_nowait(None)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every stream, now and from now on."""
        self._closed = True
        self._end_streams()

    def _end_streams(self) -> None:
        """Pages open their stream again and load their list anew; so nothing stays missed."""
        for subscription in list(self._subscriptions):
            self._end(subscription)

    def _end(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        while subscription.queue.full():
            subscription.queue.get_nowait()
        subscription.queue.put_nowait(None)

    async def _listen(self) -> None:
        while True:
            try:
                async for event in listen(self._archive.database_url):
                    if isinstance(event, Withdrawn):
                        self._listening(hears=True)
                    else:
                        self._hear(event)
            except psycopg.OperationalError as error:
                log.warning("live events: the database is out of reach: %s", error)
            finally:
                self._listening(hears=False)
            self._end_streams()
            await asyncio.sleep(_RETRY_SECONDS)

    def _listening(self, *, hears: bool) -> None:
        for known in self._known:
            known.listening(hears=hears)

    def _hear(self, event: StudyEvent) -> None:
        if not self._subscriptions:
            return
        try:
            self._heard.put_nowait(event)
        except asyncio.QueueFull:
            self._end_streams()

    async def _tell(self) -> None:
        """A thousand instances of one study make one event in each tenth of a second."""
        while True:
            events = {await self._heard.get(): None}
            await asyncio.sleep(_GATHER_SECONDS)
            while not self._heard.empty():
                events[self._heard.get_nowait()] = None
            for event in events:
                await self._pass_on(event)

    async def _pass_on(self, event: StudyEvent) -> None:
        by_scope = defaultdict(list)
        for subscription in self._subscriptions:
            if subscription.scope.study_instance_uid in (None, event.study_instance_uid):
                by_scope[subscription.scope].append(subscription)
        for scope, interested in by_scope.items():
            try:
                item = await to_thread.run_sync(self._item, event.study_instance_uid, scope)
            except (DatabaseError, OperationalError) as error:
                log.warning("live events: %s", error)
                self._end_streams()
                return
            if item is None and scope != EVERYTHING:
                continue  # it may be somebody else's
            change = StudyChange(
                study_instance_uid=event.study_instance_uid,
                change=event.change,
                item=None if item is None else worklist_item(item),
            )
            self._put(change, interested)

    def _put(self, change: StudyChange, interested: list[Subscription]) -> None:
        for subscription in interested:
            if subscription not in self._subscriptions:
                continue
            if subscription.queue.full():
                self._end(subscription)
            else:
                subscription.queue.put_nowait(change)

    def _item(self, study_instance_uid: str, scope: Scope) -> WorklistItem | None:
        with self._archive.engine.connect() as connection:
            found = items(
                connection,
                studies.c.study_instance_uid == study_instance_uid,
                scoped(scope),
                show_unregistered=self._archive.settings.show_unregistered_models,
            )
        return found[0] if found else None


@router.get(
    "/events",
    summary="Live events",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(request: Request, principal: Reader) -> EventSourceResponse:
    """Server-sent events: `study` when something happens to a study, `ping` every 15 seconds."""
    door = door_of(request)
    hub = door.events

    async def stream() -> AsyncIterator[ServerSentEvent]:
        with hub.subscribed(principal.scope) as subscription:
            # Something at once: proxies and browsers call a stream open at its first byte.
            yield _PING
            async for change in subscription.changes():
                yield ServerSentEvent(change.model_dump_json(by_alias=True), event="study")

    return EventSourceResponse(
        stream(), ping=PING_SECONDS, ping_message_factory=lambda: _PING, sep="\n"
    )


_PING = ServerSentEvent("{}", event="ping")
