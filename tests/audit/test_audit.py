"""The audit trail: what it keeps, that nobody rewrites it, and that reading stays fast."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from pacs.archive import Archive
from pacs.audit.events import Patient, events, record
from pacs.audit.tables import audit_events
from pacs.audit.trail import COALESCE_SECONDS, AuditTrail
from pacs.database.engine import connect
from pacs.ingest import Source


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = connect(database_url)
    yield opened
    opened.dispose()


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM audit_events")).scalar_one())


def test_events_are_found_by_each_condition(engine: Engine) -> None:
    an, binh = Patient("BV1", "7"), Patient("BV2", "7")
    with engine.begin() as connection:
        record(connection, "user:lan", "study.opened", "ok", study_instance_uid="1.2", patient=an)
        record(connection, "user:lan", "study.opened", "ok", study_instance_uid="1.3", patient=binh)
        record(
            connection, "token:1:emr", "fhir.read", "refused", detail={"why": "đ"}, address="::1"
        )
    with engine.connect() as connection:
        latest, second, first = events(connection)
        assert (latest.action, latest.outcome, latest.address) == ("fhir.read", "refused", "::1")
        assert latest.detail == {"why": "đ"}
        assert latest.patient is None
        assert events(connection, study_instance_uid="1.2") == [first]
        assert events(connection, patient=an) == [first]
        assert events(connection, patient_id="7") == [second, first]
        assert events(connection, actor="user:lan", action="study.opened") == [second, first]
        assert events(connection, limit=1) == [latest]
        assert events(connection, before_id=second.id) == [first]
        now = datetime.now(UTC)
        assert len(events(connection, since=now - timedelta(minutes=1), until=now)) == 3
        assert events(connection, since=now + timedelta(minutes=1)) == []


def test_the_patient_of_a_study_is_kept_with_the_event(
    archive: Archive, make_file: Callable[..., bytes]
) -> None:
    content = make_file(PatientID="012345678901", IssuerOfPatientID="BHXH")
    received = archive.ingest.receive([content], Source("import", "test"))
    trail = AuditTrail(archive.engine)
    trail.record("user:lan", "study.opened", study_instance_uid=received.study_instance_uid)
    trail.record("user:lan", "study.opened", study_instance_uid="1.2.3")
    with archive.engine.connect() as connection:
        unknown, known = events(connection)
    assert known.patient == Patient("BHXH", "012345678901")
    assert unknown.patient is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor = 'nobody'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "SET session_replication_role = replica; DELETE FROM audit_events",
    ],
)
def test_nobody_rewrites_it(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        record(connection, "user:lan", "study.opened", "ok")
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))
    assert count(engine) == 1


def test_tables_made_without_the_migration_are_append_only_too(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url.replace("postgresql://", "postgresql+psycopg://"))
    audit_events.create(engine)
    with engine.begin() as connection:
        connection.execute(
            audit_events.insert().values(actor="a", action="b", outcome="ok", detail={}, address="")
        )
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_events"))
    engine.dispose()


def test_the_same_read_within_five_minutes_is_one_row(engine: Engine) -> None:
    now = 0.0
    trail = AuditTrail(engine, clock=lambda: now)

    def read(actor: str = "user:lan", study: str = "1.2", action: str = "study.viewed") -> int:
        trail.record_once(actor, action, study_instance_uid=study)
        return count(engine)

    assert [read() for _ in range(5)] == [1] * 5
    assert read(study="1.3") == 2
    assert read(actor="user:an") == 3
    assert read(action="study.metadata") == 4
    now = COALESCE_SECONDS - 1
    assert read() == 4
    now = COALESCE_SECONDS + 1
    assert read() == 5


def test_many_threads_read_and_one_row_is_written(engine: Engine) -> None:
    trail = AuditTrail(engine)
    together = Barrier(8)

    def read() -> None:
        together.wait()
        for _ in range(50):
            trail.record_once("user:lan", "study.viewed", study_instance_uid="1.2")

    threads = [Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(engine) == 1


def test_a_read_that_could_not_be_recorded_is_tried_again(engine: Engine) -> None:
    trail = AuditTrail(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_events RENAME TO elsewhere"))
    with pytest.raises(DBAPIError):
        trail.record_once("user:lan", "study.viewed")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO audit_events"))
    trail.record_once("user:lan", "study.viewed")
    assert count(engine) == 1


def test_memory_is_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacs.audit.trail._REMEMBERED", 3)
    trail = AuditTrail(engine)
    for number in range(5):
        trail.record_once("user:lan", "study.viewed", study_instance_uid=f"1.{number}")
    trail.record_once("user:lan", "study.viewed", study_instance_uid="1.4")
    assert count(engine) == 5
    trail.record_once("user:lan", "study.viewed", study_instance_uid="1.0")
    assert count(engine) == 6
