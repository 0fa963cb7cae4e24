"""The servers that are measured: started on free ports in a temporary folder, ended by pid."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.errors import ProgramMissing, ServerFailed
from pacs.database.binaries import find_binaries

READY_SECONDS = 120.0
STOP_SECONDS = 60.0
_SAMPLE_SECONDS = 0.1
_QUIET_WINDOW_SECONDS = 0.5
_QUIET_CPU = 0.05
_QUIET_PATIENCE_SECONDS = 120.0

# DCMTK leaves Nagle's algorithm on unless this says otherwise; Orthanc is built on DCMTK.
WITHOUT_NAGLE = {"TCP_NODELAY": "1"}


@dataclass(frozen=True, slots=True)
class Cores:
    """Which processors the server under test and its clients may use; None: any."""

    server: int | None
    clients: int | None

    @classmethod
    def of_this_machine(cls) -> Self:
        """One for the server and another for the clients, where there are two and `taskset`."""
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2 or shutil.which("taskset") is None:
            return cls(None, None)
        return cls(server=allowed[-1], clients=allowed[0])


def held_to(core: int | None, command: list[str]) -> list[str]:
    """The command, held to that processor with all processes it starts."""
    return command if core is None else ["taskset", "-c", str(core), *command]


def program(name: str, package: str) -> str:
    """Where a program of a Debian package is. Raises ProgramMissing."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise ProgramMissing(name, package)
    return found


class Server:
    """A running server: how to call it, and what its whole process tree uses."""

    def __init__(self, name: str, version: str, aet: str, port: int, pid: int) -> None:
        self.name = name
        self.version = version
        self.aet = aet
        self.port = port
        self._process = psutil.Process(pid)

    def cpu_seconds(self) -> float:
        """User and system time of all processes so far, those that have ended included."""
        total = 0.0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
                total += times.children_user + times.children_system
        return total

    def memory_bytes(self) -> int:
        """Sum of the resident sets; pages that processes share count once for each."""
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def own_memory_bytes(self) -> int:
        """The same with shared pages divided among those who share them (PSS)."""
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total

    def wait_until_quiet(self) -> float:
        """Wait until deferred work is done; returns `cpu_seconds` of the moment it was.

        Raises ServerFailed when the server goes on working for two minutes.
        """
        deadline = time.monotonic() + _QUIET_PATIENCE_SECONDS
        before = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(_QUIET_WINDOW_SECONDS)
            now = self.cpu_seconds()
            if now - before <= _QUIET_CPU * _QUIET_WINDOW_SECONDS:
                return before
            before = now
        raise ServerFailed(self.name, f"still works {_QUIET_PATIENCE_SECONDS:g} s after the load")

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess as error:
            raise ServerFailed(self.name, "has ended while it was measured") from error


class PeakMemory:
    """Watches a server's memory while the context is open; then `bytes` is the highest sum seen."""

    def __init__(self, server: Server) -> None:
        self.bytes = 0
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            try:
                self.bytes = max(self.bytes, self._server.memory_bytes())
            except ServerFailed:
                return  # whoever sends to it hears of it too, and says so
            if self._stop.wait(_SAMPLE_SECONDS):
                return


@contextmanager
def filmless(folder: Path, core: int | None, parts: str = "dicom,api,worker") -> Iterator[Server]:
    """`pacs serve` with its own PostgreSQL, as a hospital runs it.

    Studies do not settle while it is measured: what follows is the AI's work, which no other
    server here does.
    """
    environment = {
        "PACS_DATA_DIR": str(folder / "data"),
        "PACS_STUDY_QUIET_SECONDS": "3600",
    }
    command = [sys.executable, "-m", "pacs.cli", "serve", "--only", parts]
    command += ["--http-port", "0", "--dicom-port", "0"]
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("PACS_")}
    log = folder / "log"
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            held_to(core, command),
            env={**inherited, **environment},
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
        )
    version = (
        f"Filmless {importlib.metadata.version('filmless')} ({parts.replace(',', ', ')}),"
        f" PostgreSQL {_number(str(find_binaries().postgres))},"
        f" pynetdicom {importlib.metadata.version('pynetdicom')}"
    )
    with process, _ended(process):
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r" dicom://(\S+)@[^ ]+:(\d+)", line)
        if address is None:
            raise ServerFailed("Filmless", f"did not come up: {_last_words(log)}")
        yield Server("Filmless", version, address[1], int(address[2]), process.pid)


@contextmanager
def orthanc(folder: Path, core: int | None) -> Iterator[Server]:
    """Orthanc with its own SQLite index and its defaults, but for folder and ports."""
    orthanc_program = program("Orthanc", "orthanc")
    port = _free_port()
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomPort": port,
        "HttpPort": _free_port(),
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings))
    version = f"Orthanc {_number(orthanc_program)}, SQLite"
    command = [orthanc_program, str(configuration)]
    named = _Program("Orthanc", version, "ORTHANC", port)
    with _listening(named, held_to(core, command), folder / "log") as server:
        yield server


@contextmanager
def storescp(folder: Path, core: int | None) -> Iterator[Server]:
    """DCMTK's storescp: files as received (bit-preserving), a process for each association."""
    storescp_program = program("storescp", "dcmtk")
    port = _free_port()
    objects = folder / "objects"
    objects.mkdir()
    command = [storescp_program, "--fork", "--bit-preserving", "--promiscuous"]
    command += ["--output-directory", str(objects), str(port)]
    version = f"DCMTK {_number(storescp_program)} storescp"
    named = _Program("storescp", version, "STORESCP", port)
    with _listening(named, held_to(core, command), folder / "log") as server:
        yield server


@contextmanager
def pynetdicom(folder: Path, core: int | None) -> Iterator[Server]:
    """`benchmarks.plain_scp`."""
    port = _free_port()
    objects = folder / "objects"
    objects.mkdir()
    command = [sys.executable, "-m", "benchmarks.plain_scp", str(port), str(objects)]
    version = f"pynetdicom {importlib.metadata.version('pynetdicom')}"
    named = _Program("pynetdicom", version, "PYNETDICOM", port)
    with _listening(named, held_to(core, command), folder / "log") as server:
        yield server


@dataclass(frozen=True, slots=True)
class _Program:
    """What a server is called, and how it is to be called."""

    name: str
    version: str
    aet: str
    port: int


@contextmanager
def _listening(named: _Program, command: list[str], log: Path) -> Iterator[Server]:
    """A server that is up once its port takes connections. Raises ServerFailed."""
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            command, env={**os.environ, **WITHOUT_NAGLE}, stdout=log_file, stderr=log_file
        )
    with _ended(process):
        if not _wait_for(lambda: _answers(named.port) or process.poll() is not None):
            raise ServerFailed(named.name, f"did not come up: {_last_words(log)}")
        if process.poll() is not None:
            raise ServerFailed(named.name, f"ended at once: {_last_words(log)}")
        yield Server(named.name, named.version, named.aet, named.port, process.pid)


@contextmanager
def _ended(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> Iterator[None]:
    """Ends the process and all that it has started when the context closes."""
    try:
        yield
    finally:
        family = _family(process.pid)
        if process.poll() is None:
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()
        psutil.wait_procs(family, timeout=STOP_SECONDS)


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def _number(program_path: str) -> str:
    """The version that a program tells in the first line of its `--version`."""
    done = subprocess.run([program_path, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\d+(\.\d+)+", done.stdout.partition("\n")[0])
    return found[0] if found else "of unknown version"


def _last_words(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").splitlines()[-5:])
