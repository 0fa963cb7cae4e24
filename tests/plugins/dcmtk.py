"""DCMTK's own programs, to send to the product and to receive beside it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import JPEG2000, JPEG2000Lossless
from pynetdicom.dsutils import split_dataset

_PROPOSAL = {JPEG2000Lossless: "-xv", JPEG2000: "-xw"}


def program(name: str) -> str:
    """DCMTK's own program: some Python packages bring others of the same name."""
    found = shutil.which(name, path="/usr/bin:/usr/local/bin")
    assert found, f"{name} is missing: apt install dcmtk"
    return found


def send_by_storescu(port: int, *files: Path) -> None:
    """Sends files to a port of this machine, each in its own transfer syntax; all must succeed."""
    for file in files:
        syntax = pydicom.dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID
        subprocess.run(
            [
                *(program("storescu"), "-R", _PROPOSAL.get(syntax, "-xe"), "-aec", "FILMLESS"),
                *("127.0.0.1", str(port), str(file)),
            ],
            env={**os.environ, "TCP_NODELAY": "1"},
            check=True,
            capture_output=True,
            timeout=60,
        )


@dataclass(frozen=True)
class StoreScp:
    """DCMTK's storescp, writing what it receives bit by bit."""

    port: int
    folder: Path

    def take(self) -> list[bytes]:
        """The data sets that came since the last time, without their file meta information."""
        files = sorted(self.folder.iterdir())
        datasets = [file.read_bytes()[split_dataset(file)[1] :] for file in files]
        for file in files:
            file.unlink()
        return datasets


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[StoreScp]:
    """Another archive to send to."""
    folder = tmp_path / "storescp"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [program("storescp"), "+B", "+xa", "-aet", "FILMLESS", "-od", str(folder), str(port)]
    with subprocess.Popen(command) as running:
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.02)
            yield StoreScp(port, folder)
        finally:
            running.terminate()
