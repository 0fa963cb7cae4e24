"""A bundle's configs/inference.json, read as data: which network, what before and after it.

Bundles are written for MONAI's tools, which evaluate expressions in it. None is evaluated here:
what is not on our lists is refused, and what only MONAI's tools need (imports, state) is not looked
at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from ai_models.arguments import ArgumentRefused
from ai_models.errors import ModelAltered, ModelRefused
from ai_models.networks import network
from ai_models.postprocessing import Postprocessing, postprocessing
from ai_models.registry import Bundle
from ai_models.transforms import transform
from ai_models.weights import PICKLED, SAFETENSORS, WeightsRefused, fill, read_weights

Canvas = Literal["pad", "crop"]
"""How a radiograph that is no square comes onto the network's: whole with bands, or its middle."""

_SIMPLE_INFERER = {"_target_": "SimpleInferer"}


@dataclass(frozen=True, slots=True)
class Inference:
    """All that is needed to run a bundle's network."""

    network: nn.Module
    """With its weights, on the CPU, in evaluation mode."""
    preprocessing: Any
    postprocessing: Postprocessing
    canvas: Canvas
    heat_map_layer: str
    feature_layer: str | None


def read_inference(bundle: Bundle) -> Inference:
    """The bundle's network, filled. Raises ModelRefused, ModelAltered."""
    config = bundle.config("inference")
    try:
        built = network(config.get("network_def"))
        fill(built, read_weights(bundle.root / _weights(bundle)))
        return Inference(
            network=built.eval(),
            preprocessing=transform(config.get("preprocessing")),
            postprocessing=postprocessing(config, bundle.outputs),
            canvas=_canvas(config),
            heat_map_layer=str(_layer(built, config, "heat_map_layer")),
            feature_layer=_layer(built, config, "feature_layer") if bundle.has_gate else None,
        )
    except ArgumentRefused as error:
        raise ModelRefused(bundle.name, f"configs/inference.json: {error}") from error
    except WeightsRefused as error:
        raise ModelRefused(bundle.name, str(error)) from error
    except OSError as error:
        raise ModelAltered(bundle.name, f"its weights cannot be read: {error.strerror}") from error


def best_device() -> torch.device:
    """The GPU if there is one."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _weights(bundle: Bundle) -> str:
    return SAFETENSORS if SAFETENSORS in bundle.files else PICKLED


def _canvas(config: dict[str, Any]) -> Canvas:
    if config.get("inferer", _SIMPLE_INFERER) != _SIMPLE_INFERER:
        raise ArgumentRefused("the inferer is the SimpleInferer, and no other")
    canvas = config.get("canvas", "pad")
    if canvas not in ("pad", "crop"):
        raise ArgumentRefused(f"canvas is pad or crop, not {str(canvas)[:40]!r}")
    return "crop" if canvas == "crop" else "pad"


def _layer(built: nn.Module, config: dict[str, Any], name: str) -> str:
    layer = config.get(name)
    if not isinstance(layer, str) or layer not in dict(built.named_modules()):
        raise ArgumentRefused(f"{name} names no layer of the network")
    return layer
