"""The training loop: from images and labels to averaged weights."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.utils import set_determinism
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ai_models.evaluation.cases import Case
from ai_models.evaluation.metrics import auc
from ai_models.labels import LABELS
from ai_models.training.recipe import AUGMENTATION, INFERENCE, Recipe

log = logging.getLogger(__name__)

ADULTS = "NIH-ChestX-ray14"


@dataclass(frozen=True, slots=True)
class Trained:
    """The weights kept, and how it went."""

    network: nn.Module
    epoch: int
    seconds: float
    history: list[dict[str, float]]


def new_network() -> nn.Module:
    """The recipe's network, with random weights."""
    network: nn.Module = ConfigParser({"network_def": INFERENCE["network_def"]}).get_parsed_content(
        "network_def"
    )
    return network


def fit(images: NDArray[np.uint8], cases: Sequence[Case], recipe: Recipe) -> Trained:
    """Trains on the cases of split `train`; keeps the epoch that is best on split `val`.

    `images` (n, S, S) in the order of `cases`. What is best: the mean over the collections of the
    AUC of `abnormal`, confounded sources left out; looked at in the last half of the epochs, on
    the averaged weights. Deterministic for a seed on one kind of processor.
    """
    set_determinism(seed=recipe.seed)
    started = time.monotonic()
    labels = np.array([case.labels for case in cases], dtype=np.float32)
    network = _channels_last(new_network())
    averaged = AveragedModel(
        network,
        multi_avg_fn=get_ema_multi_avg_fn(recipe.average_decay),  # type: ignore[no-untyped-call]
    )
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    random = np.random.default_rng(recipe.seed)
    per_epoch = len(_epoch_rows(cases, recipe, np.random.default_rng(0)))
    steps = max(1, per_epoch // recipe.batch) * recipe.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.learning_rate, total_steps=steps, pct_start=0.15
    )
    augment = ConfigParser({"augmentation": AUGMENTATION}).get_parsed_content("augmentation")
    augment.set_random_state(seed=recipe.seed)

    history: list[dict[str, float]] = []
    best_score, best_epoch, best_state = -1.0, 0, network.state_dict()
    for epoch in range(recipe.epochs):
        network.train()
        total = 0.0
        rows = _epoch_rows(cases, recipe, random)
        for batch in _batches(rows, recipe.batch):
            inputs = torch.stack(
                [augment(torch.from_numpy(images[row][None]).float() / 255.0) for row in batch]
            ).to(memory_format=torch.channels_last)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = network(inputs)
            loss = masked_loss(logits.float(), torch.from_numpy(labels[batch]), recipe)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            averaged.update_parameters(network)
            total += float(loss.detach())
        facts = {"epoch": float(epoch), "loss": total * recipe.batch / len(rows)}
        if epoch + 1 >= recipe.epochs / 2:
            measure_statistics(averaged.module, images, cases, recipe)
            facts |= _validate(averaged.module, images, cases)
            if facts["val_mean"] > best_score:
                best_score, best_epoch = facts["val_mean"], epoch
                state = averaged.module.state_dict()
                best_state = {name: value.detach().clone() for name, value in state.items()}
        history.append(facts)
        seconds = time.monotonic() - started
        log.info("%.0f s  %s", seconds, "  ".join(f"{k} {v:.4g}" for k, v in facts.items()))
    network.load_state_dict(best_state)
    return Trained(network.eval(), best_epoch, time.monotonic() - started, history)


def _channels_last(network: nn.Module) -> nn.Module:
    """The layout in which processors convolve fastest."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def measure_statistics(
    network: nn.Module, images: NDArray[np.uint8], cases: Sequence[Case], recipe: Recipe
) -> None:
    """Measures the batch normalisation's means and variances anew, on images as at inference.

    Averaged weights need statistics of their own: averaging the statistics too keeps the first
    ones, of random weights, in them for thousands of steps, and the network is blind till then.
    """
    rows = _epoch_rows(cases, recipe, np.random.default_rng(recipe.seed))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over all batches
    network.train()
    with torch.no_grad():
        for batch in _batches(rows[: recipe.statistics_images], recipe.batch):
            inputs = torch.from_numpy(images[batch][:, None]).float() / 255.0
            network(inputs.to(memory_format=torch.channels_last))
    network.eval()


def masked_loss(logits: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
    """Binary cross-entropy over the known labels only; `abnormal` weighs more. (n, labels)."""
    known = ~torch.isnan(labels)
    weights = torch.ones(len(LABELS))
    weights[0] = recipe.abnormal_weight
    weights = weights * known
    each = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.where(known, labels, torch.zeros_like(labels)), reduction="none"
    )
    return (each * weights).sum() / weights.sum().clamp(min=1.0)


def scores(network: nn.Module, images: NDArray[np.uint8], batch: int = 32) -> NDArray[np.float32]:
    """The network's logits, (n, labels), without augmentation."""
    network.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            inputs = torch.from_numpy(images[start : start + batch][:, None]).float() / 255.0
            found.append(network(inputs.to(memory_format=torch.channels_last)).float().numpy())
    return np.concatenate(found)


def _validate(
    network: nn.Module, images: NDArray[np.uint8], cases: Sequence[Case]
) -> dict[str, float]:
    rows = [i for i, case in enumerate(cases) if case.split == "val" and case.fit_for_judging]
    abnormal = scores(network, images[rows])[:, 0]
    found = {}
    for collection in sorted({cases[row].collection for row in rows}):
        mine = [i for i, row in enumerate(rows) if cases[row].collection == collection]
        truth = np.array([cases[rows[i]].labels[0] for i in mine])
        found[f"val_{collection}"] = auc(truth, abnormal[mine])
    values = [value for value in found.values() if np.isfinite(value)]
    return found | {"val_mean": float(np.mean(values)) if values else 0.0}


def _epoch_rows(
    cases: Sequence[Case], recipe: Recipe, random: np.random.Generator
) -> NDArray[np.intp]:
    """The rows that an epoch shows, shuffled, cut to whole batches (at least one)."""
    rows: list[int] = []
    children: list[int] = []
    for row, case in enumerate(cases):
        if case.split != "train":
            continue
        if case.collection != ADULTS:
            children.append(row)
        else:
            repeats = recipe.adult_repeats if case.fit_for_judging else recipe.confounded_repeats
            rows.extend([row] * repeats)
    drawn = random.permutation(np.array(children, dtype=np.intp))[: recipe.children]
    shown = random.permutation(np.concatenate([np.array(rows, dtype=np.intp), drawn]))
    return shown[: max(recipe.batch, len(shown) - len(shown) % recipe.batch)]


def _batches(rows: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
