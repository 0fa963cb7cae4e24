"""RESULTS.md, made of the samples of all benchmarks that have been run."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from benchmarks import first_image, ingest, memory, move, query, scale, web
from benchmarks.machine import Machine
from benchmarks.report import (
    asking,
    dicomweb,
    first_picture,
    growing,
    large_objects,
    receiving,
    sending,
)
from benchmarks.report.tables import Goal, goals_table

_HEAD = """# Benchmarks

Written by `python -m benchmarks {names}`, one after another; do not edit by hand. The samples
are beside this page: {files}.

All comparisons are side by side: the same client, the same data, one machine, and rounds in which
the servers take turns. Orthanc is Debian's: 1.10.1 of 2022, not the newest. DCMTK leaves Nagle's
algorithm on as shipped, and with it Orthanc, which then sends and receives about 20 slices a second
on one association; every program here, server or client, has it off (`TCP_NODELAY=1`), and so a
comparison with an Orthanc as shipped would look better for us than this page does.

## Goals

{goals}
"""


@dataclass(frozen=True, slots=True)
class _Section:
    """How a benchmark's outcome becomes its part of the page."""

    outcome: type
    text: Callable[[Any, Machine], str]
    goals: Callable[[Any], list[Goal]]


SECTIONS = {
    "ingest": _Section(ingest.Outcome, receiving.text, receiving.goals),
    "query": _Section(query.Outcome, asking.text, asking.goals),
    "move": _Section(move.Outcome, sending.text, sending.goals),
    "scale": _Section(scale.Outcome, growing.text, growing.goals),
    "web": _Section(web.Outcome, dicomweb.text, dicomweb.goals),
    "first_image": _Section(first_image.Outcome, first_picture.text, first_picture.goals),
    "memory": _Section(memory.Outcome, large_objects.text, large_objects.goals),
}


def write(name: str, outcome: Any, machine: Machine, folder: Path) -> Path:
    """Write the benchmark's samples into the folder and the page anew; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {"machine": asdict(machine), **asdict(outcome)}
    text = json.dumps(numbers, ensure_ascii=False, indent=1)
    _file(folder, name).write_text(f"{text}\n")
    page = folder / "RESULTS.md"
    page.write_text(_page(folder))
    return page


def _page(folder: Path) -> str:
    texts, goals, names = [], [], []
    for name, section in SECTIONS.items():
        if not _file(folder, name).exists():
            continue
        numbers = json.loads(_file(folder, name).read_text())
        machine = _read(Machine, numbers.pop("machine"))
        outcome = _read(section.outcome, numbers)
        names.append(name)
        goals += section.goals(outcome)
        texts.append(section.text(outcome, machine))
    files = ", ".join(f"[{name}](RESULTS-{name}.json)" for name in names)
    head = _HEAD.format(
        names="|".join(names).replace("_", "-"), files=files, goals=goals_table(goals)
    )
    return "\n".join([head, *texts])


def _file(folder: Path, name: str) -> Path:
    return folder / f"RESULTS-{name}.json"


def _read(kind: Any, value: Any) -> Any:
    """What `asdict` and JSON made of a value of this type, as it was."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        known = [field.name for field in fields(kind) if field.name in value]
        return kind(**{name: _read(hints[name], value[name]) for name in known})
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _read(inner[0], value)
    if origin in (list, tuple):
        return origin(_read(inner[0], item) for item in value)
    if origin is dict:
        return {name: _read(inner[1], item) for name, item in value.items()}
    return value
