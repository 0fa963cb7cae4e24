"""The training images, decoded and prepared once."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ai_models.evaluation.cases import Case, read_image
from ai_models.preprocessing import Transform, prepare

log = logging.getLogger(__name__)


def prepared_images(
    data: Path, cases: Sequence[Case], preparation: tuple[int, Transform, str], cache: Path
) -> NDArray[np.uint8]:
    """All images as the network sees them, uint8 (n, size, size).

    `preparation`: size, the bundle's transform, and a key that changes when either or the
    preprocessing does. Kept in the folder `cache`, under a name made of that key and the list of
    files, so that a stale copy is never read. Raises DataError, UnreadableImage.
    """
    size, transform, recipe_key = preparation
    names = "\n".join([recipe_key, str(size), *(case.file for case in cases)])
    path = cache / f"cxr-{hashlib.sha256(names.encode()).hexdigest()[:16]}.npy"
    if path.exists():
        return np.asarray(np.load(path))
    log.info("preparing %d images", len(cases))
    images = np.empty((len(cases), size, size), dtype=np.uint8)
    for place, case in enumerate(cases):
        prepared = prepare(*read_image(data / case.file), size, transform)
        images[place] = np.rint(prepared.tensor[0, 0] * 255.0)
    cache.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part.npy")
    np.save(partial, images)
    partial.replace(path)
    return images
