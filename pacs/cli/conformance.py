"""`pacs conformance`."""

from __future__ import annotations

import typer

from pacs.cli.options import DataDir


def conformance(data_dir: DataDir = None) -> None:
    """Print the DICOM conformance statement of this installation, in Markdown."""
    from dicom_node.conformance import statement
    from pacs.settings import load_settings

    typer.echo(statement(load_settings(data_dir=data_dir)), nl=False)
