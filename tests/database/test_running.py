"""The configured database, for as long as a command needs it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from pacs.database import processes
from pacs.database.compare import differences
from pacs.database.engine import connect
from pacs.database.errors import DatabaseRefused
from pacs.database.running import database
from pacs.settings import load_settings


def test_the_embedded_one_is_up_and_migrated_inside_and_down_after(fresh_folder: Path) -> None:
    settings = load_settings(data_dir=fresh_folder)
    with database(settings) as url:
        engine = connect(url)
        with engine.connect() as connection:
            assert differences(connection) == []
        engine.dispose()
    assert processes.postgres_in(fresh_folder / "postgres" / "cluster") == []


def test_commands_at_once_share_one_server_and_the_last_is_not_cut_off(fresh_folder: Path) -> None:
    settings = load_settings(data_dir=fresh_folder)
    first_is_in, second_is_in = threading.Event(), threading.Event()

    def first() -> None:
        with database(settings):
            first_is_in.set()
            assert second_is_in.wait(60)

    def second() -> str:
        assert first_is_in.wait(60)
        with database(settings) as url:
            second_is_in.set()
            # The first, who has started the server, is leaving now.
            with psycopg.connect(url) as connection:
                connection.execute("SELECT pg_sleep(1)")
            return url

    with ThreadPoolExecutor(2) as threads:
        leaving, staying = threads.submit(first), threads.submit(second)
        assert staying.result(90).startswith("postgresql://")
        leaving.result(90)
    assert processes.postgres_in(fresh_folder / "postgres" / "cluster") == []


def test_a_configured_one_is_migrated_and_left_running(
    fresh_folder: Path, empty_database_url: str
) -> None:
    settings = load_settings(data_dir=fresh_folder, database_url=empty_database_url)
    with database(settings) as url:
        assert not (fresh_folder / "postgres").exists()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM studies").fetchone() == (0,)


def test_an_address_of_something_else_is_refused(fresh_folder: Path) -> None:
    settings = load_settings(data_dir=fresh_folder, database_url="mysql://host/base")
    with pytest.raises(DatabaseRefused), database(settings):
        pass
