"""Import, reindex, scrub and status: what the one IT person does."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from pacs import scrub as scrubbing
from pacs.archive import Archive
from pacs.importing import ImportPathError, files_below, import_files
from pacs.ingest import Source
from pacs.reindex import reindex
from pacs.scrub import Checked, scrub
from pacs.status import status

MODALITY = Source("dimse", "CR1")
MakeFile = Callable[..., bytes]


def instances(archive: Archive) -> list[tuple[object, ...]]:
    columns = "sop_instance_uid, object_key, size, dataset_crc32, frames, version, source_kind"
    with archive.engine.connect() as connection:
        found = connection.execute(text(f"SELECT {columns} FROM instances ORDER BY object_key"))
        return [tuple(row) for row in found]


def test_import_takes_a_folder_and_says_what_it_refused(
    archive: Archive, make_file: MakeFile, tmp_path: Path
) -> None:
    folder = tmp_path / "cd" / "deep"
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"{number}.dcm").write_bytes(make_file())
    (folder / "readme.txt").write_text("not an image")
    results = list(import_files(archive.ingest, files_below([tmp_path / "cd"])))
    assert [result.path.name for result in results if result.refusal] == ["readme.txt"]
    assert len(instances(archive)) == 5
    again = list(import_files(archive.ingest, files_below([tmp_path / "cd"])))
    outcomes = {result.received.outcome for result in again if result.received}
    assert outcomes == {"duplicate"}
    with pytest.raises(ImportPathError, match="nowhere"):
        files_below([tmp_path / "nowhere"])


def test_a_lost_index_is_rebuilt(archive: Archive, make_file: MakeFile) -> None:
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4", "SOPInstanceUID": "1.2.5"}
    for data in (make_file(), make_file(**uids), make_file(**uids, ImageComments="new")):
        archive.ingest.receive([data], MODALITY)
    archive.ingest.receive([make_file()], Source("ai", "model 1"))
    before = [row[:-1] for row in instances(archive)]
    with archive.engine.begin() as connection:
        connection.execute(text("TRUNCATE patients CASCADE"))
    assert [found.outcome for found in reindex(archive)] == [
        "stored",
        "stored",
        "conflict",
        "stored",
    ]
    assert [row[:-1] for row in instances(archive)] == before
    assert [row[-1] for row in instances(archive)] == ["import"] * 3 + ["ai"]
    assert {found.outcome for found in reindex(archive)} == {"known"}


def test_scrub_finds_what_is_missing_changed_and_orphaned(
    archive: Archive, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        archive.ingest.receive([make_file()], MODALITY)
    assert {checked.problem for checked in scrub(archive)} == {None}
    whole, missing, changed = sorted(stat.key for stat in archive.store.list())
    archive.store.delete(missing)
    with archive.store.open(changed) as file:
        spoilt = bytearray(file.read())
    spoilt[-1] ^= 1
    archive.store.put(changed, bytes(spoilt))
    archive.store.put("instances/orphan.dcm", b"left by a crash")
    assert list(scrub(archive)) == [
        Checked(whole, None),
        Checked(missing, "missing"),
        Checked(changed, "changed"),
    ]
    monkeypatch.setattr(scrubbing, "ORPHAN_AGE", timedelta(seconds=-1))
    assert Checked("instances/orphan.dcm", "orphan") in set(scrub(archive, delete_orphans=True))
    assert "orphan" not in {checked.problem for checked in scrub(archive)}


def test_status_counts(archive: Archive, make_file: MakeFile) -> None:
    archive.ingest.receive([make_file()], MODALITY)
    found = status(archive)
    assert (found.studies, found.instances, found.studies_arriving) == (1, 1, 1)
    assert found.stored_bytes > 128
    assert found.store_problem is None
