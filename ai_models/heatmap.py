"""Where the model looked: Grad-CAM blended onto the radiograph, as a Secondary Capture."""

from datetime import datetime
from typing import Any

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from ai_models.preprocessing import Box, FloatImage, Prepared, presented
from ai_models.registry import Bundle
from ai_models.results import (
    MANUFACTURER,
    NOTICE_LONG,
    Result,
    ResultUids,
    finish,
    heat_map_series_number,
    instance_number,
    notice,
    source_context,
)

LONG_SIDE = 1024
_OPACITY = 0.6
_FAINT = 0.25
# Yellow to red: seen on black lung and on white bone, and darker towards what mattered most.
_COLOURS = np.array([[1, 0.95, 0.3], [1, 0.8, 0.1], [1, 0.5, 0], [0.9, 0.15, 0], [0.7, 0, 0]])


def blended(pixels: NDArray[Any], header: Dataset, prepared: Prepared, heat: FloatImage) -> Any:
    """The whole radiograph with the heat map on it: uint8 (rows, columns, 3).

    `heat` is on the network's canvas, (S, S), 0 to 1. The proportions are the radiograph's (its
    pixels taken as square), the long side at most LONG_SIDE.
    """
    shown = presented(pixels, header)
    scale = min(1.0, LONG_SIDE / max(shown.shape))
    size = (max(1, round(shown.shape[1] * scale)), max(1, round(shown.shape[0] * scale)))
    grey = np.asarray(Image.fromarray(shown).resize(size, Image.Resampling.BILINEAR))
    whole = _on_radiograph(heat, prepared.canvas, prepared.source, grey.shape, scale)
    stops = np.linspace(0.0, 1.0, len(_COLOURS))
    colour = np.stack([np.interp(whole, stops, _COLOURS[:, c]) for c in range(3)], axis=-1)
    opacity = (_OPACITY * np.clip((whole - _FAINT) / (1.0 - _FAINT), 0.0, 1.0))[..., None]
    mixed = grey[..., None] * (1.0 - opacity) + colour * opacity
    return np.rint(np.clip(mixed, 0.0, 1.0) * 255.0).astype(np.uint8)


def heat_map_image(
    source: Dataset, picture: NDArray[np.uint8], result: Result, bundle: Bundle, when: datetime
) -> Dataset:
    """`picture` (rows, columns, 3) as a Secondary Capture derived from the image of `source`."""
    context = source_context(source)
    uids = ResultUids.of(source, bundle)
    made = SCImage(
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=_orientation(source),
        study_instance_uid=context.StudyInstanceUID,
        series_instance_uid=uids.heat_map_series,
        series_number=heat_map_series_number(),
        sop_instance_uid=uids.heat_map,
        instance_number=instance_number(source),
        manufacturer=MANUFACTURER,
        patient_id=context.PatientID,
        patient_birth_date=context.PatientBirthDate,
        patient_sex=context.PatientSex,
        accession_number=context.AccessionNumber,
        study_id=context.StudyID,
        study_date=context.StudyDate or None,
        study_time=context.StudyTime or None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        manufacturer_model_name=bundle.name,
        software_versions=bundle.version,
        series_description=f"{notice(bundle)}: heat map {bundle.name} {bundle.version}",
        specific_character_set="ISO_IR 192",
    )
    _without_orientation(made, source)
    explained = result.explained.replace("_", " ")
    made.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    side = str(source.get("Laterality") or "")
    made.Laterality = side if side in {"L", "R"} else ""
    made.ImageComments = notice(bundle) if bundle.registered else NOTICE_LONG
    made.DerivationDescription = (
        f"{notice(bundle)}: Grad-CAM of {bundle.name} {bundle.version} for '{explained}', "
        "blended onto the radiograph"
    )
    made.BurnedInAnnotation = "NO"
    made.SourceImageSequence = [_reference(context)]
    made.ContributingEquipmentSequence = [_equipment(bundle, made.DerivationDescription)]
    return finish(made, context, when)


def _on_radiograph(
    heat: FloatImage, canvas: Box, source: Box, shape: tuple[int, ...], scale: float
) -> NDArray[np.float64]:
    """The heat map laid over the part of the radiograph that the network saw, 0 elsewhere."""
    whole = np.zeros(shape[:2], dtype=np.float64)
    top, left = round(source.top * scale), round(source.left * scale)
    height = min(shape[0] - top, max(1, round(source.height * scale)))
    width = min(shape[1] - left, max(1, round(source.width * scale)))
    part = Image.fromarray(np.ascontiguousarray(canvas.of(heat), dtype=np.float32))
    whole[top : top + height, left : left + width] = np.asarray(
        part.resize((width, height), Image.Resampling.BILINEAR)
    )
    return whole


def _orientation(source: Dataset) -> tuple[str, str]:
    """The constructor wants one; `_without_orientation` empties it where the source has none."""
    known = [str(value) for value in source.get("PatientOrientation") or ()]
    return (known[0], known[1]) if _legal(known) else ("L", "F")


def _without_orientation(made: Dataset, source: Dataset) -> None:
    if not _legal([str(value) for value in source.get("PatientOrientation") or ()]):
        made.PatientOrientation = None


def _legal(orientation: list[str]) -> bool:
    return len(orientation) == 2 and all(value in set("LRAPHF") for value in orientation)


def _reference(context: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = context.SOPClassUID
    item.ReferencedSOPInstanceUID = context.SOPInstanceUID
    purpose = codes.DCM.SourceImageForImageProcessingOperation
    item.PurposeOfReferenceCodeSequence = [_code(purpose)]
    return item


def _equipment(bundle: Bundle, description: str) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [_code(codes.DCM.ProcessingEquipment)]
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = bundle.name
    item.SoftwareVersions = bundle.version
    item.ContributionDescription = description
    return item


def _code(code: Any) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return item
