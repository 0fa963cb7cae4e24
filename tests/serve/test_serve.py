"""`pacs serve`: up with one line, alive through blows, down in order, clear when it cannot."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pacs.database import processes

PACS = [sys.executable, "-m", "pacs.cli"]
PATIENCE = 90.0


class Served:
    """A running `pacs serve` and what it says."""

    def __init__(self, data_dir: Path, *flags: str, **environment: str) -> None:
        self.data_dir = data_dir
        self._said = data_dir.parent / f"{data_dir.name}.said"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PACS_")}
        with self._said.open("ab") as said:
            self.process = subprocess.Popen(
                [*PACS, "serve", "--data-dir", str(data_dir), *flags],
                env=kept | environment,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    def ready(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready "), self.said
        return line

    def wait(self) -> int:
        status = self.process.wait(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def parts(self) -> dict[str, int]:
        """The process of each part."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or not processes.alive(int(entry.name)):
                continue
            words = _words(entry)
            if "pacs.serve.part" in words and _parent(entry) == self.process.pid:
                found[words[words.index("pacs.serve.part") + 1]] = int(entry.name)
        return found

    def postgres(self) -> list[int]:
        cluster = self.data_dir / "postgres" / "cluster"
        return [process.pid for process in processes.postgres_in(cluster)]


def _words(entry: Path) -> list[str]:
    try:
        return (entry / "cmdline").read_text().split("\0")
    except OSError:
        return []


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def pacs(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PACS_")}
    return subprocess.run(
        [*PACS, *arguments],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path, which others may pass through."""
    with tempfile.TemporaryDirectory(prefix="filmless-serve-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., Served]]:
    """Starts products; those that still run are killed after the test."""
    started: list[Served] = []

    def start(name: str, *flags: str, **environment: str) -> Served:
        started.append(Served(folder / name, *flags, **environment))
        return started[-1]

    yield start
    for served in started:
        served.process.kill()
        served.wait()


def _ports(line: str) -> tuple[int, int]:
    http = re.search(r"http://127\.0\.0\.1:(\d+)", line)
    dicom = re.search(r"dicom://FILMLESS@127\.0\.0\.1:(\d+)", line)
    assert http is not None
    assert dicom is not None
    return int(http[1]), int(dicom[1])


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_comes_up_survives_and_goes_down(serve: Callable[..., Served]) -> None:
    served = serve("life", "--only", "dicom,api", "--http-port", "0", "--dicom-port", "0")
    http, dicom = _ports(served.ready())
    assert _healthy(http)
    assert _listens(dicom)
    eventually(lambda: "pacs users add NAME" in served.said)

    # A second one on the same data directory is refused; a command joins in.
    second = pacs("serve", "--data-dir", str(served.data_dir), "--http-port", "0")
    assert second.returncode == 1
    assert f"is in use by process {served.process.pid}" in second.stderr
    assert second.stdout == ""
    added = pacs(
        "users", "add", "An", "--role", "admin", "--generate", "--data-dir", str(served.data_dir)
    )
    assert added.returncode == 0, added.stderr

    # A part that dies is replaced, on the same port.
    before = served.parts()
    assert set(before) == {"dicom", "api"}
    os.kill(before["dicom"], signal.SIGKILL)
    eventually(lambda: served.parts().get("dicom", before["dicom"]) != before["dicom"])
    eventually(lambda: _listens(dicom))

    # So is the database; what was committed is there.
    head = int((served.data_dir / "postgres/cluster/postmaster.pid").read_text().split()[0])
    os.kill(head, signal.SIGKILL)
    eventually(lambda: head not in served.postgres() and len(served.postgres()) > 3)
    listed = pacs("users", "list", "--json", "--data-dir", str(served.data_dir))
    assert '"an"' in listed.stdout, listed.stderr

    assert served.stop() == 0
    assert served.parts() == {}
    assert served.postgres() == []
    assert "Traceback" not in served.said


def test_nothing_of_a_killed_supervisor_stands_in_the_way_of_the_next(
    serve: Callable[..., Served],
) -> None:
    served = serve("killed", "--only", "dicom", "--dicom-port", "0")
    _, address = served.ready().split()
    port = address.rpartition(":")[2]
    parts = served.parts()
    served.process.kill()
    served.wait()
    # At once, and on the same port: it waits for what the killed one has left running.
    again = serve("killed", "--only", "dicom", "--dicom-port", port)
    assert again.ready().split()[1] == address
    assert not any(processes.alive(pid) for pid in parts.values())
    assert again.stop() == 0


def test_nothing_outlives_a_supervisor_that_is_killed(serve: Callable[..., Served]) -> None:
    served = serve("killed", "--only", "dicom", "--dicom-port", "0")
    served.ready()
    parts = served.parts()
    served.process.kill()
    served.wait()
    eventually(lambda: not any(processes.alive(pid) for pid in parts.values()))
    eventually(lambda: served.postgres() == [])


def test_a_port_in_use_is_named_before_anything_starts(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = pacs("serve", "--data-dir", str(folder / "port"), "--http-port", str(port))
    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert told.stderr.startswith(f"pacs: port {port} on 127.0.0.1 is in use by another program")
    assert "--http-port (PACS_HTTP_PORT)" in told.stderr
    assert not (folder / "port" / "postgres").exists()


def test_a_data_directory_of_another_format_is_refused(folder: Path) -> None:
    (folder / "format").mkdir()
    (folder / "format" / "format").write_text("2\n")
    told = pacs("serve", "--data-dir", str(folder / "format"), "--http-port", "0")
    assert told.returncode == 1
    assert told.stderr.startswith("pacs: the data directory")
    assert "has format 2" in told.stderr
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "flags",
    [
        ["--only", "dicom,nothing"],
        ["--http-port", "99999"],
        ["--no-such-flag"],
    ],
)
def test_wrong_flags_are_status_2(folder: Path, flags: list[str]) -> None:
    told = pacs("serve", "--data-dir", str(folder / "flags"), *flags)
    assert told.returncode == 2
    assert "Traceback" not in told.stderr


def test_wrong_settings_are_one_line(folder: Path) -> None:
    told = pacs("serve", "--data-dir", str(folder / "settings"), PACS_HTTP_PORT="eighty")
    assert told.returncode == 1
    assert told.stderr.startswith("pacs: a setting cannot be used: http_port")
    assert told.stderr.count("\n") == 1


def test_it_waits_for_a_database_that_cannot_be_reached(serve: Callable[..., Served]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"postgresql://somebody:secret@127.0.0.1:{port}/filmless"
    served = serve("waits", "--only", "dicom", "--dicom-port", "0", PACS_DATABASE_URL=url)
    eventually(lambda: served.said.count("the database cannot be reached") >= 2)
    assert served.process.poll() is None
    assert "secret" not in served.said
    assert "Traceback" not in served.said
    assert served.stop() == 0


def test_a_wrong_password_is_told_and_not_tried_again(folder: Path, postgres: str) -> None:
    password = re.search(r":([^:@/]+)@", postgres)
    assert password is not None
    told = pacs(
        "serve",
        "--data-dir",
        str(folder / "password"),
        "--only",
        "dicom",
        "--dicom-port",
        "0",
        PACS_DATABASE_URL=postgres.replace(password[1], "wrong"),
    )
    assert told.returncode == 1
    assert "pacs: the database does not let us in" in told.stderr
    assert "Traceback" not in told.stderr
