"""Logs of the running product: one line an event on stderr, without patients and secrets."""

from __future__ import annotations

import logging
import re
import sys
import time

# They name addresses, tokens or patients at levels at which we run.
_TOO_TALKATIVE = {
    "uvicorn.access": logging.CRITICAL,
    "uvicorn.error": logging.WARNING,
    "pynetdicom": logging.CRITICAL,
    "pydicom": logging.CRITICAL,
    "procrastinate": logging.WARNING,
    # Tracebacks when the connection is lost; the worker says in one line what that means.
    "procrastinate.utils": logging.CRITICAL,
    "procrastinate.worker.worker": logging.CRITICAL,
    "alembic": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "pacs.database.engine._Pool": logging.WARNING,
    "psycopg": logging.ERROR,
    "urllib3": logging.ERROR,
    "py.warnings": logging.CRITICAL,
}

# PostgreSQL's further lines repeat the values of the row that it refused.
_VALUES_OF_ROWS = re.compile(r"^(DETAIL|CONTEXT|HINT|LINE \d+):.*(\n[ \t]*\^)?$", re.MULTILINE)


class _Line(logging.Formatter):
    """`2026-11-22T08:00:00.123Z WARNING dicom pacs.ingest: message`."""

    def __init__(self, part: str) -> None:
        super().__init__(
            f"%(asctime)s.%(msecs)03dZ %(levelname)s {part} %(name)s: %(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return " ".join(_without_values(super().formatMessage(record)).split())

    def format(self, record: logging.LogRecord) -> str:
        return _without_values(super().format(record))


def _without_values(text: str) -> str:
    return _VALUES_OF_ROWS.sub(r"\1: (left out)", text)


def configure_logs(part: str) -> None:
    """Send this process's logs to stderr; `part` says which process speaks."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(part))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    for name, level in _TOO_TALKATIVE.items():
        logging.getLogger(name).setLevel(level)
