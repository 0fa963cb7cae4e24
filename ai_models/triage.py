"""From probabilities to a triage class, by the thresholds in the bundle."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai_models.labels import ABNORMAL, FINDINGS, LABELS
from pacs.triage import Finding, TriageClass


@dataclass(frozen=True, slots=True)
class TriageRule:
    """What a bundle's configs/triage.json says."""

    thresholds: dict[str, float]
    """From which probability a finding is called present, by label, `abnormal` among them."""
    urgent: float
    """From which probability of `abnormal` an image is urgent."""
    critical: float
    """From which probability of `abnormal` an image is critical."""
    critical_findings: dict[str, float]
    """Findings that alone make an image critical, each from its probability."""
    gate_certain: float
    """The largest gate distance of an image whose header says: frontal chest."""
    gate_uncertain: float
    """The same where the header is silent."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TriageRule":
        """Reads the content of configs/triage.json."""
        classes, gate = config["classes"], config["gate"]
        return cls(
            thresholds={name: float(config["findings"][name]["threshold"]) for name in LABELS},
            urgent=float(classes["urgent"]["abnormal"]),
            critical=float(classes["critical"]["abnormal"]),
            critical_findings={
                name: float(value) for name, value in classes["critical"]["findings"].items()
            },
            gate_certain=float(gate["header_certain"]),
            gate_uncertain=float(gate["header_silent"]),
        )

    def triage_class(self, probabilities: NDArray[np.floating[Any]]) -> TriageClass:
        """The class of one image from its probabilities (labels,)."""
        known = dict(zip(LABELS, map(float, probabilities), strict=True))
        if known[ABNORMAL] >= self.critical or any(
            known[name] >= threshold for name, threshold in self.critical_findings.items()
        ):
            return "critical"
        return "urgent" if known[ABNORMAL] >= self.urgent else "routine"

    def findings(self, probabilities: NDArray[np.floating[Any]]) -> tuple[Finding, ...]:
        """Every finding with its threshold, the likeliest beyond its threshold first."""
        known = dict(zip(LABELS, map(float, probabilities), strict=True))
        each = [Finding(name, known[name], self.thresholds[name]) for name in FINDINGS]
        return tuple(sorted(each, key=lambda f: f.threshold - f.probability))
