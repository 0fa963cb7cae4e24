"""The audit table, and the triggers that let nobody rewrite it, not even this program."""

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Table,
    Text,
    event,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from pacs.database.metadata import metadata

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("actor", Text, nullable=False, comment="user:NAME, token:ID:NAME, link:ID, ..."),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("study_instance_uid", Text),
    Column("patient_issuer", Text),
    Column("patient_id", Text),
    Column("detail", JSONB, nullable=False),
    Column("address", Text, nullable=False),
    CheckConstraint("outcome IN ('ok','refused','failed')", name="outcome"),
    Index("ix_audit_events_study", "study_instance_uid", "id"),
    Index("ix_audit_events_patient", "patient_id", "patient_issuer", "id"),
    Index("ix_audit_events_actor", "actor", "id"),
    Index("ix_audit_events_at", "at"),
)

APPEND_ONLY_SQL = (
    """
CREATE OR REPLACE FUNCTION audit_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION 'audit_events is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$body$
""",
    """
CREATE TRIGGER audit_events_no_change BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit_events_append_only()
""",
    """
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_append_only()
""",
    "ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_no_change",
    "ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_no_truncate",
)
"""Run after the table is made; each is one statement. Migrations execute the same text."""

for _statement in APPEND_ONLY_SQL:
    _ddl = DDL(_statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
    event.listen(audit_events, "after_create", _ddl)
