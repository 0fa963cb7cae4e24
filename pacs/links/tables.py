"""The table of share links; the secret stands here hashed only."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)

from pacs.database.metadata import metadata

share_links = Table(
    "share_links",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False, unique=True, comment="sha256"),
    # Not a foreign key: the index can be rebuilt from the objects, and links must outlive that.
    Column("study_instance_uid", Text, nullable=False, index=True),
    Column("made_by", Text, nullable=False),
    Column("basis", Text, nullable=False, comment="why this study may be shown, in words"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("revoked_by", Text),
    Column("open_count", Integer, nullable=False, server_default=text("0")),
    Column("last_opened_at", DateTime(timezone=True)),
    CheckConstraint("length(btrim(basis)) > 0", name="basis"),
    CheckConstraint("expires_at <= created_at + interval '30 days'", name="expires_at"),
)
