"""Metadata of whole series and studies as one compressed document, ready to be sent.

A document holds for exactly those instances whose ids stand beside it. It is served only where they
are the ones that the series or study has at the moment of asking; so nobody who changes what is
stored has to think of documents, and none is ever out of date.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, and_, case, select, text
from zlib_ng import zlib_ng

from pacs.archive import Archive
from pacs.index.document_tables import series_metadata, study_metadata
from pacs.index.query import scoped
from pacs.index.question import EVERYTHING, Scope
from pacs.index.tables import series as all_series
from pacs.index.tables import studies
from pacs.metadata import describe_instances

_LEVEL = 6
_GZIP = 16 + zlib_ng.MAX_WBITS
_AT_ONCE = 500
_PIECE_BYTES = 1 << 20

_OF_STUDY = """ARRAY(SELECT i.id FROM series x JOIN instances i ON i.series_ref = x.id
  WHERE x.study_ref = {study} AND i.current ORDER BY i.id)"""
_OF_SERIES = """ARRAY(SELECT i.id FROM instances i
  WHERE i.series_ref = {series} AND i.current ORDER BY i.id)"""

_TEXTS = """
SELECT s.id AS study_ref, e.id AS series_ref, i.id, t.dicom_json
FROM studies s JOIN series e ON e.study_ref = s.id JOIN instances i ON i.series_ref = e.id
  LEFT JOIN instance_metadata t ON t.instance_ref = i.id
WHERE s.study_instance_uid = %(study)s AND i.current
ORDER BY e.series_number NULLS LAST, e.id, i.instance_number NULLS LAST, i.id
"""

# What was true when the texts were read must be true when the document is written.
_WRITE = """
INSERT INTO {table} ({key}, instances, etag, gzip)
SELECT %(ref)s, %(instances)s::bigint[], %(etag)s, %(gzip)s
WHERE %(instances)s::bigint[] = {present}
ON CONFLICT ({key}) DO UPDATE
SET instances = excluded.instances, etag = excluded.etag, gzip = excluded.gzip
"""
_WRITE_OF_STUDY = _WRITE.format(
    table="study_metadata", key="study_ref", present=_OF_STUDY.format(study="%(ref)s")
)
_WRITE_OF_SERIES = _WRITE.format(
    table="series_metadata", key="series_ref", present=_OF_SERIES.format(series="%(ref)s")
)

_CURRENT = f"""
SELECT NOT EXISTS (SELECT FROM series e LEFT JOIN series_metadata m ON m.series_ref = e.id
    AND m.instances = {_OF_SERIES.format(series="e.id")}
  WHERE e.study_ref = s.id AND m.etag IS NULL
    AND EXISTS (SELECT FROM instances i WHERE i.series_ref = e.id AND i.current))
  AND EXISTS (SELECT FROM study_metadata m WHERE m.study_ref = s.id
    AND m.instances = {_OF_STUDY.format(study="s.id")})
FROM studies s WHERE s.study_instance_uid = %(study)s
"""  # noqa: S608 - no value is part of the text


@dataclass(frozen=True, slots=True)
class Document:
    """The metadata of all instances of a series or study; `gzip` is None where the caller knows it.

    `etag`: of the uncompressed JSON, without quotes.
    """

    etag: str
    gzip: bytes | None

    def plain(self) -> Iterator[bytes]:
        """The JSON itself, in pieces; of a document that the caller knows, nothing."""
        inflater = zlib_ng.decompressobj(_GZIP)
        rest = self.gzip
        while rest:
            yield inflater.decompress(rest, _PIECE_BYTES)
            rest = inflater.unconsumed_tail


def etag_of(body: bytes) -> str:
    """What stands for a document that was made on the spot, the same as once it is written down."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def document(
    archive: Archive,
    *,
    study: str,
    series: str | None = None,
    known: Sequence[str] = (),
    scope: Scope = EVERYTHING,
) -> Document | None:
    """The document of a series or study; None where there is none yet, or nothing of that UID.

    One that lacks is written first; of a study that is still arriving only what lacks of its
    instances, which is asked for again and again meanwhile. `known`: etags that the caller has.
    Raises StoreUnavailable.
    """
    found = _find(archive, study, series, known, scope)
    if found is not None and found[1] is None:
        if found[0]:
            describe_instances(archive, study, series)
            return None
        describe_study(archive, study)
        found = _find(archive, study, series, known, scope)
    return None if found is None or found[1] is None else Document(found[1], found[2])


def describe_study(archive: Archive, study_instance_uid: str) -> int:
    """Writes down the metadata of a study and its instances where it lacks; of how many instances.

    Idempotent; what it has done stays done where it ends early. Raises StoreUnavailable.
    """
    described = describe_instances(archive, study_instance_uid)
    with archive.engine.connect() as connection:
        of_study = {"study": study_instance_uid}
        if not connection.exec_driver_sql(_CURRENT, of_study).scalar_one_or_none():
            _write(connection, of_study)
            connection.commit()
    return described


def _find(
    archive: Archive, study: str, series: str | None, known: Sequence[str], scope: Scope
) -> Row[bool, str | None, bytes | None] | None:
    """Whether the study is still arriving; etag and bytes of its document, or of its series'."""
    if series is None:
        table = study_metadata
        present = _OF_STUDY.format(study="studies.id")
        source = studies.outerjoin(
            table,
            and_(table.c.study_ref == studies.c.id, text(f"study_metadata.instances = {present}")),
        )
    else:
        table = series_metadata
        present = _OF_SERIES.format(series="series.id")
        source = studies.join(all_series).outerjoin(
            table,
            and_(
                table.c.series_ref == all_series.c.id,
                text(f"series_metadata.instances = {present}"),
            ),
        )
    unknown = case((table.c.etag.in_(known), None), else_=table.c.gzip)
    statement = (
        select(studies.c.unsettled, table.c.etag, unknown)
        .select_from(source)
        .where(studies.c.study_instance_uid == study, scoped(scope))
    )
    if series is not None:
        statement = statement.where(all_series.c.series_instance_uid == series)
    autocommit = archive.engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        return connection.execute(statement).one_or_none()


def _write(connection: Connection, of_study: dict[str, str]) -> None:
    study: _Gathered | None = None
    series: _Gathered | None = None
    in_parts = {"yield_per": _AT_ONCE}
    rows = connection.exec_driver_sql(_TEXTS, of_study, execution_options=in_parts)
    finished: list[_Gathered] = []
    for row in rows:
        study = study or _Gathered(row.study_ref)
        if series is None or series.ref != row.series_ref:
            series = _Gathered(row.series_ref)
            finished.append(series)
        series.add(row)
        study.add(row)
    if study is not None:
        for gathered in finished:
            gathered.write(connection, _WRITE_OF_SERIES)
        study.write(connection, _WRITE_OF_STUDY)


@dataclass(slots=True)
class _Gathered:
    """A document in the making."""

    ref: int
    instances: list[int] = field(default_factory=list)
    whole: bool = True
    pieces: list[bytes] = field(default_factory=list)
    compressor: Any = field(
        default_factory=lambda: zlib_ng.compressobj(_LEVEL, zlib_ng.DEFLATED, _GZIP)
    )
    digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def add(self, row: Row[Any]) -> None:
        if row.dicom_json is None:
            self.whole = False
            return
        self._put(b"," if self.instances else b"[")
        self._put(row.dicom_json.encode())
        self.instances.append(row.id)

    def write(self, connection: Connection, statement: str) -> None:
        if not self.whole:
            return
        self._put(b"]")
        values = {
            "ref": self.ref,
            "instances": sorted(self.instances),
            "etag": self.digest.hexdigest(),
            "gzip": b"".join(self.pieces) + self.compressor.flush(),
        }
        connection.exec_driver_sql(statement, values)

    def _put(self, piece: bytes) -> None:
        self.digest.update(piece)
        self.pieces.append(self.compressor.compress(piece))
