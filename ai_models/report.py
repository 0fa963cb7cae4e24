"""The model's word as a structured report (PS3.16 TID 1500), one measurement group a finding.

The finding that the heat map explains has the salient region with it (TID 1410) and stands first,
where viewers look for what they can draw; the others speak of the whole image (TID 1501).
"""

from datetime import datetime
from typing import Any

from highdicom import UID
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    GraphicTypeValues,
    ImageRegion,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TrackingIdentifier,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from ai_models.labels import ABNORMAL
from ai_models.registry import Bundle
from ai_models.results import (
    MANUFACTURER,
    NOTICE_LONG,
    SCHEME,
    Result,
    ResultUids,
    finish,
    instance_number,
    nameless,
    notice,
    report_series_number,
    source_context,
    tracking_uid,
)
from ai_models.salience import Outline

PRIVATE = "99FILMLESS"
FINDING_CODES = {
    ABNORMAL: CodedConcept("263654008", "SCT", "Abnormal"),
    "atelectasis": CodedConcept("46621007", "SCT", "Atelectasis"),
    "cardiomegaly": CodedConcept("287272002", "SCT", "Cardiomegaly"),
    "consolidation": CodedConcept("95436008", "SCT", "Lung consolidation"),
    "edema": CodedConcept("19242006", "SCT", "Pulmonary edema"),
    "effusion": CodedConcept("60046008", "SCT", "Pleural effusion"),
    "emphysema": CodedConcept("87433001", "SCT", "Pulmonary emphysema"),
    "fibrosis": CodedConcept("112674009", "SCT", "Fibrosis"),
    "hernia": CodedConcept("hernia", PRIVATE, "Hiatal or diaphragmatic hernia"),
    "infiltration": CodedConcept("112121", "DCM", "Infiltrate"),
    "mass": CodedConcept("4147007", "SCT", "Mass"),
    "nodule": CodedConcept("27925004", "SCT", "Nodule"),
    "pleural_thickening": CodedConcept("pleural_thickening", PRIVATE, "Pleural thickening"),
    "pneumonia": CodedConcept("233604007", "SCT", "Pneumonia"),
    "pneumothorax": CodedConcept("36118008", "SCT", "Pneumothorax"),
    "fracture": CodedConcept("125605004", "SCT", "Fracture of bone"),
}
_TRIAGE = CodedConcept("triage_class", PRIVATE, "Triage class")
_CLASSES = {
    "critical": CodedConcept("critical", PRIVATE, "Critical: read at once"),
    "urgent": CodedConcept("urgent", PRIVATE, "Urgent: read soon"),
    "routine": CodedConcept("routine", PRIVATE, "Routine"),
}
_BEYOND = CodedConcept("beyond_threshold", PRIVATE, "Probability reaches the model's threshold")
_REGION = CodedConcept("region", PRIVATE, "Region")
_SALIENT = CodedConcept(
    "salient", PRIVATE, "Heat map over half of its maximum, no outline of a finding"
)
_PROCEDURE = CodedConcept("413815006", "SCT", "Chest imaging")


def structured_report(
    source: Dataset, result: Result, region: Outline | None, bundle: Bundle, when: datetime
) -> Dataset:
    """A Comprehensive SR about one image.

    `source` is the image's header, `region` where the heat map of `explained` is hot, if anywhere.
    Names algorithm, version and parameters; gives the probability of `abnormal` and of each finding
    (unit 1), whether it reaches the threshold, the triage class.
    """
    context = source_context(source)
    uids = ResultUids.of(source, bundle)
    algorithm = AlgorithmIdentification(
        name=bundle.name,
        version=bundle.version,
        manufacturer=MANUFACTURER,
        parameters=_parameters(result, bundle),
    )
    device = ObserverContext(
        observer_type=codes.cid270.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=UID(generate_uid(entropy_srcs=[bundle.name, bundle.version])),
            name=f"{bundle.name} {bundle.version}",
            manufacturer_name=MANUFACTURER,
            model_name=bundle.name,
        ),
    )
    known: list[tuple[str, float, bool | None]] = [(ABNORMAL, result.abnormal, None)]
    known += [(f.code, f.probability, f.probability >= f.threshold) for f in result.findings]
    if region is not None:
        known.sort(key=lambda finding: finding[0] != result.explained)
    groups = [
        _group(
            context,
            region if label == result.explained else None,
            tracking_identifier=TrackingIdentifier(
                uid=UID(tracking_uid(source, bundle, label)),
                identifier=f"AI: {bundle.name} {label}",
            ),
            finding_type=_finding_code(label),
            algorithm_id=algorithm,
            measurements=[Measurement(codes.DCM.Probability, round(value, 4), codes.UCUM.NoUnits)],
            qualitative_evaluations=[_evaluation(beyond, result)],
        )
        for label, value, beyond in known
    ]
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=device),
        procedure_reported=_PROCEDURE,
        imaging_measurements=groups,
        title=codes.cid7021.ImagingMeasurementReport,
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
            CodedConcept("en", "RFC5646", "English")
        ),
    )
    made = ComprehensiveSR(
        evidence=[nameless(context)],
        content=content[0],
        series_instance_uid=uids.report_series,
        series_number=report_series_number(),
        sop_instance_uid=uids.report,
        instance_number=instance_number(source),
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        manufacturer_model_name=bundle.name,
        software_versions=bundle.version,
        series_description=f"{notice(bundle)}: {bundle.name} {bundle.version}",
        coding_schemes=[SCHEME],
        specific_character_set="ISO_IR 192",
    )
    return finish(made, context, when)


def _finding_code(label: str) -> CodedConcept:
    """The code of a finding; of one that only its model knows, a private one of its own name."""
    return FINDING_CODES.get(label) or CodedConcept(label, PRIVATE, label.replace("_", " "))


def _group(
    context: Dataset,
    region: Outline | None,
    *,
    qualitative_evaluations: list[QualitativeEvaluation],
    **said: Any,
) -> MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations:
    """A finding in a region (TID 1410), or in the whole image (TID 1501)."""
    image = (context.SOPClassUID, context.SOPInstanceUID)
    if region is None:
        return MeasurementsAndQualitativeEvaluations(
            source_images=[SourceImageForMeasurementGroup(*image)],
            qualitative_evaluations=qualitative_evaluations,
            **said,
        )
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_region=ImageRegion(
            GraphicTypeValues.POLYLINE, region, SourceImageForRegion(*image)
        ),
        qualitative_evaluations=[
            *qualitative_evaluations,
            QualitativeEvaluation(_REGION, _SALIENT),
        ],
        **said,
    )


def _evaluation(beyond: bool | None, result: Result) -> QualitativeEvaluation:
    if beyond is None:
        return QualitativeEvaluation(_TRIAGE, _CLASSES[result.triage_class])
    return QualitativeEvaluation(_BEYOND, codes.SCT.Yes if beyond else codes.SCT.No)


def _parameters(result: Result, bundle: Bundle) -> list[str]:
    thresholds = ", ".join(
        f"{f.code} {f.threshold:.4f}" for f in sorted(result.findings, key=_code)
    )
    said = [] if bundle.registered else [NOTICE_LONG]
    return [*said, f"thresholds: {thresholds}"]


def _code(finding: object) -> str:
    return str(getattr(finding, "code", ""))
