"""Large objects: how much memory a server needs for what is larger than its memory should be."""

from __future__ import annotations

import os
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage

from benchmarks import servers
from benchmarks.client import EXPLICIT, Association, Buffer, encoded
from benchmarks.errors import BenchmarkError
from benchmarks.running import Cores, Memory, PeakMemory, Server, this_process_held_to
from benchmarks.servers import CLIENT

SEED = "filmless"
_SIDE = 1024
_FRAME_BYTES = 2 * _SIDE * _SIDE
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes in megabytes: one large object, then several at once."""

    one: int = 2000
    each: int = 500
    at_once: int = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """A load sent to a server; `failure` in its own words where it did not take it."""

    server: str
    load: str
    megabytes: float
    seconds: float
    before: Memory
    peak: Memory
    failure: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All samples, and what was measured."""

    plan: Plan
    cores: Cores
    versions: dict[str, str]
    samples: list[Sample]


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Send to each server in `folder` in turn, each alone on the machine. Raises BenchmarkError."""
    cores = Cores.of_this_machine()
    starts: dict[str, Callable[[Path, int | None], AbstractContextManager[Server]]] = {
        "filmless": servers.filmless,
        "orthanc": servers.orthanc,
    }
    loads = {
        f"one object of {plan.one} MB": (plan.one, 1),
        f"{plan.at_once} objects of {plan.each} MB at once": (plan.each, plan.at_once),
    }
    samples, versions = [], {}
    for name, start in starts.items():
        for load, (megabytes, at_once) in loads.items():
            home = folder / f"{name}-{at_once}"
            home.mkdir()
            with ExitStack() as stack:
                server = stack.enter_context(start(home, cores.server))
                stack.enter_context(this_process_held_to(cores.clients))
                versions[server.name] = server.version
                _send(server, 1, 1)  # what a server needs once is not the object's
                server.wait_until_quiet()
                samples.append(_measure(server, load, megabytes, at_once))
                say(_line(samples[-1]))
    return Outcome(plan, cores, versions, samples)


def _measure(server: Server, load: str, megabytes: int, at_once: int) -> Sample:
    os.sync()
    before, failure = server.memory(), None
    started = time.perf_counter()
    with PeakMemory(server, closely=True) as peak:
        try:
            _send(server, megabytes, at_once)
        except (BenchmarkError, OSError) as error:
            failure = str(error)
        seconds = time.perf_counter() - started
        server.wait_until_quiet()
    total = float(megabytes * at_once)
    return Sample(server.name, load, total, seconds, before, peak.memory, failure)


def _send(server: Server, megabytes: int, at_once: int) -> None:
    """As many objects of that size, each on an association of its own, all at once."""
    together = threading.Barrier(at_once)
    frames = max(1, megabytes * 1_000_000 // _FRAME_BYTES)

    def send(number: int) -> None:
        dataset = multi_frame(frames, random.Random(f"{SEED}/{megabytes}/{at_once}/{number}"))
        uid = str(dataset.SOPInstanceUID)
        with Association(server, CLIENT, {EnhancedCTImageStorage: EXPLICIT}) as association:
            together.wait()
            association.store(EnhancedCTImageStorage, uid, _pieces(dataset, frames))

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(send, range(at_once)))


def _pieces(dataset: Dataset, frames: int) -> Iterator[Buffer]:
    """The data set with its pixels, which are never there all at once."""
    yield encoded(dataset, implicit=False)
    size = frames * _FRAME_BYTES
    yield struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OW", size)
    block = memoryview(random.Random(SEED).randbytes(_BLOCK))
    for at in range(0, size, _BLOCK):
        yield block[: min(_BLOCK, size - at)]


def multi_frame(frames: int, source: random.Random) -> Dataset:
    """An enhanced CT without its pixels; each frame has its place, as scanners write it."""
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID, image.SOPInstanceUID = EnhancedCTImageStorage, _uid(source)
    image.StudyDate, image.StudyTime, image.Modality = "20261122", "081500", "CT"
    image.PatientName, image.PatientID = "Nguyễn^Văn Đức", f"BN{source.randrange(10**8):08d}"
    image.StudyInstanceUID, image.SeriesInstanceUID = _uid(source), _uid(source)
    image.SeriesNumber, image.InstanceNumber = 1, 1
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.NumberOfFrames, image.Rows, image.Columns = frames, _SIDE, _SIDE
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PerFrameFunctionalGroupsSequence = Sequence(map(_groups, range(frames)))
    return image


def _groups(number: int) -> Dataset:
    position, content, groups = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [-180, -180, number]
    content.StackID, content.InStackPositionNumber = "1", number + 1
    groups.PlanePositionSequence = Sequence([position])
    groups.FrameContentSequence = Sequence([content])
    return groups


def _uid(source: random.Random) -> str:
    """A UID derived from a random number (PS3.5 B.2)."""
    return f"2.25.{source.getrandbits(122)}"


def _line(sample: Sample) -> str:
    peak = sample.peak
    return (
        f"{sample.server:10} {sample.load:34} {sample.megabytes / sample.seconds:7.0f} MB/s"
        f"  peak {peak.resident / 1e6:6.0f} MB and {peak.resident_of_postgres / 1e6:.0f} MB of"
        f" PostgreSQL, shared divided {peak.proportional / 1e6:.0f} MB  {sample.failure or ''}"
    )
