"""The page's section about C-FIND."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.machine import Machine
from benchmarks.query import KINDS, Outcome, Sample
from benchmarks.report.tables import (
    OURS,
    Goal,
    at_least,
    number,
    percentile,
    place,
    shared,
    table,
    with_range,
)

_WANTED = {kind: 1.0 if kind in ("patient ID", "accession number") else 5.0 for kind in KINDS}
_NOTES = """\
- Study level, Study Root, from the same client on an association that is there already: from the
  first byte of the request to the last of the final response. The client does next to nothing with
  the answers, which have eleven attributes, as a workstation's list has.
- {cores}
- Every server has the same {studies} studies with one tiny image each, sent by C-STORE on four
  associations, which took {loaded}.
- The names are Vietnamese, distributed as in Vietnam; what is asked is chosen at random among the
  studies, so that common names come often. Orthanc compares names without regard to case, but with
  their diacritics: where it gives no answers, it is no comparison, and none is made.
- Orthanc's index is in SQLite, or in Debian's PostgreSQL by Debian's plugin."""


def text(outcome: Outcome, machine: Machine) -> str:
    """The section, in Markdown."""
    loaded = ", ".join(f"{name}: {taken:.0f} s" for name, taken in outcome.load_seconds.items())
    notes = _NOTES.format(
        cores=outcome.cores.said(), studies=f"{outcome.plan.studies:,}", loaded=loaded
    )
    blocks = [
        f"## Asking: C-FIND among {outcome.plan.studies:,} studies",
        f"{shared(machine)}Milliseconds, median and (95th percentile), and how many times as fast"
        " Filmless is: medians of the ratios of single questions, which were asked of one server"
        " after another, another one first each time; lowest and highest round in brackets.",
        _table(outcome),
        notes,
        "### Where and what, asking",
        place(machine, _rounds(outcome), *outcome.versions.values()),
    ]
    return "\n\n".join(blocks) + "\n"


def goals(outcome: Outcome) -> list[Goal]:
    """Against the better of Orthanc's databases, where it answers at all."""
    found = []
    for kind, samples in _by_kind(outcome):
        ratios = [
            statistics.median(_ratios(samples, peer))
            for peer in _peers(outcome)
            if _comparable(samples, peer)
        ]
        if ratios:
            words = f"C-FIND by {kind}, speed ÷ the better Orthanc"
            found.append(at_least(words, min(ratios), _WANTED[kind]))
    return found


def _table(outcome: Outcome) -> str:
    peers = _peers(outcome)
    head = ["key", "answers", *outcome.versions, *(f"÷ {peer}" for peer in peers)]
    body = []
    for kind, samples in _by_kind(outcome):
        ours = [sample.answers for sample in samples if sample.server == OURS]
        cells = [kind, number(statistics.mean(ours))]
        cells += [_times(samples, server) for server in outcome.versions]
        body.append([*cells, *(_compared(samples, peer) for peer in peers)])
    return table(head, body)


def _times(samples: list[Sample], server: str) -> str:
    taken = [1000 * sample.seconds for sample in samples if sample.server == server]
    answers = sum(sample.answers for sample in samples if sample.server == server)
    none = "" if answers else ", no answers"
    return f"{number(statistics.median(taken))} ({number(percentile(taken, 0.95))}){none}"


def _compared(samples: list[Sample], peer: str) -> str:
    return with_range(_ratios(samples, peer)) if _comparable(samples, peer) else "-"


def _comparable(samples: list[Sample], peer: str) -> bool:
    """Whether it finds anything like what we find; folding finds more."""
    answers = {
        server: sum(sample.answers for sample in samples if sample.server == server)
        for server in (OURS, peer)
    }
    return answers[peer] >= 0.9 * answers[OURS]


def _ratios(samples: list[Sample], peer: str) -> list[float]:
    """The peer's time to ours: of each round, the median over its questions."""
    taken = {(s.server, s.round, s.question): s.seconds for s in samples}
    rounds: dict[int, list[float]] = {}
    for (server, turn, question), seconds in taken.items():
        if server == OURS:
            rounds.setdefault(turn, []).append(taken[peer, turn, question] / seconds)
    return [statistics.median(ratios) for ratios in rounds.values()]


def _by_kind(outcome: Outcome) -> Iterator[tuple[str, list[Sample]]]:
    for kind in KINDS:
        yield kind, [sample for sample in outcome.samples if sample.kind == kind]


def _peers(outcome: Outcome) -> list[str]:
    return [server for server in outcome.versions if server != OURS]


def _rounds(outcome: Outcome) -> str:
    plan = outcome.plan
    return f"{plan.rounds} rounds of {plan.questions} questions of each kind"
