"""Run as a program: weights files and outputs by torchxrayvision's own code, from a folder of it.

    python torchxrayvision_reference.py PACKAGE_FOLDER OUT_FOLDER

torchxrayvision wants torchvision, which cannot be beside our build of torch, and packages that only
its data sets need; empty stand-ins are enough for its networks, whose code is run as it is. Each
file holds a whole network with random weights, as its releases do; once in the format that PyTorch
had when they were made, once in today's.
"""

import sys
import types
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch

STOOD_IN_FOR = (
    *("torchvision", "torchvision.transforms", "torchvision.models"),
    *("skimage", "skimage.transform", "skimage.io", "skimage.filters"),
    *("pandas", "imageio", "imageio.v2", "tqdm", "tqdm.auto", "requests"),
)
NAMES = ("densenet121-res224-all", "densenet121-res224-nih")


def stand_in(name: str) -> None:
    """An empty package under that name."""
    module: Any = types.ModuleType(name)
    module.__getattr__ = lambda _attribute: MagicMock()
    module.__path__ = []
    sys.modules[name] = module


def randomise(network: torch.nn.Module, seed: int) -> None:
    """Weights and running statistics such as training leaves them, none at its first value."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.8, 1.2, generator=generator)
            module.bias.data.uniform_(-0.1, 0.1, generator=generator)
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)  # type: ignore[union-attr]
            module.running_var.uniform_(0.8, 1.2, generator=generator)  # type: ignore[union-attr]
    classifier: Any = network.get_submodule("classifier")
    classifier.weight.data.normal_(0.0, 0.05, generator=generator)
    classifier.bias.data.uniform_(-5.0, 0.0, generator=generator)


def main(package: str, out: Path) -> None:
    """Writes NAME.old.pt, NAME.new.pt and NAME.npz (`images`, `outputs`) for each of NAMES."""
    torch.set_num_threads(1)
    for name in STOOD_IN_FOR:
        stand_in(name)
    sys.path.insert(0, package)
    from torchxrayvision import models

    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 1, 224, 224, generator=generator) * 2048 - 1024
    for seed, name in enumerate(NAMES):
        network = models.DenseNet()
        randomise(network, seed)
        torch.save(network, out / f"{name}.old.pt", _use_new_zipfile_serialization=False)
        torch.save(network, out / f"{name}.new.pt")
        # Its own way of loading, from a file instead of from the network.
        models.get_weights = lambda _name, _folder, file=out / f"{name}.new.pt": str(file)
        loaded = models.DenseNet(weights=name)
        with torch.inference_mode():
            outputs = loaded(images.clone())
        np.savez(out / f"{name}.npz", images=images.numpy(), outputs=outputs.numpy())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
