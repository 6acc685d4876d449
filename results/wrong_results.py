"""Measures imbalance, label noise, capacity and calibration on small simulated sets, five seeds.

    python results/wrong_results.py

One row a run in results/wrong_results.json, with its seconds; about thirty minutes on one thread.
Short trainings stand beside long ones, so that a finding can be seen to hold or to go.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from scipy import ndimage
from table import complete

from unet_lib.course.clinic.materials import binary, nuclei, small_unet, trained
from unet_lib.course.exercises.chapter09c import best_temperature, expected_calibration_error
from unet_lib.data import InMemory
from unet_lib.model import UNet
from unet_lib.training import bce_dice_loss, bce_loss, dice_loss
from unet_lib.transforms import random_crop

HERE = Path(__file__).resolve().parent
TEST_SEED = 50  # of pictures that nothing was chosen on
THRESHOLDS = [k / 40 for k in range(1, 40)]
SPARSE: dict[str, Any] = {"size": (96, 96), "covered": (0.005, 0.06)}


@dataclass(frozen=True)
class Options:
    """What to measure."""

    seeds: int = 5
    """Runs of each kind, which differ in their first weights, their noise and order of pictures."""


Pixels = tuple[np.ndarray, np.ndarray]  # logits and truth of all pixels of a set


def pixels(model: UNet, dataset: InMemory) -> Pixels:
    """What the network says of every pixel, and what is true."""
    x, y = (torch.stack([dataset[i][k] for i in range(len(dataset))]) for k in (0, 1))
    with torch.no_grad():
        return model.eval()(x).double().numpy().ravel(), y.numpy().ravel() > 0


def score(found: Pixels, threshold: float = 0.5) -> dict[str, float]:
    """Dice, precision and recall, pooled over the set; 0 where nothing was found."""
    said, true = found[0] > np.log(threshold / (1 - threshold)), found[1]
    hits = float((said & true).sum())
    sizes = {"dice": (said.sum() + true.sum()) / 2, "precision": said.sum(), "recall": true.sum()}
    return {name: hits / max(float(size), 1) for name, size in sizes.items()}


def centers(labels: np.ndarray) -> np.ndarray:
    """A mask of 3x3 pixels at the center of each nucleus."""
    mask = np.zeros(labels.shape, np.uint8)
    numbers = np.unique(labels[labels > 0])
    for row, column in ndimage.center_of_mass(labels > 0, labels, numbers):
        mask[max(int(row) - 1, 0) : int(row) + 2, max(int(column) - 1, 0) : int(column) + 2] = 1
    return mask


def weighted_bce(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in which a pixel of the foreground counts as much as 20 others."""
    return bce_loss(logits, target, weight=1 + 19 * target)


CURES: dict[str, Callable] = {
    "BCE": bce_loss,
    "weighted BCE": weighted_bce,
    "Dice": dice_loss,
    "BCE + Dice": bce_dice_loss,
    "BCE, objects": bce_loss,  # a third of the crops around an object
    "BCE + Dice, share": bce_dice_loss,  # the first answer is the foreground's share
}


def imbalance(recipe: str, seed: int, steps: int) -> dict[str, Any]:
    """Centers of few nuclei, learned from crops; threshold 0.5, and one chosen on validation."""
    pictures = nuclei(24, 0, **SPARSE), nuclei(24, 1, **SPARSE), nuclei(48, TEST_SEED, **SPARSE)
    crops = random_crop((48, 48), objects=1 / 3 if recipe == "BCE, objects" else 0.0)
    train, validation, test = (
        InMemory(images, [centers(mask) for mask in labels], transform=transform)
        for (images, labels), transform in zip(pictures, (crops, None, None), strict=True)
    )
    share = float(np.mean([mask.mean() for mask in train.labels]))
    model = small_unet(seed=seed)
    if recipe == "BCE + Dice, share":
        model.head.expect([share])
    trained(model, train, loss=CURES[recipe], seed=seed, epochs=steps // 6, batch_size=4)
    known, new = pixels(model, validation), pixels(model, test)
    best = max(THRESHOLDS, key=lambda threshold: score(known, threshold)["dice"])
    chosen = {f"chosen_{name}": value for name, value in score(new, best).items()}
    return {"share": share, "threshold": best} | score(new) | chosen


NOISE = ["none", "none, BCE", "erased at random", "erased, the dimmest", "exchanged"]


def noise(recipe: str, seed: int, steps: int) -> dict[str, Any]:
    """Two of five nuclei erased, by chance or the dimmest of each picture; or masks exchanged."""
    rng = np.random.default_rng(seed)
    images, labels = nuclei(24)
    masks = binary(labels)
    if recipe == "exchanged":
        wrong = list(np.flatnonzero(rng.permutation(24) < 24 * 0.4))
        masks = [masks[wrong[wrong.index(i) - 1]] if i in wrong else masks[i] for i in range(24)]
    elif recipe.startswith("erased"):
        by_rule = recipe.endswith("dimmest")
        masks = [_erase(image, mask, None if by_rule else rng)
                 for image, mask in zip(images, labels, strict=True)]  # fmt: skip
    model, train = small_unet(seed=seed), InMemory(images, masks)
    loss = bce_loss if recipe == "none, BCE" else bce_dice_loss
    trained(model, train, loss=loss, seed=seed, epochs=steps // 6, batch_size=4)
    own, new = pixels(model, train), pixels(model, InMemory(*nuclei(48, TEST_SEED)))
    row = {"own_dice": score(own)["dice"]} | score(new)
    return row | honesty(pixels(model, InMemory(*nuclei(24, 1))), new)


def honesty(known: Pixels, new: Pixels) -> dict[str, float]:
    """The temperature that validation pictures ask for, and the new pictures' error with it."""
    t = float(best_temperature(known[0], known[1].astype(float)))
    error, cured = (
        float(expected_calibration_error(1 / (1 + np.exp(-new[0] / k)), new[1].astype(float)))
        for k in (1, t)
    )
    return {"temperature": t, "error": error, "cured_error": cured}


def _erase(image: np.ndarray, labels: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Two of five nuclei gone: drawn by chance, or those with the lowest mean brightness."""
    numbers = np.unique(labels[labels > 0])
    order = ndimage.mean(image, labels, numbers) if rng is None else rng.random(len(numbers))
    return np.isin(labels, numbers[np.argsort(order)[round(0.4 * len(numbers)) :]]).astype(np.uint8)


def capacity(recipe: str, seed: int, steps: int) -> dict[str, Any]:
    """Networks of several widths on four pictures, with time to learn them by heart."""
    model = small_unet(seed=seed, width=int(recipe))
    train = InMemory(*nuclei(4))
    trained(model, train, epochs=steps, batch_size=4, seed=seed)
    new = score(pixels(model, InMemory(*nuclei(48, TEST_SEED))))["dice"]
    return {"train_dice": score(pixels(model, train))["dice"], "new_dice": new}


TOPICS: dict[str, tuple[Callable, list[str], tuple[int, ...]]] = {
    "imbalance": (imbalance, list(CURES), (300, 900)),
    "noise": (noise, NOISE, (90, 600)),
    "capacity": (capacity, ["2", "6", "16"], (80,)),
}


def measure(topic: str, recipe: str, steps: int, seed: int) -> dict[str, Any]:
    """One run."""
    start = time.perf_counter()
    row = TOPICS[topic][0](recipe, seed, steps)
    return row | {"seconds": round(time.perf_counter() - start, 1)}


if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    plans = [
        {"topic": topic, "recipe": recipe, "steps": steps, "seed": seed}
        for seed in range(options.seeds)
        for topic, (_, recipes, lengths) in TOPICS.items()
        for recipe in recipes
        for steps in lengths
    ]
    complete(HERE / "wrong_results.json", plans, measure)
