"""Does this picture look like the radiographs that the model was trained on at all?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

_SHRINKAGE = 0.01


@dataclass(frozen=True, slots=True)
class Gate:
    """Mahalanobis distance, in the network's pooled features, to the nearest training collection.

    The header may be silent or wrong; the picture is asked too.
    """

    means: NDArray[np.float32]
    """(collections, features)"""
    whitening: NDArray[np.float32]
    """(collections, features, features): the Cholesky factors of the inverse covariances."""

    def distance(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, features) to (n,): root mean square deviation, about 1 on training images."""
        from_mean = features[:, None, :] - self.means[None]
        white = np.einsum("ncf,cfg->ncg", from_mean, self.whitening)
        return np.asarray(np.sqrt((white**2).mean(axis=2)).min(axis=1), dtype=np.float32)

    def save(self, path: Path) -> None:
        """Writes it as safetensors."""
        save_file({"means": self.means, "whitening": self.whitening}, path)

    @classmethod
    def load(cls, path: Path) -> "Gate":
        """Reads what `save` wrote."""
        tensors = load_file(path)
        return cls(tensors["means"], tensors["whitening"])


def fit_gate(features: NDArray[np.float32], collections: NDArray[Any]) -> Gate:
    """A gate around the features (n, F) of training images, one cloud a collection (n,)."""
    means, factors = [], []
    for collection in np.unique(collections):
        mine = features[collections == collection].astype(np.float64)
        covariance = np.cov(mine, rowvar=False)
        size = covariance.shape[0]
        level = np.trace(covariance) / size
        shrunk = (1.0 - _SHRINKAGE) * covariance + _SHRINKAGE * level * np.eye(size)
        means.append(mine.mean(axis=0))
        factors.append(np.linalg.cholesky(np.linalg.inv(shrunk)))
    return Gate(np.stack(means).astype(np.float32), np.stack(factors).astype(np.float32))
