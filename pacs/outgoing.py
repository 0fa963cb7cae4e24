"""Whole objects on their way out, one after another: which, and their bytes before their turn.

A data set is not read to be sent: what lies in a local folder is mapped, piece by piece, so that
its bytes go from the page cache to the peer; what lies elsewhere is fetched ahead by a few threads.
"""

import io
import logging
import mmap
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self

from sqlalchemy import Connection, select

from pacs.archive import Archive
from pacs.index import tables
from storage.errors import StoreError
from storage.local import LocalStore

log = logging.getLogger(__name__)

PIECE_BYTES = 8 << 20
"""What of an object is mapped, or held in memory, at a time."""
AHEAD = 4
LARGEST_FETCHED_AHEAD = 32 << 20

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A stored instance that is to be sent."""

    study_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    object_key: str
    size: int
    dataset_start: int


def outgoing(
    connection: Connection,
    *,
    patient_id: str | None = None,
    issuer: str | None = None,
    studies: Sequence[str] = (),
    series: Sequence[str] = (),
    instances: Sequence[str] = (),
) -> list[Outgoing]:
    """The instances that fulfil all that is given, in the order of their series and numbers.

    Names nothing: nothing is found, and not everything.
    """
    conditions = []
    if patient_id is not None:
        conditions.append(tables.patients.c.patient_id == patient_id)
    if issuer is not None:
        conditions.append(tables.patients.c.issuer == issuer)
    for column, uids in (
        (tables.studies.c.study_instance_uid, studies),
        (tables.series.c.series_instance_uid, series),
        (tables.instances.c.sop_instance_uid, instances),
    ):
        if uids:
            conditions.append(column.in_(uids))
    if not conditions:
        return []
    source = tables.instances.join(tables.series).join(tables.studies).join(tables.patients)
    statement = (
        select(
            tables.studies.c.study_instance_uid,
            tables.instances.c.sop_class_uid,
            tables.instances.c.sop_instance_uid,
            tables.instances.c.transfer_syntax_uid,
            tables.instances.c.object_key,
            tables.instances.c.size,
            tables.instances.c.dataset_start,
        )
        .select_from(source)
        .where(tables.instances.c.current, *conditions)
        .order_by(
            tables.studies.c.id,
            tables.series.c.series_number.nulls_last(),
            tables.series.c.id,
            tables.instances.c.instance_number.nulls_last(),
            tables.instances.c.id,
        )
    )
    return [Outgoing(*row) for row in connection.execute(statement)]


class StoredObject:
    """A stored Part 10 file, open for reading; close it."""

    def __init__(self, file: BinaryIO, size: int, dataset_start: int) -> None:
        self.file = file
        self._size = size
        self._start = dataset_start
        self._descriptor = _descriptor(file)
        if self._descriptor is not None:
            # Read from a slow disk while the objects before it are sent.
            os.posix_fadvise(self._descriptor, 0, min(size, PIECE_BYTES), os.POSIX_FADV_WILLNEED)

    def dataset(self, *, mapped: bool = True) -> Iterator[Buffer]:
        """The data set in pieces, each valid for as long as it is held.

        `mapped`: pieces may be ranges of the file itself. Who touches these bytes, and does not
        only hand them to the system, must not ask for that: a disk that fails would kill us.
        Raises StoreError where the object cannot be read.
        """
        if mapped and self._descriptor is not None:
            yield from self._mapped(self._descriptor)
            return
        self.file.seek(self._start)
        left = self._size - self._start
        while left:
            piece = self.file.read(min(left, PIECE_BYTES))
            if not piece:
                raise StoreError("a stored object is shorter than it was")
            left -= len(piece)
            yield piece

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _mapped(self, descriptor: int) -> Iterator[Buffer]:
        at = self._start
        while at < self._size:
            offset = at - at % mmap.ALLOCATIONGRANULARITY
            length = min(self._size - offset, PIECE_BYTES)
            try:
                piece = mmap.mmap(descriptor, length, offset=offset, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise StoreError(f"a stored object cannot be read: {error}") from error
            yield memoryview(piece)[at - offset :]
            at = offset + length


class ReadAhead:
    """Opens objects one after another, some before their turn; a context manager."""

    def __init__(self, archive: Archive, wanted: Sequence[Outgoing]) -> None:
        self._archive = archive
        self._wanted = deque(wanted)
        self._waiting: deque[tuple[Outgoing, StoredObject | Future[StoredObject] | StoreError]] = (
            deque()
        )
        local = isinstance(archive.store, LocalStore)
        self._threads = None if local else ThreadPoolExecutor(AHEAD, "read-ahead")

    def fill(self) -> None:
        """Begin with some of the next objects; a good moment is while the peer is awaited."""
        while self._wanted and len(self._waiting) < AHEAD:
            instance = self._wanted.popleft()
            if self._threads is not None:
                self._waiting.append((instance, self._threads.submit(self._open, instance)))
                continue
            try:
                self._waiting.append((instance, self._open(instance)))
            except StoreError as error:
                self._waiting.append((instance, error))

    def __iter__(self) -> Iterator[tuple[Outgoing, StoredObject | StoreError]]:
        """Each instance with its object, or why that cannot be read. Whoever takes it closes it."""
        while self._wanted or self._waiting:
            self.fill()
            instance, waiting = self._waiting.popleft()
            if isinstance(waiting, Future):
                try:
                    waiting = waiting.result()
                except StoreError as error:
                    waiting = error
            yield instance, waiting

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._wanted.clear()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for _, waiting in self._waiting:
            if isinstance(waiting, Future):
                if waiting.cancelled() or waiting.exception() is not None:
                    continue
                waiting = waiting.result()  # noqa: PLW2901 - what was waited for
            if isinstance(waiting, StoredObject):
                waiting.close()
        self._waiting.clear()

    def _open(self, instance: Outgoing) -> StoredObject:
        file = self._archive.store.open(instance.object_key)
        if _descriptor(file) is None and instance.size <= LARGEST_FETCHED_AHEAD:
            with file:
                file = io.BytesIO(file.read())
        return StoredObject(file, instance.size, instance.dataset_start)


def _descriptor(file: BinaryIO) -> int | None:
    try:
        return file.fileno()
    except (OSError, AttributeError):
        return None
