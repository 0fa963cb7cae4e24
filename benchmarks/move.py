"""Sending: a CT study by C-GET, C-MOVE and C-STORE, of us and Orthanc, to DCMTK's receivers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from benchmarks import servers
from benchmarks.client import EXPLICIT, IMPLICIT, STUDY_ROOT_MOVE, Association, encoded
from benchmarks.errors import SendFailed
from benchmarks.loads import LOADS, write
from benchmarks.running import WITHOUT_NAGLE, Cores, Server, held_to, program
from benchmarks.servers import CLIENT, RECEIVER

SEED = "filmless"
SEND_SECONDS = 300.0
_COMPLETED = re.compile(
    r"(?:Completed Suboperations|Number of Completed Sub-?operations) *: *(\d+)"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A study of so many slices of 0.5 MB is fetched so many times."""

    slices: int = 200
    rounds: int = 7


@dataclass(frozen=True, slots=True)
class Sample:
    """One study sent once; processor time is of the sender's whole process tree, where known."""

    server: str
    operation: str
    round: int
    instances: int
    seconds: float
    cpu_seconds: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All samples, in the order they were taken, and what was measured."""

    plan: Plan
    cores: Cores
    versions: dict[str, str]
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class _Study:
    """What is sent, and who may be asked for it."""

    uid: str
    files: Path
    instances: int


@dataclass(frozen=True, slots=True)
class _Turn:
    """An operation of a server: `send` returns the seconds it took."""

    server: str
    operation: str
    measured: Server | None
    send: Callable[[], float]


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Load both servers in `folder`, fetch from them, end them. Raises BenchmarkError."""
    cores = Cores.of_this_machine()
    (files,) = write(LOADS["ct"], plan.slices, 1, folder / "load", SEED)
    first = pydicom.dcmread(next(files.iterdir()), stop_before_pixels=True)
    study = _Study(first.StudyInstanceUID, files, plan.slices)
    with ExitStack() as stack:
        receiver = stack.enter_context(_receiver(folder, cores))
        homes = [folder / name for name in ("filmless", "orthanc")]
        for home in homes:
            home.mkdir()
        ours = servers.filmless(homes[0], cores.server, receiver=receiver.port)
        theirs = servers.orthanc(homes[1], cores.server, receiver=receiver.port)
        running = [stack.enter_context(ours), stack.enter_context(theirs)]
        for server in running:
            say(f"{server.name}: {server.version}")
            load(server, files)
        turns = _turns(running, receiver, study, cores)
        for turn in turns:  # what is asked for has been read once, and files are in the cache
            turn.send()
        samples = []
        for number in range(plan.rounds):
            for turn in turns:
                samples.append(_measure(turn, number, plan))
                say(_line(samples[-1], plan))
        versions = {server.name: server.version for server in (*running, receiver)}
        return Outcome(plan, cores, versions, samples)


def _receiver(folder: Path, cores: Cores) -> AbstractContextManager[Server]:
    home = folder / "receiver"
    home.mkdir()
    return servers.storescp(home, cores.clients, ignore=True)


def load(server: Server, files: Path) -> None:
    """Send a folder's CT images on one association, and wait for what they bring with them."""
    with Association(server, CLIENT, {CTImageStorage: EXPLICIT}) as association:
        for file in sorted(files.iterdir()):
            data = file.read_bytes()
            meta = pydicom.filereader.read_file_meta_info(file)
            start = 144 + meta.FileMetaInformationGroupLength
            association.store(CTImageStorage, meta.MediaStorageSOPInstanceUID, [data[start:]])
    server.wait_until_quiet()


def _turns(running: list[Server], receiver: Server, study: _Study, cores: Cores) -> list[_Turn]:
    turns = []
    for server in running:
        turns.append(_Turn(server.name, "C-GET", server, partial(_get, server, study, cores)))
        turns.append(_Turn(server.name, "C-MOVE", server, partial(_move, server, study)))
    ours, theirs = running
    turns.append(_Turn(ours.name, "C-STORE", None, lambda: _store_ours(receiver, study, cores)))
    turns.append(_Turn(theirs.name, "C-STORE", theirs, lambda: _store_orthanc(theirs, study)))
    turns.append(_Turn("storescu", "C-STORE", None, lambda: _storescu(receiver, study, cores)))
    return sorted(turns, key=lambda turn: turn.operation)


def _measure(turn: _Turn, number: int, plan: Plan) -> Sample:
    before = turn.measured.cpu_seconds() if turn.measured else 0.0
    seconds = turn.send()
    cpu = turn.measured.cpu_seconds() - before if turn.measured else None
    return Sample(turn.server, turn.operation, number, plan.slices, seconds, cpu)


def _get(server: Server, study: _Study, cores: Cores) -> float:
    words = [program("getscu", "dcmtk"), "--study", "--ignore", "--verbose"]
    words += ["--aetitle", CLIENT, "--call", server.aet]
    words += ["--key", "QueryRetrieveLevel=STUDY", "--key", f"StudyInstanceUID={study.uid}"]
    seconds, said = _timed([*words, "127.0.0.1", str(server.port)], server.name, cores.clients)
    completed = [int(number) for number in _COMPLETED.findall(said)]
    _check(server, sum(completed[-1:]), study)
    return seconds


def _move(server: Server, study: _Study) -> float:
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", study.uid
    with Association(server, CLIENT, {STUDY_ROOT_MOVE: IMPLICIT}) as association:
        started = time.perf_counter()
        completed = association.move(encoded(asked), RECEIVER)
        seconds = time.perf_counter() - started
    _check(server, completed, study)
    return seconds


def _check(server: Server, sent: int, study: _Study) -> None:
    if sent != study.instances:
        raise SendFailed(server.name, f"{sent} of {study.instances} instances were sent")


def _store_ours(receiver: Server, study: _Study, cores: Cores) -> float:
    words = [sys.executable, "-m", "benchmarks.sender", str(receiver.port), str(study.files)]
    _, said = _timed(words, "Filmless", cores.server)
    sent, seconds = said.split()
    _check(receiver, int(sent), study)
    return float(seconds)


def _storescu(receiver: Server, study: _Study, cores: Cores) -> float:
    words = [program("storescu", "dcmtk"), "--required", "--scan-directories"]
    words += ["--call", RECEIVER, "127.0.0.1", str(receiver.port), str(study.files)]
    seconds, _ = _timed(words, "storescp", cores.server)
    return seconds


def _store_orthanc(orthanc: Server, study: _Study) -> float:
    def post(path: str, data: bytes) -> object:
        address = f"http://127.0.0.1:{orthanc.http_port}{path}"
        with urllib.request.urlopen(address, data, SEND_SECONDS) as answer:
            return json.load(answer)

    found = post("/tools/lookup", study.uid.encode())
    assert isinstance(found, list)
    order = json.dumps({"Resources": [found[0]["ID"]], "Synchronous": True}).encode()
    started = time.perf_counter()
    done = post(f"/modalities/{RECEIVER}/store", order)
    seconds = time.perf_counter() - started
    if not isinstance(done, dict) or done.get("FailedInstancesCount") != 0:
        raise SendFailed("storescp", f"Orthanc says {done}")
    return seconds


def _timed(words: list[str], server: str, core: int | None) -> tuple[float, str]:
    """Run a program to its end; seconds and what it said. Raises SendFailed."""
    started = time.perf_counter()
    done = subprocess.run(
        held_to(core, words),
        env={**os.environ, **WITHOUT_NAGLE},
        capture_output=True,
        text=True,
        timeout=SEND_SECONDS,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        words_said = (done.stdout + done.stderr).strip().splitlines()
        raise SendFailed(server, words_said[-1] if words_said else f"status {done.returncode}")
    return seconds, done.stdout + done.stderr


def _line(sample: Sample, plan: Plan) -> str:
    rate = sample.instances / sample.seconds
    turn = f"round {sample.round + 1}/{plan.rounds}"
    return f"{turn}  {sample.operation:8} {sample.server:10} {rate:8.0f} /s"
