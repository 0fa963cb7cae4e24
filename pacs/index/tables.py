"""Tables of the index: patients, studies, series, instances, and what is to be put right.

Everything here can be rebuilt from the object store (`pacs reindex`), save for what people decided.
Matching keys of C-FIND and QIDO-RS are columns; the attributes that are only returned stand in
`attributes`, as DICOM JSON (PS3.18 F.2) of their level.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Time,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

from pacs.database.metadata import metadata


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _hidden(why: str) -> Column[bool]:
    return Column("hidden", Boolean, nullable=False, server_default=text("false"), comment=why)


def _folded_words(column: str) -> Computed:
    return Computed(f"to_tsvector('simple', {column})", persisted=True)


patients = Table(
    "patients",
    metadata,
    _id(),
    Column("issuer", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("name", Text, nullable=False, comment="DICOM PN, all component groups, NFC"),
    Column("name_key", Text, nullable=False, comment="folded words in alphabetical order"),
    Column("birth_date", Date),
    Column("sex", Text, nullable=False),
    UniqueConstraint("issuer", "patient_id"),
    Index(
        "ix_patients_patient_id",
        "patient_id",
        postgresql_ops={"patient_id": "text_pattern_ops"},
    ),
)

studies = Table(
    "studies",
    metadata,
    _id(),
    Column("patient_ref", ForeignKey("patients.id"), nullable=False, index=True),
    Column("study_instance_uid", Text, nullable=False, unique=True),
    # Demographics as this study's own images carry them: the patient's row may say otherwise.
    Column("patient_name", Text, nullable=False),
    Column("patient_name_folded", Text, nullable=False),
    Column("patient_name_words", TSVECTOR, _folded_words("patient_name_folded")),
    Column("patient_birth_date", Date),
    Column("patient_sex", Text, nullable=False),
    Column("study_date", Date),
    Column("study_time", Time),
    Column("accession_number", Text, nullable=False),
    Column("study_id", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("description_folded", Text, nullable=False),
    Column("referring_physician", Text, nullable=False),
    Column("referring_physician_folded", Text, nullable=False),
    Column("modalities", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("number_of_series", Integer, nullable=False, server_default=text("0")),
    Column("number_of_instances", Integer, nullable=False, server_default=text("0")),
    Column("identity_conflict", Boolean, nullable=False, server_default=text("false")),
    Column("attributes", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'arriving'")),
    Column(
        "unsettled",
        Boolean,
        nullable=False,
        server_default=text("true"),
        comment="instances came since it was last found complete",
    ),
    Column("arrived_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("touched_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("completed_at", DateTime(timezone=True)),
    _hidden("none of its instances is shown"),
    CheckConstraint(
        "state IN ('arriving','complete','triaged','read','reported','delivered')", name="state"
    ),
    Index(
        "ix_studies_accession_number",
        "accession_number",
        postgresql_ops={"accession_number": "text_pattern_ops"},
    ),
    Index("ix_studies_arrived_at", "arrived_at"),
    Index("ix_studies_state", "state", "arrived_at"),
    Index("ix_studies_unsettled", "touched_at", postgresql_where=text("unsettled")),
    Index("ix_studies_modalities", "modalities", postgresql_using="gin"),
    Index("ix_studies_patient_name_words", "patient_name_words", postgresql_using="gin"),
    Index(
        "ix_studies_patient_name_folded",
        "patient_name_folded",
        postgresql_ops={"patient_name_folded": "text_pattern_ops"},
    ),
    # Names of several component groups, which few have where there is one script.
    Index(
        "ix_studies_name_groups",
        "id",
        postgresql_where=text("patient_name_folded LIKE '%=%'"),
    ),
)

Index("ix_studies_study_date", studies.c.study_date.desc().nulls_last(), studies.c.id.desc())

series = Table(
    "series",
    metadata,
    _id(),
    Column("study_ref", ForeignKey("studies.id"), nullable=False),
    Column("series_instance_uid", Text, nullable=False, index=True),
    Column("modality", Text, nullable=False),
    Column("series_number", Integer),
    Column("description", Text, nullable=False),
    Column("description_folded", Text, nullable=False),
    Column("body_part", Text, nullable=False),
    Column("station_name", Text, nullable=False),
    Column("institution_name", Text, nullable=False),
    Column("series_date", Date),
    Column("series_time", Time),
    Column("performed_date", Date),
    Column("performed_time", Time),
    Column("number_of_instances", Integer, nullable=False, server_default=text("0")),
    Column("attributes", JSONB, nullable=False),
    _hidden("none of its instances is shown"),
    UniqueConstraint("study_ref", "series_instance_uid"),
)

instances = Table(
    "instances",
    metadata,
    _id(),
    Column("series_ref", ForeignKey("series.id"), nullable=False, index=True),
    Column("sop_instance_uid", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("instance_number", Integer),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("rows", Integer),
    Column("columns", Integer),
    Column("number_of_frames", Integer, nullable=False, comment="0: an object without pixels"),
    Column("attributes", JSONB, nullable=False),
    Column("object_key", Text, nullable=False),
    Column("size", BigInteger, nullable=False, comment="bytes of the whole stored file"),
    Column("dataset_start", Integer, nullable=False, comment="where the file meta ends"),
    Column("dataset_crc32", BigInteger, nullable=False),
    Column(
        "frames",
        ARRAY(BigInteger),
        nullable=False,
        comment="offset and length of each frame in turn",
    ),
    Column("version", SmallInteger, nullable=False, server_default=text("1")),
    Column(
        "current",
        Boolean,
        nullable=False,
        server_default=text("true"),
        comment="shown: neither superseded by other bytes nor rejected",
    ),
    Column("source_kind", Text, nullable=False),
    Column("source_peer", Text, nullable=False),
    Column("arrived_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("rejection_ref", ForeignKey("rejections.id"), comment="what hides it"),
    # Of all that came under a UID one object stands for it, be it shown or rejected.
    Index(
        "uq_instances_latest",
        "sop_instance_uid",
        unique=True,
        postgresql_where=text("current OR rejection_ref IS NOT NULL"),
    ),
    Index(
        "ix_instances_rejection_ref",
        "rejection_ref",
        postgresql_where=text("rejection_ref IS NOT NULL"),
    ),
    Index(
        "ix_instances_superseded",
        "sop_instance_uid",
        "version",
        unique=True,
        postgresql_where=text("NOT current"),
    ),
)

# What people decided outlives the index: neither table refers to what can be made anew.
rejections = Table(
    "rejections",
    metadata,
    _id(),
    Column("study_instance_uid", Text, nullable=False, index=True),
    Column("series_instance_uid", Text, comment="NULL: of the whole study"),
    Column("sop_instance_uid", Text, comment="NULL: of several instances"),
    Column("code", Text, nullable=False, comment="code value of PS3.16 CID 7011"),
    Column("reason", Text, nullable=False, comment="in the words of who rejected"),
    Column("rejected_by", Text, nullable=False),
    Column("rejected_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("restored_by", Text),
    Column("restored_at", DateTime(timezone=True)),
    Column("note_object_key", Text, comment="the Key Object Selection that asked for it"),
    UniqueConstraint("note_object_key", "study_instance_uid"),
)

rejected_instances = Table(
    "rejected_instances",
    metadata,
    Column("rejection_ref", ForeignKey("rejections.id"), primary_key=True),
    Column("object_key", Text, primary_key=True),
    Column("sop_instance_uid", Text, nullable=False),
    Column("restored_at", DateTime(timezone=True)),
)

instance_metadata = Table(
    "instance_metadata",
    metadata,
    Column("instance_ref", ForeignKey("instances.id"), primary_key=True),
    Column("dicom_json", Text, nullable=False, comment="all attributes but bulk data, PS3.18 F.2"),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    _id(),
    Column("kind", Text, nullable=False),
    Column("study_ref", ForeignKey("studies.id"), nullable=False, index=True),
    Column("sop_instance_uid", Text),
    Column("detail", JSONB, nullable=False),
    Column("found_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("resolved_at", DateTime(timezone=True)),
    Column("resolved_by", Text),
    CheckConstraint(
        "kind IN ('patient_differs','study_of_two_patients','instance_of_two_studies',"
        "'instance_changed')",
        name="kind",
    ),
)

assessments = Table(
    "assessments",
    metadata,
    _id(),
    Column("study_ref", ForeignKey("studies.id"), nullable=False, index=True),
    Column("sop_instance_uid", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("registered", Boolean, nullable=False),
    Column("triage_class", Text),
    Column("abnormal", Double),
    Column("findings", JSONB, nullable=False),
    Column("reason", Text, comment="why it was not assessed"),
    Column("sr_instance_uid", Text),
    Column("heatmap_instance_uid", Text),
    Column("assessed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    _hidden("the image was rejected"),
    UniqueConstraint("sop_instance_uid", "model", "model_version"),
    CheckConstraint("triage_class IN ('critical','urgent','routine')", name="triage_class"),
    CheckConstraint("(triage_class IS NULL) = (reason IS NOT NULL)", name="class_or_reason"),
)
