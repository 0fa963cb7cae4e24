"""The index made anew from the object store, which is the truth."""

import mmap
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from zlib_ng import zlib_ng

from pacs.archive import Archive
from pacs.dicom.errors import IngestError
from pacs.dicom.header import read_header
from pacs.index.record import Stored, record_of
from pacs.index.tables import instances
from pacs.index.writer import IndexWriter
from pacs.ingest import ACQUIRED, RESULTS
from pacs.rejection import hide_again, rejected_objects
from storage.store import ObjectStat

CHUNK_BYTES = 1 << 20
SOURCE_PEER = "reindex"


@dataclass(frozen=True, slots=True)
class Reindexed:
    """An object that was looked at: indexed anew, known already, or no object of ours."""

    key: str
    outcome: str


def reindex(archive: Archive) -> Iterator[Reindexed]:
    """Puts every object that the index does not know into it, in order of arrival.

    What the index knows stays as it is, so this also mends an index that lost rows. Of two
    objects with one UID and the same bytes the second is left alone (`pacs scrub` removes it).
    What people rejected is hidden again at once.
    """
    with archive.engine.connect() as connection:
        known = set(connection.execute(select(instances.c.object_key)).scalars())
        rejected = rejected_objects(connection)
    writer = IndexWriter(
        archive.engine,
        archive.ingest.same_bytes,
        quiet_seconds=archive.settings.study_quiet_seconds,
        upload=False,
    )
    try:
        for prefix in (ACQUIRED, RESULTS):
            for stat in sorted(archive.store.list(prefix), key=lambda stat: stat.key):
                if stat.key in known:
                    yield Reindexed(stat.key, "known")
                    continue
                outcome = _index(archive, writer, stat)
                if stat.key in rejected:
                    with archive.engine.begin() as connection:
                        hide_again(connection, rejected[stat.key])
                yield Reindexed(stat.key, outcome)
    finally:
        writer.close()


def _index(archive: Archive, writer: IndexWriter, stat: ObjectStat) -> str:
    with tempfile.TemporaryFile() as file:
        with archive.store.open(stat.key) as stored:
            while chunk := stored.read(CHUNK_BYTES):
                file.write(chunk)
        file.flush()
        if not stat.size:
            return "refused: the object is empty"
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        header = read_header(view, archive.settings.max_object_bytes)
    except IngestError as refusal:
        return f"refused: {refusal}"
    crc32 = 0
    for at in range(header.file_meta.dataset_start, len(view), CHUNK_BYTES):
        crc32 = zlib_ng.crc32(view[at : at + CHUNK_BYTES], crc32)
    source = "ai" if stat.key.startswith(RESULTS) else "import"
    stored_as = Stored(stat.key, stat.size, crc32, source, SOURCE_PEER)
    return writer.write(record_of(header, stored_as, archive.settings.patient_id_issuer))
