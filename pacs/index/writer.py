"""Index rows of many instances in one transaction: group commit across associations and requests.

Each caller blocks until its row is committed; what waits while one transaction commits goes
together into the next, so the cost of a commit is shared by as many as there are.
"""

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from psycopg.errors import DeadlockDetected, SerializationFailure
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from pacs.database.errors import DatabaseUnavailable
from pacs.index.batch import LostRace, Outcome, SameBytes, write_batch
from pacs.index.record import Record
from storage.errors import StoreError

MAX_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Waiting:
    record: Record
    done: "Future[Outcome]"


class IndexWriter:
    """Writes index rows for every thread of this process. Close it to end its thread."""

    def __init__(self, engine: Engine, same_bytes: SameBytes, *, upload: bool) -> None:
        self._engine = engine
        self._same_bytes = same_bytes
        self._upload = upload
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="index-writer", daemon=True)
        self._thread.start()

    def write(self, record: Record) -> Outcome:
        """Commits the instance's rows; returns when they are durable.

        `duplicate`: the same bytes are there already, nothing was changed. `conflict`: other
        bytes were there under this UID; they stay as an earlier version. Raises
        DatabaseUnavailable, after which it is not known whether the rows are there.
        """
        waiting = _Waiting(record, Future())
        self._waiting.put(waiting)
        return waiting.done.result()

    def close(self) -> None:
        """Writes what still waits, then ends the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            first = self._waiting.get()
            if first is None:
                return
            batch = [first]
            while len(batch) < MAX_BATCH and open_for_more:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    open_for_more = False
                else:
                    batch.append(more)
            for part in _without_repeated_uids(batch):
                self._write(part)

    def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            outcomes = self._commit([waiting.record for waiting in batch])
        except (LostRace, OperationalError) as error:
            unavailable = DatabaseUnavailable(f"the index cannot be written: {error}")
            for waiting in batch:
                waiting.done.set_exception(unavailable)
        except (DBAPIError, StoreError) as error:
            if len(batch) == 1:
                batch[0].done.set_exception(error)
                return
            # One row that the database refuses, or one object that is to be compared with one out
            # of reach, must not take its neighbours down.
            for waiting in batch:
                self._write([waiting])
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait
            for waiting in batch:
                waiting.done.set_exception(error)
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.done.set_result(outcome)

    def _commit(self, records: Sequence[Record], tries: int = 5) -> list[Outcome]:
        try:
            with self._engine.begin() as connection:
                written = write_batch(connection, records, self._same_bytes, upload=self._upload)
            return [written[record.sop_instance_uid] for record in records]
        except (LostRace, OperationalError, DatabaseUnavailable) as error:
            if tries == 1 or not _is_race(error):
                raise
            return self._commit(records, tries - 1)


def _is_race(error: LostRace | OperationalError | DatabaseUnavailable) -> bool:
    """Whether other writers, and not the database's state, made it fail."""
    if isinstance(error, LostRace):
        return True
    return isinstance(error.__cause__, DeadlockDetected | SerializationFailure)


def _without_repeated_uids(batch: Sequence[_Waiting]) -> list[list[_Waiting]]:
    """The batch in parts, in none of which an instance comes twice; order is kept per instance."""
    parts: list[list[_Waiting]] = []
    turns: dict[str, int] = {}
    for waiting in batch:
        uid = waiting.record.sop_instance_uid
        turn = turns.get(uid, 0)
        turns[uid] = turn + 1
        if turn == len(parts):
            parts.append([])
        parts[turn].append(waiting)
    return parts
