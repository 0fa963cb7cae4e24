"""Whether a database has exactly the tables that the program's MetaData says."""

from collections.abc import Mapping
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from pacs.database.schema import metadata


def is_ours(name: str | None, kind: str, _parents: Mapping[Any, str | None]) -> bool:
    """Whether Alembic looks at it: the job queue's tables are procrastinate's affair."""
    return kind != "table" or not (name or "").startswith("procrastinate_")


def differences(connection: Connection) -> list[Any]:
    """Alembic's operations that would make the database what the MetaData says; empty is right."""
    context = MigrationContext.configure(
        connection,
        opts={"include_name": is_ours, "compare_type": True, "compare_server_default": True},
    )
    return list(compare_metadata(context, metadata))
