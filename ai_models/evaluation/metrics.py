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
    return float(_aucs(truth, np.asarray(score), np.ones((1, truth.size)))[0])


def auc_interval(
    truth: NDArray[Any], score: Floats, patients: Sequence[str], *, resamples: int = RESAMPLES
) -> Estimate:
    """AUC with its 95 % percentile bootstrap interval, drawing whole patients with replacement."""
    truth, score = np.asarray(truth).astype(bool), np.asarray(score)
    drawn = _aucs(truth, score, _weights(patients, resamples))
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Estimate(auc(truth, score), float(low), float(high))


def share_interval(
    hit: NDArray[np.bool_], patients: Sequence[str], *, resamples: int = RESAMPLES
) -> Estimate:
    """The share of True in `hit`, with its 95 % percentile bootstrap interval by patient."""
    if not hit.size:
        return Estimate(float("nan"), float("nan"), float("nan"))
    weights = _weights(patients, resamples)
    low, high = np.percentile(weights @ hit / weights.sum(axis=1), (2.5, 97.5))
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


def _weights(patients: Sequence[str], resamples: int) -> NDArray[np.float64]:
    """How often each image is in each resample (resamples, n): as often as its patient is drawn."""
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    count = int(owner.max()) + 1
    drawn = np.random.default_rng(SEED).integers(0, count, size=(resamples, count))
    cells = (drawn + np.arange(resamples)[:, None] * count).ravel()
    times = np.bincount(cells, minlength=resamples * count).reshape(resamples, count)
    return np.asarray(times[:, owner], dtype=np.float64)


def _aucs(
    truth: NDArray[np.bool_], score: Floats, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The AUC under each row of `weights` (resamples, n); NaN where one class has no weight."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    weights, ill = weights[:, order], truth[order]
    positive = np.add.reduceat(weights * ill, starts, axis=1)
    negative = np.add.reduceat(weights * ~ill, starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2.0
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    ordered = (positive * below).sum(axis=1)
    unknown = np.full(pairs.shape, np.nan)
    return np.asarray(np.divide(ordered, pairs, out=unknown, where=pairs > 0), dtype=np.float64)
