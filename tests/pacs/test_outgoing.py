"""Objects on their way out: which, in which order, and the same bytes wherever they are stored."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from minio import Minio
from sqlalchemy import Connection

from pacs.archive import Archive, open_archive
from pacs.ingest import Source
from pacs.outgoing import PIECE_BYTES, Outgoing, ReadAhead, StoredObject, outgoing
from pacs.settings import load_settings
from storage.errors import ObjectNotFound, StoreError
from tests.plugins.seaweed import Seaweed

TEST = Source("import", "test")
MakeFile = Callable[..., bytes]


def store(archive: Archive, make_file: MakeFile, **attributes: object) -> bytes:
    """Take a made file in; its data set."""
    file = make_file(**attributes)
    archive.ingest.receive([file], TEST)
    return file[144 + int.from_bytes(file[140:144], "little") :]


@pytest.fixture
def filled(archive: Archive, make_file: MakeFile) -> list[bytes]:
    """Two series of a study with two instances each, received in disorder, and another study."""
    datasets = {}
    for series, number in ((2, 2), (1, 2), (2, 1), (1, 1)):
        datasets[series, number] = store(
            archive,
            make_file,
            StudyInstanceUID="1.1",
            SeriesInstanceUID=f"1.1.{series}",
            SOPInstanceUID=f"1.1.{series}.{number}",
            SeriesNumber=series,
            InstanceNumber=number,
            PatientID="079001",
        )
    store(archive, make_file, StudyInstanceUID="1.2", SOPInstanceUID="1.2.1.1", PatientID="079002")
    return [datasets[key] for key in sorted(datasets)]


@pytest.fixture
def connection(archive: Archive) -> Iterator[Connection]:
    with archive.engine.connect() as opened:
        yield opened


def uids(found: list[Outgoing]) -> list[str]:
    return [one.sop_instance_uid for one in found]


def read(stored: StoredObject | StoreError, *, mapped: bool = True) -> bytes:
    assert isinstance(stored, StoredObject)
    whole = b"".join(stored.dataset(mapped=mapped))
    stored.close()
    return whole


def test_which_and_in_which_order(connection: Connection, filled: list[bytes]) -> None:
    everything = ["1.1.1.1", "1.1.1.2", "1.1.2.1", "1.1.2.2"]
    assert uids(outgoing(connection, studies=["1.1"])) == everything
    assert uids(outgoing(connection, patient_id="079001", issuer="LOCAL")) == everything
    assert uids(outgoing(connection, studies=["1.1", "1.2"])) == [*everything, "1.2.1.1"]
    assert uids(outgoing(connection, series=["1.1.2"])) == everything[2:]
    assert uids(outgoing(connection, instances=["1.1.2.2", "1.2.1.1"])) == ["1.1.2.2", "1.2.1.1"]
    assert outgoing(connection, patient_id="079002", studies=["1.1"]) == []
    assert outgoing(connection) == []


@pytest.mark.parametrize("mapped", [True, False])
def test_bytes_as_they_came(
    archive: Archive, connection: Connection, filled: list[bytes], mapped: bool
) -> None:
    wanted = outgoing(connection, studies=["1.1"])
    with ReadAhead(archive, wanted) as ahead:
        came = [(one.sop_instance_uid, read(stored, mapped=mapped)) for one, stored in ahead]
    assert came == list(zip(uids(wanted), filled, strict=True))


def test_large_objects_come_in_pieces(
    archive: Archive, connection: Connection, make_file: MakeFile
) -> None:
    size = 2 * PIECE_BYTES + 4096
    whole = store(
        archive,
        make_file,
        StudyInstanceUID="1.3",
        EncapsulatedDocument=bytes(range(256)) * (size // 256),
    )
    (wanted,) = outgoing(connection, studies=["1.3"])
    with ReadAhead(archive, [wanted]) as ahead:
        ((_, stored),) = ahead
        assert isinstance(stored, StoredObject)
        pieces = list(stored.dataset())
        stored.close()
    assert len(pieces) == 3
    assert b"".join(pieces) == whole


def test_what_is_gone_holds_nobody_up(
    archive: Archive, connection: Connection, filled: list[bytes]
) -> None:
    wanted = outgoing(connection, studies=["1.1"])
    archive.store.delete(wanted[1].object_key)
    with ReadAhead(archive, wanted) as ahead:
        came = [stored for _, stored in ahead]
    assert isinstance(came[1], ObjectNotFound)
    assert [read(came[number]) for number in (0, 2, 3)] == [filled[n] for n in (0, 2, 3)]


def test_left_early(archive: Archive, connection: Connection, filled: list[bytes]) -> None:
    with ReadAhead(archive, outgoing(connection, studies=["1.1"])) as ahead:
        _, first = next(iter(ahead))
        assert read(first) == filled[0]


def test_from_s3(
    seaweed: Seaweed,
    database_url: str,
    tmp_path: Path,
    make_file: MakeFile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = f"out-{uuid.uuid4().hex[:8]}"
    Minio(
        seaweed.endpoint.removeprefix("http://"),
        seaweed.access_key,
        seaweed.secret_key,
        secure=False,
    ).make_bucket(bucket)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
    settings = load_settings(
        data_dir=tmp_path / "data",
        store_url=f"s3://{bucket}?endpoint={seaweed.endpoint}",
        ack="store",
    )
    with open_archive(settings, database_url) as archive:
        sent = {
            f"1.4.{number}": store(
                archive, make_file, StudyInstanceUID="1.4", SOPInstanceUID=f"1.4.{number}"
            )
            for number in range(10)
        }
        with archive.engine.connect() as connection:
            wanted = outgoing(connection, studies=["1.4"])
        with ReadAhead(archive, wanted) as ahead:
            came = {one.sop_instance_uid: read(stored) for one, stored in ahead}
        assert came == sent
        monkeypatch.setattr("pacs.outgoing.LARGEST_FETCHED_AHEAD", 0)  # all are large now
        with ReadAhead(archive, wanted) as ahead:
            came = {one.sop_instance_uid: read(stored) for one, stored in ahead}
        assert came == sent
        archive.store.delete(wanted[3].object_key)
        with ReadAhead(archive, wanted) as ahead:
            missing = [isinstance(stored, StoreError) for _, stored in ahead]
        assert missing == [number == 3 for number in range(10)]
