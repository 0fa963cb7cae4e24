"""Index rows of many instances in one transaction: group commit across associations and requests.

Each caller blocks until its row is committed; what waits while one transaction commits goes
together into the next, so the cost of a commit is shared by as many as there are. The first to
come commits for all who wait, and hands on to the first who came meanwhile: a caller who is alone
waits for no other thread.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Cursor
from psycopg.errors import DeadlockDetected, ForeignKeyViolation, SerializationFailure
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from pacs import jobs
from pacs.database.engine import cursor_of
from pacs.database.errors import DatabaseUnavailable
from pacs.index.batch import (
    LostRace,
    Outcome,
    SameBytes,
    insert,
    insert_again,
)
from pacs.index.counts import count_instances
from pacs.index.parents import KnownParents, key_of, make_parents
from pacs.index.record import Record
from storage.errors import StoreError

MAX_BATCH = 500
LONGEST_TOUCH_PAUSE = 0.25
"""Seconds between two marks that a study is being written to."""
_TRIES = 5

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"

# Plans that are made once, and never go through a whole table, however small it was at that time.
_PLANS = """
SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
SET enable_mergejoin = off
"""


@dataclass(eq=False, slots=True)
class _Waiting:
    record: Record
    woken: threading.Lock = field(default_factory=threading.Lock)
    outcome: Outcome | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.woken.acquire()

    @property
    def is_done(self) -> bool:
        return self.outcome is not None or self.error is not None


class IndexWriter:
    """Writes index rows for every thread of this process.

    `quiet_seconds`: after which a study counts as settled. `upload`: objects are in a spool, and a
    job takes each to the remote store.
    """

    def __init__(
        self, engine: Engine, same_bytes: SameBytes, *, quiet_seconds: float, upload: bool
    ) -> None:
        self._engine = engine
        self._same_bytes = same_bytes
        self._touch_pause = min(LONGEST_TOUCH_PAUSE, quiet_seconds / 4)
        self._upload = upload
        self._parents = KnownParents()
        self._standing: tuple[Connection, Cursor[Any]] | None = None
        self._mutex = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._led = False

    def write(self, record: Record) -> Outcome:
        """Commits the instance's rows; returns when they are durable.

        `duplicate`: the same bytes are there already, nothing was changed. `conflict`: other
        bytes were there under this UID; they stay as an earlier version. Raises
        DatabaseUnavailable, after which it is not known whether the rows are there.
        """
        mine = _Waiting(record)
        with self._mutex:
            self._waiting.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            mine.woken.acquire()
        if not mine.is_done:
            self._lead(mine)
        if mine.error is not None:
            raise mine.error
        assert mine.outcome is not None  # noqa: S101 - whoever leads sees to it
        return mine.outcome

    def close(self) -> None:
        """Lets go of the database; nobody may be writing any more."""
        self._disconnect()

    def _lead(self, leader: _Waiting) -> None:
        """Write what waits, the leader's own among it, and hand on to who came meanwhile."""
        with self._mutex:
            batch = self._waiting[:MAX_BATCH]
            del self._waiting[:MAX_BATCH]
        try:
            for part in _without_repeated_uids(batch):
                self._write(part)
        finally:
            with self._mutex:
                successor = self._waiting[0] if self._waiting else None
                self._led = successor is not None
            if successor is not None:
                successor.woken.release()
            for waiting in batch:
                if waiting is not leader:
                    waiting.woken.release()

    def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            outcomes = self._commit([waiting.record for waiting in batch])
        except (LostRace, OperationalError) as error:
            unavailable = DatabaseUnavailable(f"the index cannot be written: {error}")
            for waiting in batch:
                waiting.error = unavailable
        except (DBAPIError, psycopg.Error, StoreError) as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            # One row that the database refuses, or one object that is to be compared with one out
            # of reach, must not take its neighbours down.
            for waiting in batch:
                self._write([waiting])
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait
            for waiting in batch:
                waiting.error = error
        else:
            for waiting in batch:
                waiting.outcome = outcomes[waiting.record.header.sop_instance_uid]

    def _commit(self, records: Sequence[Record], tries: int = _TRIES) -> dict[str, Outcome]:
        try:
            new = self._insert(records)
            return {
                record.header.sop_instance_uid: "stored"
                if record.header.sop_instance_uid in new
                else self._insert_again(record)
                for record in records
            }
        except (LostRace, DBAPIError, psycopg.Error, DatabaseUnavailable) as error:
            self._disconnect()
            # Tried once more where the connection broke: the database may only have restarted.
            # What was committed without our hearing of it is recognised by its object.
            once_more = tries == _TRIES and isinstance(error, DatabaseUnavailable)
            if not (once_more or (tries > 1 and _is_race(error))):
                raise
            if isinstance(_of_psycopg(error), ForeignKeyViolation):
                self._parents.forget()
            return self._commit(records, tries - 1)

    def _insert(self, records: Sequence[Record]) -> set[str]:
        connection, cursor = self._connection()
        parents = self._parents.recall(records)
        results = [record for record in records if record.stored.source_kind == "ai"]
        selections = [r for r in records if r.header.sop_class_uid == KEY_OBJECT_SELECTION]
        if parents is not None and not results and not self._upload and not selections:
            return insert(cursor, records, parents, touch_pause=self._touch_pause)
        with cursor.connection.transaction():
            if parents is None:
                parents = make_parents(connection, records)
            new = insert(cursor, records, parents, touch_pause=self._touch_pause)
            stored = [record for record in records if record.header.sop_instance_uid in new]
            if self._upload:
                jobs.defer_uploads(connection, [record.stored.object_key for record in stored])
            jobs.defer_key_objects(
                connection, [r.stored.object_key for r in selections if r in stored]
            )
            if results:
                count_instances(connection, [parents[key_of(r)].study_ref for r in results])
                jobs.defer_descriptions(connection, [r.header.study_instance_uid for r in results])
        self._parents.remember(parents)
        return new

    def _insert_again(self, record: Record) -> Outcome:
        connection, cursor = self._connection()
        with cursor.connection.transaction():
            outcome = insert_again(
                connection,
                record,
                make_parents(connection, [record]),
                self._same_bytes,
                touch_pause=self._touch_pause,
            )
            if outcome == "conflict" and self._upload:
                jobs.defer_uploads(connection, [record.stored.object_key])
            if outcome == "conflict" and record.header.sop_class_uid == KEY_OBJECT_SELECTION:
                jobs.defer_key_objects(connection, [record.stored.object_key])
        return outcome

    def _connection(self) -> tuple[Connection, Cursor[Any]]:
        """One that the writer has for itself, on which a statement stands for itself unless a
        transaction is begun. All it looks up it looks up by its key, at any size of the index."""
        if self._standing is None:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(_PLANS)
            self._standing = connection, cursor_of(connection)
        return self._standing

    def _disconnect(self) -> None:
        standing, self._standing = self._standing, None
        if standing is not None:
            standing[0].invalidate()
            standing[0].close()


_Failure = LostRace | DBAPIError | psycopg.Error | DatabaseUnavailable


def _is_race(error: _Failure) -> bool:
    """Whether other writers, and not the database's state, made it fail."""
    races = DeadlockDetected | SerializationFailure | ForeignKeyViolation
    return isinstance(error, LostRace) or isinstance(_of_psycopg(error), races)


def _of_psycopg(error: _Failure) -> BaseException | None:
    """What psycopg itself said."""
    return error if isinstance(error, psycopg.Error) else error.__cause__


def _without_repeated_uids(batch: Sequence[_Waiting]) -> list[list[_Waiting]]:
    """The batch in parts, in none of which an instance comes twice; order is kept per instance."""
    parts: list[list[_Waiting]] = []
    turns: dict[str, int] = {}
    for waiting in batch:
        uid = waiting.record.header.sop_instance_uid
        turn = turns.get(uid, 0)
        turns[uid] = turn + 1
        if turn == len(parts):
            parts.append([])
        parts[turn].append(waiting)
    return parts
