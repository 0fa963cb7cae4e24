"""Workitems, who is told about them, and what each has to be told."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "workitems",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "transaction_uid", sa.Text(), nullable=True, comment="known to the performer alone"
        ),
        sa.Column(
            "attributes",
            postgresql.JSONB(),
            nullable=False,
            comment="all but the Transaction UID",
        ),
        sa.Column("patient_name_folded", sa.Text(), nullable=False),
        sa.Column("label_folded", sa.Text(), nullable=False),
        sa.Column("worklist_label_folded", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="COMPLETED or CANCELED since",
        ),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="only the UID is still known",
        ),
        sa.CheckConstraint(
            "state IN ('SCHEDULED','IN PROGRESS','COMPLETED','CANCELED')",
            name=op.f("ck_workitems_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workitems")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_workitems_sop_instance_uid")),
    )
    op.create_index(
        "ix_workitems_attributes",
        "workitems",
        ["attributes"],
        postgresql_using="gin",
        postgresql_ops={"attributes": "jsonb_path_ops"},
    )
    op.create_index("ix_workitems_starts_at", "workitems", ["starts_at", "id"])
    op.create_index("ix_workitems_state", "workitems", ["state", "starts_at"])
    op.create_table(
        "workitem_subscribers",
        sa.Column("aet", sa.Text(), nullable=False),
        sa.Column(
            "worklist",
            sa.Text(),
            nullable=True,
            comment="subscribed to new workitems: all, or filtered",
        ),
        sa.Column(
            "filter",
            postgresql.JSONB(none_as_null=True),
            nullable=True,
            comment="keys of a search and their values",
        ),
        sa.Column("deletion_lock", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column(
            "told_up_to",
            sa.BigInteger(),
            nullable=False,
            comment="the last report that has arrived",
        ),
        sa.CheckConstraint(
            "worklist IN ('all','filtered')", name=op.f("ck_workitem_subscribers_worklist")
        ),
        sa.CheckConstraint(
            "(worklist IS NOT DISTINCT FROM 'filtered') = (filter IS NOT NULL)",
            name=op.f("ck_workitem_subscribers_filter"),
        ),
        sa.PrimaryKeyConstraint("aet", name=op.f("pk_workitem_subscribers")),
    )
    op.create_table(
        "workitem_subscriptions",
        sa.Column("workitem_ref", sa.BigInteger(), nullable=False),
        sa.Column("aet", sa.Text(), nullable=False),
        sa.Column("deletion_lock", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workitem_ref"],
            ["workitems.id"],
            name=op.f("fk_workitem_subscriptions_workitem_ref"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["aet"],
            ["workitem_subscribers.aet"],
            name=op.f("fk_workitem_subscriptions_aet"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workitem_ref", "aet", name=op.f("pk_workitem_subscriptions")),
    )
    op.create_index("ix_workitem_subscriptions_aet", "workitem_subscriptions", ["aet"])
    op.create_table(
        "workitem_reports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("aet", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("report", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["aet"],
            ["workitem_subscribers.aet"],
            name=op.f("fk_workitem_reports_aet"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workitem_reports")),
    )
    op.create_index("ix_workitem_reports_aet", "workitem_reports", ["aet", "id"])
