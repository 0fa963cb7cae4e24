"""The attributes that queries are answered from, by level (PS3.4 C.6.1.1, PS3.18 10.6.1.2).

Those with a column are matched by it; the others in the level's `attributes`, which is slower.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique
from functools import lru_cache
from typing import Literal, get_args

from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword

from pacs.errors import PacsError

Level = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]
LEVELS: tuple[Level, ...] = get_args(Level)


class QueryError(PacsError):
    """A query that cannot be answered; says which attribute and why."""

    def __init__(self, tag: str, reason: str) -> None:
        super().__init__(f"{tag}: {reason}")
        self.tag = tag


@unique
class Matching(Enum):
    """How a key of an attribute selects (PS3.4 C.2.2.2)."""

    UID = "single value or list of UIDs"
    EXACT = "single value or wildcard, as written"
    FOLDED = "single value or wildcard, without regard to case and diacritics"
    NAME = "the same, in any component group of a person's name"
    DATE = "single day or range of days"
    TIME = "single time or range of times"
    DATETIME = "single moment or range of moments"
    NUMBER = "single number"
    MODALITIES = "any of the study's modalities"
    CLASSES = "any of the study's SOP classes"


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute that can be matched: by the column, or what else `sql` names, of its level."""

    level: Level
    sql: str
    matching: Matching


# Counted while a study arrives; once it has settled, its rows know.
INSTANCES_OF_STUDY = """CASE WHEN studies.unsettled THEN (SELECT count(*)
  FROM series e JOIN instances i ON i.series_ref = e.id WHERE e.study_ref = studies.id AND i.current
) ELSE studies.number_of_instances END"""
INSTANCES_OF_SERIES = """CASE WHEN studies.unsettled THEN (SELECT count(*)
  FROM instances i WHERE i.series_ref = series.id AND i.current
) ELSE series.number_of_instances END"""

SOP_CLASSES_IN_STUDY = """ARRAY(SELECT DISTINCT i.sop_class_uid FROM series e
  JOIN instances i ON i.series_ref = e.id
  WHERE e.study_ref = studies.id AND i.current ORDER BY 1)"""

KEYS: Mapping[str, Key] = {
    "00100010": Key("STUDY", "studies.patient_name_folded", Matching.NAME),
    "00100020": Key("STUDY", "patients.patient_id", Matching.EXACT),
    "00100021": Key("STUDY", "patients.issuer", Matching.EXACT),
    "00100030": Key("STUDY", "studies.patient_birth_date", Matching.DATE),
    "00100040": Key("STUDY", "studies.patient_sex", Matching.EXACT),
    "0020000D": Key("STUDY", "studies.study_instance_uid", Matching.UID),
    "00080020": Key("STUDY", "studies.study_date", Matching.DATE),
    "00080030": Key("STUDY", "studies.study_time", Matching.TIME),
    "00080050": Key("STUDY", "studies.accession_number", Matching.EXACT),
    "00200010": Key("STUDY", "studies.study_id", Matching.EXACT),
    "00081030": Key("STUDY", "studies.description_folded", Matching.FOLDED),
    "00080090": Key("STUDY", "studies.referring_physician_folded", Matching.NAME),
    "00080056": Key("STUDY", "'ONLINE'", Matching.EXACT),
    "00080061": Key("STUDY", "studies.modalities", Matching.MODALITIES),
    "00080062": Key("STUDY", SOP_CLASSES_IN_STUDY, Matching.CLASSES),
    "00201206": Key("STUDY", "studies.number_of_series", Matching.NUMBER),
    "00201208": Key("STUDY", INSTANCES_OF_STUDY, Matching.NUMBER),
    "0020000E": Key("SERIES", "series.series_instance_uid", Matching.UID),
    "00080060": Key("SERIES", "series.modality", Matching.EXACT),
    "00200011": Key("SERIES", "series.series_number", Matching.NUMBER),
    "0008103E": Key("SERIES", "series.description_folded", Matching.FOLDED),
    "00180015": Key("SERIES", "series.body_part", Matching.EXACT),
    "00081010": Key("SERIES", "series.station_name", Matching.EXACT),
    "00080080": Key("SERIES", "series.institution_name", Matching.EXACT),
    "00080021": Key("SERIES", "series.series_date", Matching.DATE),
    "00080031": Key("SERIES", "series.series_time", Matching.TIME),
    "00400244": Key("SERIES", "series.performed_date", Matching.DATE),
    "00400245": Key("SERIES", "series.performed_time", Matching.TIME),
    "00201209": Key("SERIES", INSTANCES_OF_SERIES, Matching.NUMBER),
    "00080018": Key("IMAGE", "instances.sop_instance_uid", Matching.UID),
    "00080016": Key("IMAGE", "instances.sop_class_uid", Matching.UID),
    "00083002": Key("IMAGE", "instances.transfer_syntax_uid", Matching.UID),
    "00200013": Key("IMAGE", "instances.instance_number", Matching.NUMBER),
    "00280010": Key("IMAGE", "instances.rows", Matching.NUMBER),
    "00280011": Key("IMAGE", "instances.columns", Matching.NUMBER),
    "00280008": Key("IMAGE", "instances.number_of_frames", Matching.NUMBER),
}

PATIENT_ATTRIBUTES = frozenset(
    "00100010 00100020 00100021 00100030 00100032 00100040 00102160 00104000".split()
)
STUDY_ATTRIBUTES = PATIENT_ATTRIBUTES | frozenset(
    "0020000D 00080020 00080030 00080050 00080051 00080056 00080061 00080090 00080201 00081030 "
    "00081032 00081060 00101010 00101020 00101030 00200010 00201206 00201208".split()
)
SERIES_ATTRIBUTES = frozenset(
    "0020000E 00080021 00080031 00080056 00080060 00080070 00080080 00081010 0008103E 0008103F "
    "00081040 00081050 00081070 00081090 00180015 00181030 00185100 00200011 00200060 00201209 "
    "00400244 00400245 00400275".split()
)
IMAGE_ATTRIBUTES = frozenset(
    "00080008 00080016 00080018 00080022 00080023 0008002A 00080032 00080033 00080056 00083002 "
    "00185101 00200013 00280002 00280004 00280008 00280010 00280011 00280100 00280101 "
    "00280103".split()
)
ATTRIBUTES: Mapping[Level, frozenset[str]] = {
    "PATIENT": PATIENT_ATTRIBUTES,
    "STUDY": STUDY_ATTRIBUTES,
    "SERIES": SERIES_ATTRIBUTES,
    "IMAGE": IMAGE_ATTRIBUTES,
}


@lru_cache(maxsize=8192)
def keyword_to_tag(name: str) -> str:
    """`PatientName`, `00100010` or `0010,0010` as eight hex digits. Raises QueryError."""
    bare = name.replace(",", "").upper()
    if len(bare) == 8 and not bare.strip("0123456789ABCDEF"):
        return bare
    tag = tag_for_keyword(name) if name and name in keyword_dict else None
    if tag is None:
        raise QueryError(name, "is neither a tag nor the keyword of an attribute")
    return f"{tag:08X}"


@lru_cache(maxsize=8192)
def value_representation(tag: str) -> str | None:
    """The attribute's VR by the dictionary of PS3.6; None for tags that it does not know."""
    try:
        return str(dictionary_VR(int(tag, 16)))
    except KeyError:
        return None


def level_of(path: str) -> Level | None:
    """The level whose rows hold the attribute; None where the index does not hold it.

    `path`: a tag, or the tags from a sequence down to an attribute of its items, with dots between.
    """
    tag = path.partition(".")[0]
    key = KEYS.get(tag)
    if key is not None:
        return key.level
    held: tuple[Level, ...] = ("STUDY", "SERIES", "IMAGE")
    return next((level for level in held if tag in ATTRIBUTES[level]), None)


def is_key(path: str) -> bool:
    """Whether a value under this tag, or path into a sequence, selects (see `level_of`)."""
    if level_of(path) is None:
        return False
    *sequences, tag = path.split(".")
    if any(value_representation(sequence) != "SQ" for sequence in sequences):
        return False
    return (not sequences and tag in KEYS) or value_representation(tag) in JSON_MATCHED


# What is matched by its DICOM JSON, where there is no column.
JSON_TEXT = frozenset("AE AS CS LO LT PN SH ST UC UR UT".split())
JSON_NUMBERS = frozenset("DS FD FL IS SL SS UL US".split())
JSON_MATCHED = JSON_TEXT | JSON_NUMBERS | {"DA", "UI"}
