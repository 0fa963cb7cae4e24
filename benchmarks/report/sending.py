"""The page's section about C-GET, C-MOVE and C-STORE as SCU."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.machine import Machine
from benchmarks.move import Outcome, Sample
from benchmarks.report.tables import (
    OURS,
    Goal,
    at_least,
    number,
    place,
    shared,
    table,
    with_range,
)

_ORTHANC = "Orthanc"
_NOTES = """\
- One study of {slices} CT slices of 0.5 MB, which lies in the file cache and has been sent before.
- C-GET by DCMTK's `getscu`, whose start is in the times; C-MOVE by a client that only waits, to
  DCMTK's `storescp`; both throw away what they receive (`--ignore`) and offer PDUs of 16 KB, as
  they do unless told otherwise.
- C-STORE: of ours, the sender by itself with files; of Orthanc, its own by its REST interface;
  beside them DCMTK's `storescu` with the same files, its start included. All to `storescp`.
- {cores} The sender counts as a server.
- Processor time is the sender's, of all its processes."""


def text(outcome: Outcome, machine: Machine) -> str:
    """The section, in Markdown."""
    blocks = [
        "## Sending",
        f"{shared(machine)}Instances per second and the sender's processor time for one, medians;"
        " ratios are medians of the ratios within a round, with the lowest and the highest round in"
        " brackets.",
        _table(outcome),
        _NOTES.format(slices=outcome.plan.slices, cores=outcome.cores.said()),
        "### Where and what, sending",
        place(machine, f"{outcome.plan.rounds} rounds", *outcome.versions.values()),
    ]
    return "\n\n".join(blocks) + "\n"


def goals(outcome: Outcome) -> list[Goal]:
    """Close to DCMTK's own limit, and so to Orthanc's."""
    return [
        at_least(
            f"sending by {operation}, rate ÷ Orthanc",
            statistics.median(_ratios(samples, _ORTHANC)),
            0.8,
        )
        for operation, samples in _by_operation(outcome)
    ]


def _table(outcome: Outcome) -> str:
    head = ["service", "sender", "instances/s", "ms of processor", "÷ it, rate of Filmless"]
    body = []
    for operation, samples in _by_operation(outcome):
        for server in dict.fromkeys(sample.server for sample in samples):
            own = [sample for sample in samples if sample.server == server]
            rate = statistics.median(sample.instances / sample.seconds for sample in own)
            ratio = "" if server == OURS else with_range(_ratios(samples, server))
            body.append([operation, server, number(rate), _cpu(own), ratio])
    return table(head, body, words=2)


def _cpu(samples: list[Sample]) -> str:
    taken = [
        1000 * sample.cpu_seconds / sample.instances
        for sample in samples
        if sample.cpu_seconds is not None
    ]
    return f"{statistics.median(taken):.2f}" if taken else "-"


def _ratios(samples: list[Sample], peer: str) -> list[float]:
    """Our rate to the peer's, within each round."""
    taken = {(sample.server, sample.round): sample.seconds for sample in samples}
    return [
        taken[peer, turn] / seconds for (server, turn), seconds in taken.items() if server == OURS
    ]


def _by_operation(outcome: Outcome) -> Iterator[tuple[str, list[Sample]]]:
    for operation in dict.fromkeys(sample.operation for sample in outcome.samples):
        yield operation, [s for s in outcome.samples if s.operation == operation]
