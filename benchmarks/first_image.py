"""The first image: how soon it stands in our page, in OHIF on ours, and in OHIF on Orthanc."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from benchmarks import chromium, ohif, servers
from benchmarks.chromium import Opened, Step, opened
from benchmarks.errors import BenchmarkError
from benchmarks.running import Cores, Server, this_process_held_to
from benchmarks.web_questions import Archived, Image, archived

OUR_PAGE, OUR_PAGE_COLD = "our page, from the worklist", "our page, opened cold"
OUR_OHIF, THEIR_OHIF = "OHIF on Filmless", "OHIF on Orthanc"


@dataclass(frozen=True, slots=True)
class Plan:
    """A radiograph, and a CT study of so many slices, each opened so many times.

    `warming`: rounds before these, in which servers and files warm up and nothing is measured.
    """

    slices: int = 1000
    rounds: int = 5
    warming: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """A study opened once, with a new profile of the browser."""

    way: str
    study: str
    round: int
    opened: Opened


@dataclass(frozen=True, slots=True)
class Outcome:
    """All samples, in the order they were taken, and what was measured."""

    plan: Plan
    cores: Cores
    versions: dict[str, str]
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class _Way:
    """How a study is opened: what comes before the clock starts, and the click or navigation."""

    name: str
    prepare: Step
    go: Callable[[Page, Image], None]


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Load both servers in `folder`, open studies of theirs, end them. Raises BenchmarkError."""
    if not (ohif.READY / "release.json").is_file():
        raise BenchmarkError("OHIF is not ready: python3 scripts/prepare.py ohif")
    cores = Cores.of_this_machine()
    held = archived((1, plan.slices), 1, folder, 0)
    files = ohif.dist(folder)
    with ExitStack() as stack:
        homes = [folder / name for name in ("filmless", "orthanc")]
        for home in homes:
            home.mkdir()
        ours = stack.enter_context(servers.filmless(homes[0], cores.server, ohif=ohif.READY))
        theirs = stack.enter_context(servers.orthanc(homes[1], cores.server, dicomweb=True))
        port = stack.enter_context(ohif.before_orthanc(homes[1], files, theirs, cores.server))
        stack.enter_context(this_process_held_to(cores.clients))
        _load(ours, theirs, held, say)
        ways = _ways(ours, port)
        samples = []
        for number in range(-plan.warming, plan.rounds):
            for position in range(len(ways)):
                way = ways[(position + number) % len(ways)]
                for name, image in _studies(held, plan).items():
                    done = opened(way.prepare, lambda page, w=way, i=image: w.go(page, i))  # type: ignore[misc]
                    if number >= 0:
                        samples.append(Sample(way.name, name, number, done))
                        say(_line(samples[-1]))
        versions = {server.name: server.version for server in (ours, theirs)}
        versions |= {"OHIF": ohif.PACKAGE, "Chromium": chromium.version()}
        return Outcome(plan, cores, versions, samples)


def _studies(held: Archived, plan: Plan) -> dict[str, Image]:
    return {"CR 10 MB": held.radiographs[0], f"CT of {plan.slices} slices": held.larger[0]}


def _load(ours: Server, theirs: Server, held: Archived, say: Callable[[str], None]) -> None:
    for server in (ours, theirs):
        held.send(server)
        server.wait_until_quiet()
        say(f"{server.name}: {server.version}")


def _ways(ours: Server, port: int) -> list[_Way]:
    person = servers.account(ours)
    url, theirs = f"http://127.0.0.1:{ours.http_port}", f"http://127.0.0.1:{port}"

    def sign_in(page: Page) -> None:
        answer = page.request.post(f"{url}/api/v1/session", data=person)
        if not answer.ok:
            raise BenchmarkError(f"signing in failed: {answer.status}")

    def to_worklist(page: Page) -> None:
        sign_in(page)
        page.goto(url)
        page.get_by_test_id("worklist-row").first.wait_for(timeout=chromium.PATIENCE_MS)
        page.wait_for_load_state("networkidle")

    def click(page: Page, image: Image) -> None:
        row = f"[data-testid=worklist-row][data-study-uid='{image.study}']"
        page.evaluate(f'document.querySelector("{row}").querySelector("a.patient-name").click()')

    def to(address: str) -> Callable[[Page, Image], None]:
        def go(page: Page, image: Image) -> None:
            page.goto(address + image.study, wait_until="commit")

        return go

    return [
        _Way(OUR_PAGE, to_worklist, click),
        _Way(OUR_PAGE_COLD, sign_in, to(f"{url}/study/")),
        _Way(OUR_OHIF, sign_in, to(f"{url}/ohif/viewer?StudyInstanceUIDs=")),
        _Way(THEIR_OHIF, lambda _: None, to(f"{theirs}/viewer?StudyInstanceUIDs=")),
    ]


def _line(sample: Sample) -> str:
    done = sample.opened
    return (
        f"round {sample.round + 1}  {sample.way:30} {sample.study:20} "
        f"{done.pixels_seconds:6.2f} s ({done.picture_seconds:.2f} s) "
        f"{done.bytes / 1e6:8.2f} MB  {done.requests:4} requests  "
        f"heap {done.heap_bytes / 1e6:.0f} MB  process {done.process_bytes / 1e6:.0f} MB"
    )
