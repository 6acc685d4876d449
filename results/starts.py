"""Chapter 8's count of bad starts: how many networks have learned nothing after 100 steps.

    python results/starts.py               all runs, one after the other; interrupted, it goes on
    python results/starts.py --help        fewer seeds, other widths

Networks of each width learn the same simulated nuclei, once with the last layer as torch draws it
and once with the library's `Head`; all else is equal for one seed, the draw itself included. A
network is dead where it gives one and the same answer for every pixel of the pictures it is
judged on.
"""

import time
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
import tyro
from table import Row, complete
from torch import nn
from torch.utils.data import TensorDataset

from unet_lib.data import SimulatedNuclei, foreground
from unet_lib.evaluation import count_pixels, dice
from unet_lib.model import UNet
from unet_lib.training import TrainingSettings, bce_dice_loss, fit

TABLE = Path(__file__).with_suffix(".json")


@dataclass(frozen=True)
class Recipe:
    """What is trained, how often, and how long."""

    seeds: int = 100
    """Runs of each width with the library's head."""
    drawn: int = 50
    """Runs of each width with the last layer as torch draws it."""
    widths: tuple[int, ...] = (2, 4, 8, 16)
    """Channels of the first stage."""
    depth: int = 3
    """Poolings."""
    steps: int = 100
    """Steps of a run, of 4 pictures each."""
    side: int = 48
    """Height and width of the pictures."""
    learning_rate: float = 4e-3
    """The largest rate of the one-cycle schedule."""


@cache
def nuclei(side: int) -> tuple[TensorDataset, TensorDataset]:
    """400 pictures to learn from, and 32 others."""
    pairs = list(SimulatedNuclei(432, size=(side, side), target=foreground))
    images, targets = (torch.stack(part) for part in zip(*pairs, strict=True))
    return TensorDataset(images[:400], targets[:400]), TensorDataset(images[400:], targets[400:])


def run(recipe: Recipe, width: int, head: str) -> Row:
    """Trains and judges a network for each seed."""
    train, test = nuclei(recipe.side)
    begin, scores, dead = time.perf_counter(), [], 0
    for seed in range(recipe.seeds if head == "own" else recipe.drawn):
        torch.manual_seed(seed)
        model = UNet(1, 1, width=width, depth=recipe.depth, norm="batch")
        if head == "torch":
            nn.Conv2d.reset_parameters(model.head)
        settings = TrainingSettings(
            epochs=1,
            batch_size=len(train) // recipe.steps,
            learning_rate=recipe.learning_rate,
            precision="float32",
            seed=seed,
        )
        fit(model, train, loss=bce_dice_loss, settings=settings, verbose=False)
        images, targets = test.tensors
        with torch.no_grad():
            found = model.eval()(images) > 0
        dead += bool(found.all() or not found.any())
        scores.append(round(float(dice(count_pixels(found, targets))), 4))
    return {"dead": dead, "dice": scores, "seconds": round(time.perf_counter() - begin, 1)}


if __name__ == "__main__":
    recipe = tyro.cli(Recipe, description=__doc__)
    plans = [{"width": width, "head": head} for width in recipe.widths for head in ("torch", "own")]
    complete(TABLE, plans, partial(run, recipe))
