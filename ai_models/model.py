"""A verified bundle, loaded: probabilities, features, heat maps."""

import copy
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.visualize import GradCAM
from numpy.typing import NDArray
from pydicom import Dataset

from ai_models.gate import Gate
from ai_models.inference import best_device, read_inference
from ai_models.preprocessing import FloatImage, Prepared, prepare
from ai_models.registry import Bundle
from ai_models.triage import TriageRule


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of a batch."""

    probabilities: NDArray[np.float32]
    """(n, outputs), 0 to 1, in the order of the model's labels"""
    distances: NDArray[np.float32]
    """(n,): how far each image is from the training images (Gate.distance); 0 without a gate"""


class Model:
    """A model ready to work; on the GPU if there is one.

    `predict` is for one thread at a time (see batching); the rest may be called from any.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Loads it. Raises ModelRefused, ModelAltered."""
        inference = read_inference(bundle)
        self.bundle = bundle
        self.rule = TriageRule.of(bundle)
        self.labels = self.rule.labels
        self.gate = Gate.load(bundle.root / bundle.GATE) if bundle.has_gate else None
        self.size = bundle.side
        self.device = best_device()
        self._transform = inference.preprocessing
        self._canvas = inference.canvas
        self._postprocess = inference.postprocessing
        self._network = inference.network.to(self.device)
        explained = copy.deepcopy(self._network)
        self._heat = GradCAM(explained, target_layers=inference.heat_map_layer)
        self._explaining = threading.Lock()
        self._features: list[torch.Tensor] = []
        if inference.feature_layer is not None:
            layer = self._network.get_submodule(inference.feature_layer)
            layer.register_forward_hook(lambda _module, _inputs, out: self._features.append(out))

    def prepare(self, pixels: NDArray[Any], header: Dataset) -> Prepared:
        """The network's input for a radiograph. Raises UnreadableImage."""
        return prepare(pixels, header, self.size, self._transform, crop=self._canvas == "crop")

    def predict(self, batch: FloatImage) -> Prediction:
        """Probabilities and gate distances of a batch, float32 (n, channels, S, S)."""
        self._features.clear()
        with torch.inference_mode():
            inputs = torch.from_numpy(np.ascontiguousarray(batch)).to(self.device)
            logits = self._network(inputs)
            probabilities = self._postprocess(logits).float().cpu().numpy()
        if self.gate is None:
            return Prediction(probabilities, np.zeros(len(probabilities), np.float32))
        pooled = torch.cat(self._features).flatten(1).float().cpu().numpy()
        self._features.clear()
        return Prediction(probabilities, self.gate.distance(pooled))

    def heat_map(self, tensor: FloatImage, label: str) -> FloatImage:
        """Grad-CAM of one input (1, C, S, S) for a label: (S, S), 0 to 1, 1 where it mattered."""
        inputs = torch.from_numpy(np.array(tensor)).to(self.device)
        with self._explaining:
            raw = self._heat.compute_map(inputs, class_idx=self.labels.index(label)).detach()
        map_ = torch.nn.functional.interpolate(
            raw, size=inputs.shape[2:], mode="bilinear", align_corners=False
        )[0, 0]
        peak = float(map_.max())
        scaled = map_ / peak if peak > 0 else map_
        return np.asarray(scaled.float().cpu().numpy(), dtype=np.float32)
