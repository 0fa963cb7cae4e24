"""Tries a bundle out: what its network takes and gives is compared with what it declares."""

from __future__ import annotations

import numpy as np

from ai_models.errors import ModelError, ModelRefused, UnreadableImage
from ai_models.model import Model
from ai_models.preprocessing import monochrome2
from ai_models.registry import Bundle

_SEED = 0
_IMAGES = 2
_TOLERANCE = 1e-4


def try_out(bundle: Bundle) -> Model:
    """Loads a verified bundle and feeds it: a picture through its preprocessing, then a batch.

    Raises ModelRefused where inputs or outputs are not as `network_data_format` declares them.
    """
    declared = bundle.metadata["network_data_format"]
    image, pred = declared["inputs"]["image"], declared["outputs"]["pred"]
    if image["spatial_shape"][0] != image["spatial_shape"][1]:
        raise ModelRefused(bundle.name, f"its input is no square: {image['spatial_shape']}")
    if set(pred["channel_def"]) != {str(i) for i in range(bundle.outputs)}:
        raise ModelRefused(bundle.name, "channel_def does not name each of its outputs")
    model = Model(bundle)
    low, high = map(float, image["value_range"])
    random = np.random.default_rng(_SEED)
    shape = (image["num_channels"], model.size, model.size)
    picture = random.integers(0, 4096, (480, 400), dtype=np.uint16)
    try:
        prepared = model.prepare(picture, monochrome2()).tensor
        if prepared.shape[1:] != shape:
            raise ModelRefused(
                bundle.name, f"its preprocessing makes {prepared.shape[1:]}, declared is {shape}"
            )
        slack = _TOLERANCE * max(1.0, high - low)
        if prepared.min() < low - slack or prepared.max() > high + slack:
            raise ModelRefused(
                bundle.name,
                f"its preprocessing makes values from {prepared.min():g} to {prepared.max():g},"
                f" declared are {low:g} to {high:g}",
            )
        batch = random.uniform(low, high, (_IMAGES, *shape)).astype(np.float32)
        prediction = model.predict(np.concatenate([batch, prepared]))
        found = prediction.probabilities
        if found.shape != (_IMAGES + 1, bundle.outputs):
            raise ModelRefused(
                bundle.name, f"it gives {found.shape[1:]}, declared are {bundle.outputs} outputs"
            )
        if not np.isfinite(found).all() or found.min() < 0 or found.max() > 1:
            raise ModelRefused(bundle.name, "what it gives are no probabilities")
        if not np.isfinite(prediction.distances).all():
            raise ModelRefused(bundle.name, "its gate does not fit its features")
        model.heat_map(prepared, next(label for label in model.labels if label))
    except ModelError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError, UnreadableImage) as error:
        raise ModelRefused(
            bundle.name, f"it cannot be fed as it declares: {str(error)[:300]}"
        ) from error
    return model
