"""RESULTS.md and the numbers behind it, for people who were not there."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.ingest import Outcome, Sample
from benchmarks.loads import LOADS
from benchmarks.machine import Machine

OURS = "Filmless"
_PREAMBLE = """# Benchmarks

Written by `python -m benchmarks ingest`; do not edit by hand. The samples are in
[RESULTS-ingest.json](RESULTS-ingest.json).
"""
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
- Filmless ran with the parts {parts}, and with studies held open, so that no AI work is in its
  numbers.
"""
_WHY = """Before it answers, this release decodes every attribute of the header with pydicom,
writes it as DICOM JSON, fsyncs the object and commits its rows to PostgreSQL; the first two take
the larger part of its processor time for a small object, by a profile. It receives through
pynetdicom, whose cost is per message and per PDU, with two threads for each association. Where a
ratio of rates below is under 1, the other program receives faster, and where a ratio of processor
times is over 1, with less work.
"""
_SHARED = """The machine was shared with other work: its load average before the first round was
{load:g} on {cores} cores. That slows all, and scatters the rates. Ratios are medians of the ratios
within a round, in which the servers came one right after another, with the lowest and the highest
round in brackets. Read those within a row; where the brackets reach from below 1 to above 1, or far
apart, the row says little. Do not compare rows or runs by their absolute numbers. Processor times
suffer less than rates, but the clock's step of 10 ms is coarse for storescp under a small load.
"""


def write(outcome: Outcome, machine: Machine, folder: Path) -> Path:
    """Write RESULTS.md and RESULTS-ingest.json into the folder; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {"machine": asdict(machine), **asdict(outcome)}
    text = json.dumps(numbers, ensure_ascii=False, indent=1)
    (folder / "RESULTS-ingest.json").write_text(f"{text}\n")
    page = folder / "RESULTS.md"
    page.write_text(f"{_PREAMBLE}\n{receiving(outcome, machine)}")
    return page


def receiving(outcome: Outcome, machine: Machine) -> str:
    """The page's section about receiving, in Markdown."""
    blocks = [
        "## Receiving",
        _verdict(outcome),
        _SHARED.format(load=machine.load_average, cores=machine.cores).rstrip(),
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
        _EQUAL.format(cores=_cores(outcome), parts=outcome.plan.parts.replace(",", ", ")).rstrip(),
        "### Where and what",
        _place(outcome, machine),
    ]
    return "\n\n".join(blocks) + "\n"


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
    return "\n".join([*lines, "", _WHY.rstrip()])


def _span(outcome: Outcome, peer: str) -> str:
    ratios = [_ratio(rows, peer, _cpu) for _, rows in _by_row(outcome)]
    return f"{min(ratios):.1f} to {max(ratios):.1f}"


def _rates(outcome: Outcome) -> str:
    peers = _peers(outcome)
    head = ["load", "associations", *outcome.versions, *(f"÷ {peer}" for peer in peers)]
    body = [
        [
            *_names(row),
            *(_number(_median(rows, server, _rate)) for server in outcome.versions),
            *(_with_range(_ratios(rows, peer, _rate)) for peer in peers),
        ]
        for row, rows in _by_row(outcome)
    ]
    return _table(head, body)


def _processor_times(outcome: Outcome) -> str:
    peers = _peers(outcome)
    head = ["load", "associations", *outcome.versions, *(f"÷ {peer}" for peer in peers)]
    body = [
        [
            *_names(row),
            *(
                f"{_number(_median(rows, server, _cpu))}"
                f" ({_number(_median(rows, server, _cpu_with_deferred))})"
                for server in outcome.versions
            ),
            *(f"{_ratio(rows, peer, _cpu):.2f}" for peer in peers),
        ]
        for row, rows in _by_row(outcome)
    ]
    return _table(head, body)


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
    return _table(head, body)


def _place(outcome: Outcome, machine: Machine) -> str:
    plan = outcome.plan
    of_full = "" if plan.scale == 1 else f" ({plan.scale:g} of the full load)"
    lines = [
        f"{machine.date}, commit {machine.revision}; {plan.rounds} rounds{of_full}",
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gb:g} GB",
        f"{machine.system}, Python {machine.python}",
        f"{machine.file_system}; 4 KiB written and fsynced in {machine.fsync_ms:g} ms (median)",
        f"load average before the first round: {machine.load_average:g}",
        *outcome.versions.values(),
    ]
    lines += [f"{LOADS[name].title}: {_sent(outcome, name)}" for name in plan.loads]
    return "\n".join(f"- {line}" for line in lines)


def _sent(outcome: Outcome, load: str) -> str:
    sample = next(sample for sample in outcome.samples if sample.load == load)
    return f"{sample.instances} instances, {sample.megabytes:.1f} MB, in each turn"


def _cores(outcome: Outcome) -> str:
    if outcome.cores.server is None:
        return "Servers and clients shared all processors: `taskset` or a second one was missing."
    return (
        "Each server with all its processes was held to one processor, the clients to another"
        " (`taskset`)."
    )


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


def _with_range(ratios: Sequence[float]) -> str:
    return f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"


def _peak(outcome: Outcome, server: str) -> int:
    return max(s.peak_memory_bytes for s in outcome.samples if s.server == server)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    left = sum(name in {"load", "server"} for name in head[:1])
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *body])
