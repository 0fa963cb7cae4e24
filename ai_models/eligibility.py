"""Which images are assessed: frontal chest radiographs, and nothing else.

The header is asked first (PS3.3 C.8.1 CR, C.8.11 DX); where it is silent the picture decides
alone, and where it is sure the picture may still object (`picture_reason`).
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydicom import Dataset

Reason = Literal["not_radiograph", "not_chest", "not_frontal", "unreadable"]

_RADIOGRAPHS = frozenset({"CR", "DX"})

# Words are folded (no diacritics, đ as d, lower case); "ngực thẳng" is "nguc thang".
_CHEST = re.compile(r"\b(chest|thorax|thoraces|lungs?|cxr|nguc|phoi|long nguc|tim phoi)\b")
_OTHER = re.compile(
    r"\b(abdomen|abdominal|kub|pelvis|hips?|legs?|lower leg|thigh|femur|knees?|tibia|fibula|ankles?"
    r"|foot|feet|toes?|calcaneus|patella|extremity|extremities|arms?|shoulders?|clavicles?|scapula"
    r"|humerus|elbows?|forearm|radius|ulna|wrists?|hands?|fingers?|thumb|skull|head|sinus(?:es)?"
    r"|facial|face|nasal|orbits?|mandible|jaw|teeth|tooth|dental|neck|spine|tspine|cspine|lspine"
    r"|lumbar|cervical|sacrum|coccyx|ribs?|sternum|breast|whole body"
    r"|cot song|xuong suon|suon|xuong uc|xuong don|bung|khung chau|khop hang|xuong dui|dau goi"
    r"|khop goi|cang chan|co chan|ban chan|ngon chan|chi duoi|chi tren|vai|canh tay|khuyu|cang tay"
    r"|co tay|ban tay|ngon tay|so nao|hop so|xoang|ham mat|rang|vu)\b"
)
_LATERAL = re.compile(r"\b(lat|lateral|ll|rl|lld|rld|nghieng|obl|oblique|chech|decub(?:itus)?)\b")
_FRONTAL = re.compile(r"\b(pa|ap|frontal|postero ?anterior|antero ?posterior|thang)\b")

_FRONTAL_VIEWS = frozenset({"PA", "AP"})
_OTHER_VIEWS = frozenset(
    {"LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO", "LAT"}
)

_OWN_TEXT = ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")
_STUDY_TEXT = (
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "StudyDescription",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a header says."""

    reason: Reason | None
    """Why the image is not assessed, or None."""
    certain: bool
    """Whether the header says that this is a chest (else the picture decides alone)."""


def header_verdict(header: Dataset) -> Verdict:
    """Whether the header admits the image: radiograph, of the chest, frontal."""
    if str(header.get("Modality", "")).upper() not in _RADIOGRAPHS:
        return Verdict("not_radiograph", certain=True)
    if header.get("PresentationIntentType") == "FOR PROCESSING":
        return Verdict("unreadable", certain=True)
    part = _body_part(header)
    if part == "other":
        return Verdict("not_chest", certain=True)
    if _view(header) == "other":
        return Verdict("not_frontal", certain=True)
    return Verdict(None, certain=part == "chest")


def picture_reason(distance: float, *, limit: float) -> Reason | None:
    """Why an image whose gate distance is `distance` is not assessed, or None."""
    return None if distance <= limit else "not_chest"


def folded(text: object) -> str:
    """Lower case, no diacritics, words apart by one space: "Ngực thẳng" as "nguc thang"."""
    plain = unicodedata.normalize("NFD", str(text).casefold().replace("đ", "d"))
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.split(r"[^a-z0-9]+", letters)).strip()


def _body_part(header: Dataset) -> Literal["chest", "other"] | None:
    """Asked in the order of trust: coded region, body part, the image's own text, the study's."""
    regions = (
        f"{item.get('CodeMeaning', '')}" for item in header.get("AnatomicRegionSequence") or ()
    )
    for texts in (
        list(regions),
        [str(header.get("BodyPartExamined") or "")],
        list(_texts(header, _OWN_TEXT)),
        list(_texts(header, _STUDY_TEXT)),
    ):
        words = " | ".join(folded(text) for text in texts)
        other = _OTHER.search(words)
        chest = _CHEST.search(_without_thoracic_spine(words))
        if chest and not other:
            return "chest"
        if other and not chest:
            return "other"
    return None


def _view(header: Dataset) -> Literal["frontal", "other"] | None:
    position = folded(header.get("ViewPosition") or "").upper()
    if position in _FRONTAL_VIEWS:
        return "frontal"
    if position in _OTHER_VIEWS:
        return "other"
    orientation = [str(value) for value in header.get("PatientOrientation") or ()]
    if orientation and orientation[0][:1] in {"A", "P"}:
        return "other"
    codes = [str(item.get("CodeMeaning", "")) for item in header.get("ViewCodeSequence") or ()]
    for texts in (codes, _texts(header, _OWN_TEXT), _texts(header, _STUDY_TEXT)):
        words = " | ".join(folded(text) for text in texts)
        frontal, other = _FRONTAL.search(words), _LATERAL.search(words)
        if frontal and not other:
            return "frontal"
        if other and not frontal:
            return "other"
    return None


def _without_thoracic_spine(words: str) -> str:
    return re.sub(r"\bcot song (nguc|long nguc)\b", "cot song", words)


def _texts(header: Dataset, keywords: tuple[str, ...]) -> Iterator[str]:
    for keyword in keywords:
        value = header.get(keyword)
        if value:
            yield str(value)
