"""The machine that is measured on, as far as it matters to the numbers."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

_PAGES = 50


@dataclass(frozen=True, slots=True)
class Machine:
    """Processor, memory, disk and software, and how busy it was before the benchmark began."""

    date: str
    revision: str
    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    file_system: str
    fsync_ms: float
    load_average: float


def describe(folder: Path) -> Machine:
    """This machine now; `folder` is where the servers keep their files."""
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        revision=_revision(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        system=f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
        python=platform.python_version(),
        file_system=_file_system(folder),
        fsync_ms=round(_fsync_ms(folder), 2),
        load_average=round(os.getloadavg()[0], 1),
    )


def _revision() -> str:
    """The commit that is checked out, or "unknown" where this is no checkout."""
    home = Path(__file__).parent
    asked = ["git", "-C", str(home), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _file_system(folder: Path) -> str:
    """The kind of file system that holds the folder: that of the longest mount point above it."""
    mounts = psutil.disk_partitions(all=True)
    above = [mount for mount in mounts if folder.resolve().is_relative_to(mount.mountpoint)]
    return max(above, key=lambda mount: len(mount.mountpoint)).fstype if above else "unknown"


def _fsync_ms(folder: Path) -> float:
    """Median time to write 4 KiB and have them on disk."""
    file = folder / "fsync"
    taken = []
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(_PAGES):
            started = time.perf_counter()
            os.write(descriptor, bytes(4096))
            os.fsync(descriptor)
            taken.append(1000 * (time.perf_counter() - started))
    finally:
        os.close(descriptor)
        file.unlink()
    return statistics.median(taken)
