"""The configured database, running and migrated, for as long as a command needs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from pacs.database.data_directory import prepare
from pacs.database.embedded import EmbeddedPostgres, silent
from pacs.database.engine import libpq_url
from pacs.database.errors import DatabaseUnavailable, DataDirectoryInUse
from pacs.database.lock import FolderLock
from pacs.database.migrate import migrate
from pacs.settings import Settings

_JOIN_SECONDS = 60.0
_LEAVE_SECONDS = 3600.0


@contextmanager
def database(settings: Settings, say: Callable[[str], None] = silent) -> Iterator[str]:
    """The URL of the configured database, which has this program's tables.

    Without a configured one it is the embedded server of the data directory: the one that another
    process (`pacs serve`, another command) runs, or else one that is started here and stopped on
    leaving, once nobody else uses it. Raises what EmbeddedPostgres.start and migrate raise.
    """
    prepare(settings.data_dir)
    if settings.database_url is not None:
        url = libpq_url(settings.database_url)
        migrate(url, say)
        yield url
        return
    with _embedded(settings, say) as url:
        migrate(url, say)
        yield url


@contextmanager
def _embedded(settings: Settings, say: Callable[[str], None]) -> Iterator[str]:
    server = EmbeddedPostgres(settings.data_dir / "postgres", say)
    deadline = time.monotonic() + _JOIN_SECONDS
    while True:
        try:
            server.start(patience=0)
        except DataDirectoryInUse:
            guests = FolderLock(server.directory, "guests")
            guests.acquire(say, shared=True, patience=_JOIN_SECONDS)
            try:
                if _answers(server):
                    yield server.url
                    return
            finally:
                guests.release()
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"{server.directory} is in the care of another process, but its PostgreSQL"
                    f" does not answer; {server.log} may say why"
                ) from None
            time.sleep(0.1)
        else:
            break
    try:
        yield server.url
    finally:
        guests = FolderLock(server.directory, "guests")
        try:
            guests.acquire(say, patience=_LEAVE_SECONDS)
        finally:
            server.stop()
            guests.release()


def _answers(server: EmbeddedPostgres) -> bool:
    try:
        psycopg.connect(server.url, connect_timeout=5).close()
    except (psycopg.OperationalError, FileNotFoundError):  # not up, or not even made yet
        return False
    return True
