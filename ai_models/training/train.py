"""Trains the chest radiograph model from scratch: `python -m ai_models.training.train`."""

import argparse
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from ai_models import preprocessing as preparing
from ai_models.errors import AiError, DataError
from ai_models.evaluation.cases import read_cases
from ai_models.evaluation.evaluate import evaluate
from ai_models.registry import open_bundle
from ai_models.training.bundle import Provenance, preprocessing, write_bundle, write_card
from ai_models.training.card import model_card
from ai_models.training.fit import fit
from ai_models.training.images import prepared_images
from ai_models.training.recipe import NAME, SIZE, Recipe

log = logging.getLogger(__name__)


def train(data: Path, out: Path, recipe: Recipe, cache: Path) -> Path:
    """Trains on `data` (labels.csv and the images that it names) and writes the bundle.

    The bundle is the folder `out`/cxr_triage, without its figures in the card. `cache` holds the
    decoded images. Raises DataError, UnreadableImage.
    """
    cases = read_cases(data / "labels.csv")
    for split in ("train", "val"):
        labels = {c.labels[0] for c in cases if c.split == split and c.fit_for_judging}
        if not {0.0, 1.0} <= labels:
            raise DataError(f"split '{split}' has not both normal and abnormal images")
    key = Path(preparing.__file__).read_text(encoding="utf-8")
    images = prepared_images(data, cases, (SIZE, preprocessing(), key), cache)
    trained = fit(images, cases, recipe)
    log.info("trained in %.0f s; kept epoch %d", trained.seconds, trained.epoch + 1)
    provenance = Provenance(
        recipe=recipe,
        seconds=trained.seconds,
        machine=_machine(),
        epoch=trained.epoch,
        train_images=sum(case.split == "train" for case in cases),
    )
    root = out / NAME
    write_bundle(root, trained.network, images, cases, provenance)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; what cannot be done is one line on stderr and exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m ai_models.training.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv, images/")
    parser.add_argument("--out", type=Path, required=True, help="where the bundle's folder goes")
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--threads", type=int, default=1, help="processor threads (default 1)")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "filmless-training"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    torch.set_num_threads(given.threads)
    try:
        root = train(given.data, given.out, Recipe(epochs=given.epochs), given.cache)
        report = evaluate(
            open_bundle(root.name, root.parent), given.data, given.data / "labels.csv"
        )
        write_card(root, model_card(open_bundle(root.name, root.parent), report))
    except AiError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join([*report.lines(), f"\nbundle written to {root}", ""]))
    return 0


def _machine() -> str:
    processor = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        names = [line for line in facts.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    return f"{processor}, {torch.get_num_threads()} of {os.cpu_count()} threads, no GPU"


if __name__ == "__main__":
    sys.exit(main())
