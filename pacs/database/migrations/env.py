"""Alembic's entry point: migrations run on the connection that pacs.database.migrate hands over."""

from alembic import context

from pacs.database.compare import is_ours
from pacs.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_name=is_ours,
    compare_type=True,
    compare_server_default=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
