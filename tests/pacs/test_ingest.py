"""The one way in: what is taken is safe and indexed, what is refused leaves nothing behind."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from pacs import retrieve
from pacs.archive import Archive
from pacs.index.query import Query, search
from pacs.ingest import (
    IngestError,
    InvalidUid,
    MissingAttribute,
    NotDicom,
    Source,
    TooLarge,
    Truncated,
)
from pacs.workflow import settle_quiet_studies

MODALITY = Source("dimse", "CR1", "127.0.0.1")
MakeFile = Callable[..., bytes]


def settle(archive: Archive) -> list[str]:
    with archive.engine.begin() as connection:
        return settle_quiet_studies(connection, 0)


def rows(archive: Archive, table: str) -> list[dict[str, object]]:
    with archive.engine.connect() as connection:
        return [
            dict(row._mapping)
            for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY id"))
        ]


def objects(archive: Archive) -> list[str]:
    return sorted(stat.key for stat in archive.store.list())


@pytest.mark.parametrize(
    "name",
    ["RG1_UNCR.dcm", "RG1_J2KR.dcm", "693_UNCI.dcm", "US1_UNCR.dcm", "emri_small_RLE.dcm"],
)
def test_every_byte_comes_back(
    archive: Archive, real_file: Callable[[str], Path], name: str
) -> None:
    data = real_file(name).read_bytes()
    received = archive.ingest.receive([data[:1000], data[1000:]], MODALITY)
    assert received.outcome == "stored"
    with archive.engine.connect() as connection:
        stored = retrieve.find_instance(connection, received.sop_instance_uid)
    assert b"".join(retrieve.read_object(archive, stored)) == data


def test_the_same_bytes_again_change_nothing(archive: Archive, make_file: MakeFile) -> None:
    data = make_file()
    first = archive.ingest.receive([data], MODALITY)
    before = (rows(archive, "studies"), rows(archive, "instances"), objects(archive))
    again = archive.ingest.receive([data], Source("stow", "someone"))
    assert (first.outcome, again.outcome) == ("stored", "duplicate")
    assert (rows(archive, "studies"), rows(archive, "instances"), objects(archive)) == before


def test_other_bytes_under_a_uid_keep_both(archive: Archive, make_file: MakeFile) -> None:
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "SOPInstanceUID": "1.2.5"}
    old, new = make_file(**uids), make_file(**uids, ImageComments="corrected")
    archive.ingest.receive([old], MODALITY)
    assert archive.ingest.receive([new], MODALITY).outcome == "conflict"
    with archive.engine.connect() as connection:
        served = retrieve.find_instance(connection, "1.2.5")
        kept = retrieve.versions(connection, "1.2.5")
    assert b"".join(retrieve.read_object(archive, served)) == new
    assert [b"".join(retrieve.read_object(archive, version)) for version in kept] == [new, old]
    assert [row["kind"] for row in rows(archive, "reconciliations")] == ["instance_changed"]
    settle(archive)
    assert [row["number_of_instances"] for row in rows(archive, "studies")] == [1]


def test_same_id_other_person_is_taken_and_put_up(archive: Archive, make_file: MakeFile) -> None:
    archive.ingest.receive([make_file(PatientID="7", PatientName="NGUYEN^VAN A")], MODALITY)
    archive.ingest.receive([make_file(PatientID="7", PatientName="TRAN^THI B")], MODALITY)
    assert [row["identity_conflict"] for row in rows(archive, "studies")] == [False, True]
    assert [row["patient_name"] for row in rows(archive, "studies")] == [
        "NGUYEN^VAN A",
        "TRAN^THI B",
    ]
    assert [row["kind"] for row in rows(archive, "reconciliations")] == ["patient_differs"]


def test_other_word_order_and_diacritics_are_the_same_person(
    archive: Archive, make_file: MakeFile
) -> None:
    archive.ingest.receive([make_file(PatientID="7", PatientName="Nguyễn^Văn Đức")], MODALITY)
    archive.ingest.receive([make_file(PatientID="7", PatientName="DUC^NGUYEN^VAN")], MODALITY)
    assert rows(archive, "reconciliations") == []


def test_a_study_of_two_patients_is_taken_and_put_up_once(
    archive: Archive, make_file: MakeFile
) -> None:
    for issuer in ("A", "B", "B"):
        archive.ingest.receive(
            [make_file(StudyInstanceUID="1.2.3", PatientID="7", IssuerOfPatientID=issuer)],
            MODALITY,
        )
    settle(archive)
    assert [row["number_of_instances"] for row in rows(archive, "studies")] == [3]
    assert [row["kind"] for row in rows(archive, "reconciliations")] == ["study_of_two_patients"]


@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        (lambda data: b"", NotDicom),
        (lambda data: b"\0" * 500, NotDicom),
        (lambda data: b"GET / HTTP/1.1\r\n" * 20, NotDicom),
        (lambda data: data[:-1], Truncated),
        (lambda data: data[: len(data) // 2], Truncated),
        (lambda data: data[:140], NotDicom),
    ],
)
def test_what_is_no_whole_object_is_refused(
    archive: Archive,
    make_file: MakeFile,
    spoil: Callable[[bytes], bytes],
    refusal: type[IngestError],
) -> None:
    with pytest.raises(refusal):
        archive.ingest.receive([spoil(make_file())], MODALITY)
    assert objects(archive) == []
    assert rows(archive, "studies") == []


def test_what_lacks_identity_is_refused(archive: Archive, make_file: MakeFile) -> None:
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"):
        with pytest.raises(MissingAttribute, match=keyword):
            archive.ingest.receive([make_file(**{keyword: None})], MODALITY)
    with pytest.raises(InvalidUid, match="StudyInstanceUID"):
        archive.ingest.receive([make_file(StudyInstanceUID="1.2.x")], MODALITY)
    assert objects(archive) == []


def test_too_large_is_refused(archive: Archive, make_file: MakeFile) -> None:
    object.__setattr__(archive.settings, "max_object_bytes", 1000)
    with pytest.raises(TooLarge):
        archive.ingest.receive([make_file()], MODALITY)
    assert objects(archive) == []


def test_many_threads_one_study(archive: Archive, make_file: MakeFile) -> None:
    files = [make_file(StudyInstanceUID="1.2.3") for _ in range(60)] * 2
    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(lambda f: archive.ingest.receive([f], MODALITY), files))
    assert sorted(received.outcome for received in outcomes) == ["duplicate"] * 60 + ["stored"] * 60
    settle(archive)
    (study,) = rows(archive, "studies")
    assert (study["number_of_instances"], study["number_of_series"]) == (60, 60)
    assert len(objects(archive)) == 60


def test_a_refused_object_does_not_disturb_its_neighbours(
    archive: Archive, make_file: MakeFile
) -> None:
    good = [make_file() for _ in range(10)]
    bad = [make_file(SOPInstanceUID=None) for _ in range(10)]
    with ThreadPoolExecutor(8) as threads:
        futures = [
            threads.submit(archive.ingest.receive, [data], MODALITY)
            for pair in zip(good, bad, strict=True)
            for data in pair
        ]
    errors = [future.exception() for future in futures]
    assert [type(error) for error in errors] == [type(None), MissingAttribute] * 10
    assert len(objects(archive)) == len(rows(archive, "instances")) == 10


@pytest.mark.parametrize("character_set", ["ISO_IR 192", None])
def test_vietnamese_names_are_unicode_and_found_without_diacritics(
    archive: Archive, make_file: MakeFile, character_set: str | None
) -> None:
    data = make_file(PatientName="Nguyễn^Văn^Đức", SpecificCharacterSet="ISO_IR 192")
    if character_set is None:  # what senders do that write UTF-8 and do not say so
        data = data.replace(b"ISO_IR 192", b"          ")
    archive.ingest.receive([data], MODALITY)
    with archive.engine.connect() as connection:
        for name in ("nguyen van duc", "NGUYỄN^VĂN^ĐỨC", "Nguyen^V*", "*duc"):
            (found,) = search(connection, Query("STUDY", {"00100010": name}))
            assert found["00100010"]["Value"] == [{"Alphabetic": "Nguyễn^Văn^Đức"}]
        fuzzy = Query("STUDY", {"00100010": "duc nguy"}, fuzzy=True)
        assert len(search(connection, fuzzy)) == 1
