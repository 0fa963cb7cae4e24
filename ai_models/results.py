"""What a model found, as standard objects: a structured report and the heat map as a picture.

Both belong to the study of their source image, each in a series of its own. Their UIDs follow from
the source, the model and its version, so that a job that runs twice makes the same objects.
"""

import copy
import io
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pydicom
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, generate_uid
from pydicom.valuerep import DA, TM

from ai_models import __name__ as room
from ai_models.registry import Bundle
from pacs.triage import Finding, TriageClass

# It logs the UIDs, and on trouble the values, of the patient's data set.
logging.getLogger("highdicom").setLevel(logging.CRITICAL)

MANUFACTURER = "Filmless"
NOTICE = "AI, for research use"
NOTICE_LONG = "AI, for research use. Not a registered medical device. Not for diagnosis."
REGISTERED_NOTICE = "AI result"
SCHEME = CodingSchemeIdentificationItem(
    designator="99FILMLESS",
    name="Filmless model outputs",
    responsible_organization="Filmless",
)
_LAST_SERIES = 9000

_PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a model says of one image."""

    triage_class: TriageClass
    abnormal: float
    """The probability of any abnormality, 0 to 1."""
    findings: tuple[Finding, ...]
    explained: str
    """The label that the heat map explains."""


@dataclass(frozen=True, slots=True)
class ResultUids:
    """The UIDs of the objects about one source image."""

    report: UID
    report_series: UID
    heat_map: UID
    heat_map_series: UID

    @classmethod
    def of(cls, source: Dataset, bundle: Bundle) -> "ResultUids":
        """Always the same for one source image, model and version."""
        study, image = str(source.StudyInstanceUID), str(source.SOPInstanceUID)
        return cls(
            report=_uid(bundle, image, "report"),
            report_series=_uid(bundle, study, "report series"),
            heat_map=_uid(bundle, image, "heat map"),
            heat_map_series=_uid(bundle, study, "heat map series"),
        )


def tracking_uid(source: Dataset, bundle: Bundle, label: str) -> UID:
    """The UID under which a report speaks of one finding in one image."""
    return _uid(bundle, str(source.SOPInstanceUID), f"finding {label}")


def notice(bundle: Bundle) -> str:
    """What every object of this model carries in sight."""
    return REGISTERED_NOTICE if bundle.registered else NOTICE


def source_context(source: Dataset) -> Dataset:
    """The source's identity as new objects need it, in Unicode (ISO_IR 192).

    Patient and study attributes as they are, empty where the source lacks them or where a date,
    time or sex is none; with the SOP, series and equipment that references and history need.
    """
    context = Dataset()
    context.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _PATIENT_AND_STUDY:
        value = source.get(keyword)
        setattr(context, keyword, "" if value is None else _unicode(value))
    for keyword, parse in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        setattr(context, keyword, _valid(str(source.get(keyword) or ""), parse))
    if context.PatientSex not in {"M", "F", "O", ""}:
        context.PatientSex = ""
    for keyword in ("IssuerOfPatientID", "StudyDescription"):
        if not context.get(keyword):
            delattr(context, keyword)
    context.SOPClassUID = source.SOPClassUID
    context.SOPInstanceUID = source.SOPInstanceUID
    context.SeriesInstanceUID = source.SeriesInstanceUID
    context.Modality = str(source.get("Modality") or "OT")
    context.Rows = source.get("Rows")
    context.Columns = source.get("Columns")
    return context


def nameless(context: Dataset) -> Dataset:
    """The context without names, for constructors that object to names as hospitals write them."""
    copied = copy.deepcopy(context)
    copied.PatientName = copied.ReferringPhysicianName = None
    return copied


def finish(made: Dataset, context: Dataset, when: datetime) -> Dataset:
    """Sets what the constructors leave out: names, issuer, description of the study, one time."""
    for keyword in (
        "PatientName",
        "ReferringPhysicianName",
        "IssuerOfPatientID",
        "StudyDescription",
    ):
        if keyword in context:
            made[keyword] = context[keyword]
    made.ContentDate = made.InstanceCreationDate = made.SeriesDate = when.strftime("%Y%m%d")
    made.ContentTime = made.InstanceCreationTime = made.SeriesTime = when.strftime("%H%M%S")
    if "DateOfSecondaryCapture" in made:
        made.DateOfSecondaryCapture, made.TimeOfSecondaryCapture = (
            made.ContentDate,
            made.ContentTime,
        )
    for item in made.get("ContributingEquipmentSequence") or ():
        purpose = item.PurposeOfReferenceCodeSequence[0]
        if purpose.CodeValue != codes.DCM.AcquisitionEquipment.value:
            item.ContributionDateTime = when.strftime("%Y%m%d%H%M%S")
    made.InstanceCreatorUID = generate_uid(entropy_srcs=[room])
    return made


def instance_number(source: Dataset) -> int:
    """The source's instance number, so that results stand in the order of the images; else 1."""
    try:
        return max(1, int(source.get("InstanceNumber") or 1))
    except (TypeError, ValueError):
        return 1


def report_series_number() -> int:
    """Behind every series of a modality."""
    return _LAST_SERIES + 1


def heat_map_series_number() -> int:
    """Behind the report."""
    return _LAST_SERIES + 2


def part10(made: Dataset) -> bytes:
    """The object as a file (PS3.10)."""
    out = io.BytesIO()
    pydicom.dcmwrite(out, made, enforce_file_format=True)
    return out.getvalue()


def _uid(bundle: Bundle, about: str, what: str) -> UID:
    return generate_uid(entropy_srcs=[about, bundle.name, bundle.version, what])


def _unicode(value: Any) -> Any:
    """Text free of the source's own encoding (a PersonName keeps its bytes otherwise)."""
    return value if isinstance(value, int | float) else str(value)


def _valid(text: str, parse: Any) -> str:
    try:
        return str(parse(text) or "")
    except ValueError:
        return ""
