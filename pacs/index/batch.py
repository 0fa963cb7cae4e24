"""The statements that put a batch of instances into the index, set by set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from sqlalchemy import Connection

from pacs import events, jobs
from pacs.index.record import Record

Outcome = Literal["stored", "duplicate", "conflict"]

_ROWS = """
  jsonb_to_recordset(%(rows)s::jsonb) AS r(
    issuer text, patient_id text, patient_name text, patient_name_folded text,
    patient_name_key text, patient_birth_date date, patient_sex text,
    study_instance_uid text, study_date date, study_time time, accession_number text,
    study_id text, study_description text, study_description_folded text,
    referring_physician text, referring_physician_folded text, study_attributes jsonb,
    series_instance_uid text, modality text, series_number int, series_description text,
    series_description_folded text, body_part text, station_name text, institution_name text,
    series_date date, series_time time, performed_date date, performed_time time,
    series_attributes jsonb, sop_instance_uid text, sop_class_uid text, instance_number int,
    transfer_syntax_uid text, rows int, columns int, number_of_frames int,
    instance_attributes jsonb, dicom_json text, dataset_start int, frames bigint[],
    object_key text, size bigint, dataset_crc32 bigint, source_kind text, source_peer text,
    version smallint)
"""

_PATIENTS = f"""
INSERT INTO patients (issuer, patient_id, name, name_key, birth_date, sex)
SELECT DISTINCT ON (issuer, patient_id)
  issuer, patient_id, patient_name, patient_name_key, patient_birth_date, patient_sex
FROM {_ROWS} ORDER BY issuer, patient_id
ON CONFLICT DO NOTHING
"""  # noqa: S608 - no value is part of the text

# Of one patient ID, another name, birth date or sex is for a person to look at. An empty patient
# ID says nothing about who it is, and an attribute that is empty on one side contradicts nothing.
_STUDIES = f"""
INSERT INTO studies (patient_ref, study_instance_uid, patient_name, patient_name_folded,
  patient_birth_date, patient_sex, study_date, study_time, accession_number, study_id, description,
  description_folded, referring_physician, referring_physician_folded, attributes,
  identity_conflict)
SELECT DISTINCT ON (r.study_instance_uid) p.id, r.study_instance_uid, r.patient_name,
  r.patient_name_folded, r.patient_birth_date, r.patient_sex, r.study_date, r.study_time,
  r.accession_number, r.study_id, r.study_description, r.study_description_folded,
  r.referring_physician, r.referring_physician_folded, r.study_attributes,
  r.patient_id <> '' AND (
    (r.patient_name_key <> '' AND p.name_key <> '' AND r.patient_name_key <> p.name_key)
    OR coalesce(r.patient_birth_date <> p.birth_date, false)
    OR (r.patient_sex <> '' AND p.sex <> '' AND r.patient_sex <> p.sex))
FROM {_ROWS} JOIN patients p ON (p.issuer, p.patient_id) = (r.issuer, r.patient_id)
ORDER BY r.study_instance_uid
ON CONFLICT (study_instance_uid) DO NOTHING
RETURNING id
"""  # noqa: S608

_PATIENT_DIFFERS = """
INSERT INTO reconciliations (kind, study_ref, detail)
SELECT 'patient_differs', s.id, jsonb_build_object(
  'known', jsonb_build_object('name', p.name, 'birth_date', p.birth_date, 'sex', p.sex),
  'arrived', jsonb_build_object('name', s.patient_name, 'birth_date', s.patient_birth_date,
    'sex', s.patient_sex))
FROM studies s JOIN patients p ON p.id = s.patient_ref
WHERE s.id = ANY(%(studies)s) AND s.identity_conflict
"""

_STUDY_OF_TWO_PATIENTS = f"""
WITH other AS (
  SELECT DISTINCT s.id, r.issuer, r.patient_id, r.patient_name, p.issuer AS known_issuer,
    p.patient_id AS known_id
  FROM {_ROWS} JOIN studies s USING (study_instance_uid) JOIN patients p ON p.id = s.patient_ref
  WHERE (r.issuer, r.patient_id) <> (p.issuer, p.patient_id)),
noted AS (
  INSERT INTO reconciliations (kind, study_ref, detail)
  SELECT 'study_of_two_patients', o.id, jsonb_build_object(
    'known', jsonb_build_object('issuer', o.known_issuer, 'id', o.known_id),
    'arrived', jsonb_build_object('issuer', o.issuer, 'id', o.patient_id, 'name', o.patient_name))
  FROM other o WHERE NOT EXISTS (
    SELECT FROM reconciliations x WHERE x.study_ref = o.id AND x.kind = 'study_of_two_patients'
      AND x.resolved_at IS NULL
      AND x.detail -> 'arrived' ->> 'issuer' = o.issuer
      AND x.detail -> 'arrived' ->> 'id' = o.patient_id)
  RETURNING study_ref)
UPDATE studies SET identity_conflict = true WHERE id IN (SELECT study_ref FROM noted)
"""  # noqa: S608

_SERIES = f"""
INSERT INTO series (study_ref, series_instance_uid, modality, series_number, description,
  description_folded, body_part, station_name, institution_name, series_date, series_time,
  performed_date, performed_time, attributes)
SELECT DISTINCT ON (s.id, r.series_instance_uid) s.id, r.series_instance_uid, r.modality,
  r.series_number, r.series_description, r.series_description_folded, r.body_part, r.station_name,
  r.institution_name, r.series_date, r.series_time, r.performed_date, r.performed_time,
  r.series_attributes
FROM {_ROWS} JOIN studies s USING (study_instance_uid)
ORDER BY s.id, r.series_instance_uid
ON CONFLICT (study_ref, series_instance_uid) DO NOTHING
RETURNING study_ref
"""  # noqa: S608

_INSTANCES = f"""
WITH new AS (
  INSERT INTO instances (series_ref, sop_instance_uid, sop_class_uid, instance_number,
    transfer_syntax_uid, rows, columns, number_of_frames, attributes, object_key, size,
    dataset_start, dataset_crc32, frames, version, source_kind, source_peer)
  SELECT e.id, r.sop_instance_uid, r.sop_class_uid, r.instance_number, r.transfer_syntax_uid,
    r.rows, r.columns, r.number_of_frames, r.instance_attributes, r.object_key, r.size,
    r.dataset_start, r.dataset_crc32, r.frames, r.version, r.source_kind, r.source_peer
  FROM {_ROWS} JOIN studies s USING (study_instance_uid)
    JOIN series e ON (e.study_ref, e.series_instance_uid) = (s.id, r.series_instance_uid)
  ORDER BY r.sop_instance_uid
  ON CONFLICT DO NOTHING
  RETURNING id, series_ref, sop_instance_uid),
described AS (
  INSERT INTO instance_metadata (instance_ref, dicom_json)
  SELECT n.id, r.dicom_json FROM new n JOIN {_ROWS} USING (sop_instance_uid))
SELECT sop_instance_uid FROM new
"""  # noqa: S608

_EXISTING = """
SELECT i.id, i.sop_instance_uid, i.object_key, i.size, i.dataset_start, i.dataset_crc32, i.version,
  s.id AS study_ref, s.study_instance_uid, e.id AS series_ref
FROM instances i JOIN series e ON e.id = i.series_ref JOIN studies s ON s.id = e.study_ref
WHERE i.sop_instance_uid = ANY(%(uids)s) AND i.current
ORDER BY i.sop_instance_uid FOR UPDATE OF i
"""

_SUPERSEDE = """
WITH old AS (
  UPDATE instances SET current = false WHERE id = %(instance)s RETURNING series_ref),
shorter AS (
  UPDATE series SET number_of_instances = number_of_instances - 1
  FROM old WHERE id = old.series_ref RETURNING study_ref)
UPDATE studies SET number_of_instances = number_of_instances - 1
FROM shorter WHERE id = shorter.study_ref
"""

_NOTE_CHANGE = """
INSERT INTO reconciliations (kind, study_ref, sop_instance_uid, detail)
SELECT %(kind)s, s.id, %(uid)s, %(detail)s::jsonb
FROM studies s WHERE s.study_instance_uid = %(study)s
"""

# Locked in one order, so that two processes that write to the same studies never wait in a ring.
_LOCK_STUDIES = """
SELECT id FROM studies WHERE study_instance_uid = ANY(%(uids)s) ORDER BY id FOR UPDATE
"""

_COUNT = f"""
WITH arrived AS (
  SELECT s.id AS study_ref, e.id AS series_ref, count(*) AS instances,
    bool_or(r.source_kind <> 'ai') AS touched
  FROM {_ROWS} JOIN studies s USING (study_instance_uid)
    JOIN series e ON (e.study_ref, e.series_instance_uid) = (s.id, r.series_instance_uid)
  GROUP BY s.id, e.id),
counted AS (
  UPDATE series SET number_of_instances = number_of_instances + a.instances
  FROM arrived a WHERE series.id = a.series_ref)
UPDATE studies s SET
  number_of_instances = s.number_of_instances + a.instances,
  number_of_series = (SELECT count(*) FROM series e WHERE e.study_ref = s.id),
  modalities = ARRAY(SELECT DISTINCT e.modality FROM series e
    WHERE e.study_ref = s.id AND e.modality <> '' ORDER BY e.modality),
  touched_at = CASE WHEN a.touched THEN now() ELSE s.touched_at END,
  unsettled = s.unsettled OR a.touched
FROM (SELECT study_ref, sum(instances) AS instances, bool_or(touched) AS touched
      FROM arrived GROUP BY study_ref) a
WHERE s.id = a.study_ref
"""  # noqa: S608


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
    series_ref: int


class LostRace(Exception):
    """Another process wrote one of the instances between our look and our insert: try again."""


SameBytes = Callable[[ExistingInstance, Record], bool]


def write_batch(
    connection: Connection, records: Sequence[Record], same_bytes: SameBytes, *, upload: bool
) -> dict[str, Outcome]:
    """Writes rows, counters, jobs and events of `records` in the caller's transaction.

    No SOP Instance UID may come twice. `upload`: objects are in a spool, and a job takes each to
    the remote store. Returns the outcome by SOP Instance UID. Raises LostRace.
    """
    existing = _existing(connection, records)
    outcomes: dict[str, Outcome] = {}
    rows = []
    for record in sorted(records, key=lambda record: record.sop_instance_uid):
        known = existing.get(record.sop_instance_uid)
        if known is None:
            outcomes[record.sop_instance_uid] = "stored"
            rows.append(record.as_row() | {"version": 1})
        elif same_bytes(known, record):
            outcomes[record.sop_instance_uid] = "duplicate"
        else:
            outcomes[record.sop_instance_uid] = "conflict"
            connection.exec_driver_sql(_SUPERSEDE, {"instance": known.id})
            rows.append(record.as_row() | {"version": known.version + 1})
    if not rows:
        return outcomes
    inserted = _insert(connection, rows)
    if len(inserted) < len(rows):
        raise LostRace
    for record in records:
        if outcomes[record.sop_instance_uid] == "conflict":
            _note_change(connection, existing[record.sop_instance_uid], record)
    if upload:
        jobs.defer_uploads(connection, [row["object_key"] for row in rows])
    for study_instance_uid in sorted({row["study_instance_uid"] for row in rows}):
        events.notify(connection, study_instance_uid, "arrived")
    return outcomes


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> set[str]:
    values = {"rows": orjson.dumps(rows).decode()}
    connection.exec_driver_sql(_PATIENTS, values)
    new_studies = connection.exec_driver_sql(_STUDIES, values).scalars().all()
    if new_studies:
        connection.exec_driver_sql(_PATIENT_DIFFERS, {"studies": list(new_studies)})
    uids = sorted({row["study_instance_uid"] for row in rows})
    connection.exec_driver_sql(_LOCK_STUDIES, {"uids": uids})
    connection.exec_driver_sql(_STUDY_OF_TWO_PATIENTS, values)
    connection.exec_driver_sql(_SERIES, values)
    inserted = set(connection.exec_driver_sql(_INSTANCES, values).scalars())
    connection.exec_driver_sql(_COUNT, values)
    return inserted


def _existing(connection: Connection, records: Sequence[Record]) -> dict[str, ExistingInstance]:
    uids = [record.sop_instance_uid for record in records]
    rows = connection.exec_driver_sql(_EXISTING, {"uids": uids})
    return {row.sop_instance_uid: ExistingInstance(**row._mapping) for row in rows}


def _note_change(connection: Connection, known: ExistingInstance, record: Record) -> None:
    moved = known.study_instance_uid != record.study_instance_uid
    detail = {
        "kept": {"object_key": known.object_key, "version": known.version},
        "arrived": {"object_key": record.object_key, "from": record.source_peer},
        "known_study": known.study_instance_uid,
    }
    connection.exec_driver_sql(
        _NOTE_CHANGE,
        {
            "kind": "instance_of_two_studies" if moved else "instance_changed",
            "uid": record.sop_instance_uid,
            "detail": orjson.dumps(detail).decode(),
            "study": record.study_instance_uid,
        },
    )
