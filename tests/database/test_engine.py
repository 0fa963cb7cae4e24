"""Connections, and what their failures are called."""

import socket

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, ProgrammingError

from pacs.database.engine import address, connect, libpq_url
from pacs.database.errors import DatabaseRefused, DatabaseUnavailable


def test_a_connection_names_the_product_and_speaks_utc(database_url: str) -> None:
    engine = connect(database_url, application="filmless test")
    with engine.connect() as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "filmless test"
        assert connection.execute(text("SHOW timezone")).scalar_one() == "UTC"
    engine.dispose()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        engine = connect(f"postgresql://an:secret@127.0.0.1:{free.getsockname()[1]}/filmless")
        with pytest.raises(DatabaseUnavailable, match="cannot be reached") as told:
            engine.connect()
    assert "secret" not in str(told.value)
    engine.dispose()


@pytest.mark.parametrize(
    ("part", "value"), [("password", "wrong"), ("username", "nobody_here"), ("database", "nowhere")]
)
def test_a_server_that_does_not_know_us_refuses(postgres: str, part: str, value: str) -> None:
    url = make_url(postgres).set(**{part: value})  # type: ignore[arg-type]
    engine = connect(url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseRefused, match="does not let us in"):
        engine.connect()
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://host/base", "no url at all", "sqlite:///file"])
def test_what_is_no_address_of_a_postgresql_is_refused(url: str) -> None:
    with pytest.raises(DatabaseRefused, match="postgresql://user:password@host/database"):
        connect(url)


def test_a_connection_that_was_cut_is_replaced(database_url: str) -> None:
    engine = connect(database_url)
    with engine.connect() as connection:
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    other = connect(database_url)
    with other.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend})
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()
    other.dispose()


def test_a_cut_in_the_middle_is_unavailable(database_url: str) -> None:
    engine = connect(database_url)
    other = connect(database_url)
    with (
        pytest.raises(DatabaseUnavailable),
        engine.connect() as connection,
        other.begin() as second,
    ):
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        second.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend})
        connection.execute(text("SELECT pg_sleep(5)"))
    engine.dispose()
    other.dispose()


def test_a_statement_that_takes_too_long_is_unavailable(database_url: str) -> None:
    engine = connect(database_url, statement_seconds=1)
    with engine.connect() as connection, pytest.raises(DatabaseUnavailable, match="timeout"):
        connection.execute(text("SELECT pg_sleep(5)"))
    engine.dispose()


def test_what_is_the_statements_own_fault_stays_so(database_url: str) -> None:
    engine = connect(database_url)
    with engine.connect() as connection, pytest.raises(ProgrammingError):
        connection.execute(text("SELECT nothing"))
    insert = text("INSERT INTO devices (aet) VALUES ('CR1')")
    with engine.begin() as connection:
        connection.execute(insert)
    with engine.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(insert)
    engine.dispose()


def test_addresses_are_shown_without_their_password() -> None:
    url = "postgres://an:secret@db.hospital/filmless"
    assert address(url) == "postgresql://an:***@db.hospital/filmless"
    for_libpq = libpq_url("postgresql+psycopg://an:secret@db/filmless")
    assert for_libpq.startswith("postgresql://an:secret@db/filmless")


def test_a_silent_server_is_given_up_soon(database_url: str) -> None:
    with psycopg.connect(libpq_url(f"{database_url}&keepalives_idle=77")) as connection:
        parameters = connection.info.get_parameters()
    assert parameters["tcp_user_timeout"] == "30000"
    assert parameters["keepalives_idle"] == "77"
