"""Metadata of whole series and studies: written once, never of other instances than are there."""

import gzip
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import text

from pacs import retrieve
from pacs.archive import Archive
from pacs.documents import Document, describe_study, document, etag_of
from pacs.index.query import Scope
from pacs.ingest import Source
from pacs.retrieve import NotFound
from pacs.workflow import settle_quiet_studies

MakeFile = Callable[..., bytes]
MODALITY = Source("dimse", "CR1")
UIDS = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}


@pytest.fixture
def receive(archive: Archive, make_file: MakeFile) -> Callable[..., None]:
    def take_in(**attributes: object) -> None:
        archive.ingest.receive([make_file(**UIDS | attributes)], MODALITY)

    return take_in


def settle(archive: Archive) -> None:
    with archive.engine.begin() as connection:
        settle_quiet_studies(connection, 0)


def described(archive: Archive) -> int:
    with archive.engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM instance_metadata")).scalar_one())


def body(found: Document | None) -> str:
    assert found is not None
    assert found.gzip is not None
    plain = gzip.decompress(found.gzip)
    assert b"".join(found.plain()) == plain
    assert found.etag == etag_of(plain)
    return plain.decode()


def on_the_spot(archive: Archive, series: str | None = None) -> str:
    return f"[{','.join(retrieve.metadata(archive, study='1.2.3', series=series))}]"


def test_documents_say_what_is_said_on_the_spot(
    archive: Archive, receive: Callable[..., None]
) -> None:
    for number in (3, 1, 2):
        receive(InstanceNumber=number)
    receive(SeriesInstanceUID="1.2.3.2", PatientName="Đỗ^Thị Ánh")
    assert document(archive, study="1.2.3", series="1.2.3.2") is None, "it is still arriving"
    assert described(archive) == 1
    expected = [on_the_spot(archive, series) for series in (None, "1.2.3.1", "1.2.3.2")]
    assert describe_study(archive, "1.2.3") == 3
    for series, said in zip((None, "1.2.3.1", "1.2.3.2"), expected, strict=True):
        assert body(document(archive, study="1.2.3", series=series)) == said
    assert describe_study(archive, "1.2.3") == 0


def test_whoever_has_the_document_gets_no_bytes(
    archive: Archive, receive: Callable[..., None]
) -> None:
    receive()
    settle(archive)
    found = document(archive, study="1.2.3")
    assert found is not None
    assert document(archive, study="1.2.3", known=["x", found.etag]) == Document(found.etag, None)
    assert document(archive, study="1.2.3", known=["x"]) == found


def test_a_document_of_other_instances_is_not_served(
    archive: Archive, receive: Callable[..., None]
) -> None:
    receive(SOPInstanceUID="1.2.3.1.1")
    settle(archive)
    before = document(archive, study="1.2.3")
    receive(SeriesInstanceUID="1.2.3.2", SOPInstanceUID="1.2.3.2.1")
    assert document(archive, study="1.2.3") is None
    assert document(archive, study="1.2.3", series="1.2.3.1") == before, "that series is the same"
    settle(archive)
    assert body(document(archive, study="1.2.3")) == on_the_spot(archive)
    receive(SOPInstanceUID="1.2.3.1.1", PatientComments="sent again, with other bytes")
    assert document(archive, study="1.2.3", series="1.2.3.1") is None
    settle(archive)
    assert "sent again" in body(document(archive, study="1.2.3"))
    with archive.engine.begin() as connection:
        connection.execute(
            text("UPDATE instances SET current = false WHERE sop_instance_uid = '1.2.3.2.1'")
        )
    assert "1.2.3.2.1" not in body(document(archive, study="1.2.3"))
    assert document(archive, study="1.2.3", series="1.2.3.2") is None


def test_nobody_gets_more_than_may_be_seen(archive: Archive, receive: Callable[..., None]) -> None:
    receive()
    settle(archive)
    assert document(archive, study="1.2.3", scope=Scope("1.2.3")) is not None
    assert document(archive, study="1.2.3", scope=Scope("1.2.4")) is None
    assert document(archive, study="9.9") is None
    assert document(archive, study="1.2.3", series="9.9") is None
    with pytest.raises(NotFound):
        retrieve.metadata(archive, study="1.2.3", scope=Scope("1.2.4"))


def test_documents_keep_up_with_what_arrives_meanwhile(
    archive: Archive, receive: Callable[..., None]
) -> None:
    receive()
    done = threading.Event()

    def describe() -> None:
        while not done.is_set():
            describe_study(archive, "1.2.3")

    describing = [threading.Thread(target=describe) for _ in range(2)]
    for thread in describing:
        thread.start()
    try:
        for count in range(2, 20):
            receive(SeriesInstanceUID=f"1.2.3.{count % 3}")
            found = document(archive, study="1.2.3")
            if found is not None:
                assert body(found).count('"00080018"') == count
    finally:
        done.set()
        for thread in describing:
            thread.join()
    describe_study(archive, "1.2.3")
    assert body(document(archive, study="1.2.3")) == on_the_spot(archive)
