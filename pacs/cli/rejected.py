"""`pacs rejected list`, `pacs rejected restore`."""

from __future__ import annotations

from typing import Annotated

import typer

from pacs.cli.options import AsJson, DataDir, audit, say, transaction
from pacs.cli.output import print_json, print_table

rejected = typer.Typer(help="What people rejected, and taking it back.", no_args_is_help=True)


@rejected.command("list")
def list_rejected(
    *,
    study: Annotated[str | None, typer.Option(help="Of this Study Instance UID only.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Those too that were taken back.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 1000,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show what is rejected, who rejected it, when and why; latest first."""
    from pacs.rejection import rejections

    with transaction(data_dir) as connection:
        found = rejections(connection, study=study, restored=all_, limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ["id", "when", "by", "why", "reason", "hidden", "study", "restored"],
        [
            (
                one.id,
                one.rejected_at,
                one.rejected_by,
                one.meaning,
                one.reason,
                one.hidden_instances,
                one.study_instance_uid,
                one.restored_at,
            )
            for one in found
        ],
    )


@rejected.command("restore")
def restore_rejected(
    rejection: Annotated[int, typer.Argument(help="Number of the rejection, as `list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Show again all that a rejection hides."""
    from pacs.cli.options import console_user
    from pacs.rejection import restore

    with transaction(data_dir) as connection:
        restored = restore(connection, rejection, by=console_user())
        audit(connection, "study.restored", rejection=restored.id)
    say(f"rejection {restored.id} is taken back; what it hid is shown again")
