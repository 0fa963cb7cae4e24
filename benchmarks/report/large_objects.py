"""The page's section about memory under large objects."""

from __future__ import annotations

from benchmarks.machine import Machine
from benchmarks.memory import Outcome
from benchmarks.report.tables import OURS, Goal, place, shared, table

_GOAL_MB = 400
_NOTES = """\
- Enhanced multi-frame CT of 1024 by 1024 pixels, with functional groups for each frame, made while
  it is sent and nowhere there as a whole. A server of its own for each row, alone on the machine.
- Peaks from the first byte until the server rests, looked for ten times a second at most. Resident:
  the sum of the resident sets of all processes but PostgreSQL's, in which a page that processes
  share counts once for each. PostgreSQL: the same of its processes, each of which counts the shared
  buffers it has touched. Shared divided: all together, each page once; this is what the machine
  must have. Filmless's sums include its web server and its worker.
- {cores}"""


def text(outcome: Outcome, machine: Machine) -> str:
    """The section, in Markdown."""
    blocks = [
        "## Memory under large objects, MB",
        f"{shared(machine)}{_table(outcome)}",
        _NOTES.format(cores=outcome.cores.said()),
        "### Where and what, memory",
        place(machine, *outcome.versions.values()),
    ]
    return "\n\n".join(blocks) + "\n"


def goals(outcome: Outcome) -> list[Goal]:
    """The whole node, at its peak."""
    found = []
    for sample in outcome.samples:
        if sample.server == OURS:
            peak = sample.peak.proportional / 1e6
            words = f"memory of the whole node, shared pages divided, {sample.load}"
            reached = peak < _GOAL_MB and sample.failure is None
            found.append(Goal(words, f"< {_GOAL_MB} MB", f"{peak:.0f} MB", reached))
    return found


def _table(outcome: Outcome) -> str:
    head = ["load", "server", "MB/s", "at rest", "resident", "PostgreSQL", "shared divided"]
    body = []
    for sample in sorted(outcome.samples, key=lambda sample: sample.load, reverse=True):
        used = (
            sample.before.proportional,
            sample.peak.resident,
            sample.peak.resident_of_postgres,
            sample.peak.proportional,
        )
        rate = "refused" if sample.failure else f"{sample.megabytes / sample.seconds:.0f}"
        cells = [f"{each / 1e6:.0f}" for each in used]
        body.append([sample.load, sample.server, rate, *cells])
    return table(head, body, words=2)
