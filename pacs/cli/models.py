"""`pacs models`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pacs.cli.options import AsJson, say
from pacs.cli.output import print_json, print_table
from pacs.errors import PacsError

models = typer.Typer(help="The models that assess images.", no_args_is_help=True)

_IN_EXTRA_AI = ("torch", "monai", "highdicom", "jsonschema", "safetensors")


class AiNotInstalled(PacsError):
    """The packages of the extra `ai` are not here."""


@contextmanager
def _ai() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _IN_EXTRA_AI:
            raise
        raise AiNotInstalled(
            f"models need the package {error.name}: pip install 'filmless[ai]'"
        ) from error


Model = Annotated[str, typer.Argument(help="Name of the model, as `list` shows it.")]


@models.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Show the models of this installation, and whether each is whole."""
    with _ai():
        from ai_models.errors import ModelError
        from ai_models.registry import bundle_names, open_bundle

    rows = []
    for name in bundle_names():
        row: dict[str, str | bool | None] = {"name": name, "version": None, "registered": None}
        try:
            bundle = open_bundle(name)
        except ModelError as error:
            row["problem"] = str(error)
        else:
            row |= {"version": bundle.version, "registered": bundle.registered, "problem": None}
        rows.append(row)
    if as_json:
        print_json(rows)
        return
    print_table(
        ["name", "version", "registered device", "problem"],
        [(row["name"], row["version"], row["registered"], row["problem"]) for row in rows],
    )


@models.command("show")
def show(name: Model, as_json: AsJson = False) -> None:
    """Show what a model is, from its verified metadata."""
    with _ai():
        from ai_models.registry import open_bundle

    bundle = open_bundle(name)
    if as_json:
        print_json(bundle.metadata)
        return
    plain = {key: value for key, value in bundle.metadata.items() if not isinstance(value, dict)}
    print_table(["what", "is"], plain.items())


@models.command("verify")
def verify(
    name: Annotated[str | None, typer.Argument(help="One model; all if none is named.")] = None,
) -> None:
    """Compare every file of the models with its SHA-256; exit status 1 when one differs."""
    with _ai():
        from ai_models.errors import ModelError
        from ai_models.registry import bundle_names, open_bundle

    failed = False
    for each in [name] if name is not None else bundle_names():
        try:
            bundle = open_bundle(each)
        except ModelError as error:
            failed = True
            say(f"pacs: {error}")
        else:
            say(f"{bundle.name} {bundle.version} is as it was released")
    if failed:
        sys.exit(1)


@models.command("evaluate")
def evaluate(
    name: Model,
    *,
    images: Annotated[
        Path, typer.Option(help="Folder of the images.", exists=True, file_okay=False)
    ],
    labels: Annotated[
        Path,
        typer.Option(
            help="CSV with the columns file, abnormal and, where known, findings (0, 1, blank).",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where the report goes, as JSON.")] = Path(
        "evaluation.json"
    ),
    as_json: AsJson = False,
) -> None:
    """Judge a model on labelled images: AUCs with 95 % bootstrap intervals beside a baseline."""
    with _ai():
        from ai_models.evaluation.evaluate import evaluate as judge
        from ai_models.registry import open_bundle

        bundle = open_bundle(name)
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("assessing", total=None)
            report = judge(
                bundle,
                images,
                labels,
                out,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
    if as_json:
        print_json(report.as_dict())
    else:
        typer.echo("\n".join(report.lines()))
    say(f"the report is in {out}")
