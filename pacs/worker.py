"""The worker process: runs the archive's jobs, settles studies, rescues stalled jobs."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import procrastinate
import psycopg
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from sqlalchemy.exc import OperationalError

from pacs import jobs, rejection_note
from pacs.archive import Archive
from pacs.database.errors import DatabaseError
from pacs.documents import describe_study
from pacs.workflow import settle_quiet_studies
from pacs.workitems.retention import sweep
from storage.errors import ObjectNotFound, StoreError, StoreUnavailable
from storage.spool import SpooledStore

log = logging.getLogger(__name__)

CONCURRENT_JOBS = 8  # of each queue
RECONNECT_SECONDS = 2.0
REMIND_SECONDS = 60.0
SWEEP_SECONDS = 60.0
LONGEST_RETRY_SECONDS = 60
NOTE_ATTEMPTS = 15
"""With the pauses between them, ten minutes for what a rejection note names to come after it."""

_DATABASE_TROUBLE = (
    psycopg.Error,
    procrastinate.exceptions.ConnectorException,
    OperationalError,
    DatabaseError,
)

Register = Callable[[procrastinate.App, Archive], None]


@dataclass(frozen=True, slots=True)
class Rooms:
    """What other rooms add to the archive's own tasks."""

    archive: Sequence[Register] = ()
    """Tasks of the queue `archive`."""
    ai: Register | None = None
    """Tasks of the queue `ai`; without them it is left to other machines."""


def run_worker(archive: Archive, ready: Callable[[str], None], rooms: Rooms = Rooms()) -> None:
    """Works until SIGTERM or SIGINT, then finishes the jobs in hand."""
    asyncio.run(_work(archive, ready, rooms))


async def _work(archive: Archive, ready: Callable[[str], None], rooms: Rooms) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Threads for every job at once: uploads that hang must keep neither triage nor studies waiting.
    loop.set_default_executor(ThreadPoolExecutor(2 * CONCURRENT_JOBS + 3, "job"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    while not stop.is_set():
        try:
            await _work_while_connected(archive, ready, rooms, stop)
        except _DATABASE_TROUBLE as error:
            log.error(
                "no jobs are done until the database answers, trying again every %g s: %s",
                RECONNECT_SECONDS,
                " ".join(str(error).split()) or type(error).__name__,
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RECONNECT_SECONDS)


async def _work_while_connected(
    archive: Archive,
    ready: Callable[[str], None],
    rooms: Rooms,
    stop: asyncio.Event,
) -> None:
    app = jobs.queue_on(archive.database_url)
    _register_uploads(app, archive)
    _register_descriptions(app, archive)
    _register_notes(app, archive)
    for register in rooms.archive:
        register(app, archive)
    queues = ["archive"]
    if rooms.ai is not None:
        rooms.ai(app, archive)
        queues.append("ai")
    async with app.open_async():
        tasks: list[asyncio.Task[Any]] = [
            *(asyncio.create_task(_work_on(app, queue)) for queue in queues),
            asyncio.create_task(jobs.rescue_stalled(app)),
            asyncio.create_task(_settle(archive)),
            asyncio.create_task(_sweep_workitems(archive)),
            asyncio.create_task(stop.wait()),
        ]
        ready(",".join(queues))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _work_on(app: procrastinate.App, queue: str) -> None:
    await app.run_worker_async(
        queues=[queue],
        concurrency=CONCURRENT_JOBS,
        install_signal_handlers=False,
        update_heartbeat_interval=jobs.HEARTBEAT_SECONDS,
        stalled_worker_timeout=jobs.STALLED_SECONDS,
        delete_jobs="successful",
    )


async def _settle(archive: Archive) -> None:
    quiet = archive.settings.study_quiet_seconds
    pause = min(0.5, max(0.05, quiet / 4))

    def settle() -> None:
        with archive.engine.begin() as connection:
            settle_quiet_studies(connection, quiet)

    while True:
        await asyncio.to_thread(settle)
        await asyncio.sleep(pause)


async def _sweep_workitems(archive: Archive) -> None:
    def sweep_now() -> None:
        with archive.engine.begin() as connection:
            sweep(connection)

    while True:
        await asyncio.to_thread(sweep_now)
        await asyncio.sleep(SWEEP_SECONDS)


def _register_uploads(app: procrastinate.App, archive: Archive) -> None:
    reminder = _Reminder()

    @app.task(name="upload_object", queue="archive", retry=_Patience())
    def upload_object(key: str) -> None:
        """Takes an object from the spool to the remote store; raises StoreError."""
        try:
            _upload(archive, key)
        except StoreError as error:
            reminder.remind(error)
            raise
        reminder.forget()


def _register_descriptions(app: procrastinate.App, archive: Archive) -> None:
    @app.task(name="describe_studies", queue="archive", retry=_Patience())
    def describe_studies(study_instance_uids: list[str]) -> None:
        """Writes down the metadata of studies; raises StoreError."""
        for study_instance_uid in study_instance_uids:
            describe_study(archive, study_instance_uid)


def _register_notes(app: procrastinate.App, archive: Archive) -> None:
    @app.task(name="follow_note", queue="archive", retry=_Patience(), pass_context=True)
    def follow_note(context: procrastinate.JobContext, object_key: str) -> None:
        """Rejects what a rejection note names, in the end without what never came; StoreError."""
        wait = context.job.attempts < NOTE_ATTEMPTS
        rejection_note.follow_note(archive, object_key, wait=wait)


def _upload(archive: Archive, key: str) -> None:
    if not isinstance(archive.store, SpooledStore):
        raise StoreUnavailable(
            "no remote store is set (PACS_STORE_URL) for what is in the spool", key=key
        )
    try:
        archive.store.upload(key)
    except ObjectNotFound:
        log.info("%s was deleted before it was uploaded", key)


class _Patience(BaseRetryStrategy):
    """Tries for ever; at most a minute after the remote store is back, an object is there."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """In 1, 2, 4 … at most 60 seconds."""
        wait = min(LONGEST_RETRY_SECONDS, 2 ** min(job.attempts, 6))
        return RetryDecision(retry_in={"seconds": wait})


class _Reminder:
    """Says why uploads fail once a minute, not once an object, and once that they go on."""

    def __init__(self) -> None:
        self._last: float | None = None

    def remind(self, error: StoreError) -> None:
        now = time.monotonic()
        if self._last is None or now - self._last > REMIND_SECONDS:
            self._last = now
            log.error("uploads wait safely in the spool and go on by themselves: %s", error)

    def forget(self) -> None:
        if self._last is not None:
            self._last = None
            log.info("uploads from the spool go on")
