"""A verified bundle, loaded: probabilities, features, heat maps.

Network, preprocessing, postprocessing and inferer are built by MONAI's ConfigParser from the
bundle's configs/inference.json; nothing about them is written here.
"""

import copy
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.visualize import GradCAM
from numpy.typing import NDArray
from pydicom import Dataset

from ai_models.errors import ModelAltered
from ai_models.gate import Gate
from ai_models.labels import LABELS
from ai_models.preprocessing import FloatImage, Prepared, prepare
from ai_models.registry import Bundle
from ai_models.triage import TriageRule


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of a batch."""

    probabilities: NDArray[np.float32]
    """(n, labels), 0 to 1, in the order of LABELS"""
    distances: NDArray[np.float32]
    """(n,): how far each image is from the training images (Gate.distance)"""


class Model:
    """A model ready to work; on the GPU if there is one.

    `predict` is for one thread at a time (see batching); the rest may be called from any.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Loads it. Raises ModelAltered where weights and configuration do not fit."""
        config = bundle.config("inference") | {"bundle_root": str(bundle.root)}
        parser = ConfigParser(config)
        self.bundle = bundle
        self.rule = TriageRule.from_config(bundle.config("triage"))
        self.gate = Gate.load(bundle.root / "models" / "gate.safetensors")
        image = bundle.metadata["network_data_format"]["inputs"]["image"]
        self.size = int(image["spatial_shape"][0])
        self.device: torch.device = parser.get_parsed_content("device")
        self._transform = parser.get_parsed_content("preprocessing")
        self._postprocess = parser.get_parsed_content("postprocessing")
        self._inferer = parser.get_parsed_content("inferer")
        network: torch.nn.Module = parser.get_parsed_content("network_def")
        state = {name: value.float() for name, value in parser.get_parsed_content("state").items()}
        counters = {name for name in network.state_dict() if name.endswith("num_batches_tracked")}
        missing, unexpected = network.load_state_dict(state, strict=False)
        if set(missing) - counters or unexpected:
            raise ModelAltered(bundle.name, "its weights do not fit its network")
        self._network = network.to(self.device).eval()
        explained = copy.deepcopy(self._network)
        self._heat = GradCAM(explained, target_layers=str(config["heat_map_layer"]))
        self._explaining = threading.Lock()
        self._features: list[torch.Tensor] = []
        layer = self._network.get_submodule(str(config["feature_layer"]))
        layer.register_forward_hook(lambda _module, _inputs, out: self._features.append(out))

    def prepare(self, pixels: NDArray[Any], header: Dataset) -> Prepared:
        """The network's input for a radiograph. Raises UnreadableImage."""
        return prepare(pixels, header, self.size, self._transform)

    def predict(self, batch: FloatImage) -> Prediction:
        """Probabilities and gate distances of a batch, float32 (n, 1, S, S)."""
        self._features.clear()
        with torch.inference_mode():
            inputs = torch.from_numpy(np.ascontiguousarray(batch)).to(self.device)
            logits = self._inferer(inputs, self._network)
            probabilities = self._postprocess(logits).float().cpu().numpy()
        pooled = torch.cat(self._features).flatten(1).float().cpu().numpy()
        self._features.clear()
        return Prediction(probabilities, self.gate.distance(pooled))

    def heat_map(self, tensor: FloatImage, label: str) -> FloatImage:
        """Grad-CAM of one input (1, 1, S, S) for a label: (S, S), 0 to 1, 1 where it mattered."""
        inputs = torch.from_numpy(np.array(tensor)).to(self.device)
        with self._explaining:
            raw = self._heat.compute_map(inputs, class_idx=LABELS.index(label)).detach()
        map_ = torch.nn.functional.interpolate(
            raw, size=inputs.shape[2:], mode="bilinear", align_corners=False
        )[0, 0]
        peak = float(map_.max())
        scaled = map_ / peak if peak > 0 else map_
        return np.asarray(scaled.float().cpu().numpy(), dtype=np.float32)
