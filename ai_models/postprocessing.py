"""From a network's outputs to probabilities: temperature, sigmoid, operating points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from ai_models.arguments import ArgumentRefused

TEMPERATURE = {"_target_": "Lambda", "func": "$lambda logits: logits / @temperature"}
SIGMOID = {"_target_": "Activations", "sigmoid": True}
OPERATING_POINTS = {
    "_target_": "Lambda",
    "func": "$lambda p: torch.where(p < torch.tensor(@operating_points),"
    " p / (2 * torch.tensor(@operating_points)),"
    " 1 - (1 - p) / (2 * (1 - torch.tensor(@operating_points))))",
}
"""Steps as a bundle writes them for MONAI's own tools: here recognised, never evaluated."""


@dataclass(frozen=True, slots=True)
class Postprocessing:
    """What is done to logits (n, outputs)."""

    temperature: float | None = None
    points: tuple[float, ...] | None = None
    """Where each output has its operating point: 0 to it becomes 0 to 0.5, the rest 0.5 to 1."""

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (n, outputs), 0 to 1."""
        scaled = logits if self.temperature is None else logits / self.temperature
        probabilities = torch.sigmoid(scaled.float())
        if self.points is None:
            return probabilities
        point = torch.tensor(self.points, dtype=probabilities.dtype, device=probabilities.device)
        return torch.where(
            probabilities < point,
            probabilities / (2 * point),
            1.0 - (1.0 - probabilities) / (2 * (1 - point)),
        )


def postprocessing(config: dict[str, Any], outputs: int) -> Postprocessing:
    """What the `postprocessing` of a bundle's inference.json asks for, of `outputs` outputs.

    Raises ArgumentRefused where it is anything but temperature (optional), sigmoid and operating
    points (optional), in this order and in the words of TEMPERATURE, SIGMOID, OPERATING_POINTS.
    """
    given = config.get("postprocessing")
    steps = given.get("transforms") if isinstance(given, dict) else None
    if not isinstance(steps, list) or given != {"_target_": "Compose", "transforms": steps}:
        raise ArgumentRefused("postprocessing is a Compose of transforms, and nothing else")
    remaining = list(steps)
    temperature = points = None
    if remaining[:1] == [TEMPERATURE]:
        remaining.pop(0)
        temperature = _number(config.get("temperature"), "temperature", 0.01, 100.0)
    if remaining[:1] != [SIGMOID]:
        raise ArgumentRefused("postprocessing is a sigmoid, after a temperature or without one")
    remaining.pop(0)
    if remaining[:1] == [OPERATING_POINTS]:
        remaining.pop(0)
        points = _points(config.get("operating_points"), outputs)
    if remaining:
        raise ArgumentRefused(f"postprocessing cannot have {str(remaining[0])[:80]}")
    return Postprocessing(temperature, points)


def _points(values: Any, outputs: int) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) != outputs:
        raise ArgumentRefused(f"operating_points is a list of {outputs} numbers")
    return tuple(_number(value, "operating_points", 1e-6, 1 - 1e-6) for value in values)


def _number(value: Any, name: str, low: float, high: float) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
        raise ArgumentRefused(f"{name} cannot be {str(value)[:40]}")
    return float(value)
