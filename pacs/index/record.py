"""An object's header as rows of the index."""

import re
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from pacs.dicom.header import Header
from pacs.dicom.json import DataSet
from pacs.dicom.text import fold, fold_name
from pacs.index.attributes import (
    IMAGE_ATTRIBUTES,
    SERIES_ATTRIBUTES,
    STUDY_ATTRIBUTES,
)

_DATE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})$")
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6}))?$")
_MAX_TEXT = 1024
_INT32 = range(-(2**31), 2**31)

_ISSUER, _PATIENT_ID, _PATIENT_NAME = 0x00100021, 0x00100020, 0x00100010
_REFERRING_PHYSICIAN, _STUDY_DESCRIPTION, _SERIES_DESCRIPTION = 0x00080090, 0x00081030, 0x0008103E


def _tags(attributes: frozenset[str]) -> frozenset[int]:
    return frozenset(int(tag, 16) for tag in attributes)


_OF_STUDY = _tags(STUDY_ATTRIBUTES)
_OF_SERIES = _tags(SERIES_ATTRIBUTES)
_OF_IMAGE = _tags(IMAGE_ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the object's bytes are and who brought them."""

    object_key: str
    size: int
    dataset_crc32: int
    source_kind: str
    source_peer: str


@dataclass(frozen=True, slots=True)
class Record:
    """One instance on its way into the index; the rows above it are made only when asked for.

    Values that are no dates, times or numbers are taken as unknown.
    """

    header: Header
    stored: Stored
    issuer: str
    patient_id: str

    def parents(self) -> dict[str, Any]:
        """What its patient, study and series are given where they are new; names are columns."""
        ds = self.header.dataset
        name, description = _text(ds, _PATIENT_NAME), _text(ds, _STUDY_DESCRIPTION)
        referring = _text(ds, _REFERRING_PHYSICIAN)
        series_description = _text(ds, _SERIES_DESCRIPTION)
        return {
            "issuer": self.issuer,
            "patient_id": self.patient_id,
            "patient_name": name,
            "patient_name_folded": fold_name(name),
            "patient_name_key": " ".join(sorted(fold(name).split())),
            "patient_birth_date": _date(ds, 0x00100030),
            "patient_sex": _text(ds, 0x00100040),
            "study_instance_uid": self.header.study_instance_uid,
            "study_date": _date(ds, 0x00080020),
            "study_time": _time(ds, 0x00080030),
            "accession_number": _text(ds, 0x00080050),
            "study_id": _text(ds, 0x00200010),
            "study_description": description,
            "study_description_folded": fold(description),
            "referring_physician": referring,
            "referring_physician_folded": fold_name(referring),
            "study_attributes": ds.model(_OF_STUDY),
            "series_instance_uid": self.header.series_instance_uid,
            "modality": _text(ds, 0x00080060),
            "series_number": _integer(ds, 0x00200011),
            "series_description": series_description,
            "series_description_folded": fold(series_description),
            "body_part": _text(ds, 0x00180015),
            "station_name": _text(ds, 0x00081010),
            "institution_name": _text(ds, 0x00080080),
            "series_date": _date(ds, 0x00080021),
            "series_time": _time(ds, 0x00080031),
            "performed_date": _date(ds, 0x00400244),
            "performed_time": _time(ds, 0x00400245),
            "series_attributes": ds.model(_OF_SERIES),
        }

    def instance(self, series_ref: int, version: int) -> dict[str, Any]:
        """Its own row, by column."""
        header, stored = self.header, self.stored
        ds = header.dataset
        return {
            "series_ref": series_ref,
            "sop_instance_uid": header.sop_instance_uid,
            "sop_class_uid": header.sop_class_uid,
            "instance_number": _integer(ds, 0x00200013),
            "transfer_syntax_uid": header.file_meta.transfer_syntax_uid,
            "rows": _integer(ds, 0x00280010),
            "columns": _integer(ds, 0x00280011),
            "number_of_frames": header.number_of_frames,
            "attributes": ds.model(_OF_IMAGE),
            "object_key": stored.object_key,
            "size": stored.size,
            "dataset_start": header.file_meta.dataset_start,
            "dataset_crc32": stored.dataset_crc32,
            "frames": [value for frame in header.frames for value in frame],
            "version": version,
            "source_kind": stored.source_kind,
            "source_peer": stored.source_peer,
        }


def record_of(header: Header, stored: Stored, default_issuer: str) -> Record:
    """The object as the index takes it in."""
    ds = header.dataset
    return Record(header, stored, _text(ds, _ISSUER) or default_issuer, _text(ds, _PATIENT_ID))


def _text(ds: DataSet, tag: int) -> str:
    # A value cut here stays whole in the object and its metadata.
    return ds.text(tag)[:_MAX_TEXT]


def _integer(ds: DataSet, tag: int) -> int | None:
    value = ds.integer(tag)
    return value if value is not None and value in _INT32 else None


def _date(ds: DataSet, tag: int) -> str | None:
    found = _DATE.match(_text(ds, tag))
    if not found:
        return None
    try:
        return date(*map(int, found.groups())).isoformat()
    except ValueError:
        return None


def _time(ds: DataSet, tag: int) -> str | None:
    found = _TIME.match(_text(ds, tag))
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
