"""Rejections: what people hid, and why; nothing of it refers to what can be made anew."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and room on the index's rows for what they say."""
    op.create_table(
        "rejections",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("study_instance_uid", sa.Text, nullable=False),
        sa.Column("series_instance_uid", sa.Text, comment="NULL: of the whole study"),
        sa.Column("sop_instance_uid", sa.Text, comment="NULL: of several instances"),
        sa.Column("code", sa.Text, nullable=False, comment="code value of PS3.16 CID 7011"),
        sa.Column("reason", sa.Text, nullable=False, comment="in the words of who rejected"),
        sa.Column("rejected_by", sa.Text, nullable=False),
        sa.Column(
            "rejected_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("restored_by", sa.Text),
        sa.Column("restored_at", sa.DateTime(timezone=True)),
        sa.Column("note_object_key", sa.Text, comment="the Key Object Selection that asked for it"),
        sa.PrimaryKeyConstraint("id", name="pk_rejections"),
        sa.UniqueConstraint(
            "note_object_key",
            "study_instance_uid",
            name="uq_rejections_note_object_key_study_instance_uid",
        ),
    )
    op.create_index("ix_rejections_study_instance_uid", "rejections", ["study_instance_uid"])
    op.create_table(
        "rejected_instances",
        sa.Column("rejection_ref", sa.BigInteger, nullable=False),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("sop_instance_uid", sa.Text, nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("rejection_ref", "object_key", name="pk_rejected_instances"),
        sa.ForeignKeyConstraint(
            ["rejection_ref"],
            ["rejections.id"],
            name="fk_rejected_instances_rejection_ref",
        ),
    )
    for table, why in (
        ("studies", "none of its instances is shown"),
        ("series", "none of its instances is shown"),
        ("assessments", "the image was rejected"),
    ):
        op.add_column(
            table,
            sa.Column(
                "hidden", sa.Boolean, server_default=sa.text("false"), nullable=False, comment=why
            ),
        )
    op.alter_column(
        "instances",
        "current",
        comment="shown: neither superseded by other bytes nor rejected",
        existing_type=sa.Boolean,
        existing_nullable=False,
    )
    op.add_column("instances", sa.Column("rejection_ref", sa.BigInteger, comment="what hides it"))
    op.create_foreign_key(
        "fk_instances_rejection_ref",
        "instances",
        "rejections",
        ["rejection_ref"],
        ["id"],
    )
    op.create_index(
        "uq_instances_latest",
        "instances",
        ["sop_instance_uid"],
        unique=True,
        postgresql_where=sa.text("current OR rejection_ref IS NOT NULL"),
    )
    # The new index answers and forbids all that this one did.
    op.drop_index("uq_instances_current", "instances")
    op.create_index(
        "ix_instances_rejection_ref",
        "instances",
        ["rejection_ref"],
        postgresql_where=sa.text("rejection_ref IS NOT NULL"),
    )
