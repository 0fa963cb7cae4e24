"""The DenseNet-121 weights that TorchXRayVision publishes: files, labels, operating points.

Facts about those weights, as torchxrayvision 1.5.7 (Apache-2.0, Joseph Paul Cohen and others)
states them; its outputs are scaled so that an operating point becomes 0.5. It gives no SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RELEASE = "https://github.com/mlmed/torchxrayvision/releases/download/v1/"
_SUFFIX = "densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"

OUTPUTS: tuple[str, ...] = (
    "atelectasis",
    "consolidation",
    "infiltration",
    "pneumothorax",
    "edema",
    "emphysema",
    "fibrosis",
    "effusion",
    "pneumonia",
    "pleural_thickening",
    "cardiomegaly",
    "nodule",
    "mass",
    "hernia",
    "lung_lesion",
    "fracture",
    "lung_opacity",
    "enlarged_cardiomediastinum",
)
"""What the 18 outputs of each of these networks are about, where they were trained."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One of the published files."""

    name: str
    """As torchxrayvision calls it, such as `densenet121-res224-all`."""
    file: str
    trained_on: str
    points: Mapping[str, float]
    """The operating point of each output that was trained."""

    @property
    def url(self) -> str:
        """Where its project publishes it."""
        return RELEASE + self.file

    @property
    def model(self) -> str:
        """The name of the bundle that is made of it."""
        return f"torchxrayvision_{self.name.rpartition('-')[2]}"

    @property
    def labels(self) -> tuple[str, ...]:
        """What each output is about; "" where it was not trained."""
        return tuple(label if label in self.points else "" for label in OUTPUTS)


def _every(*values: float | None) -> dict[str, float]:
    return {label: value for label, value in zip(OUTPUTS, values, strict=True) if value is not None}


# fmt: off
WEIGHTS: tuple[Weights, ...] = (
    Weights(
        "densenet121-res224-all",
        f"nih-pc-chex-mimic_ch-google-openi-kaggle-{_SUFFIX}",
        "NIH ChestX-ray14, PadChest, CheXpert, MIMIC-CXR (CheXpert labels), Google's labels of NIH"
        " images, Open-i, RSNA Pneumonia Challenge",
        _every(0.07422872, 0.038290843, 0.09814756, 0.0098118475, 0.023601074, 0.0022490358,
               0.010060724, 0.103246614, 0.056810737, 0.026791653, 0.050318155, 0.023985857,
               0.01939503, 0.042889766, 0.053369623, 0.035975814, 0.20204692, 0.05015312),
    ),
    Weights(
        "densenet121-res224-nih",
        f"nih-{_SUFFIX}",
        "NIH ChestX-ray14",
        _every(0.039117552, 0.0034529066, 0.11396341, 0.0057298196, 0.00045666535, 0.0018880932,
               0.012037827, 0.038744126, 0.0037213727, 0.014730946, 0.016149804, 0.054241467,
               0.037198864, 0.0004403434, None, None, None, None),
    ),
    Weights(
        "densenet121-res224-pc",
        f"pc-{_SUFFIX}",
        "PadChest",
        _every(0.031012505, 0.013347598, 0.081435576, 0.001262615, 0.002587246, 0.0035944257,
               0.0023071, 0.055412333, 0.044385884, 0.042766232, 0.043258056, 0.037629247,
               0.005658899, 0.0091741895, None, 0.026507627, None, None),
    ),
    Weights(
        "densenet121-res224-chex",
        f"chex-{_SUFFIX}",
        "CheXpert",
        _every(0.1988969, 0.05710573, None, 0.0531293, 0.1435217, None, None, 0.27212676,
               0.07749717, None, 0.19712369, None, None, None, 0.09932402, 0.09273402, 0.3270967,
               0.10888247),
    ),
    Weights(
        "densenet121-res224-rsna",
        f"kaggle-{_SUFFIX}",
        "RSNA Pneumonia Challenge",
        _every(None, None, None, None, None, None, None, None, 0.13486601, None, None, None, None,
               None, None, None, 0.13511065, None),
    ),
    Weights(
        "densenet121-res224-mimic_nb",
        f"mimic_nb-{_SUFFIX}",
        "MIMIC-CXR (NegBio labels)",
        _every(0.08558747, 0.011884617, None, 0.0040595434, 0.010733786, None, None, 0.118761964,
               0.022924708, None, 0.06358637, None, None, None, 0.022143636, 0.017476924, 0.1258702,
               0.014020768),
    ),
    Weights(
        "densenet121-res224-mimic_ch",
        f"mimic_ch-{_SUFFIX}",
        "MIMIC-CXR (CheXpert labels)",
        _every(0.09121389, 0.010573786, None, 0.005023008, 0.003698257, None, None, 0.08001232,
               0.037242252, None, 0.05006329, None, None, None, 0.019866971, 0.03823637, 0.11303808,
               0.0069147074),
    ),
)
# fmt: on


def by_name(name: str) -> Weights | None:
    """The published weights of that name."""
    return next((weights for weights in WEIGHTS if weights.name == name), None)


def by_file(file: str) -> Weights | None:
    """The published weights whose file has that name."""
    return next((weights for weights in WEIGHTS if weights.file == file), None)
