"""Chooses, on validation images only, what the bundle's configs/triage.json says."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ai_models.evaluation.cases import Case
from ai_models.labels import ABNORMAL, FINDINGS, LABELS
from ai_models.training.fit import ADULTS

URGENT_SENSITIVITY = 0.85
CRITICAL_SPECIFICITY = 0.95
FINDING_SPECIFICITY = 0.90
CRITICAL_FINDINGS = ("pneumothorax",)
GATE_CERTAIN_SHARE = 0.999
GATE_SILENT_SHARE = 0.98
_LEEWAY = 1.15

Floats = NDArray[np.floating[Any]]


def temperature(logits: Floats, cases: Sequence[Case]) -> float:
    """The one number that, dividing all logits, makes the validation labels likeliest.

    `logits` (n, labels) of `cases`; each collection counts the same.
    """
    labels = torch.tensor([case.labels for case in cases])
    known = ~torch.isnan(labels)
    share = torch.zeros(len(cases))
    names = np.array([case.collection for case in cases])
    for name in np.unique(names):
        mine = torch.from_numpy(names == name)
        share[mine] = 1.0 / known[mine].sum()
    weights = known * share[:, None]
    truth = torch.where(known, labels, torch.zeros_like(labels))
    raw = torch.from_numpy(np.asarray(logits, dtype=np.float32))

    def loss(candidate: float) -> float:
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            raw / candidate, truth, reduction="none"
        )
        return float((each * weights).sum())

    candidates = [round(float(value), 3) for value in np.geomspace(0.25, 8.0, 200)]
    return min(candidates, key=loss)


def triage_config(
    probabilities: Floats, distances: Floats, cases: Sequence[Case]
) -> dict[str, Any]:
    """The content of configs/triage.json.

    From validation images fit for judging: `probabilities` (n, labels), `distances` (n,) of
    `cases`. `urgent` keeps its sensitivity, `critical` its specificity, in each collection.
    """
    names = np.array([case.collection for case in cases])
    labels = np.array([case.labels for case in cases])
    abnormal = probabilities[:, 0]
    each = [names == name for name in np.unique(names)]
    urgent = min(
        at_sensitivity(labels[mine, 0], abnormal[mine], URGENT_SENSITIVITY) for mine in each
    )
    critical = max(
        at_specificity(labels[mine, 0], abnormal[mine], CRITICAL_SPECIFICITY) for mine in each
    )
    adults = names == ADULTS
    judged = adults if adults.any() else np.ones(len(cases), dtype=bool)

    def of(finding: str, specificity: float) -> float:
        column = LABELS.index(finding)
        rows = judged & ~np.isnan(labels[:, column])
        return at_specificity(labels[rows, column], probabilities[rows, column], specificity)

    def passing(share: float) -> float:
        return max(float(np.quantile(distances[mine], share)) for mine in each)

    findings = {
        name: {
            "threshold": of(name, FINDING_SPECIFICITY),
            "basis": f"{FINDING_SPECIFICITY:.0%} specificity on adult validation images",
        }
        for name in FINDINGS
    }
    findings[ABNORMAL] = {
        "threshold": urgent,
        "basis": f"{URGENT_SENSITIVITY:.0%} sensitivity on validation images of each collection",
    }
    return {
        "labels": list(LABELS),
        "findings": findings,
        "classes": {
            "critical": {
                "abnormal": max(critical, urgent),
                "basis": f"{CRITICAL_SPECIFICITY:.0%} specificity for 'abnormal' on the validation "
                "images of each collection, and the same on adults for the findings named",
                "findings": {name: of(name, CRITICAL_SPECIFICITY) for name in CRITICAL_FINDINGS},
            },
            "urgent": {
                "abnormal": urgent,
                "basis": findings[ABNORMAL]["basis"],
            },
        },
        "gate": {
            "header_certain": _rounded(passing(GATE_CERTAIN_SHARE) * _LEEWAY),
            "header_silent": _rounded(passing(GATE_SILENT_SHARE)),
            "basis": f"header silent: at least {GATE_SILENT_SHARE:.1%} of the validation images of "
            f"each collection pass; header says frontal chest: {GATE_CERTAIN_SHARE:.1%}, and "
            f"{_LEEWAY - 1:.0%} leeway",
        },
    }


def at_sensitivity(truth: Floats, score: Floats, sensitivity: float) -> float:
    """The highest threshold that still finds at least that share of the abnormal (score >= it)."""
    positives = np.sort(score[truth == 1])
    missed = int(np.floor((1.0 - sensitivity) * positives.size + 1e-9))
    return _rounded(float(positives[missed]))


def at_specificity(truth: Floats, score: Floats, specificity: float) -> float:
    """The lowest threshold that leaves at least that share of the normal below it."""
    negatives = np.sort(score[truth == 0])
    below = int(np.ceil(specificity * negatives.size - 1e-9))
    highest = float(negatives[max(0, below - 1)])
    return float(np.ceil((highest + 1e-6) * 1e5) / 1e5)


def _rounded(value: float) -> float:
    return float(np.floor(value * 1e5) / 1e5)
