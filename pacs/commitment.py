"""Storage commitment (PS3.4 J): who has asked which instances are safe here, and the answer.

A transaction is kept before it is acknowledged; what it asks is checked by a job, against the index
and against the stored bytes, and its result is kept until whoever asked has heard it.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Identity,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    delete,
    false,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from zlib_ng import zlib_ng

from pacs import jobs
from pacs.database.metadata import metadata
from pacs.errors import PacsError
from pacs.index.tables import instances
from storage.errors import ChecksumMismatch, ObjectNotFound

if TYPE_CHECKING:
    from pacs.archive import Archive

log = logging.getLogger(__name__)

ANSWER_COMMITMENT = "answer_commitment"
"""The job that checks a transaction and reports its result. Its arguments: `commitment`, a number,
and `asked`, for which time; where it has been asked again since, another job answers."""

# Failure Reason (0008,1197), PS3.3 C.14.1.1
PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119

KEPT_FOR = timedelta(days=30)
"""How long a transaction is known after its result has been heard."""
CHUNK_BYTES = 1 << 20
_AT_ONCE = 1000

commitments = Table(
    "commitments",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("aet", Text, nullable=False, comment="who asked, or was asked"),
    Column(
        "ours",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="whether it was we who asked",
    ),
    Column("transaction_uid", Text, nullable=False),
    Column(
        "requested",
        JSONB,
        nullable=False,
        comment="pairs of SOP Class UID and SOP Instance UID",
    ),
    Column(
        "asked",
        Integer,
        nullable=False,
        server_default=text("1"),
        comment="how often this transaction came",
    ),
    Column("requested_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("failures", JSONB, comment="failure reasons by SOP Instance UID; null: not checked yet"),
    Column("reported_at", DateTime(timezone=True)),
    UniqueConstraint("aet", "transaction_uid"),
)


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance as a transaction names it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """A transaction: who asks, for which instances, and what is known of them."""

    id: int
    aet: str
    """Who asked; of ours, who was asked."""
    ours: bool
    """Whether it was we who asked."""
    transaction_uid: str
    asked: int
    requested_at: datetime
    requested: tuple[Reference, ...]
    failures: Mapping[str, int] | None
    """Failure Reason by SOP Instance UID; None: not checked yet."""
    reported_at: datetime | None

    @property
    def safe(self) -> list[Reference]:
        """What we commit ourselves to."""
        failures = self.failures or {}
        return [one for one in self.requested if one.sop_instance_uid not in failures]

    @property
    def failed(self) -> list[tuple[Reference, int]]:
        """What we do not, and why."""
        failures = self.failures or {}
        return [
            (one, failures[one.sop_instance_uid])
            for one in self.requested
            if one.sop_instance_uid in failures
        ]


class NoCommitment(PacsError):
    """There is no transaction of that number."""


def request(
    connection: Connection,
    aet: str,
    transaction_uid: str,
    references: Sequence[Reference],
    *,
    answered_by_job: bool,
) -> Commitment:
    """Keeps a transaction, and has a job answer it unless the caller will.

    The same transaction may come again: it is answered again, and whatever was still to be
    answered of it before is left out.
    """
    requested = [(one.sop_class_uid, one.sop_instance_uid) for one in references]
    row = connection.exec_driver_sql(
        _KEEP,
        {"aet": aet, "uid": transaction_uid, "requested": orjson.dumps(requested).decode()},
    ).one()
    if answered_by_job:
        arguments = {"commitment": str(row.id), "asked": str(row.asked)}
        jobs.defer(connection, ANSWER_COMMITMENT, arguments, lock=f"commitment {row.id}")
    return load(connection, row.id)


_KEEP = """
INSERT INTO commitments (aet, transaction_uid, requested)
VALUES (%(aet)s, %(uid)s, %(requested)s::jsonb)
ON CONFLICT (aet, transaction_uid) DO UPDATE SET
  requested = EXCLUDED.requested, asked = commitments.asked + 1, requested_at = now(),
  failures = NULL, reported_at = NULL
RETURNING id, asked
"""


def asked(
    connection: Connection, aet: str, transaction_uid: str, references: Sequence[Reference]
) -> Commitment:
    """Keeps a transaction of ours, before `aet` is asked for it."""
    made = request(connection, aet, transaction_uid, references, answered_by_job=False)
    connection.execute(update(commitments).where(commitments.c.id == made.id).values(ours=True))
    return load(connection, made.id)


def heard(
    connection: Connection, aet: str, transaction_uid: str, failures: Mapping[str, int]
) -> bool:
    """Keeps the answer to a transaction of ours; whether we had asked for any such."""
    return bool(
        connection.execute(
            update(commitments)
            .where(
                commitments.c.aet == aet,
                commitments.c.transaction_uid == transaction_uid,
                commitments.c.ours,
            )
            .values(failures=dict(failures), reported_at=func.now())
        ).rowcount
    )


def find(connection: Connection, aet: str, transaction_uid: str) -> Commitment:
    """The transaction as it stands. Raises NoCommitment."""
    number = connection.execute(
        select(commitments.c.id).where(
            commitments.c.aet == aet, commitments.c.transaction_uid == transaction_uid
        )
    ).scalar_one_or_none()
    if number is None:
        raise NoCommitment(f"{aet} and we know of no storage commitment {transaction_uid}")
    return load(connection, number)


def load(connection: Connection, number: int) -> Commitment:
    """The transaction as it stands. Raises NoCommitment."""
    row = connection.execute(select(commitments).where(commitments.c.id == number)).one_or_none()
    if row is None:
        raise NoCommitment(f"there is no storage commitment {number}")
    values = dict(row._mapping)
    values["requested"] = tuple(Reference(*pair) for pair in row.requested)
    return Commitment(**values)


def checked(archive: "Archive", commitment: Commitment) -> Commitment:
    """The transaction with its result, which is found out and kept unless it is known already.

    Every object is read whole: what is promised is what is there, not what once was. Raises
    StoreUnavailable and DatabaseUnavailable: nothing can be said now.
    """
    if commitment.failures is not None:
        return commitment
    failures: dict[str, int] = {}
    for at in range(0, len(commitment.requested), _AT_ONCE):
        failures |= _failures(archive, commitment.requested[at : at + _AT_ONCE])
    with archive.engine.begin() as connection:
        connection.execute(
            update(commitments)
            .where(commitments.c.id == commitment.id, commitments.c.asked == commitment.asked)
            .values(failures=failures)
        )
        return load(connection, commitment.id)


def reported(connection: Connection, commitment: Commitment) -> None:
    """Notes that whoever asked has heard the result; forgets what was heard long ago."""
    connection.execute(
        delete(commitments).where(
            ~commitments.c.ours, commitments.c.reported_at < func.now() - KEPT_FOR
        )
    )
    connection.execute(
        update(commitments)
        .where(commitments.c.id == commitment.id, commitments.c.asked == commitment.asked)
        .values(reported_at=func.now())
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """An instance as the index has it."""

    sop_class_uid: str
    object_key: str
    size: int
    dataset_start: int
    dataset_crc32: int


def _failures(archive: "Archive", references: Iterable[Reference]) -> dict[str, int]:
    wanted = list(references)
    columns = (getattr(instances.c, name) for name in _Kept.__slots__)
    statement = select(instances.c.sop_instance_uid, *columns).where(
        instances.c.sop_instance_uid.in_([one.sop_instance_uid for one in wanted]),
        # What people rejected is kept as safely as what they did not.
        or_(instances.c.current, instances.c.rejection_ref.is_not(None)),
    )
    with archive.engine.connect() as connection:
        kept = {row[0]: _Kept(*row[1:]) for row in connection.execute(statement)}
    found: dict[str, int] = {}
    for one in wanted:
        instance = kept.get(one.sop_instance_uid)
        if instance is None:
            found[one.sop_instance_uid] = NO_SUCH_OBJECT_INSTANCE
        elif instance.sop_class_uid != one.sop_class_uid:
            found[one.sop_instance_uid] = CLASS_INSTANCE_CONFLICT
        elif not _is_whole(archive, instance):
            log.error(
                "%s is not what arrived: no commitment to %s",
                instance.object_key,
                one.sop_instance_uid,
            )
            found[one.sop_instance_uid] = PROCESSING_FAILURE
    return found


def _is_whole(archive: "Archive", instance: _Kept) -> bool:
    crc32, left = 0, instance.size - instance.dataset_start
    try:
        with archive.store.open(instance.object_key) as file:
            file.seek(instance.dataset_start)
            while chunk := file.read(CHUNK_BYTES):
                crc32 = zlib_ng.crc32(chunk, crc32)
                left -= len(chunk)
    except (ObjectNotFound, ChecksumMismatch):
        return False
    return left == 0 and crc32 == instance.dataset_crc32
