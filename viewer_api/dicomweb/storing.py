"""The parts of a STOW-RS request on their way in, through the one way in.

Bytes are written as they come. The commits, each of which waits for the disk, run beside the
reading and share their waiting (group commit).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import ClientDisconnect

from pacs.archive import Archive
from pacs.database.errors import DatabaseError
from pacs.ingest import IngestError, Intake, Received, Source
from storage.errors import StoreError
from viewer_api.dicomweb.multipart import (
    MultipartParser,
    PartBegin,
    PartData,
    parse_content_type,
)

DICOM = "application/dicom"
_BATCH_BYTES = 2 << 20
_COMMITS_AT_ONCE = 8

Bytes = bytes | bytearray | memoryview
Refusal = IngestError | StoreError | DatabaseError


class UnexpectedPart(Exception):
    """A part of a media type that has no place in the message."""

    def __init__(self, media_type: str, expected: str = DICOM) -> None:
        super().__init__(f"a part is {media_type[:80]!r}, not {expected}")


@dataclass(slots=True)
class Outcome:
    """What became of the parts of one request."""

    stored: list[Received] = field(default_factory=list)
    failed: list[Exception] = field(default_factory=list)


class Parts(Protocol):
    """What takes the parts of a message in turn."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """A part begins; header names are lower case."""

    def write(self, data: Bytes) -> None:
        """Some bytes of it."""

    def end(self) -> None:
        """It is whole."""

    def finish(self, *, whole: bool) -> Outcome:
        """The message is at its end, or (not `whole`) broke off; waits until every object that
        has come is safe or refused."""

    def close(self) -> None:
        """Drop what did not end."""


class Commits:
    """Makes objects safe, several at a time, with a bound on how many wait."""

    def __init__(self, study: str | None) -> None:
        self.outcome = Outcome()
        self._study = study
        self._threads = ThreadPoolExecutor(_COMMITS_AT_ONCE, thread_name_prefix="stow-commit")
        self._waiting: deque[Future[Received]] = deque()

    def add(self, intake: Intake) -> None:
        """Commit a whole object, sooner or later; waits where too many wait."""
        self._waiting.append(self._threads.submit(self._commit, intake))
        if len(self._waiting) > 2 * _COMMITS_AT_ONCE:
            self._settle(self._waiting.popleft())

    def fail(self, error: Exception) -> None:
        """An object was refused."""
        self.outcome.failed.append(error)

    def finish(self) -> Outcome:
        """Wait for all."""
        while self._waiting:
            self._settle(self._waiting.popleft())
        return self.outcome

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True)

    def _commit(self, intake: Intake) -> Received:
        with intake:
            return intake.commit(study_instance_uid=self._study)

    def _settle(self, commit: Future[Received]) -> None:
        try:
            self.outcome.stored.append(commit.result())
        except (IngestError, StoreError, DatabaseError) as error:
            self.fail(error)


class Objects:
    """Parts that are DICOM objects, one each."""

    def __init__(self, archive: Archive, source: Source, commits: Commits) -> None:
        self._archive = archive
        self._source = source
        self._commits = commits
        self._intake: Intake | None = None

    def begin(self, headers: Mapping[str, str]) -> None:
        """Begin to store the object."""
        media_type, _ = parse_content_type(headers.get("content-type", DICOM))
        if media_type != DICOM:
            self._commits.fail(UnexpectedPart(media_type))
            return
        try:
            self._intake = self._archive.ingest.begin(self._source)
        except (StoreError, DatabaseError) as error:
            self._commits.fail(error)

    def write(self, data: Bytes) -> None:
        """Write; an object that is refused is dropped, and the rest of it ignored."""
        if self._intake is None:
            return
        try:
            self._intake.write(data)
        except (IngestError, StoreError, DatabaseError) as error:
            self._commits.fail(error)
            self._drop()

    def end(self) -> None:
        """Have the object committed."""
        intake, self._intake = self._intake, None
        if intake is not None:
            self._commits.add(intake)

    def finish(self, *, whole: bool) -> Outcome:
        """Wait for all commits; an object that did not end is dropped."""
        return self._commits.finish()

    def close(self) -> None:
        """Drop the object that did not end, and the threads."""
        self._drop()
        self._commits.close()

    def _drop(self) -> None:
        intake, self._intake = self._intake, None
        if intake is not None:
            intake.__exit__(None, None, None)


def parts_of(parser: MultipartParser, parts: Parts) -> Callable[[bytes], None]:
    """What to do with the next bytes of a multipart message. It raises MultipartError."""

    def take(data: bytes) -> None:
        for event in parser.feed(data):
            if isinstance(event, PartBegin):
                parts.begin(event.headers)
            elif isinstance(event, PartData):
                parts.write(event.data)
            else:
                parts.end()

    return take


async def pour(
    stream: AsyncIterator[bytes], take: Callable[[bytes], None], thread: ThreadPoolExecutor
) -> None:
    """Have `take` called with all bytes of a body, in order, in that one thread.

    The next batch is received while one is being taken; no more than two are in memory. Raises
    what `take` raises, once nothing is being taken any more, and ClientDisconnect once all that
    came has been taken.
    """
    loop = asyncio.get_running_loop()
    taken: asyncio.Future[None] | None = None
    batch: list[bytes] = []
    size = 0
    gone: ClientDisconnect | None = None

    def take_batch(chunks: Sequence[bytes]) -> None:
        for chunk in chunks:
            take(chunk)

    try:
        try:
            async for chunk in stream:
                batch.append(chunk)
                size += len(chunk)
                if size >= _BATCH_BYTES:
                    if taken is not None:
                        await taken
                    taken = loop.run_in_executor(thread, take_batch, batch)
                    batch, size = [], 0
        except ClientDisconnect as error:
            gone = error
        if taken is not None:
            await taken
        taken = loop.run_in_executor(thread, take_batch, batch)
        await taken
    finally:
        if taken is not None and not taken.done():
            with suppress(Exception):
                await taken
    if gone is not None:
        raise gone
