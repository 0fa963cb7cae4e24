"""A model against labelled images: AUCs with intervals, operating points, calibration, baseline."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai_models.errors import DataError
from ai_models.evaluation import baseline
from ai_models.evaluation.cases import Case, located, read_cases, read_image
from ai_models.evaluation.metrics import Estimate, auc_interval, calibration_error, share_interval
from ai_models.labels import ABNORMAL, FINDINGS, LABELS
from ai_models.model import Model
from ai_models.preprocessing import FloatImage
from ai_models.registry import Bundle

BATCH = 32
_MOST_BASELINE_IMAGES = 1500
_FEWEST = 5

SPOILT: dict[str, Callable[[FloatImage], FloatImage]] = {
    "as they are": lambda batch: batch,
    "turned by 90 degrees": lambda batch: np.rot90(batch, axes=(2, 3)),
    "upside down": lambda batch: batch[:, :, ::-1],
    "inverted": lambda batch: np.asarray(1.0 - batch, dtype=np.float32),
}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FindingFigures:
    """How well one label is told, and at its threshold."""

    label: str
    positives: int
    negatives: int
    auc: Estimate
    threshold: float
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """The figures of one collection and split."""

    collection: str
    split: str
    images: int
    patients: int
    baseline_auc: Estimate
    """Of a 16x16 thumbnail's logistic regression for `abnormal`, on the same images."""
    baseline_basis: str
    calibration_error: float
    """Expected calibration error of `abnormal`, ten bins."""
    critical: FindingFigures
    """`abnormal` told by the triage class: critical or not."""
    labels: tuple[FindingFigures, ...]
    """`abnormal` first; only labels with at least five images of each kind."""
    refused: dict[str, tuple[float, float]]
    """The share of images that the picture's gate refuses, with a header that says frontal chest
    and with a silent one: as they are, and spoilt in each of the ways of `SPOILT`."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found."""

    model: str
    version: str
    groups: tuple[GroupFigures, ...]
    left_out: dict[str, int]
    """Images of sources that must not judge a model, and how many."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people: a few lines of plain text a group."""
        text = [f"{self.model} {self.version}"]
        for group in self.groups:
            text.append(
                f"\n{group.collection}, {group.split}: {group.images} images, "
                f"{group.patients} patients"
            )
            text.append(f"  {'label':<20}{'n+':>5}{'n-':>6}  {'AUC (95 %)':<22}sens.   spec.")
            text.extend(
                f"  {row.label:<20}{row.positives:>5}{row.negatives:>6}  {_auc(row.auc):<22}"
                f"{row.sensitivity.value:.2f}    {row.specificity.value:.2f}"
                for row in (*group.labels, group.critical)
            )
            text.append(
                f"  baseline for abnormal (16x16 thumbnail, {group.baseline_basis}): "
                f"{_auc(group.baseline_auc)}"
            )
            text.append(f"  calibration error of abnormal: {group.calibration_error:.3f}")
            text.extend(
                f"  refused by the picture, {way}: {certain:.1%} (header silent: {silent:.1%})"
                for way, (certain, silent) in group.refused.items()
            )
        for source, images in self.left_out.items():
            text.append(f"\nleft out, not fit for judging: {images} images of {source}")
        return text


def evaluate(
    bundle: Bundle,
    images_dir: Path,
    labels_csv: Path,
    out_json: Path | None = None,
    *,
    progress: Progress | None = None,
) -> Report:
    """Judges the bundle on the images (JPEG, PNG, DICOM) that the CSV names.

    Each collection is judged alone, on split `test`, and on `val` and `test` together (thresholds
    and epoch were chosen on `val`, so `test` is the figure to quote). Without a column `split` all
    images are test images. Sources known to give their label away are left out. `progress` gets
    images done and in all. Writes the report to `out_json`. Raises DataError, UnreadableImage.
    """
    cases = read_cases(labels_csv)
    judged = [c for c in cases if c.split in {"val", "test"} and c.fit_for_judging]
    if not judged:
        raise DataError(f"{labels_csv}: no image of split val or test that may judge a model")
    model = Model(bundle)
    probabilities, distances, thumbnails = _predictions(model, images_dir, judged, progress)
    groups = []
    for collection in sorted({case.collection for case in judged}):
        wanted: list[tuple[str, ...]] = [("test",)]
        if any(c.split == "val" and c.collection == collection for c in judged):
            wanted.append(("val", "test"))
        for splits in wanted:
            rows = [
                i
                for i, case in enumerate(judged)
                if case.collection == collection and case.split in splits
            ]
            truth = np.array([judged[i].labels[0] for i in rows])
            if min((truth == 1).sum(), (truth == 0).sum()) < _FEWEST:
                continue
            train = [c for c in cases if c.split == "train" and c.collection == collection]
            rival, basis = _baseline(
                [c for c in train if c.fit_for_judging],
                images_dir,
                [judged[i] for i in rows],
                thumbnails[rows],
            )
            groups.append(
                _group(
                    model,
                    [judged[i] for i in rows],
                    "+".join(splits),
                    (probabilities[rows], distances[rows]),
                    (rival, basis),
                )
            )
    left_out: dict[str, int] = {}
    for case in cases:
        if not case.fit_for_judging and case.split != "train":
            left_out[case.source] = left_out.get(case.source, 0) + 1
    report = Report(bundle.name, bundle.version, tuple(groups), left_out)
    if out_json is not None:
        out_json.write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")
    return report


def _predictions(
    model: Model, images_dir: Path, cases: Sequence[Case], progress: Progress | None
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities as `_in_order` has them, gate distances by SPOILT (n, 4), thumbnails."""
    found, far, small = [], [], []
    for start in range(0, len(cases), BATCH):
        inputs = []
        for case in cases[start : start + BATCH]:
            pixels, header = read_image(located(images_dir, case.file))
            inputs.append(model.prepare(pixels, header).tensor)
            small.append(baseline.thumbnail(pixels, header))
        batch = np.concatenate(inputs)
        each = [model.predict(spoil(batch)) for spoil in SPOILT.values()]
        found.append(np.stack([_in_order(model, row) for row in each[0].probabilities]))
        far.append(np.stack([prediction.distances for prediction in each], axis=1))
        if progress is not None:
            progress(min(start + BATCH, len(cases)), len(cases))
    return np.concatenate(found), np.concatenate(far), np.stack(small)


def _in_order(model: Model, row: NDArray[np.float32]) -> NDArray[np.float32]:
    """LABELS' probabilities, NaN for what the model was not taught; last, 1 where critical."""
    known = model.rule.by_label(row)
    critical = model.rule.triage_class(row) == "critical"
    return np.array([*(known.get(label, np.nan) for label in LABELS), critical], np.float32)


def _baseline(
    train: Sequence[Case], images_dir: Path, judged: Sequence[Case], thumbnails: NDArray[np.float32]
) -> tuple[NDArray[np.float64], str]:
    truth = np.array([case.labels[0] for case in judged])
    if len({case.labels[0] for case in train}) < 2:
        patients = [case.patient for case in judged]
        return baseline.cross_validated_scores(thumbnails, truth, patients), "cross-validated"
    random = np.random.default_rng(0)
    drawn = random.permutation(len(train))[:_MOST_BASELINE_IMAGES]
    files = [located(images_dir, train[i].file) for i in drawn]
    features = np.stack([baseline.thumbnail(*read_image(file)) for file in files])
    labels = np.array([train[i].labels[0] for i in drawn])
    basis = f"fitted on {len(drawn)} training images"
    return baseline.fitted_scores(features, labels, thumbnails), basis


def _group(
    model: Model,
    cases: Sequence[Case],
    split: str,
    predicted: tuple[NDArray[np.float32], NDArray[np.float32]],
    rival: tuple[NDArray[np.float64], str],
) -> GroupFigures:
    probabilities, distances = predicted
    patients = [case.patient for case in cases]
    labels = np.array([case.labels for case in cases])
    truth = labels[:, 0]
    critical = probabilities[:, len(LABELS)]
    thresholds = {ABNORMAL: model.rule.urgent} | model.rule.thresholds
    rows = [
        _figures(name, labels[:, i], probabilities[:, i], patients, thresholds[name])
        for i, name in enumerate((ABNORMAL, *FINDINGS))
        if name in thresholds
        and min((labels[:, i] == 1).sum(), (labels[:, i] == 0).sum()) >= _FEWEST
    ]
    return GroupFigures(
        collection=cases[0].collection,
        split=split,
        images=len(cases),
        patients=len(set(patients)),
        baseline_auc=auc_interval(truth, rival[0], patients),
        baseline_basis=rival[1],
        calibration_error=calibration_error(truth, probabilities[:, LABELS.index(ABNORMAL)]),
        critical=_figures("class critical", truth, critical.astype(float), patients, 0.5),
        labels=tuple(rows),
        refused={
            way: (
                float((distances[:, i] > model.rule.gate_certain).mean()),
                float((distances[:, i] > model.rule.gate_uncertain).mean()),
            )
            for i, way in enumerate(SPOILT)
        },
    )


def _figures(
    label: str,
    labels: NDArray[Any],
    score: NDArray[Any],
    patients: Sequence[str],
    threshold: float,
) -> FindingFigures:
    known = ~np.isnan(labels)
    truth, score = labels[known] == 1, score[known]
    owners = [owner for owner, is_known in zip(patients, known, strict=True) if is_known]
    positive = [owner for owner, yes in zip(owners, truth, strict=True) if yes]
    negative = [owner for owner, yes in zip(owners, truth, strict=True) if not yes]
    return FindingFigures(
        label=label,
        positives=int(truth.sum()),
        negatives=int((~truth).sum()),
        auc=auc_interval(truth, score, owners),
        threshold=threshold,
        sensitivity=share_interval(score[truth] >= threshold, positive),
        specificity=share_interval(score[~truth] < threshold, negative),
    )


def _auc(figure: Estimate) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"
