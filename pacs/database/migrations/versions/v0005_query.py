"""Indexes for searches: patient ID alone, beginnings, names of several component groups."""

import sqlalchemy as sa
from alembic import op

from pacs.dicom.text import fold_name

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NAMES = ("patient_name", "referring_physician")


def upgrade() -> None:
    """Make the indexes; the search keys of names of several groups keep the groups apart."""
    op.create_index(
        "ix_patients_patient_id",
        "patients",
        ["patient_id"],
        postgresql_ops={"patient_id": "text_pattern_ops"},
    )
    op.drop_index("ix_studies_accession_number", "studies")
    op.create_index(
        "ix_studies_accession_number",
        "studies",
        ["accession_number"],
        postgresql_ops={"accession_number": "text_pattern_ops"},
    )
    op.create_index(
        "ix_studies_name_groups",
        "studies",
        ["id"],
        postgresql_where=sa.text("patient_name_folded LIKE '%=%'"),
    )
    connection = op.get_bind()
    for column in _NAMES:
        rows = connection.exec_driver_sql(
            f"SELECT DISTINCT {column} AS name FROM studies WHERE {column} LIKE '%%=%%'"  # noqa: S608
        )
        for name in rows.scalars().all():
            connection.exec_driver_sql(
                f"UPDATE studies SET {column}_folded = %(folded)s WHERE {column} = %(name)s",  # noqa: S608
                {"folded": fold_name(name), "name": name},
            )
