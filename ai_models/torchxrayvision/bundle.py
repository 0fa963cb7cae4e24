"""A MONAI bundle from a weights file of TorchXRayVision's."""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ai_models.errors import ModelRefused
from ai_models.pickled import PickleRefused, read_network
from ai_models.postprocessing import OPERATING_POINTS, SIGMOID
from ai_models.registry import sha256, write_checksums
from ai_models.torchxrayvision.catalogue import OUTPUTS, WEIGHTS, Weights, by_file, by_name

VERSION = "1.0.0"
SIDE = 224
_PRESENT = 0.5
"""Scaled outputs have their operating points here."""
_NEVER = 2.0
_READABLE = 0o644
_LAYER = re.compile(r"^(features\.denseblock\d+\.denselayer\d+)\.(?=norm|conv)")

INFERENCE: dict[str, Any] = {
    "imports": ["$import torch", "$from safetensors.torch import load_file"],
    "bundle_root": ".",
    "weights": "$@bundle_root + '/models/model.safetensors'",
    "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
    "canvas": "crop",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "EnsureChannelFirst", "channel_dim": "no_channel"},
            {
                "_target_": "ScaleIntensityRange",
                "a_min": 0,
                "a_max": 1,
                "b_min": -1024,
                "b_max": 1024,
                "clip": True,
            },
            {"_target_": "ResizeWithPadOrCrop", "spatial_size": [SIDE, SIDE]},
            {"_target_": "EnsureType", "track_meta": False},
        ],
    },
    "network_def": {
        "_target_": "DenseNet121",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": len(OUTPUTS),
    },
    "state": "$load_file(@weights)",
    "inferer": {"_target_": "SimpleInferer"},
    "postprocessing": {"_target_": "Compose", "transforms": [SIGMOID, OPERATING_POINTS]},
    "heat_map_layer": "class_layers.relu",
}
LICENSE = """\
The weights in this folder were made from a file that the project TorchXRayVision publishes
(https://github.com/mlmed/torchxrayvision, Apache License 2.0): Cohen JP, Viviano JD, Bertin P, et
al. TorchXRayVision: A library of chest X-ray datasets and models. MIDL 2022, arXiv:2111.00595.

They were trained on images that their owners give out under terms of their own, among them for
research only. Whether a use is allowed is for who uses them to find out.
"""


def which(file: Path, name: str | None) -> Weights:
    """The published weights that `file` is, by `name` or by the file's. Raises ModelRefused."""
    found = by_name(name) if name is not None else by_file(file.name)
    if found is None:
        names = ", ".join(weights.name for weights in WEIGHTS)
        said = f"{name!r} is none of them" if name else "its file name is none of theirs"
        raise ModelRefused(
            file.name, f"which of TorchXRayVision's weights is it ({names})? {said}; say --weights"
        )
    return found


def write_bundle(file: Path, weights: Weights, root: Path) -> None:
    """Writes the bundle of a weights file into the folder `root`, sealed by SHA256SUMS.

    The pickle in the file is read without running anything. Raises ModelRefused and OSError.
    """
    try:
        state = {_renamed(name): value for name, value in read_network(file).items()}
    except PickleRefused as error:
        raise ModelRefused(file.name, str(error)) from error
    for folder in ("configs", "models", "docs"):
        (root / folder).mkdir(parents=True)
    floats: dict[str, torch.Tensor] = {
        name: value for name, value in state.items() if value.is_floating_point()
    }
    target = root / "models" / "model.safetensors"
    save_file(floats, target)
    target.chmod(_READABLE)
    points = [weights.points.get(label, _PRESENT) for label in OUTPUTS]
    _write_json(root / "configs" / "inference.json", INFERENCE | {"operating_points": points})
    _write_json(root / "configs" / "triage.json", _triage(weights))
    _write_json(root / "configs" / "metadata.json", _metadata(weights, file))
    (root / "LICENSE").write_text(LICENSE, encoding="utf-8")
    (root / "docs" / "README.md").write_text(_readme(weights), encoding="utf-8")
    write_checksums(root)


def _renamed(name: str) -> str:
    """The name in MONAI's DenseNet of a tensor in torchvision's (and torchxrayvision's)."""
    if name.startswith("classifier."):
        return name.replace("classifier.", "class_layers.out.", 1)
    return _LAYER.sub(r"\1.layers.", name)


def _triage(weights: Weights) -> dict[str, Any]:
    return {
        "labels": list(weights.labels),
        "findings": {
            label: {"threshold": _PRESENT, "basis": "the operating point that is published"}
            for label in weights.labels
            if label
        },
        "classes": {
            "critical": {
                "abnormal": _NEVER,
                "basis": "nothing is published to choose it by: no image is critical",
                "findings": {},
            },
            "urgent": {
                "abnormal": _PRESENT,
                "basis": "any finding at its published operating point",
            },
        },
    }


def _readme(weights: Weights) -> str:
    return f"""\
# {weights.model} {VERSION}

**AI, for research use. Not a registered medical device. Not for diagnosis.**

TorchXRayVision's weights `{weights.name}` (DenseNet-121, 224 x 224 pixels), trained by its authors
on: {weights.trained_on}.
Paper: arXiv:2111.00595; project: https://github.com/mlmed/torchxrayvision.

Input: the square in the middle of the radiograph, 224 pixels wide, dense tissue bright, -1024 to
1024. What comes before (modality LUT, VOI LUT, photometric interpretation, flat borders) is this
product's, not TorchXRayVision's, which scales stored values by their bit depth.

Output: 18 sigmoids, each scaled so that its published operating point is 0.5. There is no output
for `abnormal`: images are ranked by the likeliest finding. There is no gate: an image whose header
does not say that it is a chest is not assessed. The operating points are those of the training
collections; they do not carry over to another hospital. Nothing was measured here.
"""


def _metadata(weights: Weights, file: Path) -> dict[str, Any]:
    version = importlib.metadata.version
    tensor = {"spatial_shape": [SIDE, SIDE], "dtype": "float32", "is_patch_data": False}
    return {
        "name": weights.model,
        "version": VERSION,
        "registered": False,
        "registration_number": None,
        "changelog": {VERSION: f"made of {weights.file}, SHA-256 {sha256(file)}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": {"safetensors": version("safetensors")},
        "task": "Findings in frontal chest radiographs",
        "description": f"TorchXRayVision's {weights.name}: findings in a frontal chest radiograph",
        "authors": "Joseph Paul Cohen and the TorchXRayVision contributors",
        "copyright": "Copyright the TorchXRayVision contributors; Apache-2.0",
        "license": "Apache-2.0 (program and weights); the training images have terms of their own",
        "intended_use": "Research. Not a registered medical device; not for diagnosis.",
        "data_source": weights.trained_on,
        "network_data_format": {
            "inputs": {
                "image": tensor
                | {
                    "type": "image",
                    "format": "radiograph",
                    "modality": "CR, DX",
                    "num_channels": 1,
                    "value_range": [-1024, 1024],
                    "channel_def": {"0": "radiograph, dense tissue bright"},
                }
            },
            "outputs": {
                "pred": tensor
                | {
                    "type": "probabilities",
                    "format": "classes",
                    "num_channels": len(OUTPUTS),
                    "spatial_shape": [],
                    "value_range": [0, 1],
                    "channel_def": {str(i): name for i, name in enumerate(weights.labels)},
                }
            },
        },
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
