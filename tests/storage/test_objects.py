"""What every store does, asked of a directory, of S3, and of a spool before and after the move."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from storage.errors import ObjectNotFound, StoreError

if TYPE_CHECKING:
    from tests.storage.conftest import Bench

IMPOSSIBLE = ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.b", "a\0b", "a b", "ảnh", "a\\b"]
IMPOSSIBLE += ["a\n", "k" * 513, "s" * 256, "-/" * 257]
KEY = "instances/2026/11/22/0193f0aa.dcm"


def test_stored_bytes_come_back(bench: "Bench") -> None:
    store = bench.store
    store.put(KEY, b"radiograph")
    bench.settle()
    with store.open(KEY) as stream:
        assert stream.read() == b"radiograph"
    found = store.stat(KEY)
    assert (found.key, found.size) == (KEY, 10)
    assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=1)
    with bench.open().open(KEY) as stream:
        assert stream.read() == b"radiograph"


def test_pieces_of_any_buffer_are_joined(bench: "Bench") -> None:
    reused = bytearray(b"two ")
    with bench.store.create(KEY) as writer:
        writer.write(b"one ")
        writer.write(reused)
        reused[:] = b"gone"
        writer.write(memoryview(b"..three..")[2:-2])
        writer.write(b"")
        writer.commit()
    bench.settle()
    assert bench.store.read(KEY, 0, 100) == b"one two three"


def test_empty_object(bench: "Bench") -> None:
    bench.store.put(KEY, b"")
    bench.settle()
    assert bench.store.stat(KEY).size == 0
    assert bench.store.read(KEY, 0, 10) == b""
    with bench.store.open(KEY) as stream:
        assert stream.read() == b""


def test_ranged_read_is_short_at_the_end(bench: "Bench") -> None:
    bench.store.put(KEY, b"0123456789")
    bench.settle()
    for start, length, expected in (
        (0, 4, b"0123"),
        (3, 4, b"3456"),
        (8, 10, b"89"),
        (9, 1, b"9"),
        (10, 1, b""),
        (11, 5, b""),
        (2**63, 2**63, b""),
        (0, 2**63, b"0123456789"),
        (5, 0, b""),
    ):
        assert bench.store.read(KEY, start, length) == expected, (start, length)
    for start, length in ((-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="negative"):
            bench.store.read(KEY, start, length)


def test_stream_can_be_sought(bench: "Bench") -> None:
    data = bytes(range(256)) * 4096
    bench.store.put(KEY, data)
    bench.settle()
    with bench.store.open(KEY) as stream:
        assert stream.seek(-3, io.SEEK_END) == len(data) - 3
        assert stream.read() == data[-3:]
        assert stream.seek(700_001) == 700_001
        assert stream.read(5) == data[700_001:700_006]
        assert stream.seek(-2, io.SEEK_CUR) == 700_004
        assert stream.read(400_000) == data[700_004:]
        stream.seek(0)
        assert stream.read() == data
        stream.seek(len(data) + 10)
        assert stream.read(1) == b""


def test_missing_object_is_named(bench: "Bench") -> None:
    store = bench.store
    for ask in (store.open, store.stat, lambda key: store.read(key, 0, 1)):
        with pytest.raises(ObjectNotFound, match="instances/none") as caught:
            ask("instances/none")
        assert caught.value.key == "instances/none"
    store.put("instances/a/b", b"x")
    bench.settle()
    for part in ("instances", "instances/a", "instances/a/b/c"):
        with pytest.raises(ObjectNotFound):
            store.stat(part)
        store.delete(part)
    with pytest.raises(ObjectNotFound):
        store.read("instances/none", 0, 0)


def test_nothing_is_seen_before_commit_nor_after_abort(bench: "Bench") -> None:
    store = bench.store
    with store.create(KEY) as writer:
        writer.write(b"half")
        assert list(store.list()) == []
        with pytest.raises(ObjectNotFound):
            store.stat(KEY)
        with writer.read_back() as back:
            assert back.read() == b"half"
            back.seek(1)
            writer.write(b" and half")
            assert back.read() == b"alf and half"
    with pytest.raises(ObjectNotFound):
        store.open(KEY)
    with pytest.raises(RuntimeError, match="sender"), store.create(KEY) as writer:
        writer.write(b"half")
        raise RuntimeError("sender went away")
    assert list(store.list()) == []


def test_ended_writer_refuses_more(bench: "Bench") -> None:
    with bench.store.create(KEY) as writer:
        writer.commit()
        with pytest.raises(StoreError, match="committed"):
            writer.write(b"more")
        with pytest.raises(StoreError, match="committed"):
            writer.commit()
        writer.abort()
    bench.settle()
    assert bench.store.stat(KEY).size == 0
    with bench.store.create(KEY) as writer:
        writer.abort()
        with pytest.raises(StoreError, match="aborted"):
            writer.read_back()


def test_new_object_replaces_the_old_one_at_once(bench: "Bench") -> None:
    store = bench.store
    store.put(KEY, b"first")
    bench.settle()
    with store.open(KEY) as reading:
        with store.create(KEY) as writer:
            writer.write(b"second")
            assert store.read(KEY, 0, 100) == b"first"
            writer.commit()
        assert store.read(KEY, 0, 100) == b"second"
        assert reading.read() == b"first"
    bench.settle()
    assert store.read(KEY, 0, 100) == b"second"


def test_deleted_object_is_gone(bench: "Bench") -> None:
    store = bench.store
    store.put(KEY, b"x")
    bench.settle()
    store.delete(KEY)
    store.delete(KEY)
    with pytest.raises(ObjectNotFound):
        store.open(KEY)
    assert list(store.list()) == []


def test_list_finds_what_begins_with_the_prefix(bench: "Bench") -> None:
    store = bench.store
    keys = ["a/1", "a/12", "a/2/3", "a-b/1", "a.b", "b/a/1"]
    for key in keys:
        store.put(key, key.encode())
    bench.settle()
    store.put("a/late", b"late one")

    def listed(prefix: str) -> list[str]:
        return sorted(found.key for found in store.list(prefix))

    assert listed("") == sorted([*keys, "a/late"])
    assert listed("a/") == ["a/1", "a/12", "a/2/3", "a/late"]
    assert listed("a/1") == ["a/1", "a/12"]
    assert listed("a") == ["a-b/1", "a.b", "a/1", "a/12", "a/2/3", "a/late"]
    assert listed("a/2/3") == ["a/2/3"]
    assert listed("a/2/3/") == []
    assert listed("none/") == []
    assert {found.size for found in store.list("a/late")} == {8}


def test_link_gives_the_object_where_there_are_links(bench: "Bench") -> None:
    bench.store.put(KEY, b"linked")
    bench.settle()
    url = bench.store.presign(KEY, timedelta(minutes=1))
    if bench.kind in ("local", "spool"):
        assert url is None
        return
    assert url is not None
    with urlopen(url, timeout=10) as response:
        assert response.read() == b"linked"


def test_check_leaves_nothing_to_see(bench: "Bench") -> None:
    bench.store.check()
    assert list(bench.store.list()) == []


def test_many_writers_at_once(bench: "Bench") -> None:
    store = bench.store
    start = threading.Barrier(4)

    def write(number: int) -> None:
        start.wait()
        for turn in range(8):
            store.put(f"own/{number}/{turn}", bytes([number]) * 1000)
            store.put("shared/one", bytes([number]) * 50_000)
            seen = store.read("shared/one", 0, 100_000)
            assert len(seen) == 50_000
            assert len(set(seen)) == 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    bench.settle()
    assert len(list(store.list("own/"))) == 32
    for number in range(4):
        assert store.read(f"own/{number}/7", 0, 2000) == bytes([number]) * 1000


def test_impossible_keys_are_refused_everywhere(bench: "Bench") -> None:
    store = bench.store
    for ask in (
        store.create,
        store.open,
        store.stat,
        store.delete,
        lambda key: store.put(key, b"x"),
        lambda key: store.read(key, 0, 1),
        lambda key: store.presign(key, timedelta(minutes=1)),
    ):
        for key in IMPOSSIBLE:
            with pytest.raises(StoreError) as caught:
                ask(key)
            assert caught.value.key == key
            assert type(caught.value) is StoreError
    assert list(store.list()) == []


def test_impossible_prefixes_are_refused(bench: "Bench") -> None:
    for prefix in ("/", "..", "a/../", ".incoming/", "a//", "a\0"):
        with pytest.raises(StoreError):
            list(bench.store.list(prefix))
