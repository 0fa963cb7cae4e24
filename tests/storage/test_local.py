"""A directory as a store: leftovers, folders that go, full disks, keys in each other's way."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import StoreError, StoreFull, StoreUnavailable
from storage.local import LocalStore
from storage.s3 import S3Store
from storage.store import open_store

HALF_WRITTEN = """
import sys, pathlib, storage.local
writer = storage.local.LocalStore(pathlib.Path(sys.argv[1])).create("a/half")
writer.write(b"half an object")
print("written", flush=True)
sys.stdin.read()
"""


def staged(root: Path) -> list[bytes]:
    return [f.read_bytes() for f in root.glob(".incoming/*/*") if f.name != "lock"]


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    living = LocalStore(tmp_path)
    writer = living.create("a/whole")
    writer.write(b"whole")
    command = [sys.executable, "-c", HALF_WRITTEN, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"written\n"
        LocalStore(tmp_path).close()
        assert sorted(staged(tmp_path)) == [b"half an object", b"whole"]
        other.kill()
    LocalStore(tmp_path).close()
    assert staged(tmp_path) == [b"whole"]
    writer.commit()
    assert [found.key for found in living.list()] == ["a/whole"]
    living.close()
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_folders_that_were_deleted_are_made_again(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("2026/11/22/a", b"a")
    shutil.rmtree(tmp_path / "2026")
    store.put("2026/11/22/b", b"b")
    assert store.read("2026/11/22/b", 0, 1) == b"b"
    store.close()


def test_vanished_directory_is_not_an_empty_archive(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    store = LocalStore(root)
    store.put("a/b", b"x")
    root.rename(tmp_path / "unmounted")
    for ask in (
        lambda: store.open("a/b"),
        lambda: list(store.list()),
        lambda: store.put("a/c", b"y"),
        lambda: store.delete("a/b"),
        store.check,
    ):
        with pytest.raises(StoreUnavailable, match=str(root)):
            ask()
    (tmp_path / "unmounted").rename(root)
    store.put("a/c", b"y")
    assert store.read("a/b", 0, 1) == b"x"
    store.close()


def test_key_through_another_object_is_refused(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("a/b", b"x")
    for key in ("a/b/c", "a"):
        with pytest.raises(StoreError, match="runs through another object"):
            store.put(key, b"y")
    assert [found.key for found in store.list()] == ["a/b"]
    store.close()


def test_files_are_for_this_user_only(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/objects", spool=tmp_path)
    store.put("a/b", b"x")
    for path in (tmp_path / "objects").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    store.close()


def test_directory_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match=r"file.*Not a directory"):
        LocalStore(tmp_path / "file")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if mount is None or os.getuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("a full disk needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("kind", ["local", "staged"])
def test_full_disk_refuses_whole_objects_and_goes_on_when_freed(
    small_disk: Path, kind: str
) -> None:
    store = (
        LocalStore(small_disk)
        if kind == "local"
        else S3Store(
            "bucket",
            endpoint="http://127.0.0.1:9",
            access_key="a",
            secret_key="b",
            staging=small_disk,
        )
    )
    with store.create("a/large") as writer:
        with pytest.raises(StoreFull, match="free some disk space") as caught:
            for _ in range(8):
                writer.write(bytes(1_000_000))
        assert caught.value.key == "a/large"
        with pytest.raises(StoreError, match="aborted"):
            writer.commit()
    assert staged(small_disk) == []
    if kind == "local":
        store.put("a/small", b"fits again")
        assert [found.key for found in store.list()] == ["a/small"]
        with (small_disk / "other").open("wb", buffering=0) as other, pytest.raises(OSError):
            while True:
                other.write(bytes(65536))
        with pytest.raises(StoreFull):
            store.check()
    store.close()
