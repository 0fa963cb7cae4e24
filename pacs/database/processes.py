"""Which processes still work inside a folder, told from /proc and not from lock files.

A lock file names a process that may be long dead, may be a zombie that nobody reaps (containers
without an init), or may be a stranger that got the same number. Every PostgreSQL process has its
cluster as its working directory, which none of these share.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_ZOMBIE_OR_DEAD = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class Process:
    """A live process: its number and its parent's."""

    pid: int
    parent: int


def _status(pid: int) -> tuple[str, int] | None:
    """State letter and parent of a process, None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The name stands in parentheses and may hold anything, parentheses too.
    state, parent, *_ = text.rpartition(")")[2].split()
    return state, int(parent)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    status = _status(pid)
    return status is not None and status[0] not in _ZOMBIE_OR_DEAD


def working_in(folder: Path) -> list[Process]:
    """Live processes whose working directory is `folder`, without this one."""
    where = folder.stat()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            cwd = (entry / "cwd").stat()
        except OSError:  # gone meanwhile, a kernel thread, or another user's
            continue
        if (cwd.st_dev, cwd.st_ino) != (where.st_dev, where.st_ino):
            continue
        status = _status(int(entry.name))
        if status is not None and status[0] not in _ZOMBIE_OR_DEAD:
            found.append(Process(int(entry.name), status[1]))
    return found


def postgres_in(folder: Path) -> list[Process]:
    """Live PostgreSQL processes of the cluster in `folder`: a postmaster and its children."""
    return [process for process in working_in(folder) if _is_postgres(process.pid)]


def _is_postgres(pid: int) -> bool:
    try:
        # Backends rewrite their command line to "postgres: …"; the postmaster keeps its own.
        first = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return False
    return first.startswith(b"postgres:") or first.rpartition(b"/")[2] == b"postgres"


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wait_until_none(folder: Path, seconds: float) -> bool:
    """Wait for the last PostgreSQL process in `folder` to end; False when some stay."""
    deadline = time.monotonic() + seconds
    while postgres_in(folder):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True
