"""Migrations: one way to the tables, taken once, and never backwards."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic import command
from procrastinate.schema import SchemaManager

from pacs.database.compare import differences
from pacs.database.engine import connect
from pacs.database.errors import DatabaseNewer, DatabaseUnsupported
from pacs.database.migrate import configuration, migrate
from pacs.database.schema import metadata

MIGRATE = "import sys; from pacs.database.migrate import migrate; migrate(sys.argv[1], print)"

# What a database is, in its own words, apart from the order in which it was made.
DEFINITIONS = """
SELECT 'column', table_name, column_name, data_type, is_nullable, column_default,
       generation_expression, is_identity
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', '', ''
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
UNION ALL
SELECT 'index', tablename, indexname, indexdef, '', '', '', ''
  FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled::text,
       '', '', ''
  FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function', proname, prosrc, '', '', '', '', ''
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'comment', objoid::regclass::text, objsubid::text, description, '', '', '', ''
  FROM pg_description WHERE classoid = 'pg_class'::regclass AND objoid >= 16384
"""


def definitions(url: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        rows = set(connection.execute(DEFINITIONS).fetchall())
    return {row for row in rows if not any("procrastinate" in str(part) for part in row)}


def test_the_migrations_make_exactly_the_tables_that_the_program_knows(database_url: str) -> None:
    engine = connect(database_url)
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()


def test_what_migrations_make_is_what_the_metadata_would_make(
    database_url: str, empty_database_url: str
) -> None:
    engine = connect(empty_database_url)
    metadata.create_all(engine)
    engine.dispose()
    made = definitions(empty_database_url)
    migrated = {row for row in definitions(database_url) if row[1] != "alembic_version"}
    assert made - migrated == set()
    assert migrated - made == set()


def test_the_audit_of_a_migrated_database_cannot_be_rewritten(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO audit_events (actor, action, outcome, detail, address)"
            " VALUES ('user:an', 'study.read', 'ok', '{}', '')"
        )
        for statement in (
            "UPDATE audit_events SET actor = 'user:other'",
            "DELETE FROM audit_events",
            "TRUNCATE audit_events",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                connection.execute(statement)


def test_processes_that_come_together_migrate_once(empty_database_url: str) -> None:
    command = [sys.executable, "-c", MIGRATE, empty_database_url]
    with ThreadPoolExecutor(3) as threads:
        results = list(
            threads.map(
                lambda _: subprocess.run(command, capture_output=True, text=True, check=False),
                range(3),
            )
        )
    assert [result.stderr for result in results] == ["", "", ""]
    assert [result.returncode for result in results] == [0, 0, 0]
    said = "".join(result.stdout for result in results)
    assert said.count("bringing the database up to date") == 1


def test_a_second_time_changes_nothing(database_url: str) -> None:
    said: list[str] = []
    before = definitions(database_url)
    migrate(database_url, said.append)
    assert definitions(database_url) == before
    assert said == []


def test_a_newer_database_is_refused_in_one_sentence(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseNewer) as told:
        migrate(database_url)
    assert "revision 9999, which this version of Filmless does not know" in str(told.value)
    assert "\n" not in str(told.value)


def test_the_queue_of_an_older_procrastinate_is_brought_up(
    database_url: str, empty_database_url: str
) -> None:
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    older = [file for file in files if file.name < "03"]
    assert 0 < len(older) < len(files)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        for file in older:
            connection.execute(file.read_text().encode())
        connection.execute("CREATE TABLE procrastinate_schema_version (migration text NOT NULL)")
        connection.execute("INSERT INTO procrastinate_schema_version VALUES (%s)", [older[-1].name])
    migrate(empty_database_url)
    assert functions_of_the_queue(empty_database_url) == functions_of_the_queue(database_url)


def functions_of_the_queue(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'procrastinate%'"
        ).fetchall()
    return {str(row[0]) for row in rows}


def test_a_server_that_is_too_old_is_refused(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.database.migrate.OLDEST_MAJOR", 99)
    with pytest.raises(DatabaseUnsupported, match=r"is PostgreSQL \d+: 99 or later is needed"):
        migrate(empty_database_url)


def test_search_keys_of_older_names_keep_component_groups_apart(empty_database_url: str) -> None:
    engine = connect(empty_database_url)
    with engine.connect() as connection:
        command.upgrade(configuration(connection), "0004")
        connection.exec_driver_sql(
            "INSERT INTO patients (issuer, patient_id, name, name_key, sex)"
            " VALUES ('LOCAL', '1', '', '', '')"
        )
        connection.exec_driver_sql(
            "INSERT INTO studies (patient_ref, study_instance_uid, patient_name,"
            " patient_name_folded, patient_sex, accession_number, study_id, description,"
            " description_folded, referring_physician, referring_physician_folded, attributes)"
            " SELECT id, '1.2', 'Yamada^Tarou=山田^太郎', 'yamada tarou 山田 太郎', '', '', '', '',"
            " '', 'A^B', 'a b', '{}' FROM patients"
        )
        connection.commit()
    migrate(empty_database_url)
    with engine.connect() as connection:
        keys = connection.exec_driver_sql(
            "SELECT patient_name_folded, referring_physician_folded FROM studies"
        ).one()
    engine.dispose()
    assert tuple(keys) == ("yamada tarou=山田 太郎", "a b")
