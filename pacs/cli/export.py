"""`pacs export`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.options import AsJson, DataDir, console_user, opened_archive, say
from pacs.cli.output import print_json

if TYPE_CHECKING:
    from pacs.media.writing import Entry


def export(
    studies: Annotated[list[str], typer.Argument(help="Study Instance UIDs.")],
    *,
    to: Annotated[Path, typer.Option("--to", help="FILE.zip, or a folder that is new or empty.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Write studies as DICOM media: DICOMDIR, the objects, and a page that shows them offline.

    Each export is on record. A file that is there already is replaced once the new one is whole.
    """
    from pacs.audit.events import record
    from pacs.media.file_set import file_set
    from pacs.media.package import entries
    from pacs.media.writing import write_folder, write_zip

    with opened_archive(data_dir) as archive:
        files = file_set(archive, studies)
        with archive.engine.begin() as connection:
            for study in dict.fromkeys(studies):
                record(
                    connection,
                    console_user(),
                    "study.exported",
                    "ok",
                    study_instance_uid=study,
                    detail={"to": to.name},
                )
        written = _shown(entries(archive, files, archive.settings.institution_name), len(files))
        if to.suffix.lower() == ".zip":
            write_zip(written, to, datetime.now().astimezone())
        else:
            write_folder(written, to)
    said = {"to": str(to), "studies": len(dict.fromkeys(studies)), "objects": len(files)}
    if as_json:
        print_json(said)
    else:
        say(f"{said['objects']} objects of {said['studies']} studies are in {to}")


def _shown(written: Iterator[Entry], objects: int) -> Iterator[Entry]:
    """The entries, with a bar on stderr where a person watches; it counts objects."""
    if not sys.stderr.isatty():
        yield from written
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("exporting", total=objects)
        for entry in written:
            yield entry
            if entry.path.startswith("DICOM/"):
                progress.advance(task)
