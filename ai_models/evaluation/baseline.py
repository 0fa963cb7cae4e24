"""A trivial rival: logistic regression on a 16x16 thumbnail.

A model that does not beat it by much has learnt exposure, framing and device, not disease.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from ai_models.preprocessing import presented

SIDE = 16
_PENALTY = 1.0
_FOLDS = 5
_SEED = 11


def thumbnail(pixels: NDArray[Any], header: Dataset) -> NDArray[np.float32]:
    """The image as displayed, shrunk to 16x16 and flattened: (256,), 0 to 1."""
    shown = Image.fromarray(presented(pixels, header))
    small = shown.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32).ravel()


def fitted_scores(
    train: NDArray[np.float32], truth: NDArray[Any], test: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Scores (m,) of `test` (m, F) by logistic regression (L2, C = 1) on `train` (n, F), (n,)."""
    mean, deviation = train.mean(axis=0), train.std(axis=0) + 1e-6
    inputs = torch.from_numpy(np.asarray((train - mean) / deviation, dtype=np.float64))
    target = torch.from_numpy(np.asarray(truth, dtype=np.float64))
    weights = torch.zeros(inputs.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = inputs @ weights[:-1] + weights[-1]
        fit = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        value = fit + 0.5 / _PENALTY * (weights[:-1] ** 2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    found = weights.detach().numpy()
    return np.asarray((test - mean) / deviation @ found[:-1] + found[-1], dtype=np.float64)


def cross_validated_scores(
    features: NDArray[np.float32], truth: NDArray[Any], patients: Sequence[str]
) -> NDArray[np.float64]:
    """Out-of-fold scores (n,) where there is nothing else to fit on; folds keep patients whole."""
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    folds = np.random.default_rng(_SEED).integers(0, _FOLDS, size=owner.max() + 1)[owner]
    scores = np.zeros(len(features))
    for fold in range(_FOLDS):
        held = folds == fold
        if held.any() and np.unique(np.asarray(truth)[~held]).size == 2:
            scores[held] = fitted_scores(features[~held], np.asarray(truth)[~held], features[held])
    return scores
