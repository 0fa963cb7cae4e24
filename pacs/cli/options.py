"""Options that several commands share, and what they open."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pacs.archive import Archive

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of this installation.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def say(line: str) -> None:
    """Progress and remarks go to stderr; stdout carries results only."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def transaction(data_dir: Path | None) -> Iterator[Connection]:
    """A transaction on the installation's database, which is started for it where it rests."""
    from pacs.database.engine import connect
    from pacs.database.running import database
    from pacs.settings import load_settings

    with database(load_settings(data_dir=data_dir), say) as url:
        engine = connect(url, application="pacs", pool_size=1)
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()


@contextmanager
def opened_archive(data_dir: Path | None) -> Iterator[Archive]:
    """The installation's archive, database and object store."""
    from pacs.archive import open_archive
    from pacs.database.running import database
    from pacs.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    with database(settings, say) as url, open_archive(settings, url) as archive:
        yield archive


def console_user() -> str:
    """Whoever sits at this machine's command line, as the audit trail names them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        name = str(os.geteuid())
    return f"console:{name}"


def audit(connection: Connection, action: str, **detail: str | int) -> None:
    """Put on record what was done at this machine's command line, and by which of its users."""
    from pacs.audit.events import record

    record(connection, console_user(), action, "ok", detail=detail)
