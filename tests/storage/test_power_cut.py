"""What is on the disk at the moment a writer hears that its object is stored.

The disk is an image of ext4 on a loop device: what the file system has not given to the device is
not in the image, so a copy of it is what a power cut leaves.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.local import LocalStore

OBJECTS = 12
IMAGE_BYTES = 48 << 20


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-o", "loop", image, at], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no loop device can be mounted here: {done.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("only root can mount an image, and mkfs.ext4 makes it")
    made = tmp_path / "disk.img"
    with made.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", made], check=True)
    return made


def test_every_stored_object_survives_a_power_cut(image: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def write_on(store: LocalStore) -> None:
        number = 0
        while not stop.is_set():
            store.put(f"others/{number % 50}", os.urandom(9000))
            number += 1

    with mounted(image, tmp_path / "disk") as disk:
        store = LocalStore(disk / "objects")
        others = threading.Thread(target=write_on, args=(store,))
        others.start()
        try:
            for number in range(OBJECTS):
                key, data = f"instances/{number % 3}/{number}", os.urandom(60_000)
                store.put(key, data)
                left = shutil.copyfile(image, tmp_path / "left.img")
                with mounted(left, tmp_path / "left") as found:
                    survivors = LocalStore(found / "objects")
                    assert survivors.read(key, 0, len(data) + 1) == data
                    survivors.close()
        finally:
            stop.set()
            others.join()
            store.close()
