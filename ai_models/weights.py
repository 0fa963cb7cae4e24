"""Reading weights without running anything: safetensors, or a state dictionary by PyTorch.

`torch.load(weights_only=True)` reads tensors and plain containers and refuses whatever else a
pickle asks for.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

SAFETENSORS = "models/model.safetensors"
PICKLED = "models/model.pt"
LARGEST_FILE = 2 << 30
_COUNTER = "num_batches_tracked"


class WeightsRefused(ValueError):
    """Weights that cannot be read without running foreign code, or do not fit their network."""


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by their names, on the CPU. Raises WeightsRefused and OSError."""
    if path.stat().st_size > LARGEST_FILE:
        raise WeightsRefused(f"{path.name} is larger than {LARGEST_FILE >> 30} GiB")
    try:
        found = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsRefused(
            f"{path.name} holds more than weights, or is damaged; a state dictionary as"
            f" safetensors is what is read"
        ) from error
    state = found.get("state_dict", found) if isinstance(found, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise WeightsRefused(f"{path.name} is no state dictionary (names and their tensors)")
    return state


def fill(network: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Puts the weights, of any precision, into the network. Raises WeightsRefused.

    Only the counters of batches may be missing.
    """
    full = {name: value.float() for name, value in state.items() if not name.endswith(_COUNTER)}
    try:
        missing, unexpected = network.load_state_dict(full, strict=False)
    except RuntimeError as error:
        raise WeightsRefused(f"its weights do not fit its network: {str(error)[:300]}") from error
    lacking = [name for name in missing if not name.endswith(_COUNTER)]
    if lacking or unexpected:
        raise WeightsRefused(
            "its weights do not fit its network: "
            + (f"{lacking[0]} is missing" if lacking else f"{unexpected[0]} is not in it")
        )
    if not all(bool(torch.isfinite(value).all()) for value in full.values()):
        raise WeightsRefused("some of its weights are no finite numbers")
