"""The page's section about the first image."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from benchmarks.chromium import Opened
from benchmarks.first_image import OUR_OHIF, OUR_PAGE, OUR_PAGE_COLD, THEIR_OHIF, Outcome
from benchmarks.machine import Machine
from benchmarks.report.tables import Goal, at_most, number, place, shared, table

_WAYS = (OUR_PAGE, OUR_PAGE_COLD, OUR_OHIF, THEIR_OHIF)
_CR_SECONDS, _CT_SECONDS = 1.0, 1.5
_NOTES = """\
- From the click on a row of the worklist, or from the navigation to the study's address, until a
  canvas of the page shows more than one grey; in brackets until the first picture of any kind, such
  as a rendered preview. Chromium with a new profile each time, so that nothing is in its cache but
  what the worklist had loaded; drawn by software, without a GPU.
- The radiograph has 2500 by 2048 pixels, 12 bits, uncompressed; the CT slices 512 by 512.
- Bytes: what came over the network up to the first pixels on the canvas, compressed as it came.
  Memory then: the heap of the page's JavaScript, and its whole process, shared pages divided.
- Both OHIF are {ohif}. On Orthanc it is as its authors ship it, behind nginx with compressed copies
  of its files, as in their own container; Filmless serves it minified from `/ohif/`.
- {cores} The browser counts as a client."""


def text(outcome: Outcome, machine: Machine) -> str:
    """The section, in Markdown."""
    plan = outcome.plan
    blocks = [
        "## The first image",
        f"{shared(machine)}Medians over the rounds.",
        _table(outcome),
        _NOTES.format(ohif=outcome.versions["OHIF"], cores=outcome.cores.said()),
        "### Where and what, the first image",
        place(machine, f"{plan.rounds} rounds", *outcome.versions.values()),
    ]
    return "\n\n".join(blocks) + "\n"


def goals(outcome: Outcome) -> list[Goal]:
    """Our page in absolute seconds; OHIF on ours against OHIF on Orthanc."""
    found = []
    for study in _studies(outcome):
        most = _CR_SECONDS if study.startswith("CR") else _CT_SECONDS
        taken = _median(outcome, OUR_PAGE, study, lambda one: one.pixels_seconds)
        words = f"first image, {study}, our page from a click"
        found.append(Goal(words, f"≤ {most:g} s", f"{taken:.2f} s", taken <= most))
        seconds, size = (
            _median(outcome, OUR_OHIF, study, of) / _median(outcome, THEIR_OHIF, study, of)
            for of in (lambda one: one.pixels_seconds, lambda one: float(one.bytes))
        )
        found.append(at_most(f"first image, {study}, OHIF on Filmless ÷ on Orthanc", seconds, 1))
        found.append(
            at_most(f"first image, {study}, bytes, OHIF on Filmless ÷ on Orthanc", size, 0.5)
        )
    return found


def _table(outcome: Outcome) -> str:
    head = ["study", "opened in", "s", "MB before", "requests", "heap, MB", "process, MB"]
    body = []
    for study in _studies(outcome):
        for way in _WAYS:
            pixels, picture, size, requests, heap, process = (
                _median(outcome, way, study, of)
                for of in (
                    lambda one: one.pixels_seconds,
                    lambda one: one.picture_seconds,
                    lambda one: one.bytes / 1e6,
                    lambda one: float(one.requests),
                    lambda one: one.heap_bytes / 1e6,
                    lambda one: one.process_bytes / 1e6,
                )
            )
            seconds = f"{pixels:.2f} ({picture:.2f})"
            cells = [f"{size:.2f}", f"{requests:.0f}", number(heap), number(process)]
            body.append([study, way, seconds, *cells])
    return table(head, body, words=2)


def _median(outcome: Outcome, way: str, study: str, of: Callable[[Opened], float]) -> float:
    return statistics.median(
        of(sample.opened)
        for sample in outcome.samples
        if (sample.way, sample.study) == (way, study)
    )


def _studies(outcome: Outcome) -> list[str]:
    return list(dict.fromkeys(sample.study for sample in outcome.samples))
