"""How results are printed: a table for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any


def print_json(value: Any) -> None:
    """Print any of our records, or lists of them, as indented JSON."""
    import orjson

    def other(value: Any) -> Any:
        if isinstance(value, frozenset | set):
            return sorted(value)
        return str(value)

    sys.stdout.buffer.write(
        orjson.dumps(value, default=other, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z) + b"\n"
    )
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their headings; nothing of a value is read as markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(_words(value)) for value in row))
    Console().print(table)


def _words(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, frozenset | set):
        return ", ".join(sorted(map(str, value)))
    return str(value)
