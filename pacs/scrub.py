"""Whether index and object store agree, and whether every object is still what arrived."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import select
from zlib_ng import zlib_ng

from pacs.archive import Archive
from pacs.index.tables import instances
from pacs.ingest import ACQUIRED, RESULTS
from pacs.renditions import drop
from storage.errors import ObjectNotFound

CHUNK_BYTES = 1 << 20
# An object this young may belong to a transaction that has yet to commit.
ORPHAN_AGE = timedelta(hours=1)

Problem = Literal["missing", "changed", "orphan"]


@dataclass(frozen=True, slots=True)
class Checked:
    """An object and what is wrong with it, if anything is.

    `missing`: indexed, but not in the store. `changed`: its bytes are not those that arrived.
    `orphan`: in the store, but not indexed; its sender was never told that it is safe.
    """

    key: str
    problem: Problem | None


def scrub(archive: Archive, *, delete_orphans: bool = False) -> Iterator[Checked]:
    """Reads every object and compares it with the index. Raises StoreUnavailable."""
    known: set[str] = set()
    columns = select(
        instances.c.object_key,
        instances.c.size,
        instances.c.dataset_start,
        instances.c.dataset_crc32,
    ).order_by(instances.c.object_key)
    with archive.engine.connect() as connection:
        for row in connection.execution_options(stream_results=True).execute(columns):
            known.add(row.object_key)
            problem = _problem(
                archive, row.object_key, row.size, row.dataset_start, row.dataset_crc32
            )
            yield Checked(row.object_key, problem)
    newest = datetime.now(UTC) - ORPHAN_AGE
    for prefix in (ACQUIRED, RESULTS):
        for stat in archive.store.list(prefix):
            if stat.key not in known and stat.modified < newest:
                if delete_orphans:
                    drop(archive.store, stat.key)
                    archive.store.delete(stat.key)
                yield Checked(stat.key, "orphan")


def _problem(
    archive: Archive, key: str, size: int, dataset_start: int, crc32: int
) -> Problem | None:
    found_size = found_crc32 = 0
    try:
        with archive.store.open(key) as file:
            while chunk := file.read(CHUNK_BYTES):
                skipped = max(0, dataset_start - found_size)
                found_crc32 = zlib_ng.crc32(memoryview(chunk)[skipped:], found_crc32)
                found_size += len(chunk)
    except ObjectNotFound:
        return "missing"
    return None if (found_size, found_crc32) == (size, crc32) else "changed"
