"""`pacs models`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pacs.cli.options import AsJson, say
from pacs.cli.output import print_json, print_table

models = typer.Typer(help="The models that assess images.", no_args_is_help=True)

Model = Annotated[str, typer.Argument(help="Name of the model, as `list` shows it.")]


@models.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Show the models of this installation, and whether each is whole."""
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
