"""`pacs import`, `pacs reindex`, `pacs scrub`, `pacs status`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from pacs.cli.options import AsJson, DataDir, opened_archive, say
from pacs.cli.output import print_json, print_table

_T = TypeVar("_T")


def _progress(items: Iterable[_T], what: str, total: int | None = None) -> Iterator[_T]:
    """The items, with a bar on stderr where a person watches."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, total=total, console=Console(stderr=True))


def import_(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders, searched to the bottom.")],
    *,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Take DICOM files into the archive; a second time changes nothing.

    Exit status 1 when a file was refused; the others are in.
    """
    from pacs.importing import files_below, import_files

    files = files_below(paths)
    outcomes: Counter[str] = Counter()
    refused: list[dict[str, str]] = []
    with opened_archive(data_dir) as archive:
        imports = import_files(archive.ingest, files)
        for imported in _progress(imports, "importing", len(files)):
            if imported.received is not None:
                outcomes[imported.received.outcome] += 1
            else:
                outcomes["refused"] += 1
                refused.append({"path": str(imported.path), "reason": imported.refusal or ""})
                say(f"refused: {imported.path}: {imported.refusal}")
    _report(outcomes, {"refused_files": refused}, as_json)
    if refused:
        sys.exit(1)


def reindex(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Put every stored object that the index does not know into it.

    Exit status 1 when an object cannot be indexed.
    """
    from pacs.reindex import reindex as run

    outcomes: Counter[str] = Counter()
    refused: list[dict[str, str]] = []
    with opened_archive(data_dir) as archive:
        for done in _progress(run(archive), "reading objects"):
            outcome, _, reason = done.outcome.partition(": ")
            outcomes[outcome] += 1
            if outcome == "refused":
                refused.append({"key": done.key, "reason": reason})
                say(f"refused: {done.key}: {reason}")
    _report(outcomes, {"refused_objects": refused}, as_json)
    if refused:
        sys.exit(1)


def scrub(
    *,
    delete_orphans: Annotated[
        bool,
        typer.Option(
            "--delete-orphans",
            help="Remove objects that the index does not know and no sender was told are safe.",
        ),
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Read every object and compare it with the index.

    Exit status 1 when an object is missing or is no longer what arrived.
    """
    from pacs.scrub import scrub as run

    outcomes: Counter[str] = Counter()
    problems: list[dict[str, str]] = []
    with opened_archive(data_dir) as archive:
        checks = run(archive, delete_orphans=delete_orphans)
        for checked in _progress(checks, "reading objects"):
            outcomes[checked.problem or "sound"] += 1
            if checked.problem is not None:
                problems.append({"key": checked.key, "problem": checked.problem})
                say(f"{checked.problem}: {checked.key}")
    _report(outcomes, {"problems": problems}, as_json)
    if outcomes["missing"] or outcomes["changed"]:
        sys.exit(1)


def _report(
    outcomes: Counter[str], details: dict[str, list[dict[str, str]]], as_json: bool
) -> None:
    if as_json:
        print_json({"outcomes": dict(outcomes), **details})
        return
    print_table(["outcome", "objects"], sorted(outcomes.items()))


def status(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show how the archive is: what is stored, what waits, what is wrong."""
    from dataclasses import asdict

    from pacs.status import status as ask

    with opened_archive(data_dir) as archive:
        found = ask(archive)
    if as_json:
        print_json(found)
        return
    rows = [(name.replace("_", " "), value) for name, value in asdict(found).items()]
    print_table(["what", "now"], rows)
