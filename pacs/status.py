"""How the archive is, in numbers that one person can act on."""

from dataclasses import dataclass

from sqlalchemy import text

from pacs.archive import Archive
from storage.errors import StoreError
from storage.spool import SpooledStore

_COUNTS = """
SELECT
  (SELECT count(*) FROM patients) AS patients,
  (SELECT count(*) FROM studies) AS studies,
  (SELECT count(*) FROM series) AS series,
  (SELECT count(*) FROM instances WHERE current) AS instances,
  (SELECT coalesce(sum(size), 0)::bigint FROM instances) AS stored_bytes,
  (SELECT count(*) FROM studies WHERE unsettled) AS studies_arriving,
  (SELECT count(*) FROM studies WHERE state = 'complete') AS studies_waiting_for_triage,
  (SELECT count(*) FROM reconciliations WHERE resolved_at IS NULL) AS to_reconcile,
  (SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo') AS jobs_waiting,
  (SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing') AS jobs_running,
  (SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed') AS jobs_failed
"""


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of what is stored and of what waits; `store_problem` is None while all is well."""

    patients: int
    studies: int
    series: int
    instances: int
    stored_bytes: int
    studies_arriving: int
    studies_waiting_for_triage: int
    to_reconcile: int
    jobs_waiting: int
    jobs_running: int
    jobs_failed: int
    objects_in_spool: int
    store_problem: str | None


def status(archive: Archive) -> Status:
    """The numbers as they are now. Raises DatabaseUnavailable."""
    with archive.engine.connect() as connection:
        counts = connection.execute(text(_COUNTS)).one()._mapping
    return Status(
        **counts, objects_in_spool=_spooled(archive), store_problem=_store_problem(archive)
    )


def _spooled(archive: Archive) -> int:
    if not isinstance(archive.store, SpooledStore):
        return 0
    return sum(1 for _ in archive.store.pending())


def _store_problem(archive: Archive) -> str | None:
    try:
        archive.store.check()
    except StoreError as error:
        return str(error)
    return None
