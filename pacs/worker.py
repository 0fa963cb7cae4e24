"""The worker process: runs the archive's jobs, settles studies, rescues stalled jobs."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable

import procrastinate
import psycopg
from sqlalchemy.exc import OperationalError

from pacs import jobs
from pacs.archive import Archive
from pacs.workflow import settle_quiet_studies
from storage.errors import ObjectNotFound, StoreError, StoreUnavailable
from storage.spool import SpooledStore

log = logging.getLogger(__name__)

CONCURRENT_JOBS = 8
RECONNECT_SECONDS = 2.0

Register = Callable[[procrastinate.App, Archive], None]


def run_worker(archive: Archive, ready: Callable[[str], None], register: Register | None) -> None:
    """Works until SIGTERM or SIGINT, then finishes the jobs in hand.

    `register` adds the AI's tasks; without it the queue `ai` is left to other machines.
    """
    asyncio.run(_work(archive, ready, register))


async def _work(archive: Archive, ready: Callable[[str], None], register: Register | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    while not stop.is_set():
        try:
            await _work_while_connected(archive, ready, register, stop)
        except (psycopg.Error, procrastinate.exceptions.ConnectorException, OperationalError) as e:
            log.error("the database does not answer, trying again: %s", str(e).splitlines()[0])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RECONNECT_SECONDS)


async def _work_while_connected(
    archive: Archive,
    ready: Callable[[str], None],
    register: Register | None,
    stop: asyncio.Event,
) -> None:
    app = jobs.queue_on(archive.database_url)
    _register_uploads(app, archive)
    queues = ["archive"]
    if register is not None:
        register(app, archive)
        queues.append("ai")
    async with app.open_async():
        working = asyncio.create_task(
            app.run_worker_async(
                queues=queues,
                concurrency=CONCURRENT_JOBS,
                install_signal_handlers=False,
                update_heartbeat_interval=jobs.HEARTBEAT_SECONDS,
                stalled_worker_timeout=jobs.STALLED_SECONDS,
                delete_jobs="successful",
            )
        )
        others = [
            asyncio.create_task(jobs.rescue_stalled(app)),
            asyncio.create_task(_settle(archive)),
            asyncio.create_task(stop.wait()),
        ]
        ready(",".join(queues))
        try:
            done, _ = await asyncio.wait([working, *others], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (working, *others):
                task.cancel()
            await asyncio.gather(working, *others, return_exceptions=True)


async def _settle(archive: Archive) -> None:
    quiet = archive.settings.study_quiet_seconds
    pause = min(0.5, max(0.05, quiet / 4))

    def settle() -> None:
        with archive.engine.begin() as connection:
            settle_quiet_studies(connection, quiet)

    while True:
        await asyncio.to_thread(settle)
        await asyncio.sleep(pause)


def _register_uploads(app: procrastinate.App, archive: Archive) -> None:
    retry = procrastinate.RetryStrategy(
        max_attempts=None, linear_wait=5, retry_exceptions=[StoreError]
    )

    @app.task(name="upload_object", queue="archive", retry=retry)
    def upload_object(key: str) -> None:
        """Takes an object from the spool to the remote store; raises StoreUnavailable."""
        if not isinstance(archive.store, SpooledStore):
            raise StoreUnavailable("objects wait in the spool, but no remote store is set", key=key)
        try:
            archive.store.upload(key)
        except ObjectNotFound:
            log.info("%s was deleted before it was uploaded", key)
