"""The index: patients, studies, series, instances, assessments, reconciliations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "patients",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="DICOM PN, all component groups, NFC"),
        sa.Column(
            "name_key", sa.Text(), nullable=False, comment="folded words in alphabetical order"
        ),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("sex", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patients")),
        sa.UniqueConstraint("issuer", "patient_id", name=op.f("uq_patients_issuer_patient_id")),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("patient_ref", sa.BigInteger(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("patient_name", sa.Text(), nullable=False),
        sa.Column("patient_name_folded", sa.Text(), nullable=False),
        sa.Column(
            "patient_name_words",
            postgresql.TSVECTOR(),
            sa.Computed("to_tsvector('simple', patient_name_folded)", persisted=True),
            nullable=True,
        ),
        sa.Column("patient_birth_date", sa.Date(), nullable=True),
        sa.Column("patient_sex", sa.Text(), nullable=False),
        sa.Column("study_date", sa.Date(), nullable=True),
        sa.Column("study_time", sa.Time(), nullable=True),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("description_folded", sa.Text(), nullable=False),
        sa.Column("referring_physician", sa.Text(), nullable=False),
        sa.Column("referring_physician_folded", sa.Text(), nullable=False),
        sa.Column(
            "modalities",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("number_of_series", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("number_of_instances", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "identity_conflict", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'arriving'"), nullable=False),
        sa.Column(
            "unsettled",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="instances came since it was last found complete",
        ),
        sa.Column(
            "arrived_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "touched_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('arriving','complete','triaged','read','reported','delivered')",
            name=op.f("ck_studies_state"),
        ),
        sa.ForeignKeyConstraint(
            ["patient_ref"], ["patients.id"], name=op.f("fk_studies_patient_ref")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("study_instance_uid", name=op.f("uq_studies_study_instance_uid")),
    )
    op.create_index("ix_studies_accession_number", "studies", ["accession_number"], unique=False)
    op.create_index("ix_studies_arrived_at", "studies", ["arrived_at"], unique=False)
    op.create_index(
        "ix_studies_modalities", "studies", ["modalities"], unique=False, postgresql_using="gin"
    )
    op.create_index(
        "ix_studies_patient_name_folded",
        "studies",
        ["patient_name_folded"],
        unique=False,
        postgresql_ops={"patient_name_folded": "text_pattern_ops"},
    )
    op.create_index(
        "ix_studies_patient_name_words",
        "studies",
        ["patient_name_words"],
        unique=False,
        postgresql_using="gin",
    )
    op.create_index(op.f("ix_studies_patient_ref"), "studies", ["patient_ref"], unique=False)
    op.create_index("ix_studies_state", "studies", ["state", "arrived_at"], unique=False)
    op.create_index(
        "ix_studies_study_date",
        "studies",
        [sa.literal_column("study_date DESC NULLS LAST"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_studies_unsettled",
        "studies",
        ["touched_at"],
        unique=False,
        postgresql_where=sa.text("unsettled"),
    )
    op.create_table(
        "assessments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study_ref", sa.BigInteger(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("registered", sa.Boolean(), nullable=False),
        sa.Column("triage_class", sa.Text(), nullable=True),
        sa.Column("abnormal", sa.Double(), nullable=True),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it was not assessed"),
        sa.Column("sr_instance_uid", sa.Text(), nullable=True),
        sa.Column("heatmap_instance_uid", sa.Text(), nullable=True),
        sa.Column(
            "assessed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "triage_class IN ('critical','urgent','routine')",
            name=op.f("ck_assessments_triage_class"),
        ),
        sa.CheckConstraint(
            "(triage_class IS NULL) = (reason IS NOT NULL)",
            name=op.f("ck_assessments_class_or_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["studies.id"], name=op.f("fk_assessments_study_ref")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessments")),
        sa.UniqueConstraint(
            "sop_instance_uid",
            "model",
            "model_version",
            name=op.f("uq_assessments_sop_instance_uid_model_model_version"),
        ),
    )
    op.create_index(op.f("ix_assessments_study_ref"), "assessments", ["study_ref"], unique=False)
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("study_ref", sa.BigInteger(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('patient_differs','study_of_two_patients',"
            "'instance_of_two_studies','instance_changed')",
            name=op.f("ck_reconciliations_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["studies.id"], name=op.f("fk_reconciliations_study_ref")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
    )
    op.create_index(
        op.f("ix_reconciliations_study_ref"), "reconciliations", ["study_ref"], unique=False
    )
    op.create_table(
        "series",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study_ref", sa.BigInteger(), nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("series_number", sa.Integer(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("description_folded", sa.Text(), nullable=False),
        sa.Column("body_part", sa.Text(), nullable=False),
        sa.Column("station_name", sa.Text(), nullable=False),
        sa.Column("institution_name", sa.Text(), nullable=False),
        sa.Column("series_date", sa.Date(), nullable=True),
        sa.Column("series_time", sa.Time(), nullable=True),
        sa.Column("performed_date", sa.Date(), nullable=True),
        sa.Column("performed_time", sa.Time(), nullable=True),
        sa.Column("number_of_instances", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["study_ref"], ["studies.id"], name=op.f("fk_series_study_ref")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint(
            "study_ref", "series_instance_uid", name=op.f("uq_series_study_ref_series_instance_uid")
        ),
    )
    op.create_index(
        op.f("ix_series_series_instance_uid"), "series", ["series_instance_uid"], unique=False
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("series_ref", sa.BigInteger(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("instance_number", sa.Integer(), nullable=True),
        sa.Column("transfer_syntax_uid", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("columns", sa.Integer(), nullable=True),
        sa.Column(
            "number_of_frames", sa.Integer(), nullable=False, comment="0: an object without pixels"
        ),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column(
            "size", sa.BigInteger(), nullable=False, comment="bytes of the whole stored file"
        ),
        sa.Column(
            "dataset_start", sa.Integer(), nullable=False, comment="where the file meta ends"
        ),
        sa.Column("dataset_crc32", sa.BigInteger(), nullable=False),
        sa.Column(
            "frames",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="offset and length of each frame in turn",
        ),
        sa.Column("version", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("current", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_peer", sa.Text(), nullable=False),
        sa.Column(
            "arrived_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["series_ref"], ["series.id"], name=op.f("fk_instances_series_ref")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("object_key", name=op.f("uq_instances_object_key")),
        sa.UniqueConstraint(
            "sop_instance_uid", "version", name=op.f("uq_instances_sop_instance_uid_version")
        ),
    )
    op.create_index(op.f("ix_instances_series_ref"), "instances", ["series_ref"], unique=False)
    op.create_index(
        "uq_instances_current",
        "instances",
        ["sop_instance_uid"],
        unique=True,
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "instance_metadata",
        sa.Column("instance_ref", sa.BigInteger(), nullable=False),
        sa.Column(
            "dicom_json",
            sa.Text(),
            nullable=False,
            comment="all attributes but bulk data, PS3.18 F.2",
        ),
        sa.ForeignKeyConstraint(
            ["instance_ref"], ["instances.id"], name=op.f("fk_instance_metadata_instance_ref")
        ),
        sa.PrimaryKeyConstraint("instance_ref", name=op.f("pk_instance_metadata")),
    )
