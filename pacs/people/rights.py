"""Triggers that tell whenever somebody may have lost a right (`pacs.events.AccessChanged`).

By triggers, so that no statement that takes a right away can forget to say so.
"""

from sqlalchemy import DDL, event

from pacs.database.metadata import metadata
from pacs.events import ACCESS_CHANNEL

_TELL = f"""
CREATE FUNCTION filmless_tell_of_access() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('{ACCESS_CHANNEL}', '');
  RETURN NULL;
END $$
"""
_RIGHTS = {
    "users": "UPDATE OF role, disabled, institutions, full_name OR DELETE",
    "sessions": "UPDATE OR DELETE",
    "tokens": "UPDATE OF role, scopes, institutions, expires_at, revoked_at OR DELETE",
    "share_links": "UPDATE OF study_instance_uid, expires_at, revoked_at OR DELETE",
}

event.listen(metadata, "after_create", DDL(_TELL))
for _table, _changes in _RIGHTS.items():
    event.listen(
        metadata,
        "after_create",
        DDL(
            f"CREATE TRIGGER tell_of_access AFTER {_changes} ON {_table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION filmless_tell_of_access()"
        ),
    )
