"""The tables of the job queue, which are procrastinate's own and change with its versions.

procrastinate brings its schema whole for a new database, and one file a change for an old one. The
last file that a database has seen is on record in it.
"""

from __future__ import annotations

from pathlib import Path

from procrastinate.schema import SchemaManager
from sqlalchemy import Column, Connection, MetaData, Table, Text, insert, inspect, select, update

# Not in the product's MetaData: like the queue's own tables it is none of Alembic's business.
_record = Table(
    "procrastinate_schema_version", MetaData(), Column("migration", Text, nullable=False)
)


def is_current(connection: Connection) -> bool:
    """Whether the queue's tables are those of the installed procrastinate, or later ones."""
    seen = _last_seen(connection)
    return seen is not None and seen >= _changes()[-1].name


def bring_up(connection: Connection) -> None:
    """Make or complete the queue's tables, committing each of the steps."""
    changes = _changes()
    seen = _last_seen(connection)
    if seen is None:
        _execute(connection, SchemaManager.get_schema())
        _record.create(connection)
        connection.execute(insert(_record), {"migration": changes[-1].name})
        connection.commit()
        return
    for change in changes:
        if change.name > seen:
            _execute(connection, change.read_text(encoding="utf-8"))
            connection.execute(update(_record), {"migration": change.name})
            # One at a time: a value added to an enumeration can be used after the commit only.
            connection.commit()


def _changes() -> list[Path]:
    return sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))


def _last_seen(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_record.name):
        return None
    return str(connection.execute(select(_record.c.migration)).scalar_one())


def _execute(connection: Connection, script: str) -> None:
    # Several statements at once, and percent signs that are no placeholders: no parameters.
    connection.connection.cursor().execute(script)
