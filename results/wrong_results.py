"""Measures imbalance, label noise, leaks and capacity on small simulated sets, three seeds each.

    python results/wrong_results.py

One row a run in results/wrong_results.json; about three minutes on one thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from scipy import ndimage
from table import complete
from torch.utils.data import DataLoader

from unet_lib.course.clinic.materials import binary, nuclei, small_unet, trained
from unet_lib.data import InMemory, split
from unet_lib.evaluation import SegmentationScores
from unet_lib.model import UNet
from unet_lib.training import bce_dice_loss, bce_loss, dice_loss, evaluate

HERE = Path(__file__).resolve().parent
TEST_SEED = 50  # of pictures that nothing was chosen on
THRESHOLDS = [k / 40 for k in range(1, 40)]


@dataclass(frozen=True)
class Options:
    """What to measure."""

    seeds: int = 3
    """Runs of each kind, which differ in their first weights and order of pictures."""


def score(model: UNet, dataset: InMemory, threshold: float = 0.5) -> dict[str, float]:
    """Dice, precision and recall, pooled over the set."""
    found = evaluate(model, DataLoader(dataset, 8), scores=SegmentationScores(threshold))
    return {name: found[f"{name}_pooled"] for name in ("dice", "precision", "recall")}


def centers(labels: np.ndarray) -> np.ndarray:
    """A mask of 3x3 pixels at the center of each nucleus: about one pixel in a hundred."""
    mask = np.zeros(labels.shape, np.uint8)
    numbers = np.unique(labels[labels > 0])
    for row, column in ndimage.center_of_mass(labels > 0, labels, numbers):
        mask[max(int(row) - 1, 0) : int(row) + 2, max(int(column) - 1, 0) : int(column) + 2] = 1
    return mask


def weighted_bce(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in which a pixel of the foreground counts as much as 20 others."""
    return bce_loss(logits, target, weight=1 + 19 * target)


LOSSES: dict[str, Callable] = {
    "BCE": bce_loss,
    "weighted BCE": weighted_bce,
    "Dice": dice_loss,
    "BCE + Dice": bce_dice_loss,
}


def imbalance(recipe: str, seed: int) -> dict[str, Any]:
    """Centers of nuclei with one of the losses; the threshold 0.5, and one chosen on validation."""
    train, validation, test = (
        InMemory(images, [centers(mask) for mask in labels])
        for images, labels in (nuclei(48), nuclei(24, 1), nuclei(24, TEST_SEED))
    )
    model = small_unet(seed=seed)
    trained(model, train, loss=LOSSES[recipe], seed=seed)
    best = max(THRESHOLDS, key=lambda threshold: score(model, validation, threshold)["dice"])
    share = float(np.mean([mask.mean() for mask in train.labels]))
    chosen = {f"chosen_{name}": value for name, value in score(model, test, best).items()}
    return {"share": share, "threshold": best} | score(model, test) | chosen


def noise(recipe: str, seed: int) -> dict[str, Any]:
    """Nuclei erased from the masks, or masks exchanged, in a share of the cases."""
    kind, _, share = recipe.partition(" ")
    rng = np.random.default_rng(seed)
    images, labels = nuclei(48)
    masks = binary(labels)
    if kind == "erased":
        masks = [_erase(mask, float(share), rng) for mask in labels]
    else:
        wrong = np.flatnonzero(rng.permutation(48) < 48 * float(share))
        masks = [masks[wrong[list(wrong).index(i) - 1]] if i in wrong else masks[i]
                 for i in range(48)]  # fmt: skip
    model = small_unet(seed=seed)
    trained(model, InMemory(images, masks), seed=seed)
    return score(model, InMemory(*nuclei(24, TEST_SEED)))


def _erase(labels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    numbers = np.arange(labels.max() + 1)
    kept = (rng.random(len(numbers)) >= share) & (numbers > 0)
    return kept[labels].astype(np.uint8)


def stacks(count: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
    """Slices of stacks: six each, whose content drifts and whose noise is drawn anew."""
    rng, images, masks, groups = np.random.default_rng(seed), [], [], []
    for number, (image, labels) in enumerate(zip(*nuclei(count, seed, (96, 96)), strict=True)):
        for z in range(6):
            place = slice(z, z + 64), slice(2 * z, 2 * z + 64)
            images.append((image[place] + rng.normal(0, 4, (64, 64))).clip(0, 255).astype(np.uint8))
            masks.append(binary([labels[place]])[0])
            groups.append(number)
    return images, masks, groups


def leak(recipe: str, seed: int) -> dict[str, Any]:
    """Slices split at random, or stack by stack; scored on validation and on new stacks."""
    images, masks, groups = stacks(10, 20 + seed)
    parts = split(60, (0.7, 0.3), seed, groups=None if recipe == "slices" else groups)
    train, validation = (
        InMemory([images[i] for i in part], [masks[i] for i in part]) for part in parts
    )
    model = small_unet(seed=seed)
    trained(model, train, seed=seed, epochs=20)
    images, masks, _ = stacks(10, TEST_SEED + seed)
    new = score(model, InMemory(images, masks))["dice"]
    return {"validation_dice": score(model, validation)["dice"], "new_dice": new}


def capacity(recipe: str, seed: int) -> dict[str, Any]:
    """Networks of several widths on four pictures, with time to learn them by heart."""
    model = small_unet(seed=seed, width=int(recipe))
    train = InMemory(*nuclei(4))
    trained(model, train, epochs=80, batch_size=4, seed=seed)
    new = score(model, InMemory(*nuclei(24, TEST_SEED)))["dice"]
    return {"train_dice": score(model, train)["dice"], "new_dice": new}


TOPICS: dict[str, tuple[Callable, list[str]]] = {
    "imbalance": (imbalance, list(LOSSES)),
    "noise": (noise, ["erased 0", "erased 0.2", "erased 0.4", "exchanged 0.2", "exchanged 0.4"]),
    "leak": (leak, ["slices", "stacks"]),
    "capacity": (capacity, ["2", "6", "16"]),
}


def measure(topic: str, recipe: str, seed: int) -> dict[str, Any]:
    """One run."""
    return TOPICS[topic][0](recipe, seed)


if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    plans = [
        {"topic": topic, "recipe": recipe, "seed": seed}
        for topic, (_, recipes) in TOPICS.items()
        for recipe in recipes
        for seed in range(options.seeds)
    ]
    complete(HERE / "wrong_results.json", plans, measure)
