"""The page's section about large indexes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.ingest import Sample
from benchmarks.loads import LOADS
from benchmarks.machine import Machine
from benchmarks.report.tables import (
    Goal,
    at_least,
    number,
    percentile,
    place,
    shared,
    table,
    with_range,
)
from benchmarks.scale import LARGE, SMALL, Outcome, Question

_GOAL_MS = 10.0
_GOAL_MS_OF_QIDO = 15.0
"""With eight clients; twice that among more studies than `_LARGE`."""
_LARGE = 200_000
_GOAL_KINDS = (
    "patient ID",
    "accession number",
    "a day and a modality",
    "7 days and a modality",
    "name prefix without diacritics",
)
_NOTES = """\
- The rows were put into PostgreSQL directly, by COPY, with names, days and modalities distributed
  as in a Vietnamese hospital over five years; what is asked is chosen at random among the studies.
- C-FIND: all answers, from the first byte of the request to the last of the final response, on an
  association that is there already. `search`: what the web asks the index, at most 100 answers, in
  one process, connection from the pool included. QIDO-RS: the first 100, asked by eight clients at
  once, each one question after another on a connection of its own.
- A name prefix is a whole name and an asterisk, as typed into the search of a workstation.
- {cores} The two indexes are of two servers, which took turns in each round, another one first each
  time; {associations} associations sent at once."""


def text(outcome: Outcome, machine: Machine) -> str:
    """The section, in Markdown."""
    large, small = outcome.instances[LARGE], outcome.instances[SMALL]
    blocks = [
        f"## Growing: {outcome.plan.studies:,} studies, {large:,} instances",
        f"{shared(machine)}### Searching, ms",
        _questions(outcome),
        f"### Receiving into an index of {large:,} instances and into one of {small:,}",
        _rates(outcome),
        _NOTES.format(cores=outcome.cores.said(), associations=outcome.plan.associations),
        "### Where and what, growing",
        place(
            machine,
            f"{outcome.plan.questions} questions of each kind, {outcome.plan.rounds} rounds",
            *outcome.versions.values(),
        ),
    ]
    return "\n\n".join(blocks) + "\n"


def goals(outcome: Outcome) -> list[Goal]:
    """95th percentiles, and rates that do not fall."""
    found = []
    for door, kind, asked in _by_kind(outcome):
        if door == "search" or (door == "C-FIND" and kind not in _GOAL_KINDS):
            continue
        wanted = _GOAL_MS
        if door == "QIDO-RS":
            wanted = _GOAL_MS_OF_QIDO * (1 if outcome.plan.studies <= _LARGE else 2)
        most = 1000 * percentile([question.seconds for question in asked], 0.95)
        words = f"{door} among {outcome.plan.studies:,} studies by {kind}, 95th percentile"
        found.append(Goal(words, f"< {wanted:g} ms", f"{number(most)} ms", most < wanted))
    for load in outcome.plan.loads:
        words = f"receiving {LOADS[load].title}, rate with the large index ÷ the small"
        found.append(at_least(words, statistics.median(_ratios(outcome, load)), 0.8))
    return found


def _questions(outcome: Outcome) -> str:
    body = []
    for door, kind, asked in _by_kind(outcome):
        taken = [1000 * question.seconds for question in asked]
        answers = statistics.mean(question.answers for question in asked)
        times = (f"{percentile(taken, share):.1f}" for share in (0.5, 0.95, 0.99))
        body.append([door, kind, number(answers), *times])
    head = ["door", "key", "answers", "median", "95th percentile", "99th percentile"]
    return table(head, body, words=2)


def _rates(outcome: Outcome) -> str:
    body = []
    for load in outcome.plan.loads:
        rates = [
            number(statistics.median(_rate(s) for s in _of(outcome, load, server)))
            for server in (SMALL, LARGE)
        ]
        body.append([LOADS[load].title, *rates, with_range(_ratios(outcome, load))])
    return table(["load", f"{SMALL}, /s", f"{LARGE}, /s", "large ÷ small"], body)


def _ratios(outcome: Outcome, load: str) -> list[float]:
    """Within each round."""
    small = {sample.round: _rate(sample) for sample in _of(outcome, load, SMALL)}
    return [_rate(sample) / small[sample.round] for sample in _of(outcome, load, LARGE)]


def _of(outcome: Outcome, load: str, server: str) -> list[Sample]:
    return [s for s in outcome.samples if (s.load, s.server) == (load, server)]


def _rate(sample: Sample) -> float:
    return sample.instances / sample.seconds


def _by_kind(outcome: Outcome) -> Iterator[tuple[str, str, list[Question]]]:
    for door, kind in dict.fromkeys((q.door, q.kind) for q in outcome.questions):
        yield door, kind, [q for q in outcome.questions if (q.door, q.kind) == (door, kind)]
