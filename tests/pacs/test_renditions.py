"""Frames kept in another form: on disk and on S3, bounded, and never in the way."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from openjpeg.utils import decode

from pacs import renditions, retrieve
from pacs.archive import Archive, open_archive
from pacs.dicom.codecs import NotEncodable, UndecodableFrame
from pacs.ingest import Source
from pacs.reindex import reindex
from pacs.renditions import PREFIX, drop, htj2k, prune
from pacs.retrieve import NotFound, StoredInstance
from pacs.scrub import scrub
from pacs.settings import load_settings
from storage.errors import ObjectNotFound
from storage.spool import SpooledStore
from storage.store import ObjectStore
from tests.plugins.seaweed import Seaweed

MODALITY = Source("dimse", "CR1", "127.0.0.1")


@pytest.fixture(params=["local", "s3", "spool"])
def kept_in(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Archive]:
    """An archive on each kind of store."""
    url = None
    if request.param != "local":
        server: Seaweed = request.getfixturevalue("seaweed")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        url = server.store_url(f"renditions-{request.param}")
    ack: Literal["spool", "store"] = "store" if request.param == "s3" else "spool"
    settings = load_settings(data_dir=tmp_path / "data", store_url=url, ack=ack)
    with open_archive(settings, database_url) as archive:
        yield archive
        for stat in list(archive.store.list(PREFIX)):
            archive.store.delete(stat.key)


def store(archive: Archive, path: Path) -> StoredInstance:
    received = archive.ingest.receive([path.read_bytes()], MODALITY)
    with archive.engine.connect() as connection:
        return retrieve.find_instance(connection, received.sop_instance_uid)


def keys(kept: ObjectStore) -> list[str]:
    return sorted(stat.key for stat in kept.list(PREFIX))


def test_made_once_and_kept_beside_the_object(
    kept_in: Archive, real_file: Callable[[str], Path]
) -> None:
    stored = store(kept_in, real_file("emri_small.dcm"))
    third = htj2k(kept_in, stored, 3)
    np.testing.assert_array_equal(decode(third), retrieve.pixels(kept_in, stored, 3))
    key = f"renditions/{stored.object_key}/3.jph"
    assert keys(kept_in.store) == [key]
    written = kept_in.store.stat(key).modified
    assert htj2k(kept_in, stored, 3) == third
    assert kept_in.store.stat(key).modified == written
    if isinstance(kept_in.store, SpooledStore):
        assert key not in [stat.key for stat in kept_in.store.pending()]


@pytest.mark.parametrize("rubbish", [b"", b"x", b"not what was kept", None])
def test_what_is_broken_is_made_anew(
    kept_in: Archive, real_file: Callable[[str], Path], rubbish: bytes | None
) -> None:
    stored = store(kept_in, real_file("emri_small.dcm"))
    made = htj2k(kept_in, stored, 1)
    (key,) = keys(kept_in.store)
    whole = kept_in.store.read(key, 0, 1 << 20)
    kept_in.store.put(key, whole[: len(whole) // 2] if rubbish is None else rubbish)
    assert htj2k(kept_in, stored, 1) == made
    assert kept_in.store.read(key, 0, 1 << 20) == whole


def test_they_are_no_objects_of_the_archive(
    archive: Archive, real_file: Callable[[str], Path]
) -> None:
    stored = store(archive, real_file("emri_small.dcm"))
    htj2k(archive, stored, 1)
    assert [(done.key, done.outcome) for done in reindex(archive)] == [(stored.object_key, "known")]
    assert [(done.key, done.problem) for done in scrub(archive)] == [(stored.object_key, None)]


def test_they_go_with_their_object(archive: Archive, real_file: Callable[[str], Path]) -> None:
    first, second = (store(archive, real_file(name)) for name in ("emri_small.dcm", "693_UNCR.dcm"))
    for number in (1, 2):
        htj2k(archive, first, number)
    htj2k(archive, second, 1)
    drop(archive.store, first.object_key)
    assert keys(archive.store) == [f"renditions/{second.object_key}/1.jph"]
    drop(archive.store, first.object_key)


def test_the_oldest_go_when_there_are_too_many(
    archive: Archive, real_file: Callable[[str], Path]
) -> None:
    stored = store(archive, real_file("emri_small.dcm"))
    for number in range(1, 11):
        htj2k(archive, stored, number)
    size = sum(stat.size for stat in archive.store.list(PREFIX))
    assert prune(archive.store, size) == 0
    assert 2 <= prune(archive.store, size - 1) <= 4
    left = keys(archive.store)
    assert f"renditions/{stored.object_key}/1.jph" not in left
    assert f"renditions/{stored.object_key}/10.jph" in left
    assert prune(archive.store, 0) == len(left)


def test_a_store_that_keeps_nothing_is_no_error(
    archive: Archive, real_file: Callable[[str], Path]
) -> None:
    stored = store(archive, real_file("emri_small.dcm"))
    # No key can run through another object.
    archive.store.put(PREFIX.rstrip("/"), b"in the way")
    for _ in range(2):
        assert decode(htj2k(archive, stored, 1)).shape == (64, 64)
    assert keys(archive.store) == []


def test_pixels_without_such_a_form(archive: Archive, real_file: Callable[[str], Path]) -> None:
    with pytest.raises(NotEncodable, match="single bits"):
        htj2k(archive, store(archive, real_file("liver.dcm")), 1)
    stored = store(archive, real_file("emri_small.dcm"))
    with pytest.raises(NotFound):
        htj2k(archive, stored, 11)
    assert renditions.MOST_BYTES > 1 << 30
    archive.store.delete(stored.object_key)
    with pytest.raises((ObjectNotFound, UndecodableFrame)):
        htj2k(archive, stored, 2)
