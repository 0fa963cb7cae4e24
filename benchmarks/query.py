"""Asking: C-FIND at study level among many studies, of every server by the same client."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import CTImageStorage

from benchmarks import hospital, servers
from benchmarks.client import IMPLICIT, STUDY_ROOT_FIND, Association, encoded
from benchmarks.hospital import Study
from benchmarks.running import Cores, Server, this_process_held_to
from benchmarks.servers import CLIENT
from pacs.dicom.text import fold

SEED = "filmless"
LOADING = 4
"""Associations that load at once."""
PATIENCE_SECONDS = 1800.0
"""For what is deferred while so many studies are loaded."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many studies are loaded, and how many questions of each kind are asked in each round."""

    studies: int = 20_000
    questions: int = 20
    rounds: int = 3
    settle_seconds: float = 75.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One question to one server; `answers` is how many it gave."""

    server: str
    kind: str
    round: int
    question: int
    seconds: float
    answers: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """All samples, in the order they were taken, and what was measured."""

    plan: Plan
    cores: Cores
    versions: dict[str, str]
    load_seconds: dict[str, float]
    samples: list[Sample]


def days_and_modality(study: Study, days: int) -> dict[str, str]:
    """So many days from the study's own, and its modality."""
    last = study.day + timedelta(days=days - 1)
    return {"StudyDate": f"{study.day:%Y%m%d}-{last:%Y%m%d}", "ModalitiesInStudy": study.modality}


KINDS: dict[str, Callable[[Study], dict[str, str]]] = {
    "patient ID": lambda study: {"PatientID": study.person.patient_id},
    "accession number": lambda study: {"AccessionNumber": study.accession_number},
    "30 days and a modality": lambda study: days_and_modality(study, 30),
    "name as written": lambda study: {"PatientName": study.person.name},
    "name without diacritics": lambda study: {"PatientName": plain(study.person.name)},
    "beginning of a name": lambda study: {"PatientName": f"{beginning(study.person.name)}*"},
    "beginning without diacritics": lambda study: {
        "PatientName": f"{plain(beginning(study.person.name))}*"
    },
}
"""What is asked of a study that is there, as a person would who looks for it."""

_ANSWERED = (
    *(
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyDate",
    ),
    *("StudyTime", "AccessionNumber", "StudyDescription", "ReferringPhysicianName"),
    "ModalitiesInStudy",
)


def plain(name: str) -> str:
    """The name without diacritics and in lower case, its components as they were."""
    return "^".join(map(fold, name.split("^")))


def beginning(name: str) -> str:
    """The name without its last word, which is the given name."""
    return name.rpartition(" ")[0]


def identifier(keys: dict[str, str]) -> bytes:
    """What a workstation asks: the keys, and the columns of its list as universal keys."""
    asked = Dataset()
    asked.SpecificCharacterSet = "ISO_IR 192"
    asked.QueryRetrieveLevel = "STUDY"
    for keyword in _ANSWERED:
        setattr(asked, keyword, "")
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    return encoded(asked)


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Load all servers in `folder` with the same studies, ask, end them. Raises BenchmarkError."""
    cores = Cores.of_this_machine()
    studies = list(hospital.studies(plan.studies, SEED))
    with ExitStack() as stack:
        running = _start(folder, cores, stack, say)
        stack.enter_context(this_process_held_to(cores.clients))
        load_seconds = {server.name: load(server, studies, say) for server in running}
        time.sleep(plan.settle_seconds)  # for what databases do by themselves after a load
        samples: list[Sample] = []
        for number in range(plan.rounds):
            for kind, asked in KINDS.items():
                chosen = random.Random(f"{SEED}/{number}/{kind}").choices(studies, k=plan.questions)
                taken = _ask_in_turns(running, list(map(asked, chosen)))
                for server, answered in zip(running, taken, strict=True):
                    samples += [
                        Sample(server.name, kind, number, position, seconds, answers)
                        for position, (seconds, answers) in enumerate(answered)
                    ]
                    say(_line(samples[-plan.questions :], plan))
        versions = {server.name: server.version for server in running}
        return Outcome(plan, cores, versions, load_seconds, samples)


def _start(
    folder: Path, cores: Cores, stack: ExitStack, say: Callable[[str], None]
) -> list[Server]:
    starts: dict[str, Callable[[Path, int | None], AbstractContextManager[Server]]] = {
        "filmless": partial(servers.filmless, parts="dicom,worker"),
        "orthanc": servers.orthanc,
        "orthanc-postgresql": partial(servers.orthanc, postgres=True),
    }
    running = []
    for name, start in starts.items():
        home = folder / name
        home.mkdir()
        running.append(stack.enter_context(start(home, cores.server)))
        say(f"{running[-1].name}: {running[-1].version}")
    return running


def load(server: Server, studies: Sequence[Study], say: Callable[[str], None]) -> float:
    """Send a tiny instance of each study by C-STORE; returns how long that took, seconds."""

    def send(share: Sequence[Study]) -> None:
        with Association(server, CLIENT, {CTImageStorage: IMPLICIT}) as association:
            for study in share:
                uid = f"{study.series[0]}.1"
                association.store(CTImageStorage, uid, [encoded(tiny_instance(study, uid))])

    started = time.perf_counter()
    with ThreadPoolExecutor(LOADING) as pool:
        list(pool.map(send, (studies[first::LOADING] for first in range(LOADING))))
    seconds = time.perf_counter() - started
    say(f"{server.name}: {len(studies)} studies loaded in {seconds:.0f} s")
    server.wait_until_quiet(PATIENCE_SECONDS)
    return seconds


def tiny_instance(study: Study, uid: str) -> Dataset:
    """The only image of a study, of 2 by 2 pixels."""
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, uid
    image.StudyDate = image.SeriesDate = f"{study.day:%Y%m%d}"
    image.StudyTime = study.time
    image.AccessionNumber = study.accession_number
    image.Modality = study.modality
    image.ReferringPhysicianName = study.referrer
    image.StudyDescription = study.description
    image.PatientName, image.PatientID = study.person.name, study.person.patient_id
    image.PatientBirthDate = f"{study.person.birth_date:%Y%m%d}"
    image.PatientSex = study.person.sex
    image.StudyInstanceUID, image.SeriesInstanceUID = study.uid, study.series[0]
    image.StudyID, image.SeriesNumber, image.InstanceNumber = study.study_id, 1, 1
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows = image.Columns = 2
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = bytes(8)
    image["PixelData"].VR = "OW"
    return image


Taken = tuple[float, int]
"""The seconds that a question took, and the number of its answers."""


def ask(server: Server, questions: Sequence[dict[str, str]]) -> list[Taken]:
    """Ask one after another on one association, which is there already. Raises SendFailed."""
    (taken,) = _ask_in_turns([server], questions)
    return taken


def _ask_in_turns(
    running: Sequence[Server], questions: Sequence[dict[str, str]]
) -> list[list[Taken]]:
    """Ask each question of all servers, another one first each time; the answers by server."""
    taken: list[list[Taken]] = [[] for _ in running]
    with ExitStack() as stack:
        associations = [
            stack.enter_context(Association(server, CLIENT, {STUDY_ROOT_FIND: IMPLICIT}))
            for server in running
        ]
        for association in associations:
            association.find(identifier({"PatientID": "nobody"}))
        for number, question in enumerate(map(identifier, questions)):
            for turn in range(len(running)):
                asked = (number + turn) % len(running)
                started = time.perf_counter()
                answers = associations[asked].find(question)
                taken[asked].append((time.perf_counter() - started, len(answers)))
    return taken


def _line(samples: Sequence[Sample], plan: Plan) -> str:
    first = samples[0]
    middle = sorted(sample.seconds for sample in samples)[len(samples) // 2]
    answers = sum(sample.answers for sample in samples) / len(samples)
    return (
        f"round {first.round + 1}/{plan.rounds}  {first.kind:30} {first.server:20}"
        f"{1000 * middle:8.1f} ms  {answers:7.1f} answers"
    )
