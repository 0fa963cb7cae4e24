"""The networks that a bundle may name, and which arguments they take: a closed list.

MONAI's ConfigParser instantiates whatever `_target_` says and evaluates `$` expressions, so a
bundle from elsewhere could run any program. Here a name selects one of these constructors, and
arguments are numbers and words within bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.networks.nets import DenseNet, DenseNet121, DenseNet169, EfficientNetBN, ResNet
from torch import nn

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

MOST_PARAMETERS = 300_000_000

_CHANNELS = whole(1, 16)
_CLASSES = whole(1, 1000)
_PLANE = one_of(2)
_DENSE: Mapping[str, Check] = {
    "spatial_dims": _PLANE,
    "in_channels": _CHANNELS,
    "out_channels": _CLASSES,
    "init_features": whole(1, 512),
    "growth_rate": whole(1, 256),
    "block_config": several(whole(1, 64), 1, 8),
    "bn_size": whole(1, 16),
    "dropout_prob": number(0, 0.9),
}
_NETWORKS: Mapping[str, tuple[Any, Mapping[str, Check]]] = {
    "DenseNet": (DenseNet, _DENSE),
    "DenseNet121": (DenseNet121, _DENSE),
    "DenseNet169": (DenseNet169, _DENSE),
    "EfficientNetBN": (
        EfficientNetBN,
        {
            "model_name": one_of(*(f"efficientnet-b{size}" for size in range(8))),
            "spatial_dims": _PLANE,
            "in_channels": _CHANNELS,
            "num_classes": _CLASSES,
            "pretrained": one_of(False),
        },
    ),
    "ResNet": (
        ResNet,
        {
            "block": one_of("basic", "bottleneck"),
            "layers": several(whole(1, 64), 4, 4),
            "block_inplanes": several(whole(1, 2048), 4, 4),
            "spatial_dims": _PLANE,
            "n_input_channels": _CHANNELS,
            "conv1_t_size": whole(1, 15),
            "conv1_t_stride": whole(1, 4),
            "no_max_pool": FLAG,
            "shortcut_type": one_of("A", "B"),
            "widen_factor": number(0.1, 4),
            "num_classes": _CLASSES,
            "bias_downsample": FLAG,
        },
    ),
}
_ALWAYS: Mapping[str, Mapping[str, Any]] = {"EfficientNetBN": {"pretrained": False}}
NAMES = tuple(sorted(_NETWORKS))


def network(config: Any) -> nn.Module:
    """The network that a bundle's `network_def` describes, with random weights.

    Raises ArgumentRefused for a name or an argument that is not on the list, and for a network of
    more than MOST_PARAMETERS parameters (counted before any memory is taken for them).
    """
    name = str(config.get("_target_")) if isinstance(config, dict) else ""
    if name not in _NETWORKS:
        raise ArgumentRefused(f"no network {name[:60]!r} here, only {', '.join(NAMES)}")
    make, allowed = _NETWORKS[name]
    arguments = checked(config, allowed) | dict(_ALWAYS.get(name, {}))
    try:
        with torch.device("meta"):
            parameters = sum(each.numel() for each in make(**arguments).parameters())
        if parameters > MOST_PARAMETERS:
            raise ArgumentRefused(f"{parameters} parameters are more than {MOST_PARAMETERS}")
        built: nn.Module = make(**arguments)
    except (TypeError, ValueError, AssertionError) as error:
        raise ArgumentRefused(f"{name} cannot be made: {str(error)[:200]}") from error
    return built
