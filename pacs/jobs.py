"""The queue: procrastinate on the same PostgreSQL, so that a job and its cause commit together.

Jobs are idempotent: a worker that dies leaves its job to be run again by another. Queue `archive`
holds the archive's own work, queue `ai` what needs a model.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

import orjson
import procrastinate
from procrastinate.jobs import Status
from sqlalchemy import Connection

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0
STALLED_SECONDS = 20.0

_DEFER = """
SELECT procrastinate_defer_jobs_v1(array_agg(
  ROW(%(queue)s, %(task)s, 0, %(lock)s, NULL, args, %(at)s)::procrastinate_job_to_defer_v1))
FROM jsonb_array_elements(%(args)s::jsonb) AS args
"""


def defer(
    connection: Connection,
    task: str,
    *args: dict[str, str] | dict[str, list[str]],
    queue: str = "archive",
    lock: str | None = None,
    at: datetime | None = None,
) -> None:
    """Puts one job for each of `args` into the queue, in the caller's transaction.

    `lock`: jobs of one lock run one after another. `at`: not before that time.
    """
    if args:
        values = {"queue": queue, "task": task, "lock": lock, "at": at}
        connection.exec_driver_sql(_DEFER, values | {"args": orjson.dumps(args).decode()})


def defer_uploads(connection: Connection, object_keys: Sequence[str]) -> None:
    """A job for each object of the spool that takes it to the remote store."""
    defer(connection, "upload_object", *({"key": key} for key in object_keys))


def defer_descriptions(connection: Connection, study_instance_uids: Sequence[str]) -> None:
    """One job for these studies, which writes down the metadata of their instances."""
    uids = list(dict.fromkeys(study_instance_uids))
    defer(connection, "describe_studies", {"study_instance_uids": uids})


def defer_key_objects(connection: Connection, object_keys: Sequence[str]) -> None:
    """A job for each stored Key Object Selection that does what it asks for."""
    defer(connection, "follow_note", *({"object_key": key} for key in object_keys))


def queue_on(database_url: str) -> procrastinate.App:
    """The queue of that database; each room adds its own tasks."""
    connector = procrastinate.PsycopgConnector(conninfo=database_url, min_size=1, max_size=6)
    return procrastinate.App(connector=connector)


async def rescue_stalled(app: procrastinate.App) -> None:
    """For ever: puts back into the queue the jobs whose worker has not been heard of."""
    while True:
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
            if job.status == Status.DOING.value:
                log.warning("job %s (%s) lost its worker and is run again", job.id, job.task_name)
                await app.job_manager.retry_job(job)
        await asyncio.sleep(HEARTBEAT_SECONDS)
