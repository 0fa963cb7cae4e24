"""Triggers that tell whenever something may no longer be seen (`pacs.events.Withdrawn`).

By triggers, so that no statement that takes a right or an instance away can forget to say so.
"""

from sqlalchemy import Connection, MetaData, event

from pacs.database.metadata import metadata
from pacs.events import WITHDRAWN_CHANNEL

_TELL = f"""
CREATE FUNCTION filmless_tell_of_withdrawal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('{WITHDRAWN_CHANNEL}', '');
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
_REPLACED_OR_REJECTED = """
CREATE TRIGGER tell_of_replacement AFTER UPDATE OF current ON instances
FOR EACH ROW WHEN (OLD.current AND NOT NEW.current)
EXECUTE FUNCTION filmless_tell_of_withdrawal()
"""


@event.listens_for(metadata, "after_create")
def _make_triggers(_target: MetaData, connection: Connection, **_: object) -> None:
    connection.exec_driver_sql(_TELL)
    for table, changes in _STATEMENTS.items():
        connection.exec_driver_sql(
            f"CREATE TRIGGER tell_of_withdrawal AFTER {changes} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION filmless_tell_of_withdrawal()"
        )
    connection.exec_driver_sql(_REPLACED_OR_REJECTED)
