"""From probabilities to a triage class, by the thresholds in the bundle."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai_models.errors import ModelRefused
from ai_models.labels import ABNORMAL
from ai_models.registry import Bundle
from pacs.triage import Finding, TriageClass

NOWHERE = float("-inf")
EVERYWHERE = float("inf")


@dataclass(frozen=True, slots=True)
class TriageRule:
    """What a bundle's configs/triage.json says."""

    labels: tuple[str, ...]
    """What each output is about; "" for an output that nothing was learnt for."""
    thresholds: dict[str, float]
    """From which probability a finding is called present, by label."""
    urgent: float
    """From which probability of `abnormal` an image is urgent."""
    critical: float
    """From which probability of `abnormal` an image is critical."""
    critical_findings: dict[str, float]
    """Findings that alone make an image critical, each from its probability."""
    gate_certain: float
    """The largest gate distance of an image whose header says: frontal chest."""
    gate_uncertain: float
    """The same where the header is silent; NOWHERE for a model without a gate."""

    @classmethod
    def of(cls, bundle: Bundle) -> "TriageRule":
        """The rule of a bundle. Raises ModelRefused."""
        config = bundle.config("triage")
        try:
            rule = cls.from_config(config, gated=bundle.has_gate)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelRefused(
                bundle.name,
                f"configs/triage.json lacks labels, thresholds, classes or gate ({error})",
            ) from error
        declared = bundle.labels
        if rule.labels != declared:
            raise ModelRefused(
                bundle.name, f"configs/triage.json labels {rule.labels}, metadata.json {declared}"
            )
        return rule

    @classmethod
    def from_config(cls, config: dict[str, Any], *, gated: bool = True) -> "TriageRule":
        """Reads the content of configs/triage.json. Raises KeyError, TypeError, ValueError."""
        classes = config["classes"]
        labels = tuple(map(str, config["labels"]))
        named = [label for label in labels if label]
        if len(set(named)) != len(named) or not set(named) - {ABNORMAL}:
            raise ValueError("labels: one finding at least, and none twice")
        return cls(
            labels=labels,
            thresholds={name: _share(config["findings"][name]["threshold"]) for name in named},
            urgent=_share(classes["urgent"]["abnormal"]),
            critical=_share(classes["critical"]["abnormal"]),
            critical_findings=_critical(classes["critical"]["findings"], named),
            gate_certain=float(config["gate"]["header_certain"]) if gated else EVERYWHERE,
            gate_uncertain=float(config["gate"]["header_silent"]) if gated else NOWHERE,
        )

    def by_label(self, probabilities: NDArray[np.floating[Any]]) -> dict[str, float]:
        """One image's probabilities (outputs,) by label.

        Of a model without the output `abnormal`, that is the likeliest of its findings: enough to
        rank images by, though no probability of anything.
        """
        pairs = zip(self.labels, map(float, probabilities), strict=True)
        known = {label: value for label, value in pairs if label}
        return {ABNORMAL: max(known.values())} | known

    def triage_class(self, probabilities: NDArray[np.floating[Any]]) -> TriageClass:
        """The class of one image from its probabilities (outputs,)."""
        known = self.by_label(probabilities)
        if known[ABNORMAL] >= self.critical or any(
            known[name] >= threshold for name, threshold in self.critical_findings.items()
        ):
            return "critical"
        return "urgent" if known[ABNORMAL] >= self.urgent else "routine"

    def findings(self, probabilities: NDArray[np.floating[Any]]) -> tuple[Finding, ...]:
        """Every finding with its threshold, the likeliest beyond its threshold first."""
        known = self.by_label(probabilities)
        each = [Finding(name, known[name], self.thresholds[name]) for name in self.names]
        return tuple(sorted(each, key=lambda f: f.threshold - f.probability))

    @property
    def names(self) -> list[str]:
        """The findings that the model was taught, in the order of its outputs."""
        return [label for label in self.labels if label and label != ABNORMAL]


def _share(value: Any) -> float:
    number = float(value)
    if not number >= 0.0:
        raise ValueError(f"threshold {number}")
    return number


def _critical(findings: dict[str, Any], labels: Collection[str]) -> dict[str, float]:
    strange = sorted(set(findings) - set(labels))
    if strange:
        raise ValueError(f"{strange[0]!r} is none of its labels")
    return {name: _share(value) for name, value in findings.items()}
