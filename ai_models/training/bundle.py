"""Turns a trained network into a bundle in MONAI's layout."""

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from ai_models.evaluation.cases import Case
from ai_models.gate import fit_gate
from ai_models.labels import LABELS
from ai_models.registry import write_checksums
from ai_models.training import thresholds
from ai_models.training.recipe import INFERENCE, NAME, SIZE, VERSION, Recipe

_READABLE = 0o644
LICENSE = """\
The weights and configuration in this folder are licensed under the Apache License, Version 2.0
(https://www.apache.org/licenses/LICENSE-2.0), like the program around them.

They were trained on
- NIH ChestX-ray14 (https://nihcc.app.box.com/v/ChestXray-NIHCC), provided by the NIH Clinical
  Center without restriction on use; Wang X, Peng Y, Lu L, Lu Z, Bagheri M, Summers RM.
  ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on Weakly-Supervised
  Classification and Localization of Common Thorax Diseases. IEEE CVPR 2017.
- Kermany D, Zhang K, Goldbaum M. Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images
  for Classification. Mendeley Data, 10.17632/rscbjbr9sj, CC BY 4.0
  (https://creativecommons.org/licenses/by/4.0/).

No image is part of this folder.
"""


@dataclass(frozen=True, slots=True)
class Provenance:
    """How the weights came to be."""

    recipe: Recipe
    seconds: float
    machine: str
    epoch: int
    train_images: int


def preprocessing() -> Any:
    """The bundle's own transform, as `ai_models.preprocessing.prepare` wants it."""
    return ConfigParser({"it": INFERENCE["preprocessing"]}).get_parsed_content("it")


def write_bundle(
    root: Path,
    network: nn.Module,
    images: NDArray[np.uint8],
    cases: Sequence[Case],
    provenance: Provenance,
) -> None:
    """Writes everything but the model card into the folder `root`, sealed by SHA256SUMS.

    Gate from the training images, temperature and thresholds from the validation images that may
    judge a model; `images` (n, S, S) in the order of `cases`.
    """
    for folder in ("configs", "models", "docs"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    stored = {name: _stored(name, value) for name, value in network.state_dict().items()}
    stored = {name: value for name, value in stored.items() if value.is_floating_point()}
    weights = root / "models" / "model.safetensors"
    save_file(stored, weights)
    weights.chmod(_READABLE)
    network.load_state_dict({name: value.float() for name, value in stored.items()}, strict=False)

    train = [i for i, case in enumerate(cases) if case.split == "train"]
    collections = np.array([cases[i].collection for i in train])
    _, features = logits_and_features(network, images[train])
    gate = fit_gate(features, collections)
    gate.save(root / "models" / "gate.safetensors")
    (root / "models" / "gate.safetensors").chmod(_READABLE)

    judging = [i for i, case in enumerate(cases) if case.split == "val" and case.fit_for_judging]
    logits, features = logits_and_features(network, images[judging])
    val_cases = [cases[i] for i in judging]
    temperature = thresholds.temperature(logits, val_cases)
    probabilities = 1.0 / (1.0 + np.exp(-logits / temperature))
    triage = thresholds.triage_config(probabilities, gate.distance(features), val_cases)

    _write_json(root / "configs" / "inference.json", INFERENCE | {"temperature": temperature})
    _write_json(root / "configs" / "triage.json", triage)
    _write_json(root / "configs" / "metadata.json", _metadata(provenance))
    (root / "LICENSE").write_text(LICENSE, encoding="utf-8")
    (root / "docs" / "README.md").write_text(f"# {NAME} {VERSION}\n", encoding="utf-8")
    write_checksums(root)


def write_card(root: Path, card: str) -> None:
    """Puts the model card into the bundle and seals it anew."""
    (root / "docs" / "README.md").write_text(card, encoding="utf-8")
    write_checksums(root)


def logits_and_features(
    network: nn.Module, images: NDArray[np.uint8], batch: int = 32
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The network's logits (n, labels) and pooled features (n, F) of images (n, S, S)."""
    pooled: list[torch.Tensor] = []
    layer = network.get_submodule(str(INFERENCE["feature_layer"]))
    hook = layer.register_forward_hook(lambda _module, _inputs, out: pooled.append(out.flatten(1)))
    network.eval()
    logits = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            inputs = torch.from_numpy(images[start : start + batch][:, None]).float() / 255.0
            logits.append(network(inputs).numpy())
    hook.remove()
    return np.concatenate(logits), torch.cat(pooled).numpy()


def _stored(name: str, value: torch.Tensor) -> torch.Tensor:
    """Half precision, but for the normalisation's running statistics, which may be too small."""
    if "running_" in name or not value.is_floating_point():
        return value.detach().contiguous()
    return value.detach().half().contiguous()


def _metadata(provenance: Provenance) -> dict[str, Any]:
    version = importlib.metadata.version
    return {
        "name": NAME,
        "version": VERSION,
        "registered": False,
        "registration_number": None,
        "changelog": {VERSION: "first release"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": {"safetensors": version("safetensors")},
        "task": "Triage of frontal chest radiographs",
        "description": "Probability of any abnormality and of 14 findings in a frontal chest "
        "radiograph (CR, DX), to order a worklist",
        "authors": "The Filmless contributors",
        "copyright": "Copyright the Filmless contributors; Apache-2.0",
        "intended_use": "Research. Not a registered medical device; not for diagnosis.",
        "data_source": "NIH ChestX-ray14 (part); Kermany et al., Mendeley Data rscbjbr9sj",
        "training": {
            "seed": provenance.recipe.seed,
            "epochs": provenance.recipe.epochs,
            "epoch_kept": provenance.epoch + 1,
            "images": provenance.train_images,
            "seconds": round(provenance.seconds),
            "machine": provenance.machine,
        },
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "radiograph",
                    "modality": "CR, DX",
                    "num_channels": 1,
                    "spatial_shape": [SIZE, SIZE],
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": False,
                    "channel_def": {"0": "radiograph, dense tissue bright, equalised"},
                }
            },
            "outputs": {
                "pred": {
                    "type": "probabilities",
                    "format": "classes",
                    "num_channels": len(LABELS),
                    "spatial_shape": [],
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": False,
                    "channel_def": {str(i): name for i, name in enumerate(LABELS)},
                }
            },
        },
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
