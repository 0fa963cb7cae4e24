"""One image through a model: eligible or not, probabilities, class, result objects."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from numpy.typing import NDArray
from pydicom import Dataset

from ai_models.eligibility import header_verdict, picture_reason
from ai_models.errors import UnreadableImage
from ai_models.heatmap import blended, heat_map_image
from ai_models.labels import ABNORMAL
from ai_models.model import Model, Prediction
from ai_models.preprocessing import Prepared
from ai_models.report import structured_report
from ai_models.results import Result, ResultUids, part10
from ai_models.salience import salient_outline
from pacs.triage import Assessment


@dataclass(frozen=True, slots=True)
class Candidate:
    """A radiograph that its header admits, ready for the network."""

    header: Dataset
    pixels: NDArray[Any]
    prepared: Prepared
    certain: bool
    """Whether the header says that it is a chest."""


def refusal(header: Dataset, model: Model, reason: str) -> Assessment:
    """Says on record why an image is not assessed."""
    return Assessment(
        sop_instance_uid=str(header.SOPInstanceUID),
        model=model.bundle.name,
        model_version=model.bundle.version,
        registered=model.bundle.registered,
        triage_class=None,
        abnormal=None,
        findings=(),
        reason=reason,
    )


def admit(header: Dataset, read_pixels: Any, model: Model) -> Candidate | Assessment:
    """Asks the header, then makes the network's input; pixels are read only if it admits them.

    `read_pixels` returns the stored values (rows, columns) and may raise UnreadableImage.
    """
    verdict = header_verdict(header)
    if verdict.reason is not None:
        return refusal(header, model, verdict.reason)
    try:
        pixels = read_pixels()
        prepared = model.prepare(pixels, header)
    except UnreadableImage:
        return refusal(header, model, "unreadable")
    return Candidate(header, pixels, prepared, verdict.certain)


def judge(candidate: Candidate, prediction: Prediction, row: int, model: Model) -> Result | str:
    """The result for one row of a prediction, or the reason why the picture is refused."""
    rule = model.rule
    limit = rule.gate_certain if candidate.certain else rule.gate_uncertain
    reason = picture_reason(float(prediction.distances[row]), limit=limit)
    if reason is not None:
        return reason
    probabilities = prediction.probabilities[row]
    findings = rule.findings(probabilities)
    first = findings[0]
    general = ABNORMAL in rule.labels and first.probability < first.threshold
    return Result(
        triage_class=rule.triage_class(probabilities),
        abnormal=rule.by_label(probabilities)[ABNORMAL],
        findings=findings,
        explained=ABNORMAL if general else first.code,
    )


def objects(
    candidate: Candidate, result: Result, model: Model, when: datetime
) -> tuple[bytes, bytes]:
    """The report and the heat map as Part 10 files."""
    heat = model.heat_map(candidate.prepared.tensor, result.explained)
    picture = blended(candidate.pixels, candidate.header, candidate.prepared, heat)
    region = salient_outline(candidate.prepared, heat)
    report = structured_report(candidate.header, result, region, model.bundle, when)
    image = heat_map_image(candidate.header, picture, result, model.bundle, when)
    return part10(report), part10(image)


def assessment(candidate: Candidate, result: Result, model: Model) -> Assessment:
    """The triage row of a result."""
    uids = ResultUids.of(candidate.header, model.bundle)
    return Assessment(
        sop_instance_uid=str(candidate.header.SOPInstanceUID),
        model=model.bundle.name,
        model_version=model.bundle.version,
        registered=model.bundle.registered,
        triage_class=result.triage_class,
        abnormal=result.abnormal,
        findings=result.findings,
        reason=None,
        sr_instance_uid=str(uids.report),
        heatmap_instance_uid=str(uids.heat_map),
    )
