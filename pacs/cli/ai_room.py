"""What the commands about models share: the AI's packages, which are an extra, and its models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.errors import PacsError

if TYPE_CHECKING:
    from pacs.models.registry import Model as InstalledModel

_IN_EXTRA_AI = ("torch", "monai", "highdicom", "jsonschema", "safetensors")

Model = Annotated[str, typer.Argument(help="Name of the model, as `list` shows it.")]
Version = Annotated[
    str | None, typer.Option("--version", help="Its version: the one in use, or else the latest.")
]


class AiNotInstalled(PacsError):
    """The packages of the extra `ai` are not here."""


@contextmanager
def ai() -> Iterator[None]:
    """Says how to install what lacks. Raises AiNotInstalled."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _IN_EXTRA_AI:
            raise
        raise AiNotInstalled(
            f"models need the package {error.name}: pip install 'filmless[ai]'"
        ) from error


def as_row(model: InstalledModel) -> dict[str, object]:
    """A model for `--json`."""
    known = model.description
    return {
        "name": known.name,
        "version": known.version,
        "state": model.state,
        "stateBy": model.state_by,
        "stateAt": model.state_at,
        "builtIn": known.built_in,
        "registered": known.registered,
        "registrationNumber": known.registration_number,
        "researchStatement": known.research_statement,
        "signedBy": known.signed_by,
        "licence": known.licence,
        "trainingData": known.training_data,
        "intendedUse": known.intended_use,
        "files": dict(known.files),
    }
