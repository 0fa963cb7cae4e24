"""An object's header as rows of the index."""

import re
from dataclasses import asdict, dataclass
from datetime import date, time
from typing import Any

from pydicom import Dataset

from pacs.dicom.header import Header
from pacs.dicom.json import to_json, to_json_text
from pacs.dicom.text import fold, fold_name, normal
from pacs.index.attributes import (
    IMAGE_ATTRIBUTES,
    SERIES_ATTRIBUTES,
    STUDY_ATTRIBUTES,
)

_DATE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})$")
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6}))?$")
_MAX_TEXT = 1024
_INT32 = range(-(2**31), 2**31)


@dataclass(frozen=True)
class Stored:
    """Where the object's bytes are and who brought them."""

    object_key: str
    size: int
    dataset_crc32: int
    source_kind: str
    source_peer: str


@dataclass(frozen=True)
class Record:
    """One instance with what its study and series need; names are those of the columns."""

    issuer: str
    patient_id: str
    patient_name: str
    patient_name_folded: str
    patient_name_key: str
    patient_birth_date: str | None
    patient_sex: str
    study_instance_uid: str
    study_date: str | None
    study_time: str | None
    accession_number: str
    study_id: str
    study_description: str
    study_description_folded: str
    referring_physician: str
    referring_physician_folded: str
    study_attributes: dict[str, Any]
    series_instance_uid: str
    modality: str
    series_number: int | None
    series_description: str
    series_description_folded: str
    body_part: str
    station_name: str
    institution_name: str
    series_date: str | None
    series_time: str | None
    performed_date: str | None
    performed_time: str | None
    series_attributes: dict[str, Any]
    sop_instance_uid: str
    sop_class_uid: str
    instance_number: int | None
    transfer_syntax_uid: str
    rows: int | None
    columns: int | None
    number_of_frames: int
    instance_attributes: dict[str, Any]
    dicom_json: str
    dataset_start: int
    frames: list[int]
    object_key: str
    size: int
    dataset_crc32: int
    source_kind: str
    source_peer: str

    def as_row(self) -> dict[str, Any]:
        """The record as JSON-able values for one set-based statement."""
        return asdict(self)


def record_of(header: Header, stored: Stored, default_issuer: str) -> Record:
    """The rows of an object. Values that are no dates, times or numbers are taken as unknown."""
    ds = header.dataset
    model = to_json(ds)
    name, description = _text(ds, "PatientName"), _text(ds, "StudyDescription")
    referring, series_description = (
        _text(ds, "ReferringPhysicianName"),
        _text(ds, "SeriesDescription"),
    )
    return Record(
        issuer=_text(ds, "IssuerOfPatientID") or default_issuer,
        patient_id=_text(ds, "PatientID"),
        patient_name=name,
        patient_name_folded=fold_name(name),
        patient_name_key=" ".join(sorted(fold(name).split())),
        patient_birth_date=_date(ds, "PatientBirthDate"),
        patient_sex=_text(ds, "PatientSex"),
        study_instance_uid=_text(ds, "StudyInstanceUID"),
        study_date=_date(ds, "StudyDate"),
        study_time=_time(ds, "StudyTime"),
        accession_number=_text(ds, "AccessionNumber"),
        study_id=_text(ds, "StudyID"),
        study_description=description,
        study_description_folded=fold(description),
        referring_physician=referring,
        referring_physician_folded=fold_name(referring),
        study_attributes=_only(model, STUDY_ATTRIBUTES),
        series_instance_uid=_text(ds, "SeriesInstanceUID"),
        modality=_text(ds, "Modality"),
        series_number=_integer(ds, "SeriesNumber"),
        series_description=series_description,
        series_description_folded=fold(series_description),
        body_part=_text(ds, "BodyPartExamined"),
        station_name=_text(ds, "StationName"),
        institution_name=_text(ds, "InstitutionName"),
        series_date=_date(ds, "SeriesDate"),
        series_time=_time(ds, "SeriesTime"),
        performed_date=_date(ds, "PerformedProcedureStepStartDate"),
        performed_time=_time(ds, "PerformedProcedureStepStartTime"),
        series_attributes=_only(model, SERIES_ATTRIBUTES),
        sop_instance_uid=_text(ds, "SOPInstanceUID"),
        sop_class_uid=_text(ds, "SOPClassUID"),
        instance_number=_integer(ds, "InstanceNumber"),
        transfer_syntax_uid=header.file_meta.transfer_syntax_uid,
        rows=_integer(ds, "Rows"),
        columns=_integer(ds, "Columns"),
        number_of_frames=header.number_of_frames,
        instance_attributes=_only(model, IMAGE_ATTRIBUTES),
        dicom_json=to_json_text(model),
        dataset_start=header.file_meta.dataset_start,
        frames=[value for frame in header.frames for value in frame],
        object_key=stored.object_key,
        size=stored.size,
        dataset_crc32=stored.dataset_crc32,
        source_kind=stored.source_kind,
        source_peer=stored.source_peer,
    )


def _only(model: dict[str, Any], tags: frozenset[str]) -> dict[str, Any]:
    return {tag: value for tag, value in model.items() if tag in tags}


def _text(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    # A value cut here stays whole in the object and its metadata.
    return "" if value is None else normal(str(value))[:_MAX_TEXT]


def _integer(ds: Dataset, keyword: str) -> int | None:
    try:
        value = int(ds.get(keyword))
    except (TypeError, ValueError):
        return None
    return value if value in _INT32 else None


def _date(ds: Dataset, keyword: str) -> str | None:
    found = _DATE.match(_text(ds, keyword))
    if not found:
        return None
    try:
        return date(*map(int, found.groups())).isoformat()
    except ValueError:
        return None


def _time(ds: Dataset, keyword: str) -> str | None:
    found = _TIME.match(_text(ds, keyword))
    if not found:
        return None
    hour, minute, second, fraction = found.groups()
    try:
        return time(
            int(hour),
            int(minute or 0),
            min(int(second or 0), 59),
            int((fraction or "0").ljust(6, "0")),
        ).isoformat()
    except ValueError:
        return None
