"""`pacs models add|import|fetch|activate|shadow|retire`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.ai_room import Model, Version, ai, as_row
from pacs.cli.options import AsJson, DataDir, audit, console_user, say, transaction
from pacs.cli.output import print_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_models.torchxrayvision.catalogue import Weights
    from pacs.models.registry import Model as InstalledModel

importing = typer.Typer(help="Make a model of other projects' weights.", no_args_is_help=True)


def add_to(models: typer.Typer) -> None:
    """Puts the commands into `pacs models`."""
    for command in (add, fetch, activate, shadow, retire):
        models.command()(command)
    models.add_typer(importing, name="import")


SignedBy = Annotated[
    str | None,
    typer.Option(
        "--research-signed-by",
        help="Who signs that a model that is no registered device is used for research only.",
        metavar="NAME, FUNCTION",
    ),
]
Number = Annotated[
    str | None,
    typer.Option(help="Registration number of a registered device whose metadata gives none."),
]
WhichWeights = Annotated[
    str | None,
    typer.Option(help="Which weights these are, such as densenet121-res224-all, if renamed."),
]


def add(
    path: Annotated[
        Path, typer.Argument(help="Folder of a MONAI bundle.", exists=True, file_okay=False)
    ],
    *,
    research_signed_by: SignedBy = None,
    registration_number: Number = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Check a bundle, try it out and copy it here; it works once it is activated."""
    with ai():
        from ai_models.adding import Standing, add_folder
    from pacs.settings import load_settings

    standing = Standing(registration_number, research_signed_by)
    with transaction(data_dir) as connection:
        _register_built_in(connection)
        model = add_folder(
            connection, load_settings(data_dir=data_dir), path, standing, console_user()
        )
        audit(connection, "model.add", **_who(model, research_signed_by))
    _show(model, f"is added; pacs models activate {model.description.name}", as_json=as_json)


@importing.command("torchxrayvision")
def import_torchxrayvision(
    file: Annotated[
        Path, typer.Argument(help="A weights file (.pt) of its releases.", exists=True)
    ],
    *,
    weights: WhichWeights = None,
    research_signed_by: SignedBy = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a model of TorchXRayVision's DenseNet-121 weights, with labels and operating points."""
    with ai():
        from ai_models.torchxrayvision.bundle import which

        model = _imported(file, which(file, weights), research_signed_by, data_dir)
    _show(model, f"is added; pacs models activate {model.description.name}", as_json=as_json)


def fetch(
    name: Annotated[str, typer.Argument(help="Such as densenet121-res224-all.")],
    *,
    sha256: Annotated[str, typer.Option(help="SHA-256 of the file, from somebody you trust.")],
    url: Annotated[
        str | None, typer.Option(help="Where to fetch it instead of from its project.")
    ] = None,
    research_signed_by: SignedBy = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Download TorchXRayVision's weights, compare their SHA-256, and import them."""
    with ai():
        from rich.console import Console
        from rich.progress import DownloadColumn, Progress

        from ai_models.fetching import fetch as download
        from ai_models.installed import models_folder
        from ai_models.torchxrayvision.bundle import which
        from pacs.settings import load_settings

        weights = which(Path(name), name)
        target = models_folder(load_settings(data_dir=data_dir)) / ".fetched" / weights.file
        console = Console(stderr=True)
        with Progress(
            *Progress.get_default_columns(),
            DownloadColumn(),
            console=console,
            disable=not sys.stderr.isatty(),
        ) as progress:
            task = progress.add_task(weights.name, total=None)
            download(
                url or weights.url,
                sha256,
                target,
                lambda done, total: progress.update(task, completed=done, total=total),
            )
        model = _imported(target, weights, research_signed_by, data_dir)
        target.unlink()
    _show(model, f"is added; pacs models activate {model.description.name}", as_json=as_json)


def activate(
    name: Model, *, version: Version = None, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Let a model judge every study from the next one on; the one before is retired."""
    with ai():
        from ai_models.installed import open_installed
    from pacs.models import registry
    from pacs.settings import load_settings

    with transaction(data_dir) as connection:
        _register_built_in(connection)
        open_installed(registry.get(connection, name, version), load_settings(data_dir=data_dir))
        changed = registry.activate(connection, name, version, console_user())
        audit(connection, "model.activate", **_who(changed[0]))
        for before in changed[1:]:
            audit(connection, "model.retire", **_who(before))
    _show(changed[0], "judges every study from the next one on", as_json=as_json)


def shadow(
    name: Model, *, version: Version = None, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Let a model look at the same studies as the active one, its results kept apart."""
    with ai():
        from ai_models.installed import open_installed
    from pacs.models import registry
    from pacs.settings import load_settings

    with transaction(data_dir) as connection:
        _register_built_in(connection)
        open_installed(registry.get(connection, name, version), load_settings(data_dir=data_dir))
        model = registry.shadow(connection, name, version, console_user())
        audit(connection, "model.shadow", **_who(model))
    _show(model, "looks at every study; nobody sees its results", as_json=as_json)


def retire(
    name: Model, *, version: Version = None, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Let a model look at nothing any more; what it said stays."""
    from pacs.models import registry

    with transaction(data_dir) as connection:
        _register_built_in(connection)
        was = registry.get(connection, name, version).state
        model = registry.retire(connection, name, version, console_user())
        audit(connection, "model.retire", **_who(model))
    none = "; no model judges studies now" if was == "active" else ""
    _show(model, f"is retired, what it said stays{none}", as_json=as_json)


def _imported(
    file: Path, weights: Weights, signed_by: str | None, data_dir: Path | None
) -> InstalledModel:
    from ai_models.adding import Standing, import_torchxrayvision
    from pacs.settings import load_settings

    with transaction(data_dir) as connection:
        _register_built_in(connection)
        model = import_torchxrayvision(
            connection,
            load_settings(data_dir=data_dir),
            (file, weights),
            Standing(None, signed_by),
            console_user(),
        )
        audit(connection, "model.add", **_who(model, signed_by), source=weights.file)
    return model


def _register_built_in(connection: Connection) -> None:
    with ai():
        from ai_models.installed import register_built_in

        register_built_in(connection)


def _who(model: InstalledModel, signed_by: str | None = None) -> dict[str, str]:
    known = model.description
    said = {"model": known.name, "version": known.version}
    return said if signed_by is None else said | {"research_signed_by": signed_by}


def _show(model: InstalledModel, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(as_row(model))
    else:
        say(f"{model.title} {words}")
