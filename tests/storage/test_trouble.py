"""Writers that are killed, and objects larger than memory should be."""

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.spool import SpooledStore

if TYPE_CHECKING:
    from tests.storage.conftest import Bench, Kind

# Objects that prove themselves: the SHA-256 of the rest, then the rest.
WRITER = """
import hashlib, os, pathlib, random, sys, threading
from storage.store import open_store
url, spool, ack, seed = sys.argv[1:]
store = open_store(url, spool=pathlib.Path(spool), ack=ack)
pick = random.Random(seed)
def write(thread):
    for number in range(100_000):
        body = os.urandom(pick.choice([10, 5_000, 300_000]))
        key = f"{seed}/{thread}/{number}"
        with store.create(key) as writer:
            writer.write(hashlib.sha256(body).digest())
            writer.write(body)
            writer.commit()
        os.write(1, key.encode() + b"\\n")
        if hasattr(store, "upload") and number % 2:
            store.upload(key)
for thread in range(3):
    threading.Thread(target=write, args=(thread,)).start()
"""

LARGE = """
import hashlib, pathlib, re, sys
from storage.store import open_store
url, spool, ack, size = sys.argv[1:]
store = open_store(url, spool=pathlib.Path(spool), ack=ack)
block = bytes(range(256)) * 4096
left = int(size)
with store.create("a/large") as writer:
    while left:
        writer.write(memoryview(block)[:left])
        left -= min(left, len(block))
    writer.commit()
if hasattr(store, "upload"):
    store.upload("a/large")
assert store.stat("a/large").size == int(size)
read = 0
with store.open("a/large") as stream:
    while piece := stream.read(len(block)):
        assert piece == block[: len(piece)]
        read += len(piece)
assert read == int(size)
assert store.read("a/large", int(size) - 1, 9) == block[-1:]
store.delete("a/large")
store.close()
status = pathlib.Path("/proc/self/status").read_text()
print(re.search(r"VmHWM:\\s+(\\d+) kB", status).group(1))
"""


@pytest.mark.parametrize("kind", ["local", "s3", "spool"])
def test_killed_writers_leave_whole_objects_only(
    new_bench: "Callable[[Kind], Bench]", kind: "Kind", tmp_path: Path
) -> None:
    bench = new_bench(kind)
    acknowledged: list[str] = []
    pick = random.Random(kind)
    for seed in range(4):
        log = tmp_path / f"acknowledged-{seed}"
        command = [sys.executable, "-c", WRITER, bench.url, str(bench.spool), bench.ack, str(seed)]
        with log.open("wb") as out, subprocess.Popen(command, stdout=out) as writer:
            while not log.stat().st_size and writer.poll() is None:
                time.sleep(0.01)
            time.sleep(pick.uniform(0, 0.3))
            writer.kill()
        acknowledged += log.read_text().split("\n")[:-1]
    store = bench.open()
    listed = [found.key for found in store.list()]
    assert len(set(listed)) == len(listed)
    assert len(acknowledged) >= 4
    assert set(acknowledged) <= set(listed)
    for key in listed:
        with store.open(key) as stream:
            proof, body = stream.read(32), stream.read()
        assert hashlib.sha256(body).digest() == proof, key
    assert all(file.name == "lock" for file in bench.spool.glob(".incoming/*/*"))
    if isinstance(store, SpooledStore):
        for found in list(store.pending()):
            store.upload(found.key)
        assert sorted(found.key for found in store.list()) == sorted(listed)


@pytest.mark.parametrize(("kind", "size"), [("local", 2 * 1024**3), ("s3", 512 * 1024**2)])
def test_large_object_needs_little_memory(
    new_bench: "Callable[[Kind], Bench]", kind: "Kind", size: int
) -> None:
    bench = new_bench(kind)
    ended = subprocess.run(
        [sys.executable, "-c", LARGE, bench.url, str(bench.spool), bench.ack, str(size)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 200 * 1024, f"{ended.stdout} kB at its peak"
