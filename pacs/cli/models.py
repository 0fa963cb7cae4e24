"""`pacs models list|show|verify|evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.ai_room import Model, Version, ai, as_row
from pacs.cli.options import AsJson, DataDir, say, transaction
from pacs.cli.output import print_json, print_table

if TYPE_CHECKING:
    from pacs.models.registry import Model as InstalledModel

models = typer.Typer(help="The models that assess images.", no_args_is_help=True)


@models.command("list")
def list_all(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show the models of this installation, their state, and whether each is whole here."""
    rows = [_row(*each) for each in _looked_at(data_dir)]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["name", "version", "state", "since", "by", "registered device", "problem"],
        [
            (
                *(row["name"], row["version"], row["state"], row["stateAt"], row["stateBy"]),
                *(row["registered"], row["problem"]),
            )
            for row in rows
        ],
    )


@models.command("show")
def show(
    name: Model, *, version: Version = None, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Show what a model is, from its verified metadata, and what became of it."""
    with ai():
        from ai_models.installed import open_installed, register_built_in
    from pacs.models import registry
    from pacs.settings import load_settings

    with transaction(data_dir) as connection:
        register_built_in(connection)
        model = registry.get(connection, name, version)
        changes = registry.history(connection, model.description.name, model.description.version)
    bundle = open_installed(model, load_settings(data_dir=data_dir))
    if as_json:
        print_json(bundle.metadata | as_row(model) | {"states": changes})
        return
    known = model.description
    plain = {key: value for key, value in bundle.metadata.items() if not isinstance(value, dict)}
    plain |= {
        "registration_number": known.registration_number,
        "research statement": known.research_statement,
        "signed by": known.signed_by,
    }
    print_table(["what", "is"], plain.items())
    print_table(["state", "since", "by"], [(each.state, each.at, each.by) for each in changes])


@models.command("verify")
def verify(
    name: Annotated[str | None, typer.Argument(help="One model; all if none is named.")] = None,
    *,
    version: Version = None,
    data_dir: DataDir = None,
) -> None:
    """Compare every file of the models with its SHA-256; exit status 1 when one differs."""
    failed = False
    for model, problem in _looked_at(data_dir, name, version):
        failed = failed or problem is not None
        say(f"pacs: {problem}" if problem else f"{model.title} is as it was released")
    if failed:
        sys.exit(1)


def _looked_at(
    data_dir: Path | None, name: str | None = None, version: str | None = None
) -> list[tuple[InstalledModel, str | None]]:
    """Models with what is wrong with their files on this machine. Raises ModelRegistryError."""
    with ai():
        from ai_models.errors import ModelError
        from ai_models.installed import open_installed, register_built_in
    from pacs.models import registry
    from pacs.settings import load_settings

    with transaction(data_dir) as connection:
        register_built_in(connection)
        wanted = registry.list_models(connection)
        if name is not None:
            wanted = [registry.get(connection, name, version)]
    settings = load_settings(data_dir=data_dir)
    found: list[tuple[InstalledModel, str | None]] = []
    for model in wanted:
        try:
            open_installed(model, settings)
        except ModelError as error:
            found.append((model, str(error)))
        else:
            found.append((model, None))
    return found


def _row(model: InstalledModel, problem: str | None) -> dict[str, object]:
    return as_row(model) | {"problem": problem}


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
    version: Version = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Judge a model on labelled images: AUCs with 95 % bootstrap intervals beside a baseline."""
    with ai():
        from ai_models.evaluation.evaluate import evaluate as judge
        from ai_models.installed import open_installed, register_built_in
        from pacs.models import registry
        from pacs.settings import load_settings

        with transaction(data_dir) as connection:
            register_built_in(connection)
            model = registry.get(connection, name, version)
        bundle = open_installed(model, load_settings(data_dir=data_dir))
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
