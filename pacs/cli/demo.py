"""`pacs demo`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.options import AsJson, DataDir, say
from pacs.cli.output import print_json

if TYPE_CHECKING:
    from pacs.demo import DemoStudy


def demo(
    *,
    data_dir: DataDir = None,
    host: Annotated[
        str | None, typer.Option(help="Address of the running server; its setting unless given.")
    ] = None,
    dicom_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Its DICOM port; 11112 unless set.")
    ] = None,
    aet: Annotated[str | None, typer.Option(help="Its AE title; FILMLESS unless set.")] = None,
    seconds: Annotated[
        float, typer.Option(min=1, help="How long the studies may take to the worklist.")
    ] = 180,
    as_json: AsJson = False,
) -> None:
    """Send real studies to a running server by DICOM, and follow them to the worklist.

    Exit status 0 only when every study stands there, looked at by the AI. Give it the data
    directory (or the database URL) of the server, where it reads how far they have come.
    """
    from rich.console import Console

    from dicom_node.send import Peer
    from pacs import demo as demonstration
    from pacs.database.engine import connect
    from pacs.database.running import database
    from pacs.settings import load_settings

    settings = load_settings(data_dir=data_dir, host=host, dicom_port=dicom_port, aet=aet)
    peer = Peer(_reachable(settings.host), settings.dicom_port, settings.aet)
    studies = demonstration.studies()
    peer.echo()
    with database(settings) as url:
        engine = connect(url, application="pacs demo", pool_size=1)
        try:
            arrived = demonstration.show(
                studies,
                peer,
                engine,
                console=Console(stderr=as_json),
                seconds=seconds,
                show_unregistered=settings.show_unregistered_models,
            )
        finally:
            engine.dispose()
    if as_json:
        print_json(demonstration.report(studies))
    elif arrived:
        _say_where_to_look(settings.base_url, studies)
    if not arrived:
        sys.exit(1)


def _say_where_to_look(address: str, studies: list[DemoStudy]) -> None:
    pressing = [
        study
        for study in studies
        if study.item is not None and study.item.triage.triage_class in ("critical", "urgent")
    ]
    say(f"All {len(studies)} studies are on the worklist: {address}/")
    for study in pressing:
        say(f"To be read first: {study.what}: {address}/study/{study.study_instance_uid}")


def _reachable(host: str) -> str:
    """Where to call a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
