"""`pacs serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from pacs.cli.options import DataDir

_PARTS = ("dicom", "api", "worker")


def _parts(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in _PARTS]
    if unknown or not names:
        raise typer.BadParameter(
            f"{', '.join(unknown) or 'nothing'} is no part: name some of {', '.join(_PARTS)}"
        )
    return [name for name in _PARTS if name in names]


def serve(
    *,
    data_dir: DataDir = None,
    http_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of the web (0: a free one); 8080 unless set."),
    ] = None,
    dicom_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of DICOM (0: a free one); 11112 unless set."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless set.")
    ] = None,
    aet: Annotated[str | None, typer.Option(help="AE title; FILMLESS unless set.")] = None,
    only: Annotated[str, typer.Option(help="Parts to run here, with commas between.")] = ",".join(
        _PARTS
    ),
) -> None:
    """Run the product until it is told to stop (SIGTERM or Ctrl-C).

    Prints one line beginning "ready" with its addresses once all parts answer. Flags go before
    PACS_* variables, and these before pacs.toml in the data directory.
    """
    names = _parts(only)
    from pacs.settings import load_settings

    settings = load_settings(
        data_dir=data_dir, http_port=http_port, dicom_port=dicom_port, host=host, aet=aet
    )
    # What takes its time to import comes after what may be refused.
    from pacs.logs import configure_logs
    from pacs.serve.parts import PARTS
    from pacs.serve.supervisor import serve as supervise

    configure_logs("serve")
    supervise(settings, [name for name in PARTS if name in names])
