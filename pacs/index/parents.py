"""The rows above an instance: its patient, study and series, made where they are new."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import psycopg
from sqlalchemy import Connection

from pacs import events
from pacs.database.engine import cursor_of, meaning_of
from pacs.index.locks import hold_open
from pacs.index.record import Record

_MOST_REMEMBERED = 20_000

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
    series_attributes jsonb)
"""

_MODALITIES = """
coalesce(array_agg(DISTINCT {0}.modality ORDER BY {0}.modality)
  FILTER (WHERE {0}.modality <> ''), '{{}}')
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
  number_of_series, modalities, identity_conflict)
SELECT DISTINCT ON (r.study_instance_uid) p.id, r.study_instance_uid, r.patient_name,
  r.patient_name_folded, r.patient_birth_date, r.patient_sex, r.study_date, r.study_time,
  r.accession_number, r.study_id, r.study_description, r.study_description_folded,
  r.referring_physician, r.referring_physician_folded, r.study_attributes,
  c.number_of_series, c.modalities,
  r.patient_id <> '' AND (
    (r.patient_name_key <> '' AND p.name_key <> '' AND r.patient_name_key <> p.name_key)
    OR coalesce(r.patient_birth_date <> p.birth_date, false)
    OR (r.patient_sex <> '' AND p.sex <> '' AND r.patient_sex <> p.sex))
FROM {_ROWS} JOIN patients p ON (p.issuer, p.patient_id) = (r.issuer, r.patient_id)
  JOIN (SELECT r.study_instance_uid, count(DISTINCT r.series_instance_uid) AS number_of_series,
      {_MODALITIES.format("r")} AS modalities
    FROM {_ROWS} GROUP BY r.study_instance_uid) c USING (study_instance_uid)
ORDER BY r.study_instance_uid
ON CONFLICT (study_instance_uid) DO NOTHING
"""  # noqa: S608

_PATIENT_DIFFERS = """
INSERT INTO reconciliations (kind, study_ref, detail)
SELECT 'patient_differs', s.id, jsonb_build_object(
  'known', jsonb_build_object('name', p.name, 'birth_date', p.birth_date, 'sex', p.sex),
  'arrived', jsonb_build_object('name', s.patient_name, 'birth_date', s.patient_birth_date,
    'sex', s.patient_sex))
FROM studies s JOIN patients p ON p.id = s.patient_ref
WHERE s.study_instance_uid = ANY(%(uids)s) AND s.identity_conflict AND NOT EXISTS (
  SELECT FROM reconciliations x WHERE x.study_ref = s.id
    AND x.kind IN ('patient_differs', 'study_of_two_patients'))
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
"""  # noqa: S608

# Locked in one order, so that two processes that write to the same studies never wait in a ring.
_LOCK_STUDIES = """
SELECT id FROM studies WHERE study_instance_uid = ANY(%(uids)s) ORDER BY id FOR UPDATE
"""

# Of a new study this is known already, and its row stays as it was written.
_DESCRIBE_STUDIES = f"""
UPDATE studies s SET number_of_series = c.number_of_series, modalities = c.modalities
FROM (SELECT e.study_ref, count(*) AS number_of_series, {_MODALITIES.format("e")} AS modalities
    FROM series e JOIN studies t ON t.id = e.study_ref
    WHERE t.study_instance_uid = ANY(%(uids)s) AND NOT e.hidden GROUP BY e.study_ref) c
WHERE s.id = c.study_ref AND s.number_of_series <> c.number_of_series
"""  # noqa: S608

_TELL = f"{events.ARRIVED} FROM unnest(%(uids)s::text[]) AS study_instance_uid"

_KNOWN = f"""
SELECT r.study_instance_uid, r.series_instance_uid, r.issuer, r.patient_id, s.id, e.id
FROM {_ROWS} JOIN studies s USING (study_instance_uid)
  JOIN series e ON (e.study_ref, e.series_instance_uid) = (s.id, r.series_instance_uid)
"""  # noqa: S608 - no value is part of the text

_MAKE = (
    _PATIENTS,
    _STUDIES,
    _PATIENT_DIFFERS,
    _LOCK_STUDIES,
    _STUDY_OF_TWO_PATIENTS,
    _SERIES,
    _DESCRIBE_STUDIES,
    _TELL,
    _KNOWN,
)

Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Parents:
    """The ids of the rows that an instance belongs to."""

    study_ref: int
    series_ref: int


class KnownParents:
    """Remembers which series are in the index, each with the patient that its images named."""

    def __init__(self) -> None:
        self._known: OrderedDict[Key, Parents] = OrderedDict()

    def recall(self, records: Sequence[Record]) -> dict[Key, Parents] | None:
        """The parents of all records by `key_of`; None where some are not remembered."""
        found: dict[Key, Parents] = {}
        for record in records:
            key = key_of(record)
            parents = self._known.get(key)
            if parents is None:
                return None
            self._known.move_to_end(key)
            found[key] = parents
        return found

    def remember(self, parents: dict[Key, Parents]) -> None:
        """The transaction that found or made these has been committed."""
        self._known.update(parents)
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """Something of what is remembered is no longer there."""
        self._known.clear()


def key_of(record: Record) -> Key:
    """What decides on the rows above an instance."""
    header = record.header
    return (
        header.study_instance_uid,
        header.series_instance_uid,
        record.issuer,
        record.patient_id,
    )


def make_parents(connection: Connection, records: Sequence[Record]) -> dict[Key, Parents]:
    """Puts patients, studies and series into the index where they are new, and contradictions
    among them on record, and tells listeners; the parents of all records by `key_of`.

    The studies are held open. Raises DatabaseUnavailable.
    """
    distinct = {key_of(record): record for record in records}
    rows = [record.parents() for record in distinct.values()]
    uids = sorted({record.header.study_instance_uid for record in records})
    values = {"rows": orjson.dumps(rows).decode(), "uids": uids}
    cursor = cursor_of(connection)
    try:
        # Sent one after another without waiting: none of them asks what the one before it did.
        with cursor.connection.pipeline():
            hold_open(cursor, uids)
            for statement in _MAKE:
                cursor.execute(statement, values)
        found = cursor.fetchall()
    except psycopg.Error as error:
        meaning = meaning_of(error)
        if meaning is None:
            raise
        raise meaning from error
    return {
        (study_uid, series_uid, issuer, patient_id): Parents(study_ref, series_ref)
        for study_uid, series_uid, issuer, patient_id, study_ref, series_ref in found
    }
