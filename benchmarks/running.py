"""Programs that are measured: started in a temporary folder, watched, ended by pid."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.errors import ProgramMissing, ServerFailed

READY_SECONDS = 120.0
STOP_SECONDS = 60.0
_SAMPLE_SECONDS = 0.1
_QUIET_WINDOW_SECONDS = 0.5
_QUIET_CPU = 0.05
_QUIET_PATIENCE_SECONDS = 300.0
_IDLE_SECONDS = 5.0

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

    def said(self) -> str:
        """In plain words."""
        if self.server is None:
            return "Servers and clients shared all processors: `taskset` or a second one missed."
        return (
            "Each server with all its processes was held to one processor, the clients to another"
            " (`taskset`)."
        )


def held_to(core: int | None, command: list[str]) -> list[str]:
    """The command, held to that processor with all processes it starts."""
    return command if core is None else ["taskset", "-c", str(core), *command]


@contextmanager
def this_process_held_to(core: int | None) -> Iterator[None]:
    """The same for this process and its threads, where it is the client itself."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def program(name: str, package: str) -> str:
    """Where a program of a Debian package is. Raises ProgramMissing."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise ProgramMissing(name, package)
    return found


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in use. `resident`: sums of resident sets, in which a page that processes share counts
    once for each; PostgreSQL's apart. `proportional`: all, shared pages divided."""

    resident: int
    resident_of_postgres: int
    proportional: int


@dataclass
class Server:
    """A running server: how to call it, and what its whole process tree uses.

    `dicomweb`: the path above its DICOMweb resources; `headers`: what lets a client in.
    """

    name: str
    version: str
    aet: str
    port: int
    pids: tuple[int, ...]
    http_port: int | None = None
    dicomweb: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    settles_after: float = 0.0
    idle_cpu: float = field(default=0.0, init=False)

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

    def memory(self) -> Memory:
        """What is in use now, at some cost to the server."""
        sums = {False: 0, True: 0}
        proportional = 0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                of_postgres = process.name().startswith("postgres")
                used = process.memory_full_info()
                sums[of_postgres] += used.rss
                proportional += used.pss
        return Memory(sums[False], sums[True], proportional)

    def own_memory_bytes(self) -> int:
        """What is in use with shared pages divided among those who share them (PSS)."""
        return self.memory().proportional

    def measure_idle(self) -> None:
        """Learn what it uses when nobody asks anything: looking for work costs as well."""
        before = self.cpu_seconds()
        time.sleep(_IDLE_SECONDS)
        self.idle_cpu = (self.cpu_seconds() - before) / _IDLE_SECONDS

    def wait_until_quiet(self, patience_seconds: float = _QUIET_PATIENCE_SECONDS) -> float:
        """Wait until deferred work is done; returns the processor time it took from now on.

        What the server uses when it is idle is not counted. Raises ServerFailed when it goes on
        working for longer than that.
        """
        started, first = time.monotonic(), self.cpu_seconds()
        time.sleep(self.settles_after)
        before, at = self.cpu_seconds(), time.monotonic()
        while at - started < patience_seconds:
            time.sleep(_QUIET_WINDOW_SECONDS)
            now = self.cpu_seconds()
            if now - before <= (_QUIET_CPU + self.idle_cpu) * _QUIET_WINDOW_SECONDS:
                return max(0.0, before - first - self.idle_cpu * (at - started))
            before, at = now, time.monotonic()
        raise ServerFailed(self.name, f"still works {patience_seconds:g} s after the load")

    def _tree(self) -> list[psutil.Process]:
        try:
            roots = [psutil.Process(pid) for pid in self.pids]
            return [each for root in roots for each in (root, *root.children(recursive=True))]
        except psutil.NoSuchProcess as error:
            raise ServerFailed(self.name, "has ended while it was measured") from error


class PeakMemory:
    """Watches a server's memory while the context is open; then it holds the highest values seen.

    `closely`: also what only a costly look tells (`Memory`).
    """

    def __init__(self, server: Server, *, closely: bool = False) -> None:
        self.bytes = 0
        self.memory = Memory(0, 0, 0)
        self._server = server
        self._closely = closely
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
                self._look()
            except ServerFailed:
                return  # whoever sends to it hears of it too, and says so
            if self._stop.wait(_SAMPLE_SECONDS):
                return

    def _look(self) -> None:
        if not self._closely:
            self.bytes = max(self.bytes, self._server.memory_bytes())
            return
        now, most = self._server.memory(), self.memory
        self.memory = Memory(
            max(now.resident, most.resident),
            max(now.resident_of_postgres, most.resident_of_postgres),
            max(now.proportional, most.proportional),
        )
        self.bytes = max(self.bytes, now.resident + now.resident_of_postgres)


@contextmanager
def listening(
    name: str, port: int, command: list[str], log: Path, environment: dict[str, str] | None = None
) -> Iterator[int]:
    """A program that is up once its port takes connections; its pid. Raises ServerFailed."""
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **WITHOUT_NAGLE, **(environment or {})},
            stdout=log_file,
            stderr=log_file,
        )
    with ended(process):
        if not wait_for(lambda: _answers(port) or process.poll() is not None):
            raise ServerFailed(name, f"did not come up: {last_words(log)}")
        if process.poll() is not None:
            raise ServerFailed(name, f"ended at once: {last_words(log)}")
        yield process.pid


@contextmanager
def ended(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> Iterator[None]:
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


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether it came true within two minutes."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def version_of(program_path: str) -> str:
    """The version that a program tells in the first line of its `--version`."""
    done = subprocess.run([program_path, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\d+(\.\d+)+", done.stdout.partition("\n")[0])
    return found[0] if found else "of unknown version"


def last_words(log: Path) -> str:
    """The last lines of a log."""
    return " / ".join(log.read_text(errors="replace").splitlines()[-5:])
