"""Receiving: the same instances to every server by the same client, round after round."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import servers
from benchmarks.errors import SendFailed
from benchmarks.loads import LOADS, Load, write
from benchmarks.running import WITHOUT_NAGLE, Cores, PeakMemory, Server, held_to, program

SEED = "filmless"
SEND_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured; `scale` shrinks the number of instances of each load."""

    loads: tuple[str, ...] = tuple(LOADS)
    associations: tuple[int, ...] = (1, 4, 8)
    rounds: int = 3
    scale: float = 1.0
    parts: str = "dicom,api,worker"


@dataclass(frozen=True, slots=True)
class Sample:
    """One load sent to one server once; processor times are of the server's whole process tree.

    What was deferred is counted without what the server uses when it is idle.
    """

    server: str
    load: str
    associations: int
    round: int
    instances: int
    megabytes: float
    seconds: float
    cpu_seconds: float
    cpu_seconds_with_deferred: float
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """All samples, in the order they were taken, and what was measured."""

    plan: Plan
    cores: Cores
    versions: dict[str, str]
    memory_at_rest_bytes: dict[str, int]
    own_memory_at_end_bytes: dict[str, int]
    samples: list[Sample]


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Start all servers in `folder`, measure, end them. Raises BenchmarkError.

    All servers run all the time and rest while another is measured. In each round each load goes
    to one after another, another one being first each time; every round has new instances.
    """
    cores = Cores.of_this_machine()
    program("storescu", "dcmtk")
    with ExitStack() as stack:
        running = _start(plan, folder, cores, stack, say)
        for server in running:
            measure(server, LOADS["small"], 0, _warm_up(folder, server), cores)
            server.measure_idle()
        at_rest = {server.name: server.memory_bytes() for server in running}
        samples: list[Sample] = []
        for number in range(plan.rounds):
            for load in (LOADS[name] for name in plan.loads):
                for associations in plan.associations:
                    shares = _shares(plan, load, associations, number, folder)
                    turn = len(samples) // len(running) % len(running)
                    for server in [*running[turn:], *running[:turn]]:
                        sample = measure(server, load, number, shares, cores)
                        samples.append(sample)
                        say(_line(sample, plan))
                    shutil.rmtree(folder / "load")
        at_end = {server.name: server.own_memory_bytes() for server in running}
        versions = {server.name: server.version for server in running}
        return Outcome(plan, cores, versions, at_rest, at_end, samples)


def _warm_up(folder: Path, server: Server) -> list[Path]:
    """A few instances that no later round sends, so that no server is measured cold."""
    return write(LOADS["small"], 8, 2, folder / "warm-up" / server.name, f"{SEED}/warm-up")


def _start(
    plan: Plan, folder: Path, cores: Cores, stack: ExitStack, say: Callable[[str], None]
) -> list[Server]:
    starts: dict[str, Callable[[Path, int | None], AbstractContextManager[Server]]] = {
        "filmless": partial(servers.filmless, parts=plan.parts),
        "orthanc": servers.orthanc,
        "storescp": servers.storescp,
        "pynetdicom": servers.pynetdicom,
    }
    running = []
    for name, start in starts.items():
        home = folder / name
        home.mkdir()
        running.append(stack.enter_context(start(home, cores.server)))
        say(f"{running[-1].name}: {running[-1].version}")
    return running


def _shares(plan: Plan, load: Load, associations: int, number: int, folder: Path) -> list[Path]:
    seed = f"{SEED}/{number}/{load.name}/{associations}"
    count = load.scaled(plan.scale, associations)
    return write(load, count, associations, folder / "load", seed)


def measure(
    server: Server, load: Load, number: int, shares: Sequence[Path], cores: Cores
) -> Sample:
    """Send the shares, each on an association of its own. Raises SendFailed and ServerFailed."""
    files = [file for share in shares for file in share.iterdir()]
    size = sum(file.stat().st_size for file in files)
    # Nobody pays for what the one before has left to be written.
    os.sync()
    cpu_before = server.cpu_seconds()
    with PeakMemory(server) as peak:
        started = time.perf_counter()
        _send(server, shares, cores)
        seconds = time.perf_counter() - started
    cpu = server.cpu_seconds() - cpu_before
    deferred = server.wait_until_quiet()
    return Sample(
        server=server.name,
        load=load.name,
        associations=len(shares),
        round=number,
        instances=len(files),
        megabytes=size / 1e6,
        seconds=seconds,
        cpu_seconds=cpu,
        cpu_seconds_with_deferred=cpu + deferred,
        peak_memory_bytes=peak.bytes,
    )


def _send(server: Server, shares: Sequence[Path], cores: Cores) -> None:
    """Send each share on an association of its own, all at once. Raises SendFailed."""
    senders = [
        subprocess.Popen(
            held_to(cores.clients, _storescu(server, share)),
            env={**os.environ, **WITHOUT_NAGLE},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for share in shares
    ]
    deadline = time.monotonic() + SEND_SECONDS
    try:
        for sender in senders:
            said, _ = sender.communicate(timeout=max(1.0, deadline - time.monotonic()))
            # storescu calls a warning status a success, and a refused object too with --no-halt.
            if sender.returncode != 0 or said.strip():
                words = said.strip().splitlines()[-1] if said.strip() else "no reason given"
                raise SendFailed(server.name, f"{words} (status {sender.returncode})")
    except subprocess.TimeoutExpired as error:
        raise SendFailed(server.name, f"not done after {SEND_SECONDS:g} s") from error
    finally:
        for sender in senders:
            if sender.poll() is None:
                sender.kill()
                sender.communicate()


def _storescu(server: Server, share: Path) -> list[str]:
    words = [program("storescu", "dcmtk"), "--required", "--scan-directories"]
    words += ["--aetitle", "BENCHMARK", "--call", server.aet]
    return [*words, "127.0.0.1", str(server.port), str(share)]


def _line(sample: Sample, plan: Plan) -> str:
    return (
        f"round {sample.round + 1}/{plan.rounds}  {sample.load:5}  {sample.associations} x  "
        f"{sample.server:10}  {sample.instances / sample.seconds:8.1f} /s  "
        f"CPU {1000 * sample.cpu_seconds / sample.instances:6.2f} ms  "
        f"{sample.peak_memory_bytes / 1e6:5.0f} MB"
    )
