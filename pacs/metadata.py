"""DICOM JSON of stored instances (PS3.18 F), made from their headers.

A job writes it down once a study has settled (pacs.documents); for those who ask earlier it is made
on the spot. No pixel is read for either.
"""

import logging
from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, Row, select

from pacs.archive import Archive
from pacs.dicom.header import read_attributes
from pacs.dicom.json import DataSet, to_json, to_json_text
from pacs.dicom.layout import HeadTooShort
from pacs.index.tables import instance_metadata, instances, studies
from pacs.index.tables import series as all_series
from storage.errors import ObjectNotFound

log = logging.getLogger(__name__)

HEAD_BYTES = 64 << 10
_LARGER_HEAD = 16
_AT_ONCE = 200
_UIDS = (0x0020000D, 0x0020000E, 0x00080018)

_WRITE = """
INSERT INTO instance_metadata (instance_ref, dicom_json)
SELECT r.id, r.dicom_json FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(id bigint, dicom_json text)
ON CONFLICT DO NOTHING
"""


def dicom_json(archive: Archive, object_key: str, size: int) -> str:
    """All attributes of an object as one line of JSON, bulk data as URIs. Raises StoreError."""
    dataset = header_of(archive, object_key, size)
    return to_json_text(to_json(dataset, bulk_data_uri(dataset)))


def header_of(archive: Archive, object_key: str, size: int) -> DataSet:
    """An object's attributes up to its pixels.

    Reads its beginning, and more of it only where the header goes on. Raises StoreError.
    """
    length = HEAD_BYTES
    while True:
        head = archive.store.read(object_key, 0, min(length, size))
        try:
            return read_attributes(head, archive.settings.max_object_bytes, size)
        except HeadTooShort:
            length *= _LARGER_HEAD


def bulk_data_uri(dataset: DataSet) -> str:
    """What the URIs of an instance's bulk data begin with.

    A reference without scheme and host (RFC 3986 4.2) means the same in the metadata of a study,
    a series and an instance, under whatever name clients reach this server.
    """
    study, series, instance = map(dataset.text, _UIDS)
    return f"/dicomweb/studies/{study}/series/{series}/instances/{instance}/bulkdata"


def describe_instances(archive: Archive, study: str, series: str | None = None) -> int:
    """Writes down the metadata of those instances of a study or series that lack; how many.

    Idempotent; what it has done stays done where it ends early. Raises StoreUnavailable.
    """
    done = 0
    with archive.engine.connect() as connection:
        missing = _undescribed(connection, study, series)
    for at in range(0, len(missing), _AT_ONCE):
        rows = _describe(archive, missing[at : at + _AT_ONCE])
        with archive.engine.begin() as connection:
            connection.exec_driver_sql(_WRITE, {"rows": orjson.dumps(rows).decode()})
        done += len(rows)
    return done


def _describe(archive: Archive, missing: Sequence[Row[int, str, int]]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for identity, object_key, size in missing:
        try:
            rows.append({"id": identity, "dicom_json": dicom_json(archive, object_key, size)})
        except ObjectNotFound:
            log.error("%s is indexed but not in the object store: run `pacs scrub`", object_key)
    return rows


def _undescribed(
    connection: Connection, study: str, series: str | None
) -> Sequence[Row[int, str, int]]:
    statement = (
        select(instances.c.id, instances.c.object_key, instances.c.size)
        .select_from(instances.join(all_series).join(studies).outerjoin(instance_metadata))
        .where(
            studies.c.study_instance_uid == study,
            instance_metadata.c.instance_ref.is_(None),
        )
        .order_by(instances.c.id)
    )
    if series is not None:
        statement = statement.where(all_series.c.series_instance_uid == series)
    return connection.execute(statement).all()
