"""The web's door: QIDO-RS, WADO-RS and STOW-RS, beside Orthanc with its DICOMweb plugin."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import hospital, query, servers
from benchmarks.errors import SendFailed
from benchmarks.running import Cores, Server, this_process_held_to
from benchmarks.web_client import Clients, Taken, WebError
from benchmarks.web_questions import QUESTIONS, Archived, Question, archived, stow_request

SEED = "filmless"
CLIENTS = 8
SETTLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is there, and what is asked of it; `only`: questions by name, all where empty."""

    studies: int = 20_000
    slices: tuple[int, int] = (200, 1000)
    radiographs: int = 16
    seconds: float = 3.0
    rounds: int = 3
    repeated: int = 7
    settle_seconds: float = SETTLE_SECONDS
    only: tuple[str, ...] = ()

    def asks(self, question: Question) -> bool:
        """Whether it is to be asked."""
        return not self.only or question.name in self.only


@dataclass(frozen=True, slots=True)
class Sample:
    """One question to one server in one round, asked `requests` times by so many clients.

    `seconds`: from the first byte of the first request to the last of the last answer.
    `median` and `most`: of single answers, the median and the 95th percentile, in seconds.
    `cpu_seconds`: of the server's whole process tree, for all of them.
    """

    server: str
    question: str
    round: int
    clients: int
    requests: int
    seconds: float
    median: float
    most: float
    bytes: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """All samples, in the order they were taken, and what was measured.

    `remark`: in what way it was not done as the plan says, by whoever did otherwise.
    """

    plan: Plan
    cores: Cores
    versions: dict[str, str]
    samples: list[Sample]
    remark: str = ""


@dataclass
class Trial:
    """Servers that hold the same, and the clients that ask them."""

    plan: Plan
    running: Sequence[Server]
    clients: Clients
    folder: Path
    listed: list[hospital.Study]
    held: list[Archived]
    samples: list[Sample] = field(default_factory=list)

    def round(self, number: int, say: Callable[[str], None]) -> None:
        """Each question to each server, another server first each time."""
        for position, question in enumerate(filter(self.plan.asks, QUESTIONS)):
            paths = question.paths(
                self.held[number], self.listed, random.Random(f"{SEED}/{number}")
            )
            body = b"" if paths else stow_request(self.plan.slices[0], self.folder, number)
            turn = (number + position) % len(self.running)
            for server in (*self.running[turn:], *self.running[:turn]):
                self.samples.append(self._ask(server, question, paths, body, number))
                say(line(self.samples[-1], self.plan))

    def _ask(
        self, server: Server, question: Question, paths: Sequence[str], body: bytes, number: int
    ) -> Sample:
        assert server.http_port is not None
        if body:
            requests = [request(server, "POST", "/studies", question.headers, body)]
        else:
            requests = [request(server, "GET", path, question.headers) for path in paths]
        before = server.cpu_seconds()
        try:
            if question.clients:
                taken = self.clients.repeat(
                    server.http_port, requests, question.clients, self.plan.seconds
                )
            else:
                taken = self.clients.each(server.http_port, requests[: self.plan.repeated])
        except WebError as error:
            raise SendFailed(server.name, f"{question.name}: {error}") from error
        cpu_seconds = server.cpu_seconds() - before
        self._check(server, question, taken)
        every = sorted(one.seconds for one in taken)
        return Sample(
            *(server.name, question.name, number, question.clients or 1, len(taken)),
            max(one.at + one.seconds for one in taken) - min(one.at for one in taken),
            *(statistics.median(every), every[int(0.95 * len(every))]),
            *(sum(one.size for one in taken) + len(body), cpu_seconds),
        )

    @staticmethod
    def _check(server: Server, question: Question, taken: Iterable[Taken]) -> None:
        for one in taken:
            if one.status not in (200, 204) or one.size < question.least:
                said = f"{one.status}, {one.size} bytes: {one.beginning[:200]!r}"
                raise SendFailed(server.name, f"{question.name}: {said}")


def request(
    server: Server, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> bytes:
    """A request as it goes over the wire."""
    every = {"Host": f"127.0.0.1:{server.http_port}", **server.headers, **headers}
    if body:
        every["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in every.items())
    return f"{method} {server.dicomweb}{path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Load all servers in `folder` with the same, ask, end them. Raises BenchmarkError."""
    cores = Cores.of_this_machine()
    lists = any(question.of_list for question in QUESTIONS if plan.asks(question))
    listed = list(hospital.studies(plan.studies, SEED)) if lists else []
    held = [
        archived(plan.slices, plan.radiographs, folder, number) for number in range(plan.rounds)
    ]
    with ExitStack() as stack:
        running = start(folder, cores, stack, say)
        stack.enter_context(this_process_held_to(cores.clients))
        for server in running:
            load(server, listed, held, say)
        time.sleep(plan.settle_seconds)  # for what databases do by themselves after a load
        clients = stack.enter_context(Clients(CLIENTS))
        trial = Trial(plan, running, clients, folder, listed, held)
        for number in range(plan.rounds):
            trial.round(number, say)
        versions = {server.name: server.version for server in running}
        return Outcome(plan, cores, versions, trial.samples)


def start(folder: Path, cores: Cores, stack: ExitStack, say: Callable[[str], None]) -> list[Server]:
    """All servers, each in a folder of its own."""
    starts: dict[str, Callable[[Path, int | None], AbstractContextManager[Server]]] = {
        "filmless": servers.filmless,
        "orthanc": partial(servers.orthanc, dicomweb=True),
        "orthanc-postgresql": partial(servers.orthanc, dicomweb=True, postgres=True),
    }
    running = []
    for name, begin in starts.items():
        home = folder / name
        home.mkdir(exist_ok=True)
        running.append(stack.enter_context(begin(home, cores.server)))
        say(f"{running[-1].name}: {running[-1].version}")
    return running


def load(
    server: Server,
    listed: Sequence[hospital.Study],
    held: Sequence[Archived],
    say: Callable[[str], None],
) -> None:
    """The studies that lists are asked about, and those whose images are asked for."""
    if listed:
        query.load(server, listed, say)
    started = time.perf_counter()
    for each in held:
        each.send(server)
    server.wait_until_quiet()
    say(f"{server.name}: images loaded in {time.perf_counter() - started:.0f} s")


def line(sample: Sample, plan: Plan) -> str:
    """What came of a question, for whoever waits."""
    rate, megabytes = sample.requests / sample.seconds, sample.bytes / sample.seconds / 1e6
    return (
        f"round {sample.round + 1}/{plan.rounds}  {sample.question:40} {sample.server:20}"
        f"{1000 * sample.median:9.2f} ms {rate:9.1f} /s {megabytes:8.1f} MB/s"
        f" {1000 * sample.cpu_seconds / sample.requests:8.2f} ms CPU"
    )
