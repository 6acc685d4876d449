"""Chapter 10's long runs: nuclei segmented by networks trained on simulated and on real ones.

    python results/nuclei.py               all runs, one after the other; interrupted, it goes on
    python results/nuclei.py --help        fewer seeds, another recipe

Each run trains, scores the 50 real test images once, and adds itself to `results/nuclei.json`;
a run that stands there is not repeated. The weights of seed 0 are stored beside it.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import tyro
from table import complete

from unet_lib.data import DSB2018, SimulatedNuclei, cached, foreground
from unet_lib.evaluation import (
    average_precision,
    count_pixels,
    dice,
    foreground_probability,
    iou,
    label_instances,
    predict,
)
from unet_lib.model import UNet
from unet_lib.training import Task, TrainingSettings, bce_dice_loss, fit, save_checkpoint
from unet_lib.transforms import RandomRightAngle, compose, random_crop, random_flips, random_scale

HERE = Path(__file__).parent
TABLE = HERE / "nuclei.json"
THRESHOLDS = (0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Recipe:
    """What is trained, how often, and how long."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """One run each, on simulated and on real nuclei."""
    width: int = 16
    """Channels of the first stage."""
    depth: int = 3
    """Poolings."""
    learning_rate: float = 4e-3
    """The largest rate of the one-cycle schedule."""
    simulated_images: int = 1700
    """Pictures of 128x128 pixels, each simulated once."""
    simulated_epochs: int = 4
    """Passes through them."""
    real_crop: int = 160
    """Side of the random crops of the real images."""
    real_epochs: int = 45
    """Passes through the 411 real training images."""


def training_set(name: str, seed: int, recipe: Recipe) -> torch.utils.data.Dataset:
    """The pictures of one run; the target is the foreground."""
    if name == "simulated":
        simulated = SimulatedNuclei(
            recipe.simulated_images, seed=seed, transform=right_angles(), target=foreground
        )
        return cached(simulated)
    crop = (recipe.real_crop, recipe.real_crop)
    varied = compose(random_scale(0.7, 1.4), random_crop(crop), right_angles())
    return cached(DSB2018(split="train", transform=varied, target=foreground))


def right_angles():
    """The eight ways to lay a picture on a table."""
    return compose(RandomRightAngle(), random_flips())


def score(model: UNet, test_set: DSB2018) -> dict:
    """Dice and IoU of the foreground and AP of the instances on the real test images."""
    counts, found, true = [], [], []
    for image, labels in test_set:
        logits = predict(model, image, tile=512)
        mask = foreground_probability(logits) > 0.5
        counts.append(count_pixels(mask[None], (labels > 0)[None]))
        found.append(label_instances(logits))
        true.append(labels.numpy())
    counts = type(counts[0])(*(torch.cat(parts) for parts in zip(*counts, strict=True)))
    each = [float(dice(type(counts)(*(c[i : i + 1] for c in counts)))) for i in range(len(found))]
    ap = average_precision(found, true, THRESHOLDS)
    return {
        "dice_per_image": float(np.mean(each)),
        "dice_pooled": float(dice(counts, "set")),
        "iou_pooled": float(iou(counts, "set")),
        "ap_pooled": {str(threshold): ap[threshold] for threshold in THRESHOLDS},
        "dice_of_each_image": [round(value, 4) for value in each],
    }


def run(recipe: Recipe, test_set: DSB2018, trained_on: str, seed: int) -> dict:
    """Trains one network and scores it."""
    torch.manual_seed(seed)
    model = UNet(1, 1, width=recipe.width, depth=recipe.depth, norm="batch")
    settings = TrainingSettings(
        epochs=recipe.simulated_epochs if trained_on == "simulated" else recipe.real_epochs,
        learning_rate=recipe.learning_rate,
        keep="last",
        seed=seed,
    )
    train_set = training_set(trained_on, seed, recipe)
    history = fit(
        model,
        train_set,
        loss=bce_dice_loss,
        settings=settings,
        folder=HERE / "runs" / f"{trained_on}-{seed}",
        resume=True,
    )
    if seed == 0:
        save_checkpoint(HERE / f"nuclei-{trained_on}.pt", model, **Task().stored())
    return {
        "recipe": asdict(recipe) | {"seeds": [seed]},
        "mode": history.mode,
        "training_seconds": round(sum(history.column("seconds")), 1),
        "training_pictures": settings.epochs * len(train_set),
    } | score(model, test_set)


def main(recipe: Recipe) -> None:
    """Does the runs that are not in the table yet."""
    plans = [
        {"trained_on": name, "seed": seed}
        for name in ("simulated", "real")
        for seed in recipe.seeds
    ]
    complete(TABLE, plans, partial(run, recipe, DSB2018(split="test")))


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
