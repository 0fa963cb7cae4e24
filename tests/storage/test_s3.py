"""S3 as a store: what is said when it cannot be used, and answers that break off."""

import hashlib
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.errors import ChecksumMismatch, ObjectNotFound, StoreError, StoreUnavailable
from storage.s3 import PART_SIZE, S3Store
from storage.store import open_store
from tests.plugins.seaweed import Seaweed

if TYPE_CHECKING:
    from tests.storage.conftest import Wire


def s3_store(
    server: Seaweed,
    staging: Path,
    *,
    bucket: str = "plain",
    endpoint: str = "",
    access_key: str = "",
    secret_key: str = "",
    region: str | None = None,
) -> S3Store:
    return S3Store(
        bucket,
        endpoint=endpoint or server.endpoint,
        access_key=access_key or server.access_key,
        secret_key=secret_key or server.secret_key,
        region=region,
        staging=staging,
    )


@pytest.mark.parametrize("region", [None, "us-east-1"])
def test_missing_bucket_is_said(seaweed: Seaweed, tmp_path: Path, region: str | None) -> None:
    store = s3_store(seaweed, tmp_path, bucket="nobody-made-it", region=region)
    for ask in (
        lambda: store.open("a/b"),
        lambda: store.stat("a/b"),
        lambda: list(store.list()),
    ):
        with pytest.raises(StoreUnavailable, match=r"nobody-made-it: there is no such bucket"):
            ask()
    store.close()


def test_refused_credentials_are_said(seaweed: Seaweed, tmp_path: Path) -> None:
    seaweed.bucket("plain")
    for store in (
        s3_store(seaweed, tmp_path, secret_key="wrong"),
        s3_store(seaweed, tmp_path, access_key="nobody"),
    ):
        with pytest.raises(StoreUnavailable, match="AWS_ACCESS_KEY_ID") as caught:
            store.check()
        assert seaweed.secret_key not in str(caught.value)
        store.close()


def test_nobody_there_is_said_soon(seaweed: Seaweed, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    store = s3_store(seaweed, tmp_path, endpoint=endpoint)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"{endpoint}, bucket plain: nothing answers there"):
        store.check()
    with pytest.raises(StoreUnavailable, match="the server runs"):
        store.put("a/b", b"x")
    assert time.monotonic() - began < 10
    store.close()


def test_another_kind_of_server_is_said(seaweed: Seaweed, tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as web:
        assert web.stdout is not None
        port = web.stdout.readline().split()[5].decode()
        store = s3_store(seaweed, tmp_path, endpoint=f"http://127.0.0.1:{port}")
        with pytest.raises(StoreUnavailable, match="check that"):
            store.check()
        store.close()
        web.kill()


def test_broken_answers_are_asked_for_again(seaweed: Seaweed, wire: "Wire", tmp_path: Path) -> None:
    store = s3_store(seaweed, tmp_path, bucket=seaweed.bucket("broken"), endpoint=wire.endpoint)
    data = bytes(range(251)) * 40_000
    store.put("a/large", data)
    wire.cut_after, wire.answers_to_cut = 300_000, 2
    assert store.read("a/large", 1_000_000, 5_000_000) == data[1_000_000:6_000_000]
    wire.answers_to_cut = 2
    with store.open("a/large") as stream:
        assert stream.read() == data
    wire.answers_to_cut = 100
    with pytest.raises(StoreUnavailable, match="the connection failed"):
        store.read("a/large", 0, 5_000_000)
    wire.answers_to_cut = 0
    assert store.read("a/large", 0, 10) == data[:10]
    store.close()


def test_replaced_object_is_never_read_half_and_half(
    seaweed: Seaweed, wire: "Wire", tmp_path: Path
) -> None:
    store = s3_store(seaweed, tmp_path, bucket=seaweed.bucket("replaced"), endpoint=wire.endpoint)
    store.put("a/large", bytes(5_000_000))
    with store.open("a/large") as stream:
        stream.read(1000)
        store.put("a/large", b"\1" * 5_000_000)
        stream.seek(4_000_000)
        with pytest.raises(StoreError):
            stream.read(1000)
    store.close()


def test_altered_bytes_are_not_taken_for_stored(
    seaweed: Seaweed, wire: "Wire", tmp_path: Path
) -> None:
    store = s3_store(seaweed, tmp_path, bucket=seaweed.bucket("altered"), endpoint=wire.endpoint)
    store.put("a/whole", b"radiograph")
    wire.alter = lambda data: data.replace(b"radiograph", b"radiogrope")
    with pytest.raises((ChecksumMismatch, StoreUnavailable)):
        store.put("a/altered", b"radiograph")
    wire.alter = bytes
    assert store.read("a/whole", 0, 100) == b"radiograph"
    store.close()


def test_bytes_decide_where_the_etag_is_no_md5(
    seaweed: Seaweed, wire: "Wire", tmp_path: Path
) -> None:
    store = s3_store(seaweed, tmp_path, bucket=seaweed.bucket("etags"), endpoint=wire.endpoint)
    md5 = hashlib.md5(b"radiograph").hexdigest().encode()
    wire.alter_answer = lambda data: data.replace(md5, b"0" * 32)
    store.put("a/whole", b"radiograph")
    wire.alter_answer = lambda data: data.replace(md5, b"0" * 32).replace(b"graph", b"grope")
    with pytest.raises(ChecksumMismatch, match="a/other") as caught:
        store.put("a/other", b"radiograph")
    assert caught.value.key == "a/other"
    store.close()


def test_object_of_several_parts(seaweed: Seaweed, tmp_path: Path) -> None:
    store = s3_store(seaweed, tmp_path, bucket=seaweed.bucket("parts"))
    for size in (PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE):
        data = bytes(range(256)) * (size // 256) + b"\7" * (size % 256)
        with store.create(f"a/{size}") as writer:
            writer.write(data)
            writer.commit()
        assert store.stat(f"a/{size}").size == size
        assert store.read(f"a/{size}", size - 3, 10) == data[-3:]
        assert store.read(f"a/{size}", PART_SIZE - 2, 4) == data[PART_SIZE - 2 : PART_SIZE + 2]
    store.close()


def test_killed_server_stores_nothing_half(seaweed: Seaweed, tmp_path: Path) -> None:
    store = s3_store(seaweed, tmp_path, bucket=seaweed.bucket("killed"))
    store.put("a/before", b"x")
    seaweed.kill()
    try:
        with store.create("a/lost") as writer:
            writer.write(b"never acknowledged")
            with pytest.raises(StoreUnavailable):
                writer.commit()
        with pytest.raises(StoreUnavailable):
            store.read("a/before", 0, 1)
    finally:
        seaweed.start()
    assert store.read("a/before", 0, 1) == b"x"
    with pytest.raises(ObjectNotFound):
        store.stat("a/lost")
    store.put("a/after", b"y")
    store.close()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://host/x", "must begin with file:/// or s3://"),
        ("/var/lib/objects", "must begin with"),
        ("file://host/objects", "file:///absolute"),
        ("file:objects", "file:///absolute"),
        ("s3://bucket?endpiont=http://h", "no parameter 'endpiont'"),
        ("s3://bucket/folder", "must look like s3://bucket"),
        ("s3://bucket?endpoint=127.0.0.1:9000", "must look like http://host:port"),
        ("s3://BUCKET_?endpoint=http://h:1", "invalid bucket name"),
        ("s3://?endpoint=http://h:1", "[Bb]ucket name"),
        ("s3://[bucket", "cannot be read"),
        ("s3://bucket?endpoint", "cannot be read"),
    ],
)
def test_unusable_url_is_said(
    url: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(StoreError, match=sentence):
        open_store(url, spool=tmp_path)


def test_missing_credentials_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(StoreError, match="set AWS_ACCESS_KEY_ID"):
        open_store("s3://bucket?endpoint=http://127.0.0.1:9", spool=tmp_path)


def test_missing_package_is_said(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; sys.modules['minio'] = None\n"
        "from storage.store import open_store\n"
        "open_store('s3://bucket?endpoint=http://127.0.0.1:9', spool=pathlib.Path(sys.argv[1]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "StoreError: an s3:// store needs the package minio" in ended.stderr
    assert "filmless[s3]" in ended.stderr
