"""The spool: safe here at once, in S3 in time, and never in neither."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.errors import ObjectNotFound, StoreError, StoreUnavailable
from storage.local import LocalStore
from storage.s3 import S3Store
from storage.spool import SpooledStore
from storage.store import ObjectStore, open_store
from tests.plugins.seaweed import Seaweed

if TYPE_CHECKING:
    from tests.storage.conftest import Bench, Kind, Wire

KEY = "instances/2026/11/22/0193f0aa.dcm"


def waiting(store: SpooledStore) -> list[str]:
    return sorted(found.key for found in store.pending())


def remote_of(bench: "Bench") -> ObjectStore:
    """The bucket alone, as another machine sees it."""
    return open_store(bench.url, spool=bench.spool.with_name("elsewhere"), ack="store")


def test_upload_moves_an_object(new_bench: "Callable[[Kind], Bench]") -> None:
    bench = new_bench("spool")
    store = bench.store
    assert isinstance(store, SpooledStore)
    remote = remote_of(bench)
    store.put(KEY, b"radiograph")
    assert waiting(store) == [KEY]
    with pytest.raises(ObjectNotFound):
        remote.stat(KEY)
    store.upload(KEY)
    assert waiting(store) == []
    assert remote.read(KEY, 0, 100) == b"radiograph"
    store.upload(KEY)
    assert store.read(KEY, 0, 100) == b"radiograph"
    remote.close()


def test_upload_of_what_nobody_has_is_said(spooled: SpooledStore) -> None:
    with pytest.raises(ObjectNotFound, match=KEY):
        spooled.upload(KEY)


def test_upload_by_several_at_once(spooled: SpooledStore) -> None:
    keys = [f"a/{number}" for number in range(10)]
    for key in keys:
        spooled.put(key, key.encode() * 100)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(spooled.upload, keys * 4))
    assert waiting(spooled) == []
    assert {found.key for found in spooled.list()} == set(keys)
    assert all(spooled.read(key, 0, 10_000) == key.encode() * 100 for key in keys)


def test_readers_never_miss_an_object_that_moves(spooled: SpooledStore) -> None:
    keys = [f"a/{number}" for number in range(60)]
    for key in keys:
        spooled.put(key, key.encode())
    moved = threading.Event()

    def watch(ask: Callable[[str], object]) -> int:
        rounds = 0
        while not moved.is_set():
            for key in keys:
                ask(key)
            rounds += 1
        return rounds

    def listed(_: str) -> None:
        found = [found.key for found in spooled.list("a/")]
        assert sorted(found) == sorted(keys)

    def opened(key: str) -> None:
        with spooled.open(key) as stream:
            assert stream.read() == key.encode()

    asks = (lambda key: spooled.read(key, 0, 10), opened, listed)
    with ThreadPoolExecutor(3) as pool:
        watchers = [pool.submit(watch, ask) for ask in asks]
        try:
            for key in keys:
                spooled.upload(key)
        finally:
            moved.set()
        for watcher in watchers:
            watcher.result()
    assert waiting(spooled) == []


def test_object_replaced_during_its_upload_stays(
    seaweed: Seaweed, wire: "Wire", tmp_path: Path
) -> None:
    local = LocalStore(tmp_path)
    store = SpooledStore(local, s3_through(seaweed, wire, "replaced-in-spool", tmp_path))
    store.put(KEY, b"the first one")
    sent: list[bytes] = []

    def replace(data: bytes) -> bytes:
        if b"the first one" in data:
            sent.append(data)
            store.put(KEY, b"the second one")
        return data

    wire.alter = replace
    store.upload(KEY)
    assert sent
    assert store.read(KEY, 0, 100) == b"the second one"
    store.upload(KEY)
    assert waiting(store) == []
    assert store.read(KEY, 0, 100) == b"the second one"
    store.close()


def test_deleted_during_its_upload_stays_deleted(spooled: SpooledStore) -> None:
    with ThreadPoolExecutor(1) as pool:
        for number in range(20):
            key = f"a/{number}"
            spooled.put(key, bytes(200_000))
            upload = pool.submit(spooled.upload, key)
            time.sleep(number / 5000)
            spooled.delete(key)
            assert isinstance(upload.exception(), ObjectNotFound | None)
            with pytest.raises(ObjectNotFound):
                spooled.stat(key)


def test_damaged_upload_keeps_the_local_copy(
    seaweed: Seaweed, wire: "Wire", tmp_path: Path
) -> None:
    local = LocalStore(tmp_path)
    store = SpooledStore(local, s3_through(seaweed, wire, "damaged", tmp_path))
    store.put(KEY, b"radiograph")
    wire.alter = lambda data: data.replace(b"radiograph", b"radiogrope")
    with pytest.raises(StoreError):
        store.upload(KEY)
    assert waiting(store) == [KEY]
    assert store.read(KEY, 0, 100) == b"radiograph"
    wire.alter = bytes
    store.upload(KEY)
    assert waiting(store) == []
    store.close()


def test_work_goes_on_without_s3_and_uploads_resume(
    seaweed: Seaweed, wire: "Wire", tmp_path: Path
) -> None:
    store = SpooledStore(LocalStore(tmp_path), s3_through(seaweed, wire, "outage", tmp_path))
    store.put("a/moved", b"moved")
    store.upload("a/moved")
    large = bytes(range(250)) * 80_000
    store.put("a/large", large)
    passed = 0

    def kill_in_the_middle(data: bytes) -> bytes:
        nonlocal passed
        passed += len(data)
        if passed > 18_000_000:
            wire.alter = bytes
            seaweed.kill()
        return data

    wire.alter = kill_in_the_middle
    try:
        with pytest.raises(StoreUnavailable):
            store.upload("a/large")
        assert passed > 18_000_000
        store.put("a/meanwhile", b"safe all the same")
        assert store.read("a/large", 19_999_990, 100) == large[-10:]
        with pytest.raises(StoreUnavailable):
            store.read("a/moved", 0, 10)
        with pytest.raises(StoreUnavailable):
            list(store.list())
        with pytest.raises(StoreUnavailable):
            store.check()
        assert waiting(store) == ["a/large", "a/meanwhile"]
    finally:
        seaweed.start()
    for key in waiting(store):
        store.upload(key)
    assert waiting(store) == []
    assert store.read("a/large", 0, len(large)) == large
    assert store.read("a/meanwhile", 0, 100) == b"safe all the same"
    assert store.read("a/moved", 0, 10) == b"moved"
    store.close()


def test_waiting_objects_are_not_forgotten_by_another_ack(
    new_bench: "Callable[[Kind], Bench]",
) -> None:
    bench = new_bench("spool")
    store = bench.store
    assert isinstance(store, SpooledStore)
    store.put(KEY, b"x")
    with pytest.raises(StoreError, match="run with ack=spool until") as caught:
        open_store(bench.url, spool=bench.spool, ack="store")
    assert caught.value.key == KEY
    store.upload(KEY)
    plain = open_store(bench.url, spool=bench.spool, ack="store")
    assert plain.read(KEY, 0, 1) == b"x"
    plain.close()


def s3_through(seaweed: Seaweed, wire: "Wire", bucket: str, staging: Path) -> S3Store:
    return S3Store(
        seaweed.bucket(bucket),
        endpoint=wire.endpoint,
        access_key=seaweed.access_key,
        secret_key=seaweed.secret_key,
        staging=staging,
    )
