"""What is asked every day is answered from indexes, and not by reading all studies."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url

from benchmarks import filled, hospital
from pacs.database.engine import connect
from pacs.index.query import Query, keyword_to_tag, search

STUDIES = 4000


@pytest.fixture(scope="module")
def archive_of_years(postgres: str, template_database: str) -> Iterator[Engine]:
    """A database that holds the studies of five years."""
    name = "filmless_years"
    url = make_url(postgres)
    admin = url.set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(make.format(*map(sql.Identifier, (name, template_database))))
    own = url.set(database=name).render_as_string(hide_password=False)
    filled.fill(own, hospital.studies(STUDIES, "years"), 1)
    engine = connect(own)
    yield engine
    engine.dispose()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    "asked",
    [
        {"PatientID": "BN00000100"},
        {"PatientID": "BN000001*"},
        {"AccessionNumber": "A000000100"},
        {"AccessionNumber": "A0000001*"},
        {"StudyDate": "20260301-20260302", "ModalitiesInStudy": "CT"},
        {"PatientName": "tran^thi h*"},
        {"PatientName": "Quách*"},
        {"PatientName": "pham^van duc^*"},
        {"StudyInstanceUID": "1.2\\1.3"},
        {"SeriesInstanceUID": "1.2"},
        {"SOPInstanceUID": "1.2"},
        {"PatientName": "nguyen*", "StudyDate": "20261001-20261003"},
        {"Modality": "PT", "StudyDate": "20260301-20260331"},
    ],
)
def test_few_rows_are_read_but_those_that_match(
    archive_of_years: Engine, asked: dict[str, str]
) -> None:
    query = Query("STUDY", {keyword_to_tag(name): value for name, value in asked.items()})
    assert rows_read(archive_of_years, query) < STUDIES / 10


def test_the_newest_of_a_common_name_are_found_by_their_days(archive_of_years: Engine) -> None:
    query = Query("STUDY", {"00100010": "nguyen*"}, limit=50)
    with archive_of_years.connect() as connection:
        found = search(connection, query)
    days = [answer["00080020"]["Value"][0] for answer in found]
    assert len(days) == 50
    assert days == sorted(days, reverse=True)
    assert rows_read(archive_of_years, query) < STUDIES / 10


def test_what_no_index_holds_is_looked_for_in_all(archive_of_years: Engine) -> None:
    assert rows_read(archive_of_years, Query("STUDY", {"00081030": "*none"})) >= STUDIES


def rows_read(engine: Engine, query: Query) -> int:
    """How many rows of the index a search reads, by PostgreSQL's own count."""
    with engine.connect() as connection:
        before = _reads(connection)
        search(connection, query)
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        connection.rollback()
        return _reads(connection) - before


def _reads(connection: Connection) -> int:
    reads = connection.exec_driver_sql(
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
        " WHERE relname IN ('patients', 'studies', 'series', 'instances')"
    ).scalar_one()
    connection.rollback()
    return int(reads)
