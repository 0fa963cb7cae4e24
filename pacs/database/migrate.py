"""Bring a database to the tables that this program works with."""

from __future__ import annotations

import importlib.resources
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from pacs.database import queue_schema
from pacs.database.binaries import OLDEST_MAJOR
from pacs.database.embedded import silent
from pacs.database.engine import address, connect
from pacs.database.errors import DatabaseNewer, DatabaseUnavailable, DatabaseUnsupported

# "filmless" in ASCII: one key for all processes that migrate one database.
_ADVISORY_KEY = int.from_bytes(b"filmless")
_WAIT_SECONDS = 600.0
_LOCK_TIMEOUT = "15s"


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file; `connection` is what the migrations run on."""
    config = Config()
    folder = importlib.resources.files("pacs.database") / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def migrate(url: str, say: Callable[[str], None] = silent) -> None:
    """Bring the database's tables up to this program; processes that come together take turns.

    Raises DatabaseNewer when a later program has changed the tables, DatabaseUnsupported for a
    server that is too old, and what `connect` raises.
    """
    engine = connect(url, application="filmless migrate", statement_seconds=0)
    try:
        with engine.connect() as connection:
            _refuse_old_server(connection, url)
            if _is_current(connection):
                return
            with _alone(connection, say):
                _upgrade(connection, say)
    finally:
        engine.dispose()


def _refuse_old_server(connection: Connection, url: str) -> None:
    version = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    connection.rollback()
    if version < OLDEST_MAJOR * 10_000:
        raise DatabaseUnsupported(
            f"{address(url)} is PostgreSQL {version // 10_000}: {OLDEST_MAJOR} or later is needed"
        )


def _is_current(connection: Connection) -> bool:
    """Whether there is nothing to do. Raises DatabaseNewer."""
    scripts = ScriptDirectory.from_config(configuration())
    known = {revision.revision for revision in scripts.walk_revisions()}
    present = set(MigrationContext.configure(connection).get_current_heads())
    queue_is_current = queue_schema.is_current(connection)
    connection.rollback()
    if present - known:
        raise DatabaseNewer(
            f"the database is at revision {', '.join(sorted(present - known))}, which this version"
            " of Filmless does not know: start the later version that made it, or restore a backup"
        )
    return present == set(scripts.get_heads()) and queue_is_current


@contextmanager
def _alone(connection: Connection, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the migrations' lock on this database; it ends with the session, whatever happens."""
    deadline = time.monotonic() + _WAIT_SECONDS
    told = False
    while not connection.execute(
        text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_KEY}
    ).scalar_one():
        connection.rollback()
        if time.monotonic() > deadline:
            raise DatabaseUnavailable("another process has been migrating the database for long")
        if not told:
            say("another process is migrating the database; waiting")
            told = True
        time.sleep(0.1)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_KEY})
        connection.commit()


def _upgrade(connection: Connection, say: Callable[[str], None]) -> None:
    if _is_current(connection):  # another process was faster
        return
    say("bringing the database up to date")
    # Rather give way than have all who read wait behind a migration that waits for one of them.
    connection.execute(text(f"SET lock_timeout = '{_LOCK_TIMEOUT}'"))
    queue_schema.bring_up(connection)
    command.upgrade(configuration(connection), "head")
    connection.commit()
