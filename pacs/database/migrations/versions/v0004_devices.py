"""What is allowed to devices and where they listen; transactions of storage commitment."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns of devices and the table of commitments."""
    for column in (
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "host",
            sa.Text(),
            nullable=True,
            comment="where it listens; null: nothing is sent to it",
        ),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("tls", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "services",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="what it may ask for; null: everything",
        ),
        sa.Column(
            "sends",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="transfer syntaxes taken from it; null: all",
        ),
        sa.Column(
            "takes",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="transfer syntaxes sent to it; null: all",
        ),
        sa.Column(
            "character_set",
            sa.Text(),
            server_default="ISO_IR 192",
            nullable=False,
            comment="of answers to it, as in SpecificCharacterSet",
        ),
        sa.Column(
            "max_associations",
            sa.Integer(),
            nullable=True,
            comment="at a time; null: as many as anybody",
        ),
    ):
        op.add_column("devices", column)
    op.create_check_constraint(
        op.f("ck_devices_host_and_port"), "devices", "(host IS NULL) = (port IS NULL)"
    )
    op.create_check_constraint(op.f("ck_devices_port"), "devices", "port BETWEEN 1 AND 65535")
    op.create_check_constraint(
        op.f("ck_devices_max_associations"), "devices", "max_associations > 0"
    )
    op.create_table(
        "commitments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("aet", sa.Text(), nullable=False, comment="who asked, or was asked"),
        sa.Column(
            "ours",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether it was we who asked",
        ),
        sa.Column("transaction_uid", sa.Text(), nullable=False),
        sa.Column(
            "requested",
            postgresql.JSONB(),
            nullable=False,
            comment="pairs of SOP Class UID and SOP Instance UID",
        ),
        sa.Column(
            "asked",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="how often this transaction came",
        ),
        sa.Column(
            "requested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "failures",
            postgresql.JSONB(),
            nullable=True,
            comment="failure reasons by SOP Instance UID; null: not checked yet",
        ),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitments")),
        sa.UniqueConstraint(
            "aet", "transaction_uid", name=op.f("uq_commitments_aet_transaction_uid")
        ),
    )


def downgrade() -> None:
    """Remove them again."""
    op.drop_table("commitments")
    for constraint in ("max_associations", "port", "host_and_port"):
        op.drop_constraint(op.f(f"ck_devices_{constraint}"), "devices", type_="check")
    for column in (
        *("max_associations", "character_set", "takes", "sends", "services"),
        *("tls", "port", "host", "paused"),
    ):
        op.drop_column("devices", column)
