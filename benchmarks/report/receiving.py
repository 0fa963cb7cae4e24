"""The page's section about receiving."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

from benchmarks.ingest import Outcome, Sample
from benchmarks.loads import LOADS
from benchmarks.machine import Machine
from benchmarks.report.tables import (
    OURS,
    Goal,
    at_least,
    at_most,
    number,
    place,
    shared,
    table,
    with_range,
)

_ORTHANC, _STORESCP = "Orthanc", "storescp"
_WANTED = {"cr": 3.5, "ct": 3.0, "small": 1.5}
_EQUAL = """### What was held equal

- The same instances, byte for byte, from the same client: DCMTK's `storescu`, one process an
  association, `TCP_NODELAY=1`; rates include its start and its reading of the files.
- {cores}
- All servers ran all the time, each with a folder of its own on the same disk, and rested while
  another was measured. The servers took turns within each round, another one first each time, and
  the disk was synced before each turn. Every round has instances that nobody has seen before.
- `TCP_NODELAY` on every server: DCMTK, and Orthanc with it, leaves Nagle's algorithm on as shipped.

### What was not

- What "success" means. Filmless answers when the object is fsynced and its index rows are
  committed to PostgreSQL, fsync included. Orthanc fsyncs the object too (`SyncStorageArea`), and
  commits to SQLite in write-ahead mode with `synchronous=NORMAL`, which does not fsync each commit.
  storescp and the plain pynetdicom SCP write files, fsync nothing and keep no index.
- The largest PDU each server offers is its own: 16 KB for Orthanc, storescp and plain pynetdicom as
  shipped, more for Filmless.
- Filmless ran with the parts {parts}, without the AI, which no other server here has. What it works
  out once a study has been quiet for three seconds is in the numbers with deferred work; what it
  uses when it is idle (its worker looks for work twice a second) is not.
"""


def text(outcome: Outcome, machine: Machine) -> str:
    """The section, in Markdown."""
    blocks = [
        "## Receiving",
        _verdict(outcome),
        f"{shared(machine)}Ratios are medians of the ratios within a round, with the lowest and the"
        " highest round in brackets. Where these reach from below 1 to above 1, or far apart, the"
        " row says little. The clock of processor times has steps of 10 ms, coarse for storescp"
        " under a small load.",
        "### Instances received per second (medians), and how many times as fast Filmless is",
        _rates(outcome),
        "### Server's processor time for an instance, ms (medians)",
        "Up to the last answer, and in brackets with the work that was deferred behind it. All"
        " processes of a server, PostgreSQL's included.",
        _processor_times(outcome),
        "### Memory, MB",
        "Sums over all processes of a server. Resident sets count a shared page once for each"
        " process; the last column divides it among those who share it. Filmless's sums include its"
        " web server and its worker, where these parts ran.",
        _memory(outcome),
        _EQUAL.format(
            cores=outcome.cores.said(), parts=outcome.plan.parts.replace(",", ", ")
        ).rstrip(),
        "### Where and what",
        _place(outcome, machine),
    ]
    return "\n\n".join(blocks) + "\n"


def goals(outcome: Outcome) -> list[Goal]:
    """Each over all numbers of associations: the worst of the rows counts."""
    found = []
    for load in outcome.plan.loads:
        rows = [rows for (name, _), rows in _by_row(outcome) if name == load]
        title = LOADS[load].title

        def worst(
            pick: Callable[[list[float]], float],
            peer: str,
            value: Callable[[Sample], float],
            rows: list[list[Sample]] = rows,
        ) -> float:
            return pick([_ratio(each, peer, value) for each in rows])

        found += [
            at_least(
                f"receiving {title}: rate ÷ Orthanc", worst(min, _ORTHANC, _rate), _WANTED[load]
            ),
            at_least(f"receiving {title}: rate ÷ storescp", worst(min, _STORESCP, _rate), 0.5),
            at_most(f"receiving {title}: processor ÷ Orthanc", worst(max, _ORTHANC, _cpu), 0.5),
            at_most(
                f"receiving {title}: processor with deferred work ÷ Orthanc",
                worst(max, _ORTHANC, _cpu_with_deferred),
                1.0,
            ),
        ]
    return found


def _verdict(outcome: Outcome) -> str:
    """In plain words, where Filmless is ahead of each other server and where it is behind."""
    lines = []
    for peer in _peers(outcome):
        rounds = [_ratios(rows, peer, _rate) for _, rows in _by_row(outcome)]
        medians = [statistics.median(ratios) for ratios in rounds]
        ahead = sum(min(ratios) > 1 for ratios in rounds)
        behind = sum(max(ratios) < 1 for ratios in rounds)
        lines.append(
            f"- Against {peer}, of {len(rounds)} rows: faster in every round in {ahead}, slower in"
            f" every round in {behind}, undecided in {len(rounds) - ahead - behind}. Medians:"
            f" {min(medians):.2f} to {max(medians):.2f} times its rate, for {_span(outcome, peer)}"
            " times its processor time."
        )
    return "\n".join(lines)


def _span(outcome: Outcome, peer: str) -> str:
    ratios = [_ratio(rows, peer, _cpu) for _, rows in _by_row(outcome)]
    return f"{min(ratios):.1f} to {max(ratios):.1f}"


def _rates(outcome: Outcome) -> str:
    peers = _peers(outcome)
    head = ["load", "associations", *outcome.versions, *(f"÷ {peer}" for peer in peers)]
    body = [
        [
            *_names(row),
            *(number(_median(rows, server, _rate)) for server in outcome.versions),
            *(with_range(_ratios(rows, peer, _rate)) for peer in peers),
        ]
        for row, rows in _by_row(outcome)
    ]
    return table(head, body)


def _processor_times(outcome: Outcome) -> str:
    peers = _peers(outcome)
    head = ["load", "associations", *outcome.versions, *(f"÷ {peer}" for peer in peers)]
    body = [
        [
            *_names(row),
            *(
                f"{number(_median(rows, server, _cpu))}"
                f" ({number(_median(rows, server, _cpu_with_deferred))})"
                for server in outcome.versions
            ),
            *(f"{_ratio(rows, peer, _cpu):.2f}" for peer in peers),
        ]
        for row, rows in _by_row(outcome)
    ]
    return table(head, body)


def _memory(outcome: Outcome) -> str:
    head = ["server", "resident, before the load", "resident, peak", "after it, shared divided"]
    body = [
        [
            server,
            f"{outcome.memory_at_rest_bytes[server] / 1e6:.0f}",
            f"{_peak(outcome, server) / 1e6:.0f}",
            f"{outcome.own_memory_at_end_bytes[server] / 1e6:.0f}",
        ]
        for server in outcome.versions
    ]
    return table(head, body)


def _place(outcome: Outcome, machine: Machine) -> str:
    plan = outcome.plan
    of_full = "" if plan.scale == 1 else f" ({plan.scale:g} of the full load)"
    loads = [f"{LOADS[name].title}: {_sent(outcome, name)}" for name in plan.loads]
    rounds = f"{plan.rounds} rounds{of_full}"
    return place(machine, rounds, *outcome.versions.values(), *loads)


def _sent(outcome: Outcome, load: str) -> str:
    sample = next(sample for sample in outcome.samples if sample.load == load)
    return f"{sample.instances} instances, {sample.megabytes:.1f} MB, in each turn"


def _peers(outcome: Outcome) -> list[str]:
    return [server for server in outcome.versions if server != OURS]


def _by_row(outcome: Outcome) -> Iterator[tuple[tuple[str, int], list[Sample]]]:
    """The samples of each load and number of associations."""
    for load in outcome.plan.loads:
        for associations in outcome.plan.associations:
            row = (load, associations)
            yield row, [s for s in outcome.samples if (s.load, s.associations) == row]


def _names(row: tuple[str, int]) -> list[str]:
    return [LOADS[row[0]].title, str(row[1])]


def _rate(sample: Sample) -> float:
    return sample.instances / sample.seconds


def _cpu(sample: Sample) -> float:
    """Milliseconds an instance. Not below the clock's step, so that it can be divided by."""
    return 1000 * max(sample.cpu_seconds, 0.01) / sample.instances


def _cpu_with_deferred(sample: Sample) -> float:
    return 1000 * max(sample.cpu_seconds_with_deferred, 0.01) / sample.instances


def _median(rows: Sequence[Sample], server: str, value: Callable[[Sample], float]) -> float:
    return statistics.median(value(sample) for sample in rows if sample.server == server)


def _ratios(rows: Sequence[Sample], peer: str, value: Callable[[Sample], float]) -> list[float]:
    """Ours to the peer's, within each round."""
    ours = {sample.round: value(sample) for sample in rows if sample.server == OURS}
    theirs = {sample.round: value(sample) for sample in rows if sample.server == peer}
    return [ours[number] / theirs[number] for number in ours]


def _ratio(rows: Sequence[Sample], peer: str, value: Callable[[Sample], float]) -> float:
    return statistics.median(_ratios(rows, peer, value))


def _peak(outcome: Outcome, server: str) -> int:
    return max(s.peak_memory_bytes for s in outcome.samples if s.server == server)
