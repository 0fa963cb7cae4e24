"""ROC AUC with bootstrap intervals by patient, sensitivity and specificity, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

RESAMPLES = 2000
SEED = 7


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def auc(truth: NDArray[Any], score: Floats) -> float:
    """The area under the ROC curve: the share of (abnormal, normal) pairs put in order.

    `truth` 0/1 and `score`, both (n,); ties count half. NaN where one class is absent.
    """
    truth = np.asarray(truth).astype(bool)
    positives = int(truth.sum())
    negatives = truth.size - positives
    if not positives or not negatives:
        return float("nan")
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle_ranks = ends - (counts - 1) / 2.0
    ranks = middle_ranks[place]
    above = ranks[truth].sum() - positives * (positives + 1) / 2.0
    return float(above / (positives * negatives))


def auc_interval(
    truth: NDArray[Any], score: Floats, patients: Sequence[str], *, resamples: int = RESAMPLES
) -> Estimate:
    """AUC with its 95 % percentile bootstrap interval, drawing whole patients with replacement."""
    truth, score = np.asarray(truth).astype(bool), np.asarray(score)
    drawn = np.array(
        [auc(truth[rows], score[rows]) for rows in _resampled(patients, resamples)], dtype=float
    )
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Estimate(auc(truth, score), float(low), float(high))


def share_interval(
    hit: NDArray[np.bool_], patients: Sequence[str], *, resamples: int = RESAMPLES
) -> Estimate:
    """The share of True in `hit`, with its 95 % percentile bootstrap interval by patient."""
    if not hit.size:
        return Estimate(float("nan"), float("nan"), float("nan"))
    drawn = [float(hit[rows].mean()) for rows in _resampled(patients, resamples)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Estimate(float(hit.mean()), float(low), float(high))


def calibration_error(truth: NDArray[Any], probability: Floats, bins: int = 10) -> float:
    """Expected calibration error: mean |observed - predicted| over equal-width bins."""
    place = np.minimum((np.asarray(probability) * bins).astype(int), bins - 1)
    gaps = [
        abs(float(truth[place == b].mean()) - float(probability[place == b].mean()))
        * float((place == b).mean())
        for b in range(bins)
        if bool((place == b).any())
    ]
    return float(sum(gaps))


def _resampled(patients: Sequence[str], resamples: int) -> list[NDArray[np.intp]]:
    """For each resample the rows of as many patients as there are, drawn with replacement."""
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    order = np.argsort(owner, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(owner))[:-1])
    random = np.random.default_rng(SEED)
    draws = random.integers(0, len(rows), size=(resamples, len(rows)))
    return [np.concatenate([rows[patient] for patient in draw]) for draw in draws]
