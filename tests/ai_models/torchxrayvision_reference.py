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


def randomise(network: torch.nn.Module, images: torch.Tensor, seed: int) -> None:
    """Random weights, and the running statistics that training with them on `images` leaves."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.8, 1.2)
            module.bias.data.uniform_(-0.1, 0.1)
            module.momentum = None
    classifier: Any = network.get_submodule("classifier")
    classifier.weight.data.normal_(0.0, 0.1)
    classifier.bias.data.uniform_(-4.0, -1.0)
    with torch.inference_mode():
        network.train()(images)
    network.eval()


def main(package: str, out: Path) -> None:
    """Writes NAME.old.pt, NAME.new.pt and NAME.npz (`images`, `outputs`) for each of NAMES."""
    torch.set_num_threads(1)
    for name in STOOD_IN_FOR:
        stand_in(name)
    sys.path.insert(0, package)
    from torchxrayvision import models

    torch.manual_seed(1)
    coarse, fine = torch.rand(3, 1, 7, 7), torch.rand(3, 1, 224, 224)
    smooth = torch.nn.functional.interpolate(coarse, size=(224, 224), mode="bilinear")
    images = (0.8 * smooth + 0.2 * fine) * 2048 - 1024
    for seed, name in enumerate(NAMES):
        network = models.DenseNet()
        randomise(network, images.clone(), seed)
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
