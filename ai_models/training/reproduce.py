"""Makes the model card's figures again: `python -m ai_models.training.reproduce --data DIR`.

Trains from scratch, evaluates, and prints the figures beside those of the released bundle; with
`--skip-training` evaluates the released bundle only.
"""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ai_models.errors import AiError
from ai_models.evaluation.evaluate import Report, evaluate
from ai_models.registry import open_bundle
from ai_models.training.recipe import NAME, Recipe
from ai_models.training.train import train


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; what cannot be done is one line on stderr and exit status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m ai_models.training.reproduce", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv, images/")
    parser.add_argument("--skip-training", action="store_true")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (default 1)")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    torch.set_num_threads(given.threads)
    try:
        reports = reproduce(given.data, training=not given.skip_training)
    except AiError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for name, report in reports.items():
        sys.stdout.write("\n".join([f"== {name} ==", *report.lines(), "", ""]))
    if given.json is not None:
        figures: dict[str, Any] = {name: report.as_dict() for name, report in reports.items()}
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


def reproduce(data: Path, *, training: bool) -> dict[str, Report]:
    """The released bundle's report and, where `training`, that of a bundle trained anew."""
    labels = data / "labels.csv"
    reports = {"released": evaluate(open_bundle(NAME), data, labels)}
    if training:
        with tempfile.TemporaryDirectory(prefix="filmless-training-") as folder:
            root = train(data, Path(folder), Recipe(), Path(folder) / "cache")
            reports["trained anew"] = evaluate(open_bundle(NAME, root.parent), data, labels)
    return reports


if __name__ == "__main__":
    sys.exit(main())
