"""The statements that put instances into the index."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import psycopg
from psycopg import Cursor
from sqlalchemy import Connection

from pacs import events
from pacs.database.engine import cursor_of, meaning_of
from pacs.index.counts import count_instances
from pacs.index.locks import STUDY_LOCKS, lock_of
from pacs.index.parents import Key, Parents, key_of
from pacs.index.record import Record

log = logging.getLogger(__name__)

Outcome = Literal["stored", "duplicate", "conflict"]

_COLUMNS = (
    "series_ref, sop_instance_uid, sop_class_uid, instance_number, transfer_syntax_uid, rows, "
    "columns, number_of_frames, attributes, object_key, size, dataset_start, dataset_crc32, "
    "frames, version, source_kind, source_peer"
)

# Studies in which something is new; looked for in hidden ones alone.
_FRESH = "ARRAY(SELECT touches FROM arrived JOIN new USING (sop_instance_uid))"

# One statement, so that it needs no transaction around it: one round trip, one fsync. A study is
# not marked as touched each time, as that changes an indexed column of a row with many indexes.
_INSERT = f"""
WITH arrived AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
    series_ref bigint, sop_instance_uid text, sop_class_uid text, instance_number int,
    transfer_syntax_uid text, rows int, columns int, number_of_frames int, attributes jsonb,
    object_key text, size bigint, dataset_start int, dataset_crc32 bigint, frames bigint[],
    version smallint, source_kind text, source_peer text, lock int, touches bigint)),
locked AS MATERIALIZED (
  SELECT pg_advisory_xact_lock_shared({STUDY_LOCKS}, lock)
  FROM (SELECT DISTINCT lock FROM arrived) AS studies),
new AS (
  INSERT INTO instances ({_COLUMNS})
  SELECT {_COLUMNS} FROM arrived WHERE (SELECT count(*) FROM locked) > 0
  ON CONFLICT DO NOTHING
  RETURNING sop_instance_uid, series_ref),
touched AS (
  UPDATE studies SET unsettled = true, touched_at = clock_timestamp(),
    hidden = hidden AND NOT id = ANY({_FRESH})
  WHERE id = ANY(ARRAY(SELECT DISTINCT touches FROM arrived))
    AND (SELECT count(*) FROM locked) > 0
    AND (NOT unsettled OR touched_at < clock_timestamp() - make_interval(secs => %(pause)s)
      OR hidden AND id = ANY({_FRESH}))
  RETURNING study_instance_uid),
shown AS (
  UPDATE series SET hidden = false
  WHERE hidden AND id = ANY(ARRAY(SELECT DISTINCT series_ref FROM new)))
SELECT sop_instance_uid FROM new
UNION ALL
({events.ARRIVED} FROM touched)
"""  # noqa: S608 - no value is part of the text

_EXISTING = """
SELECT i.id, i.sop_instance_uid, i.object_key, i.size, i.dataset_start, i.dataset_crc32, i.version,
  i.rejection_ref, s.id AS study_ref, s.study_instance_uid
FROM instances i JOIN series e ON e.id = i.series_ref JOIN studies s ON s.id = e.study_ref
WHERE i.sop_instance_uid = %(uid)s AND (i.current OR i.rejection_ref IS NOT NULL) FOR UPDATE OF i
"""

_SUPERSEDE = "UPDATE instances SET current = false, rejection_ref = NULL WHERE id = %(instance)s"

_NOTE_CHANGE = """
INSERT INTO reconciliations (kind, study_ref, sop_instance_uid, detail)
SELECT %(kind)s, s.id, %(uid)s, %(detail)s::jsonb
FROM studies s WHERE s.study_instance_uid = %(study)s
"""


@dataclass(frozen=True, slots=True)
class ExistingInstance:
    """What the index holds under a SOP Instance UID that has arrived again."""

    id: int
    sop_instance_uid: str
    object_key: str
    size: int
    dataset_start: int
    dataset_crc32: int
    version: int
    study_ref: int
    study_instance_uid: str
    rejection_ref: int | None


class LostRace(Exception):
    """Another process changed what we had looked at before we wrote: try again."""


SameBytes = Callable[[ExistingInstance, Record], bool]


def insert(
    cursor: Cursor[tuple[str]],
    records: Sequence[Record],
    parents: Mapping[Key, Parents],
    *,
    touch_pause: float,
    version: int = 1,
) -> set[str]:
    """Writes the rows of instances, as one statement; the SOP Instance UIDs that were new.

    By psycopg's own cursor, one for many batches: what is around it elsewhere costs as much as the
    statement itself. No UID may come twice. Studies that were last touched over `touch_pause`
    seconds ago are touched, and listeners told of them; results of an AI touch nothing.
    """
    rows = [_row(record, parents[key_of(record)], version) for record in records]
    rows.sort(key=lambda row: row["sop_instance_uid"])
    values = {"rows": orjson.dumps(rows).decode(), "pause": touch_pause}
    try:
        return {uid for (uid,) in cursor.execute(_INSERT, values)}
    except psycopg.Error as error:
        meaning = meaning_of(error)
        if meaning is None:
            raise
        raise meaning from error


def insert_again(
    connection: Connection,
    record: Record,
    parents: Mapping[Key, Parents],
    same_bytes: SameBytes,
    *,
    touch_pause: float,
) -> Outcome:
    """Decides on an instance whose UID is in the index already. Raises LostRace."""
    uid = record.header.sop_instance_uid
    row = connection.exec_driver_sql(_EXISTING, {"uid": uid}).one_or_none()
    if row is None:
        raise LostRace
    known = ExistingInstance(**row._mapping)
    if known.object_key == record.stored.object_key:
        return "stored"  # by a try of ours whose end we did not hear of
    if same_bytes(known, record):
        if known.rejection_ref is not None:
            log.info(
                "%s came again from %s and stays hidden by rejection %d",
                known.object_key,
                record.stored.source_peer,
                known.rejection_ref,
            )
        return "duplicate"
    connection.exec_driver_sql(_SUPERSEDE, {"instance": known.id})
    cursor = cursor_of(connection)
    if not insert(cursor, [record], parents, touch_pause=touch_pause, version=known.version + 1):
        raise LostRace
    _note_change(connection, known, record)
    count_instances(connection, [known.study_ref, parents[key_of(record)].study_ref])
    return "conflict"


def _row(record: Record, parents: Parents, version: int) -> dict[str, Any]:
    row = record.instance(parents.series_ref, version)
    row["lock"] = lock_of(record.header.study_instance_uid)
    row["touches"] = None if record.stored.source_kind == "ai" else parents.study_ref
    return row


def _note_change(connection: Connection, known: ExistingInstance, record: Record) -> None:
    moved = known.study_instance_uid != record.header.study_instance_uid
    detail = {
        "kept": {
            "object_key": known.object_key,
            "version": known.version,
            "rejection": known.rejection_ref,
        },
        "arrived": {"object_key": record.stored.object_key, "from": record.stored.source_peer},
        "known_study": known.study_instance_uid,
    }
    connection.exec_driver_sql(
        _NOTE_CHANGE,
        {
            "kind": "instance_of_two_studies" if moved else "instance_changed",
            "uid": record.header.sop_instance_uid,
            "detail": orjson.dumps(detail).decode(),
            "study": record.header.study_instance_uid,
        },
    )
