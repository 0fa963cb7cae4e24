"""The array transforms that a bundle may name for its input: a closed list, arguments checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monai.transforms import (
    CenterSpatialCrop,
    Compose,
    EnsureChannelFirst,
    EnsureType,
    HistogramNormalize,
    NormalizeIntensity,
    RepeatChannel,
    Resize,
    ResizeWithPadOrCrop,
    ScaleIntensity,
    ScaleIntensityRange,
)

from ai_models.arguments import (
    FLAG,
    ArgumentRefused,
    Check,
    checked,
    number,
    one_of,
    several,
    whole,
)

MOST_TRANSFORMS = 16

_VALUE = number(-1e6, 1e6)
_SIDES = several(whole(16, 2048), 2, 2)
_TRANSFORMS: Mapping[str, tuple[Any, Mapping[str, Check]]] = {
    "CenterSpatialCrop": (CenterSpatialCrop, {"roi_size": _SIDES}),
    "EnsureChannelFirst": (EnsureChannelFirst, {"channel_dim": one_of("no_channel")}),
    "EnsureType": (EnsureType, {"track_meta": one_of(False)}),
    "HistogramNormalize": (
        HistogramNormalize,
        {"num_bins": whole(2, 65536), "min": _VALUE, "max": _VALUE},
    ),
    "NormalizeIntensity": (
        NormalizeIntensity,
        {"subtrahend": _VALUE, "divisor": number(1e-6, 1e6), "nonzero": FLAG},
    ),
    "RepeatChannel": (RepeatChannel, {"repeats": whole(1, 16)}),
    "Resize": (
        Resize,
        {
            "spatial_size": _SIDES,
            "mode": one_of("area", "bilinear", "bicubic", "nearest"),
            "anti_aliasing": FLAG,
        },
    ),
    "ResizeWithPadOrCrop": (ResizeWithPadOrCrop, {"spatial_size": _SIDES}),
    "ScaleIntensity": (ScaleIntensity, {"minv": _VALUE, "maxv": _VALUE}),
    "ScaleIntensityRange": (
        ScaleIntensityRange,
        {"a_min": _VALUE, "a_max": _VALUE, "b_min": _VALUE, "b_max": _VALUE, "clip": FLAG},
    ),
}
NAMES = tuple(sorted(_TRANSFORMS))


def transform(config: Any) -> Any:
    """What a bundle's `preprocessing` describes: (h, w) float32 to (channels, S, S).

    Raises ArgumentRefused for a transform or an argument that is not on the list.
    """
    if not isinstance(config, dict) or set(config) != {"_target_", "transforms"}:
        raise ArgumentRefused("preprocessing is a Compose of transforms, and nothing else")
    steps = config["transforms"]
    if config["_target_"] != "Compose" or not isinstance(steps, list):
        raise ArgumentRefused("preprocessing is a Compose of transforms, and nothing else")
    if len(steps) > MOST_TRANSFORMS:
        raise ArgumentRefused(f"more than {MOST_TRANSFORMS} transforms")
    return Compose([_step(step) for step in steps])


def _step(config: Any) -> Any:
    name = str(config.get("_target_")) if isinstance(config, dict) else ""
    if name not in _TRANSFORMS:
        raise ArgumentRefused(f"no transform {name[:60]!r} here, only {', '.join(NAMES)}")
    make, allowed = _TRANSFORMS[name]
    return make(**checked(config, allowed))
