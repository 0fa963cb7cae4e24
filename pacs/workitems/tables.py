"""Tables of workitems, of who is told about them, and of what each has to be told."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pacs.database.metadata import metadata

workitems = Table(
    "workitems",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("sop_instance_uid", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("transaction_uid", Text, comment="known to the performer alone"),
    Column("attributes", JSONB, nullable=False, comment="all but the Transaction UID"),
    Column("patient_name_folded", Text, nullable=False),
    Column("label_folded", Text, nullable=False),
    Column("worklist_label_folded", Text, nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("expected_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    Column("modified_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("ended_at", DateTime(timezone=True), comment="COMPLETED or CANCELED since"),
    Column("deleted_at", DateTime(timezone=True), comment="only the UID is still known"),
    CheckConstraint(
        "state IN ('SCHEDULED','IN PROGRESS','COMPLETED','CANCELED')",
        name="state",
    ),
    Index(
        "ix_workitems_attributes",
        "attributes",
        postgresql_using="gin",
        postgresql_ops={"attributes": "jsonb_path_ops"},
    ),
    Index("ix_workitems_starts_at", "starts_at", "id"),
    Index("ix_workitems_state", "state", "starts_at"),
)

# An application entity with its Global Subscription State (PS3.4 CC.2.3.1).
workitem_subscribers = Table(
    "workitem_subscribers",
    metadata,
    Column("aet", Text, primary_key=True),
    Column("worklist", Text, comment="subscribed to new workitems: all, or filtered"),
    Column("filter", JSONB(none_as_null=True), comment="keys of a search and their values"),
    Column("deletion_lock", Boolean, nullable=False, server_default=text("false")),
    Column("told_up_to", BigInteger, nullable=False, comment="the last report that has arrived"),
    CheckConstraint("worklist IN ('all','filtered')", name="worklist"),
    CheckConstraint(
        "(worklist IS NOT DISTINCT FROM 'filtered') = (filter IS NOT NULL)", name="filter"
    ),
)

workitem_subscriptions = Table(
    "workitem_subscriptions",
    metadata,
    Column("workitem_ref", ForeignKey("workitems.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "aet",
        ForeignKey("workitem_subscribers.aet", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
    Column("deletion_lock", Boolean, nullable=False),
)

# Numbered in the order in which they came about: see pacs.workitems.worklist.one_at_a_time.
workitem_reports = Table(
    "workitem_reports",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "aet",
        ForeignKey("workitem_subscribers.aet", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("report", JSONB, nullable=False),
    Index("ix_workitem_reports_aet", "aet", "id"),
)
