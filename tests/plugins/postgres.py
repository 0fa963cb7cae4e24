"""A real PostgreSQL for the tests: one server a session, one fresh migrated database a test."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from pacs.database.embedded import EmbeddedPostgres
from pacs.database.migrate import migrate

# Taken out of the environment: the product refuses settings that it does not know.
_SERVER = os.environ.pop("PACS_TEST_DATABASE_URL", None)


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _execute(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a running PostgreSQL whose user may make databases.

    The embedded one, in a folder of its own; or the server named by PACS_TEST_DATABASE_URL.
    """
    if _SERVER is not None:
        yield _SERVER
        return
    # Not pytest's own temporary folder: others may not pass there, and its path is long.
    folder = Path(tempfile.mkdtemp(prefix="filmless-"))
    folder.chmod(0o711)
    try:
        with EmbeddedPostgres(folder / "postgres") as server:
            yield server.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template_database(postgres: str) -> Iterator[str]:
    """The name of a migrated database from which others are cloned."""
    name = f"filmless_template_{secrets.token_hex(4)}"
    admin = _with_database(postgres, "postgres")
    _execute(admin, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
    try:
        migrate(_with_database(postgres, name))
        yield name
    finally:
        _execute(admin, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def database_url(postgres: str, template_database: str) -> Iterator[str]:
    """The URL of a fresh database that has the product's tables; dropped after the test."""
    name = f"filmless_test_{secrets.token_hex(6)}"
    admin = _with_database(postgres, "postgres")
    _execute(admin, "CREATE DATABASE {} TEMPLATE {}", name, template_database)
    try:
        yield _with_database(postgres, name)
    finally:
        _execute(admin, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def empty_database_url(postgres: str) -> Iterator[str]:
    """The URL of a fresh database without any table; dropped after the test."""
    name = f"filmless_empty_{secrets.token_hex(6)}"
    admin = _with_database(postgres, "postgres")
    _execute(admin, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
    try:
        yield _with_database(postgres, name)
    finally:
        _execute(admin, "DROP DATABASE {} WITH (FORCE)", name)
