"""The command line: `pacs`, the front door.

It starts quickly because each command imports what it needs when it runs.
"""

from __future__ import annotations

import sys

import typer

from pacs.cli import (
    archive,
    conformance,
    demo,
    devices,
    export,
    model_states,
    models,
    people,
    rejected,
    serving,
)
from pacs.errors import PacsError
from storage.errors import StoreError

app = typer.Typer(
    name="pacs",
    help="Filmless: a PACS with AI-assisted reading.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serving.serve)
app.command("demo")(demo.demo)
app.command("import")(archive.import_)
app.command("export")(export.export)
app.command("status")(archive.status)
app.command("reindex")(archive.reindex)
app.command("scrub")(archive.scrub)
app.command("conformance")(conformance.conformance)
app.add_typer(people.users, name="users")
app.add_typer(people.tokens, name="tokens")
app.add_typer(devices.devices, name="devices")
app.add_typer(rejected.rejected, name="rejected")
app.add_typer(models.models, name="models")
model_states.add_to(models.models)


def main() -> None:
    """Run the command line; what cannot be done is one line on stderr and exit status 1."""
    try:
        app()
    except (PacsError, StoreError) as error:
        sys.stderr.write(f"pacs: {' '.join(str(error).split())}\n")
        sys.exit(1)
