"""Labelled images on disk: what is known of each, and which may judge a model."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from ai_models.errors import DataError
from ai_models.labels import ABNORMAL, FINDINGS, LABELS
from ai_models.preprocessing import monochrome2

CONFOUNDED_SOURCES = frozenset({"muhammedtalo/COVID-19"})
"""Sources whose normals and abnormals come from different batches: the batch gives them away."""


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled image."""

    file: str
    patient: str
    collection: str
    source: str
    split: str
    labels: tuple[float, ...]
    """In the order of LABELS: 0, 1, or NaN where unknown."""

    @property
    def fit_for_judging(self) -> bool:
        """Whether a figure that includes this image says something about a model."""
        return self.source not in CONFOUNDED_SOURCES


def read_cases(labels_csv: Path) -> list[Case]:
    """The cases of a CSV with at least the columns `file` and `abnormal`, in its order.

    Optional columns: `patient_key` (else every image is a patient of its own), `collection`,
    `source_repo`, `split` (else `test`), and each finding; blank is unknown. Raises DataError.
    """
    try:
        with labels_csv.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read labels from {labels_csv}: {error}") from error
    if not rows or not {"file", ABNORMAL} <= rows[0].keys():
        raise DataError(f"{labels_csv}: no rows, or no columns 'file' and '{ABNORMAL}'")
    return [_case(row, f"{labels_csv}, line {line}") for line, row in enumerate(rows, 2)]


def located(images_dir: Path, file: str) -> Path:
    """Where a file of the CSV is: under the folder, with or without the folders in its own name."""
    path = images_dir / file
    return path if path.exists() else images_dir / Path(file).name


def read_image(path: Path) -> tuple[NDArray[np.integer], Dataset]:
    """Stored values (rows, columns) and header of a DICOM, JPEG or PNG file. Raises DataError."""
    try:
        if path.suffix.lower() in {".jpg", ".jpeg", ".png"}:
            with Image.open(path) as image:
                grey = image if image.mode.startswith("I") else image.convert("L")
                return np.asarray(grey), monochrome2()
        dataset = dcmread(path)
        return dataset.pixel_array, dataset
    except (OSError, UnidentifiedImageError, InvalidDicomError, ValueError, AttributeError) as e:
        raise DataError(f"cannot read an image from {path}: {e}") from e


def _case(row: dict[str, str], where: str) -> Case:
    try:
        labels = tuple(_known(row.get(name)) for name in LABELS)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
    file = row["file"]
    return Case(
        file=file,
        patient=row.get("patient_key") or file,
        collection=row.get("collection") or "all",
        source=row.get("source_repo") or "",
        split=row.get("split") or "test",
        labels=labels,
    )


def _known(text: str | None) -> float:
    if text in {"0", "1"}:
        return float(text or 0)
    if not text:
        return float("nan")
    raise ValueError(f"a label is '{text}', not 0, 1 or blank ({ABNORMAL}, {', '.join(FINDINGS)})")
