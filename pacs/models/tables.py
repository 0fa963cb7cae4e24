"""Tables of models, of what became of them, and of what shadow models said."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pacs.database.metadata import metadata

models = Table(
    "models",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("built_in", Boolean, nullable=False, comment="came with the program"),
    Column("files", JSONB, nullable=False, comment="SHA-256 of every file by its path"),
    Column("registered", Boolean, nullable=False, comment="a registered medical device"),
    Column("registration_number", Text),
    Column("research_statement", Text, comment="that it is for research, as it was signed"),
    Column("signed_by", Text, comment="whose word the research statement is"),
    Column("licence", Text, nullable=False),
    Column("training_data", Text, nullable=False),
    Column("intended_use", Text, nullable=False),
    UniqueConstraint("name", "version"),
    CheckConstraint("state IN ('added','active','shadow','retired')", name="state"),
    CheckConstraint(
        "CASE WHEN registered THEN registration_number IS NOT NULL"
        " ELSE research_statement IS NOT NULL AND signed_by IS NOT NULL END",
        name="registered_or_research",
    ),
    Index("uq_models_active", "state", unique=True, postgresql_where=text("state = 'active'")),
)

# Every state that a model came into, with who brought it there.
model_states = Table(
    "model_states",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("model_ref", ForeignKey("models.id"), nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# Not in `assessments`: nothing that lists or shows studies can take them for results.
shadow_assessments = Table(
    "shadow_assessments",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("study_ref", ForeignKey("studies.id"), nullable=False, index=True),
    Column("sop_instance_uid", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("triage_class", Text),
    Column("abnormal", Double),
    Column("findings", JSONB, nullable=False),
    Column("reason", Text, comment="why it was not assessed"),
    Column("assessed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("sop_instance_uid", "model", "model_version"),
    CheckConstraint("triage_class IN ('critical','urgent','routine')", name="triage_class"),
    CheckConstraint("(triage_class IS NULL) = (reason IS NOT NULL)", name="class_or_reason"),
)
