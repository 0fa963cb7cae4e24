"""The one way in: every DICOM object, whoever brings it, becomes safe here before anyone hears so.

Bytes stream into the store while they arrive; at the end the header is read, the object made
durable, and its rows committed. An object that is refused leaves nothing behind.
"""

import logging
import mmap
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from sqlalchemy import Engine
from zlib_ng import zlib_ng

from pacs.dicom.errors import (
    IngestError,
    InvalidUid,
    MissingAttribute,
    NotAsAnnounced,
    NotDicom,
    OtherStudy,
    TooLarge,
    Truncated,
)
from pacs.dicom.header import Header, read_header
from pacs.dicom.layout import HeadTooShort
from pacs.dicom.part10 import FileMeta, read_file_meta
from pacs.index.batch import ExistingInstance, Outcome
from pacs.index.record import Record, Stored, record_of
from pacs.index.writer import IndexWriter
from pacs.settings import Settings
from storage.errors import StoreError
from storage.spool import SpooledStore
from storage.store import ObjectStore, ObjectWriter

__all__ = [
    "Ingest",
    "IngestError",
    "Intake",
    "InvalidUid",
    "MissingAttribute",
    "NotAsAnnounced",
    "NotDicom",
    "OtherStudy",
    "Received",
    "Source",
    "TooLarge",
    "Truncated",
]

log = logging.getLogger(__name__)

ACQUIRED = "instances/"
RESULTS = "results/"
HEAD_BYTES = 64 << 10
_COMPARED_BYTES = 1 << 20

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Source:
    """Who brings an object: the peer is an AE title, a user, a path or a model."""

    kind: Literal["dimse", "stow", "import", "ai"]
    peer: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """An object that is safe."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    outcome: Outcome
    size: int


class Ingest:
    """Takes objects in; one for each process, used by all its threads."""

    def __init__(self, settings: Settings, engine: Engine, store: ObjectStore) -> None:
        self._settings = settings
        self._store = store
        self._writer = IndexWriter(
            engine,
            self.same_bytes,
            quiet_seconds=settings.study_quiet_seconds,
            upload=isinstance(store, SpooledStore),
        )

    def begin(self, source: Source) -> "Intake":
        """An object that will be written bit by bit; use it as a context manager.

        Raises StoreFull and StoreUnavailable.
        """
        return Intake(self, source)

    def receive(self, chunks: Iterable[Bytes], source: Source) -> Received:
        """Takes in a whole Part 10 file. Raises what Intake.write and Intake.commit raise."""
        with self.begin(source) as intake:
            for chunk in chunks:
                intake.write(chunk)
            return intake.commit()

    def close(self) -> None:
        """Ends the index writer once it has written what waits."""
        self._writer.close()

    def same_bytes(self, known: ExistingInstance, record: Record) -> bool:
        """Whether both objects hold the same data set; their file meta may differ.

        Raises StoreError where one of them cannot be read.
        """
        stored, start = record.stored, record.header.file_meta.dataset_start
        length = stored.size - start
        if (known.size - known.dataset_start, known.dataset_crc32) != (
            length,
            stored.dataset_crc32,
        ):
            return False
        for at in range(0, length, _COMPARED_BYTES):
            count = min(_COMPARED_BYTES, length - at)
            old = self._store.read(known.object_key, known.dataset_start + at, count)
            new = self._store.read(stored.object_key, start + at, count)
            if old != new:
                return False
        return True


class Intake:
    """One object on its way in: write its Part 10 bytes, then commit. Left early, it is dropped."""

    def __init__(self, ingest: Ingest, source: Source) -> None:
        self._ingest = ingest
        self._source = source
        self._key = _new_key(RESULTS if source.kind == "ai" else ACQUIRED)
        self._object: ObjectWriter = ingest._store.create(self._key)
        self._head = bytearray()
        self._meta: FileMeta | None = None
        self._crc32 = 0
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._object.abort()

    def write(self, data: Bytes) -> None:
        """The next bytes. Raises TooLarge, NotDicom, StoreFull and StoreUnavailable."""
        self._size += len(data)
        limit = self._ingest._settings.max_object_bytes
        if self._size > limit:
            raise TooLarge(f"the object is larger than {limit} bytes (max_object_bytes)")
        self._object.write(data)
        if self._meta is not None:
            self._crc32 = zlib_ng.crc32(data, self._crc32)
            if len(self._head) < HEAD_BYTES:
                self._head += data[: HEAD_BYTES - len(self._head)]
            return
        # Nearly always the first bytes hold all of the file meta, and need not be copied whole.
        first = not self._head and len(data) > HEAD_BYTES
        self._head += data[:HEAD_BYTES] if first else data
        self._meta = read_file_meta(self._head)
        if self._meta is None and first:
            self._head += data[HEAD_BYTES:]
            self._meta = read_file_meta(self._head)
        if self._meta is not None:
            known = data if first else self._head
            self._crc32 = zlib_ng.crc32(memoryview(known)[self._meta.dataset_start :])

    def commit(
        self,
        *,
        study_instance_uid: str | None = None,
        announced: tuple[str, str] | None = None,
    ) -> Received:
        """Makes the object safe: bytes durable in the store, rows committed in the index.

        `study_instance_uid`: refuse an object of any other study. `announced`: refuse an object of
        any other SOP class and SOP instance than these.
        Raises NotDicom, Truncated, MissingAttribute, InvalidUid, OtherStudy, NotAsAnnounced and
        TooLarge for what is refused, StoreFull, StoreUnavailable and DatabaseUnavailable for what
        may be sent again later.
        """
        header = self._header()
        if announced is not None:
            _check_announced(header, *announced)
        stored = Stored(self._key, self._size, self._crc32, self._source.kind, self._source.peer)
        record = record_of(header, stored, self._ingest._settings.patient_id_issuer)
        if study_instance_uid not in (None, header.study_instance_uid):
            raise OtherStudy(
                f"it belongs to another study than {study_instance_uid}", header.sop_instance_uid
            )
        self._object.commit()
        # Should the index fail now, the object stays: whether its rows were committed is unknown,
        # and rows without an object would be worse than an object without rows (`pacs scrub`).
        outcome = self._ingest._writer.write(record)
        if outcome == "duplicate":
            self._drop()
        return Received(
            header.study_instance_uid,
            header.series_instance_uid,
            header.sop_instance_uid,
            header.sop_class_uid,
            outcome,
            self._size,
        )

    def _drop(self) -> None:
        """Remove what was stored for nothing. The sender's object is safe, whatever comes of it."""
        try:
            self._ingest._store.delete(self._key)
        except StoreError as error:
            log.warning("a duplicate is left to `pacs scrub`: %s", error)

    def _header(self) -> Header:
        if self._meta is None:
            raise NotDicom("the object ends before its data set begins")
        limit = self._ingest._settings.max_object_bytes
        try:
            return read_header(self._head, limit, self._size)
        except HeadTooShort:
            with self._object.read_back() as file:
                view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return read_header(view, limit)


def _check_announced(header: Header, sop_class_uid: str, sop_instance_uid: str) -> None:
    uid = header.sop_instance_uid
    if uid != sop_instance_uid:
        raise NotAsAnnounced("SOP Instance UID differs from the announced one", uid)
    if header.sop_class_uid != sop_class_uid:
        raise NotAsAnnounced("SOP Class UID differs from the announced one", uid)


def _new_key(prefix: str) -> str:
    """A key by day of arrival, in the order of arrival.

    Results of an AI have a prefix of their own, so that a new index knows them for what they are.
    """
    now = time.time_ns()
    day = time.strftime("%Y/%m/%d", time.gmtime(now // 1_000_000_000))
    return f"{prefix}{day}/{now:016x}{os.getpid() & 0xFFFF:04x}{os.urandom(6).hex()}.dcm"
