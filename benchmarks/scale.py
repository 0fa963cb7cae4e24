"""Growing: searching among hundreds of thousands of studies, receiving into a large index."""

from __future__ import annotations

import gc
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from benchmarks import filled, hospital, ingest, servers
from benchmarks.errors import SendFailed
from benchmarks.hospital import Study
from benchmarks.loads import LOADS, write
from benchmarks.query import KINDS, ask, days_and_modality, plain
from benchmarks.running import Cores, Server, this_process_held_to
from benchmarks.web import request
from benchmarks.web_client import Clients
from benchmarks.web_questions import JSON
from pacs.database.embedded import EmbeddedPostgres
from pacs.database.engine import connect
from pacs.database.migrate import migrate
from pacs.index.query import Query, keyword_to_tag, search

SEED = "filmless"
SMALL, LARGE = "small index", "large index"
ASKED: dict[str, Callable[[Study], dict[str, str]]] = {
    "patient ID": KINDS["patient ID"],
    "accession number": KINDS["accession number"],
    "a day and a modality": lambda study: days_and_modality(study, 1),
    "7 days and a modality": lambda study: days_and_modality(study, 7),
    "name prefix without diacritics": lambda study: {"PatientName": f"{plain(study.person.name)}*"},
    "7 days and nguyen*": lambda study: days_and_modality(study, 7) | {"PatientName": "nguyen*"},
}
_LIMIT = 100
_CLIENTS = 8
_QIDO_SECONDS = 5.0
QIDO: dict[str, Callable[[Study], str]] = {
    "patient ID": lambda study: f"PatientID={study.person.patient_id}",
    "7 days and a modality": lambda study: (
        f"StudyDate={study.day:%Y%m%d}-{study.day + timedelta(days=6):%Y%m%d}"
        f"&ModalitiesInStudy={study.modality}"
    ),
    "name prefix without diacritics": lambda study: (
        f"PatientName={quote(plain(study.person.name))}*"
    ),
}
"""The same questions as the parameters of a search for studies."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Studies in the large index and in the small one; instances are five or six times as many."""

    studies: int = 200_000
    studies_of_small: int = 1_700
    instances_per_series: int = 3
    questions: int = 200
    loads: tuple[str, ...] = ("ct", "small")
    associations: int = 4
    rounds: int = 5
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the large index: by C-FIND, all answers, by QIDO-RS, or by
    `pacs.index.query.search`."""

    door: str
    kind: str
    seconds: float
    answers: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured; `instances` in each index before anything was sent to it."""

    plan: Plan
    cores: Cores
    versions: dict[str, str]
    instances: dict[str, int]
    questions: list[Question]
    samples: list[ingest.Sample]


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Fill two indexes in `folder`, ask the large, send to both. Raises BenchmarkError."""
    cores = Cores.of_this_machine()
    questions: list[Question] = []
    instances = {}
    chosen: list[Study] = []
    for name, studies in ((SMALL, plan.studies_of_small), (LARGE, plan.studies)):
        home = folder / name.replace(" ", "-")
        made = list(hospital.studies(studies, f"{SEED}/{name}"))
        instances[name] = plan.instances_per_series * sum(len(study.series) for study in made)
        chosen = random.Random(SEED).choices(made, k=plan.questions)
        say(f"{name}: {studies} studies, {instances[name]} instances")
        with _index(home) as url:
            filled.fill(url, made, plan.instances_per_series)
            if name == LARGE:
                questions += _search(url, chosen, say)
    with ExitStack() as stack:
        stack.enter_context(this_process_held_to(cores.clients))
        running = []
        for name in instances:
            home = folder / name.replace(" ", "-")
            parts = "dicom,api,worker" if name == LARGE else "dicom,worker"
            running.append(stack.enter_context(servers.filmless(home, cores.server, parts)))
        questions += _find(running[-1], chosen, say)
        questions += qido(running[-1], chosen, questions, say)
        for name, server in zip(instances, running, strict=True):
            server.name = name
            server.measure_idle()
        samples = _receive(plan, running, folder, cores, say)
        versions = {"Filmless": running[0].version}
    return Outcome(plan, cores, versions, instances, questions, samples)


@contextmanager
def _index(home: Path) -> Iterator[str]:
    """The database that `pacs serve` will run on in this folder; its URL."""
    data = home / "data"
    data.mkdir(parents=True)
    for path in (home.parent, home, data):
        path.chmod(0o711)
    with EmbeddedPostgres(data / "postgres") as server:
        migrate(server.url)
        yield server.url


def _search(url: str, chosen: Sequence[Study], say: Callable[[str], None]) -> list[Question]:
    """As the web asks: the first hundred."""
    engine = connect(url)
    # As in a serving process: what was there before the first question is not looked through anew.
    gc.collect()
    gc.freeze()
    questions = []
    try:
        for kind, asked in ASKED.items():
            for study in chosen:
                matches = {keyword_to_tag(name): value for name, value in asked(study).items()}
                started = time.perf_counter()
                with engine.connect() as connection:
                    found = search(connection, Query("STUDY", matches, limit=_LIMIT))
                seconds = time.perf_counter() - started
                questions.append(Question("search", kind, seconds, len(found)))
            say(_line(questions[-len(chosen) :]))
    finally:
        gc.unfreeze()
        engine.dispose()
    return questions


def _find(server: Server, chosen: Sequence[Study], say: Callable[[str], None]) -> list[Question]:
    questions = []
    for kind, asked in ASKED.items():
        taken = ask(server, list(map(asked, chosen)))
        questions += [Question("C-FIND", kind, seconds, answers) for seconds, answers in taken]
        say(_line(questions[-len(chosen) :]))
    return questions


def qido(
    server: Server,
    chosen: Sequence[Study],
    asked_before: Sequence[Question],
    say: Callable[[str], None],
) -> list[Question]:
    """By eight clients at once, the first hundred. How many answers there are `search` has told."""
    assert server.http_port is not None
    questions = []
    with Clients(_CLIENTS) as clients:
        for kind, parameters in QIDO.items():
            requests = [
                request(server, "GET", f"/studies?{parameters(study)}&limit={_LIMIT}", JSON)
                for study in chosen
            ]
            clients.repeat(server.http_port, requests, _CLIENTS, 1.0)
            taken = clients.repeat(server.http_port, requests, _CLIENTS, _QIDO_SECONDS)
            failed = next((one for one in taken if one.status != 200), None)
            if failed is not None:
                raise SendFailed(server.name, f"QIDO-RS ended with status {failed.status}")
            known = [
                one.answers for one in asked_before if (one.door, one.kind) == ("search", kind)
            ]
            answers = round(sum(known) / len(known)) if known else 0
            questions += [Question("QIDO-RS", kind, one.seconds, answers) for one in taken]
            say(_line(questions[-len(taken) :]))
    return questions


def _receive(
    plan: Plan,
    running: list[Server],
    folder: Path,
    cores: Cores,
    say: Callable[[str], None],
) -> list[ingest.Sample]:
    samples = []
    for number in range(-1, plan.rounds):
        for load in (LOADS[name] for name in plan.loads):
            count = load.scaled(plan.scale, plan.associations)
            seed = f"{SEED}/scale/{number}/{load.name}"
            shares = write(load, count, plan.associations, folder / "load", seed)
            turn = number % len(running)
            for server in [*running[turn:], *running[:turn]]:
                sample = ingest.measure(server, load, number, shares, cores)
                if number < 0:
                    continue  # the first time is for both to warm up
                samples.append(sample)
                rate = f"{sample.instances / sample.seconds:8.1f} /s"
                say(f"round {number + 1}/{plan.rounds}  {load.name:5} {server.name:12} {rate}")
            shutil.rmtree(folder / "load")
    return samples


def _line(questions: Sequence[Question]) -> str:
    taken = sorted(question.seconds for question in questions)
    answers = sum(question.answers for question in questions) / len(questions)
    middle, most = taken[len(taken) // 2], taken[int(len(taken) * 0.95)]
    return (
        f"{questions[0].door:7} {questions[0].kind:32} p50 {1000 * middle:7.2f} ms"
        f"  p95 {1000 * most:7.2f} ms  {answers:6.1f} answers"
    )
