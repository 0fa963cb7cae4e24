"""Connections to the database, and what their failures mean."""

from __future__ import annotations

import re
import select
import time
from typing import Any

import orjson
import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, ExecutionContext, make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from pacs.database.errors import DatabaseError, DatabaseRefused, DatabaseUnavailable

_STATEMENT_SECONDS = 60
_LOCK_SECONDS = 20
_CONNECT_SECONDS = 5
_IDLE_TRANSACTION_SECONDS = 300
_REST_SECONDS = 5.0
# A server that falls silent (a cable, a firewall that forgets) is noticed, and not in two hours.
_SILENCE = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}

# Execution option of statements whose best plan hangs on their values: had psycopg prepared them,
# PostgreSQL would in time run them by one plan for all values.
PLANNED_ANEW = {"planned_anew": True}

# PostgreSQL appendix A: what passes by itself or by making room, and is no fault of the statement.
_TEMPORARY = re.compile(r"08...|53...|55P03|57...|58...|25006|40P01")
_MISCONFIGURED = re.compile(
    r"password authentication failed|no pg_hba\.conf entry|no password supplied|"
    r'(role|database) "[^"]*" does not exist|authentication method requirement|'
    r"permission denied for database|is not permitted to log in"
)


def address(url: str) -> str:
    """The database's address without its password, fit for messages."""
    return _parse(url).render_as_string(hide_password=True).replace("+psycopg", "")


def libpq_url(url: str) -> str:
    """The URL as libpq, psycopg and procrastinate take it. Raises DatabaseRefused.

    What it says of silent servers stays; else they are given up after about 30 seconds.
    """
    parsed = _parse(url).set(drivername="postgresql")
    with_limits = parsed.set(query=_SILENCE | dict(parsed.query))
    return with_limits.render_as_string(hide_password=False)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseRefused(
            "the database URL cannot be read: write it as postgresql://user:password@host/database"
        ) from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise DatabaseRefused(
            f"the database must be PostgreSQL, not {parsed.get_backend_name()}:"
            " write its URL as postgresql://user:password@host/database"
        )
    return parsed.set(drivername="postgresql+psycopg")


class _Pool(QueuePool):
    """A pool that says in our own words that all its connections are busy."""

    def _do_get(self) -> Any:
        try:
            return super()._do_get()
        except PoolTimeoutError as error:
            raise DatabaseUnavailable(
                f"all {self.size() + self._max_overflow} connections to the database are busy"
            ) from error


def connect(
    url: str,
    *,
    application: str = "filmless",
    pool_size: int = 10,
    overflow: int = 10,
    statement_seconds: int = _STATEMENT_SECONDS,
) -> Engine:
    """An engine on the database; connections are made when first needed and checked when reused.

    What goes wrong on the way to the server, or in it without being the statement's fault, is
    raised as DatabaseUnavailable (try again later) or DatabaseRefused (change the configuration).
    """
    timeouts = (
        f"-c statement_timeout={statement_seconds}s -c lock_timeout={_LOCK_SECONDS}s"
        f" -c idle_in_transaction_session_timeout={_IDLE_TRANSACTION_SECONDS}s -c timezone=UTC"
    )
    parsed = _parse(url)
    engine = create_engine(
        parsed,
        poolclass=_Pool,
        pool_size=pool_size,
        max_overflow=overflow,
        pool_timeout=30,
        hide_parameters=True,
        json_deserializer=orjson.loads,
        connect_args={
            "application_name": application,
            "connect_timeout": _CONNECT_SECONDS,
            "options": f"{parsed.query.get('options', '')} {timeouts}".strip(),
        },
    )
    event.listen(engine, "handle_error", _translate, retval=True)
    event.listen(engine, "do_execute", _execute)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _replace_dead)
    return engine


def _note_use(_connection: psycopg.Connection | None, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _replace_dead(
    connection: psycopg.Connection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Raise InvalidatePoolError, upon which the pool connects anew, where the server is gone.

    To ask it each time would take as long as most questions. A server that ends says so on the
    socket, where nothing else is to be read; one that fell silent is noticed after a rest.
    """
    rested = time.monotonic() - record.info.get("used", time.monotonic())
    if rested < _REST_SECONDS and not connection.closed:
        socket = select.poll()
        socket.register(connection.fileno(), select.POLLIN)
        if not socket.poll(0):
            return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise InvalidatePoolError from error


def _execute(
    cursor: psycopg.Cursor[Any], statement: str, parameters: Any, context: ExecutionContext | None
) -> bool:
    """Whether it was executed here: statements that must not be prepared."""
    if context is None or not context.execution_options.get("planned_anew"):
        return False
    cursor.execute(statement.encode(), parameters, prepare=False)
    return True


def _translate(context: ExceptionContext) -> DatabaseError | None:
    """The error to raise in place of psycopg's; its cause stays psycopg's."""
    return meaning_of(context.original_exception)


def meaning_of(error: BaseException) -> DatabaseError | None:
    """What psycopg's error says about the database; None when the statement itself was wrong."""
    if not isinstance(error, psycopg.OperationalError | psycopg.InternalError):
        return None
    reason = " ".join(str(error).split()) or type(error).__name__
    if error.sqlstate is None or error.sqlstate.startswith("28") or error.sqlstate == "3D000":
        if _MISCONFIGURED.search(reason):
            return DatabaseRefused(f"the database does not let us in: {reason}")
        return DatabaseUnavailable(f"the database cannot be reached: {reason}")
    if _TEMPORARY.fullmatch(error.sqlstate):
        return DatabaseUnavailable(f"the database cannot do this now: {reason}")
    return None


def cursor_of(connection: Connection) -> psycopg.Cursor[Any]:
    """A cursor of psycopg's own on the connection, within its transaction.

    For statements of which thousands are run a second: what is around them elsewhere costs as much
    as they do. `meaning_of` says what their errors mean.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - there is no other driver
    return driver.cursor()
