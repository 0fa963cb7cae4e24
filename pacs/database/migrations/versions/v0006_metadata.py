"""Metadata of whole series and studies, compressed once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; what was written down of instances named no bulk data and is made anew."""
    for name, parent in (("series", "series"), ("study", "studies")):
        op.create_table(
            f"{name}_metadata",
            sa.Column(f"{name}_ref", sa.BigInteger(), nullable=False),
            sa.Column(
                "instances",
                postgresql.ARRAY(sa.BigInteger()),
                nullable=False,
                comment="ids of those that it describes",
            ),
            sa.Column("etag", sa.Text(), nullable=False),
            sa.Column(
                "gzip",
                sa.LargeBinary(),
                nullable=False,
                comment="compressed array of DICOM JSON",
            ),
            sa.ForeignKeyConstraint(
                [f"{name}_ref"], [f"{parent}.id"], name=op.f(f"fk_{name}_metadata_{name}_ref")
            ),
            sa.PrimaryKeyConstraint(f"{name}_ref", name=op.f(f"pk_{name}_metadata")),
        )
    op.execute("DELETE FROM instance_metadata")
