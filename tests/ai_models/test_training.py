"""From images to a sealed bundle, on a handful of images."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from ai_models.evaluation.cases import read_cases
from ai_models.evaluation.evaluate import evaluate
from ai_models.model import Model
from ai_models.registry import open_bundle
from ai_models.training.card import model_card
from ai_models.training.fit import masked_loss
from ai_models.training.recipe import Recipe
from ai_models.training.train import main, train

TINY = Recipe(epochs=1, batch=8, adult_repeats=1, confounded_repeats=1, children=8)


@pytest.fixture
def few(training_data: Path, tmp_path: Path) -> Path:
    """Of each collection, split and label a few images, as a data folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "images").symlink_to(training_data / "images")
    wanted = {"train": 4, "val": 3, "test": 6}
    taken: dict[tuple[str, str, str], int] = {}
    with (training_data / "labels.csv").open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        rows = []
        for row in reader:
            kind = (row["collection"], row["split"], row["abnormal"])
            if row["source_repo"].startswith("muhammedtalo"):
                continue
            if taken.setdefault(kind, 0) < wanted[row["split"]]:
                taken[kind] += 1
                rows.append(row)
        with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, reader.fieldnames or [])
            writer.writeheader()
            writer.writerows(rows)
    return folder


def test_training_from_images_to_card(few: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    assert len(read_cases(few / "labels.csv")) == 52
    root = train(few, tmp_path / "one", TINY, tmp_path / "cache")
    bundle = open_bundle(root.name, root.parent)
    model = Model(bundle)
    batch = np.random.default_rng(0).uniform(0, 1, (2, 1, model.size, model.size))
    prediction = model.predict(batch.astype(np.float32))
    assert np.isfinite(prediction.probabilities).all()

    again = train(few, tmp_path / "two", TINY, tmp_path / "cache")
    for file in ("models/model.safetensors", "configs/triage.json", "configs/inference.json"):
        assert (again / file).read_bytes() == (root / file).read_bytes(), file

    report = evaluate(bundle, few, few / "labels.csv")
    assert {(group.collection, group.split) for group in report.groups} == {
        (collection, split)
        for collection in ("Kermany-paediatric", "NIH-ChestX-ray14")
        for split in ("test", "val+test")
    }
    card = model_card(bundle, report)
    assert "Not a registered medical device" in card
    assert "{" not in card


def test_unknown_labels_teach_nothing() -> None:
    logits = torch.randn(3, 15, requires_grad=True)
    labels = torch.full((3, 15), float("nan"))
    labels[:, 0] = 1.0
    masked_loss(logits, labels, TINY).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[:, 0].abs().min() > 0
    assert logits.grad[:, 1:].abs().max() == 0


def test_data_that_cannot_be_used_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "labels.csv" in capsys.readouterr().err
