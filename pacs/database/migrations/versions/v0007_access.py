"""Whose studies somebody may see; who has lost a right is told to the processes that let in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# By triggers, so that no statement that takes a right away can forget to say so.
_TELL = """
CREATE FUNCTION filmless_tell_of_access() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('filmless_access', '');
  RETURN NULL;
END $$
"""
_RIGHTS = {
    "users": "UPDATE OF role, disabled, institutions, full_name OR DELETE",
    "sessions": "UPDATE OR DELETE",
    "tokens": "UPDATE OF role, scopes, institutions, expires_at, revoked_at OR DELETE",
    "share_links": "UPDATE OF study_instance_uid, expires_at, revoked_at OR DELETE",
}


def upgrade() -> None:
    """Add the columns and the triggers."""
    for table in ("users", "tokens"):
        op.add_column(
            table,
            sa.Column(
                "institutions",
                postgresql.ARRAY(sa.Text()),
                nullable=True,
                comment="whose studies may be seen, by Institution Name; null: all",
            ),
        )
    op.execute(_TELL)
    for table, changes in _RIGHTS.items():
        op.execute(
            f"CREATE TRIGGER tell_of_access AFTER {changes} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION filmless_tell_of_access()"
        )
