"""The command line in this process, on a database and a data directory of the test's own."""

import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pacs.cli import main
from pacs.settings import Settings


@dataclass(frozen=True)
class Said:
    """What a command has said, and how it ended."""

    stdout: str
    stderr: str
    status: int

    @property
    def json(self) -> Any:
        """What it printed by `--json`."""
        return json.loads(self.stdout)


class CommandLine:
    """Runs commands; a status other than the expected one fails the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, *arguments: object, status: int = 0) -> Said:
        """Runs `pacs` with these arguments."""
        self._monkeypatch.setattr(sys, "argv", ["pacs", *map(str, arguments)])
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        self._capfd.readouterr()
        ended = 0
        try:
            main()
        except SystemExit as end:
            ended = int(end.code or 0)
        said = Said(*self._capfd.readouterr(), ended)
        assert said.status == status, said.stderr
        assert "Traceback" not in said.stderr
        return said


@pytest.fixture
def command_line(
    settings: Settings,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[CommandLine]:
    """`pacs` on the same database and data directory as the fixture `archive`."""
    for name in [name for name in os.environ if name.startswith("PACS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PACS_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("PACS_DATABASE_URL", database_url)
    yield CommandLine(monkeypatch, capfd)
