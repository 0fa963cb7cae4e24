"""What is asked every day is answered from an index, and never by reading all studies."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from benchmarks import filled, hospital
from pacs.database.engine import connect
from pacs.index.query import Query, keyword_to_tag, search, search_all

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
def test_no_study_is_read_that_an_index_rules_out(
    archive_of_years: Engine, asked: dict[str, str]
) -> None:
    query = Query("STUDY", {keyword_to_tag(name): value for name, value in asked.items()})
    before = whole_reads(archive_of_years)
    with archive_of_years.connect() as connection:
        list(search_all(connection, query))
        search(connection, query)
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
    assert whole_reads(archive_of_years) == before


def test_the_newest_of_a_common_name_are_found_by_their_days(archive_of_years: Engine) -> None:
    before = whole_reads(archive_of_years)
    with archive_of_years.connect() as connection:
        found = search(connection, Query("STUDY", {"00100010": "nguyen*"}, limit=50))
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
    days = [answer["00080020"]["Value"][0] for answer in found]
    assert len(days) == 50
    assert days == sorted(days, reverse=True)
    assert whole_reads(archive_of_years) == before


def whole_reads(engine: Engine) -> dict[str, int]:
    """How often each table of the index was read from beginning to end."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT relname, seq_scan FROM pg_stat_user_tables"
            " WHERE relname IN ('patients', 'studies', 'series', 'instances')"
        )
        return {row.relname: row.seq_scan for row in rows}
