"""Whose studies somebody may see; what may no longer be seen is told to the processes that show."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TELL = """
CREATE FUNCTION filmless_tell_of_withdrawal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('filmless_withdrawn', '');
  RETURN NULL;
END $$
"""
_STATEMENTS = {
    "users": "UPDATE OF role, disabled, institutions, full_name OR DELETE",
    "sessions": "UPDATE OR DELETE",
    "tokens": "UPDATE OF role, scopes, institutions, expires_at, revoked_at OR DELETE",
    "share_links": "UPDATE OF study_instance_uid, expires_at, revoked_at OR DELETE",
    "instances": "DELETE OR TRUNCATE",
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
    for table, changes in _STATEMENTS.items():
        op.execute(
            f"CREATE TRIGGER tell_of_withdrawal AFTER {changes} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION filmless_tell_of_withdrawal()"
        )
    op.execute(
        "CREATE TRIGGER tell_of_replacement AFTER UPDATE OF current ON instances "
        "FOR EACH ROW WHEN (OLD.current AND NOT NEW.current) "
        "EXECUTE FUNCTION filmless_tell_of_withdrawal()"
    )
