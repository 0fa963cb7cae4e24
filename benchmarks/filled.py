"""An index filled straight in PostgreSQL: as many studies as a hospital has after years."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import orjson
import psycopg

from benchmarks.hospital import Study
from pacs.dicom.text import fold

_STEP = 20_000

_PATIENTS = "COPY patients (id, issuer, patient_id, name, name_key, birth_date, sex) FROM STDIN"
_STUDIES = """
COPY studies (id, patient_ref, study_instance_uid, patient_name, patient_name_folded,
  patient_birth_date, patient_sex, study_date, study_time, accession_number, study_id, description,
  description_folded, referring_physician, referring_physician_folded, modalities,
  number_of_series, number_of_instances, attributes, state, unsettled, arrived_at, touched_at,
  completed_at) FROM STDIN
"""
_SERIES = """
COPY series (id, study_ref, series_instance_uid, modality, series_number, description,
  description_folded, body_part, station_name, institution_name, series_date, series_time,
  number_of_instances, attributes) FROM STDIN
"""
_INSTANCES = """
INSERT INTO instances (series_ref, sop_instance_uid, sop_class_uid, instance_number,
  transfer_syntax_uid, rows, columns, number_of_frames, attributes, object_key, size,
  dataset_start, dataset_crc32, frames, source_kind, source_peer)
SELECT e.id, e.series_instance_uid || '.' || n, '1.2.840.10008.5.1.4.1.1.2', n,
  '1.2.840.10008.1.2.1', 512, 512, 1,
  jsonb_build_object(
    '00080016', jsonb_build_object('vr', 'UI', 'Value', '["1.2.840.10008.5.1.4.1.1.2"]'::jsonb),
    '00080018', jsonb_build_object('vr', 'UI', 'Value',
      jsonb_build_array(e.series_instance_uid || '.' || n)),
    '00200013', jsonb_build_object('vr', 'IS', 'Value', jsonb_build_array(n)),
    '00280010', '{"vr": "US", "Value": [512]}'::jsonb,
    '00280011', '{"vr": "US", "Value": [512]}'::jsonb),
  'filled/' || e.series_instance_uid || '/' || n, 525000, 700, 0, ARRAY[1300, 524288],
  'dimse', 'FILLED'
FROM series e, generate_series(1, %(each)s) n WHERE e.id > %(after)s
"""


def fill(url: str, studies: Iterable[Study], instances_per_series: int) -> None:
    """Put settled studies into the migrated database at `url`, with rows for their instances.

    The instances have no objects: they are there to be searched among, not to be read.
    """
    with psycopg.connect(url) as connection:
        people: dict[str, int] = dict(
            connection.execute("SELECT patient_id, id FROM patients").fetchall()
        )
        after = _last(connection, "series")
        part: list[Study] = []
        for study in studies:
            part.append(study)
            if len(part) == _STEP:
                _copy(connection, part, people, instances_per_series)
                part = []
        _copy(connection, part, people, instances_per_series)
        for table in ("patients", "studies", "series"):
            connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
            )
        connection.execute(_INSTANCES, {"each": instances_per_series, "after": after})
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _copy(
    connection: psycopg.Connection, part: list[Study], people: dict[str, int], each: int
) -> None:
    known = len(people)
    for study in part:
        people.setdefault(study.person.patient_id, len(people) + 1)
    new = {
        study.person.patient_id: study.person
        for study in part
        if people[study.person.patient_id] > known
    }
    rows = [
        (people[one.patient_id], "LOCAL", one.patient_id, one.name, _key(one.name), one.birth_date,
         one.sex)
        for one in new.values()
    ]  # fmt: skip
    _write(connection, _PATIENTS, rows)
    first, first_series = _last(connection, "studies") + 1, _last(connection, "series") + 1
    studies = [
        _study(first + number, people[study.person.patient_id], study, each)
        for number, study in enumerate(part)
    ]
    _write(connection, _STUDIES, studies)
    pairs = [
        (first + number, study, position)
        for number, study in enumerate(part)
        for position in range(len(study.series))
    ]
    series = [_one_series(first_series + number, *pair, each) for number, pair in enumerate(pairs)]
    _write(connection, _SERIES, series)


def _study(key: int, patient: int, study: Study, each: int) -> tuple[object, ...]:
    person = study.person
    attributes = {
        "00080020": _json("DA", _da(study.day)),
        "00080030": _json("TM", study.time),
        "00080050": _json("SH", study.accession_number),
        "00080090": _json("PN", {"Alphabetic": study.referrer}),
        "00081030": _json("LO", study.description),
        "00100010": _json("PN", {"Alphabetic": person.name}),
        "00100020": _json("LO", person.patient_id),
        "00100030": _json("DA", _da(person.birth_date)),
        "00100040": _json("CS", person.sex),
        "0020000D": _json("UI", study.uid),
        "00200010": _json("SH", study.study_id),
    }
    arrived = f"{study.day.isoformat()} {study.time[:2]}:{study.time[2:4]}:{study.time[4:]}+07"
    return (
        key, patient, study.uid, person.name, fold(person.name), person.birth_date, person.sex,
        study.day, study.time, study.accession_number, study.study_id, study.description,
        fold(study.description), study.referrer, fold(study.referrer), [study.modality],
        len(study.series), each * len(study.series), _text(attributes), "complete", False, arrived,
        arrived, arrived,
    )  # fmt: skip


def _one_series(
    key: int, study_key: int, study: Study, position: int, each: int
) -> tuple[object, ...]:
    uid, description = study.series[position], f"{study.modality} {position + 1}"
    attributes = {
        "00080021": _json("DA", _da(study.day)),
        "00080031": _json("TM", study.time),
        "00080060": _json("CS", study.modality),
        "0008103E": _json("LO", description),
        "00180015": _json("CS", "CHEST"),
        "0020000E": _json("UI", uid),
        "00200011": _json("IS", position + 1),
        "00400275": {
            "vr": "SQ",
            "Value": [
                {
                    "00400007": _json("LO", study.description),
                    "00400009": _json("SH", f"SPS{study.study_id}"),
                    "00401001": _json("SH", f"RP{study.study_id}"),
                }
            ],
        },
    }
    return (
        key, study_key, uid, study.modality, position + 1, description, fold(description), "CHEST",
        f"{study.modality}01", "Bệnh viện tỉnh", study.day, study.time, each, _text(attributes),
    )  # fmt: skip


def _write(
    connection: psycopg.Connection, statement: str, rows: Iterable[tuple[object, ...]]
) -> None:
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _last(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def _json(vr: str, value: object) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


def _text(attributes: dict[str, Any]) -> str:
    return orjson.dumps(attributes).decode()


def _da(day: date) -> str:
    return day.strftime("%Y%m%d")


def _key(name: str) -> str:
    return " ".join(sorted(fold(name).split()))
