"""Models: which there are, what became of them, and what shadows said."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "models",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("built_in", sa.Boolean, nullable=False, comment="came with the program"),
        sa.Column(
            "files",
            postgresql.JSONB,
            nullable=False,
            comment="SHA-256 of every file by its path",
        ),
        sa.Column("registered", sa.Boolean, nullable=False, comment="a registered medical device"),
        sa.Column("registration_number", sa.Text),
        sa.Column(
            "research_statement", sa.Text, comment="that it is for research, as it was signed"
        ),
        sa.Column("signed_by", sa.Text, comment="whose word the research statement is"),
        sa.Column("licence", sa.Text, nullable=False),
        sa.Column("training_data", sa.Text, nullable=False),
        sa.Column("intended_use", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("name", "version", name="uq_models_name_version"),
        sa.CheckConstraint(
            "state IN ('added','active','shadow','retired')", name=op.f("ck_models_state")
        ),
        sa.CheckConstraint(
            "CASE WHEN registered THEN registration_number IS NOT NULL"
            " ELSE research_statement IS NOT NULL AND signed_by IS NOT NULL END",
            name=op.f("ck_models_registered_or_research"),
        ),
    )
    op.create_index(
        "uq_models_active",
        "models",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "model_states",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("model_ref", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model_states"),
        sa.ForeignKeyConstraint(["model_ref"], ["models.id"], name="fk_model_states_model_ref"),
    )
    op.create_index("ix_model_states_model_ref", "model_states", ["model_ref"])
    op.create_table(
        "shadow_assessments",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("study_ref", sa.BigInteger, nullable=False),
        sa.Column("sop_instance_uid", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("triage_class", sa.Text),
        sa.Column("abnormal", sa.Double),
        sa.Column("findings", postgresql.JSONB, nullable=False),
        sa.Column("reason", sa.Text, comment="why it was not assessed"),
        sa.Column(
            "assessed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_shadow_assessments"),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["studies.id"], name="fk_shadow_assessments_study_ref"
        ),
        sa.UniqueConstraint(
            "sop_instance_uid",
            "model",
            "model_version",
            name="uq_shadow_assessments_sop_instance_uid_model_model_version",
        ),
        sa.CheckConstraint(
            "triage_class IN ('critical','urgent','routine')",
            name=op.f("ck_shadow_assessments_triage_class"),
        ),
        sa.CheckConstraint(
            "(triage_class IS NULL) = (reason IS NOT NULL)",
            name=op.f("ck_shadow_assessments_class_or_reason"),
        ),
    )
    op.create_index("ix_shadow_assessments_study_ref", "shadow_assessments", ["study_ref"])
