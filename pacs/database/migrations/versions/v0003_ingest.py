"""Fewer indexes to keep for each instance: those that no question is answered from are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the constraints of the instances."""
    op.drop_constraint("uq_instances_object_key", "instances", type_="unique")
    op.drop_constraint("uq_instances_sop_instance_uid_version", "instances", type_="unique")
    op.create_index(
        "ix_instances_superseded",
        "instances",
        ["sop_instance_uid", "version"],
        unique=True,
        postgresql_where=sa.text("NOT current"),
    )
