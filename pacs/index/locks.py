"""Who writes to a study, and who settles it: advisory locks of PostgreSQL, held to the end of a
transaction.

Writers share the lock of a study; who settles it (pacs.workflow) takes it alone. So no instance can
slip into a study between the moment it is found quiet and the moment it is counted.
"""

import zlib
from collections.abc import Iterable
from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection

STUDY_LOCKS = 3_271_996
"""First key of these locks; the second is that of the study."""

_HOLD = """
SELECT pg_advisory_xact_lock_shared(%(kind)s, lock) FROM unnest(%(locks)s::int[]) AS lock
"""

_WAIT = "SELECT pg_advisory_xact_lock(%(kind)s, %(lock)s)"
_CLOSE = "SELECT pg_try_advisory_xact_lock(%(kind)s, %(lock)s)"


def lock_of(study_instance_uid: str) -> int:
    """The study's key."""
    return zlib.crc32(study_instance_uid.encode()) - 2**31


def hold_open(cursor: Cursor[Any], study_instance_uids: Iterable[str]) -> None:
    """Keeps studies from being settled until the transaction ends.

    Comes before any lock on their rows, for which whoever settles might be waiting.
    """
    locks = [lock_of(uid) for uid in set(study_instance_uids)]
    cursor.execute(_HOLD, {"kind": STUDY_LOCKS, "locks": locks})


def wait_and_close(connection: Connection, study_instance_uid: str) -> None:
    """As `close_up`, once those who write to the study have committed."""
    values = {"kind": STUDY_LOCKS, "lock": lock_of(study_instance_uid)}
    connection.exec_driver_sql(_WAIT, values)


def close_up(connection: Connection, study_instance_uid: str) -> bool:
    """Whether nothing is being written to the study, and nothing will be until the caller's
    transaction ends."""
    values = {"kind": STUDY_LOCKS, "lock": lock_of(study_instance_uid)}
    return bool(connection.exec_driver_sql(_CLOSE, values).scalar_one())
