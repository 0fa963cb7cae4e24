"""Everything that decides what the trained model will be, in one place."""

from dataclasses import dataclass
from typing import Any

from ai_models.labels import LABELS

NAME = "cxr_triage"
VERSION = "1.0.0"
SIZE = 224
FEATURES = 256

INFERENCE: dict[str, Any] = {
    "imports": ["$import torch", "$from safetensors.torch import load_file"],
    "bundle_root": ".",
    "weights": "$@bundle_root + '/models/model.safetensors'",
    "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
    "temperature": 1.0,
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "EnsureChannelFirst", "channel_dim": "no_channel"},
            {"_target_": "HistogramNormalize", "num_bins": 1024, "min": 0, "max": 1},
            {"_target_": "ResizeWithPadOrCrop", "spatial_size": [SIZE, SIZE]},
            {"_target_": "EnsureType", "track_meta": False},
        ],
    },
    "network_def": {
        "_target_": "ResNet",
        "block": "basic",
        "layers": [2, 2, 2, 2],
        "block_inplanes": [32, 64, 128, FEATURES],
        "spatial_dims": 2,
        "n_input_channels": 1,
        "conv1_t_size": 7,
        "conv1_t_stride": 2,
        "num_classes": len(LABELS),
    },
    "state": "$load_file(@weights)",
    "inferer": {"_target_": "SimpleInferer"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Lambda", "func": "$lambda logits: logits / @temperature"},
            {"_target_": "Activations", "sigmoid": True},
        ],
    },
    "heat_map_layer": "layer4",
    "feature_layer": "avgpool",
}

AUGMENTATION: dict[str, Any] = {
    "_target_": "Compose",
    "transforms": [
        {
            "_target_": "RandAffine",
            "prob": 0.9,
            "rotate_range": 0.15,
            "translate_range": [14, 14],
            "scale_range": [0.12, 0.12],
            "mode": "bilinear",
            "padding_mode": "zeros",
            "spatial_size": [SIZE, SIZE],
            "cache_grid": True,
        },
        {"_target_": "RandAdjustContrast", "prob": 0.5, "gamma": [0.7, 1.4]},
        {
            "_target_": "RandGaussianSmooth",
            "prob": 0.2,
            "sigma_x": [0.3, 1.0],
            "sigma_y": [0.3, 1.0],
        },
        {"_target_": "RandGaussianNoise", "prob": 0.2, "std": 0.03},
    ],
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and on what mixture a model is trained."""

    seed: int = 20_260_822
    epochs: int = 16
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    average_decay: float = 0.99
    """Of the exponential moving average of the weights, which is what is kept."""
    statistics_images: int = 512
    """On how many training images the average's normalisation statistics are measured."""
    adult_repeats: int = 4
    """How often an epoch shows each adult image of an unconfounded source."""
    confounded_repeats: int = 1
    """The same for adult images whose source gives the label away."""
    children: int = 1200
    """How many paediatric images an epoch draws."""
    abnormal_weight: float = 4.0
    """The weight of `abnormal` in the loss; each finding has 1."""
