"""Numbers and tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.machine import Machine

OURS = "Filmless"


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached, and what was measured."""

    words: str
    wanted: str
    measured: str
    reached: bool


def table(head: Sequence[str], body: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """A table whose first columns hold words, all others numbers."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *body])


def goals_table(goals: Sequence[Goal]) -> str:
    """What is reached and what is not."""
    body = [[goal.words, goal.wanted, goal.measured, _said(goal)] for goal in goals]
    return table(["goal", "wanted", "measured (median)", ""], body)


def _said(goal: Goal) -> str:
    return "reached" if goal.reached else "**missed**"


def at_least(words: str, ratio: float, wanted: float) -> Goal:
    """A ratio that must not be smaller."""
    return Goal(words, f"≥ {wanted:g}×", f"{ratio:.2f}×", ratio >= wanted)


def at_most(words: str, ratio: float, wanted: float) -> Goal:
    """A ratio that must not be larger."""
    return Goal(words, f"≤ {wanted:g}×", f"{ratio:.2f}×", ratio <= wanted)


def number(value: float) -> str:
    """With three digits or so."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def with_range(ratios: Sequence[float]) -> str:
    """The median and in brackets the lowest and the highest."""
    return f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def place(machine: Machine, *more: str) -> str:
    """Where and when it was measured, and with what."""
    lines = [
        f"{machine.date}, commit {machine.revision}",
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gb:g} GB",
        f"{machine.system}, Python {machine.python}",
        f"{machine.file_system}; 4 KiB written and fsynced in {machine.fsync_ms:g} ms (median)",
        f"load average before the first round: {machine.load_average:g}",
        *more,
    ]
    return "\n".join(f"- {line}" for line in lines)


def shared(machine: Machine) -> str:
    """A warning, where the machine had other work."""
    if machine.load_average < 0.5:
        return ""
    return (
        f"The machine was shared with other work: its load average before the first round was"
        f" {machine.load_average:g} on {machine.cores} cores. That slows all, and scatters. Read"
        " ratios within a row; compare no rows or runs by their absolute numbers.\n\n"
    )
