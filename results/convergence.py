"""Chapter 9's comparison of what makes training converge fast or slowly, one change at a time.

    python results/convergence.py          all runs, about ten minutes; interrupted, it goes on
    python results/convergence.py --help   fewer seeds, another length

Small networks on simulated nuclei, scored after every epoch on pictures that no run learns from.
No choice is made by these scores but the reader's. What a step costs, against the reference's, is
measured once, all variants in turn; the runs' own times are not used. Rows go to
`results/convergence.json`.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import tyro
from table import complete
from torch import nn
from torch.optim import SGD, Adam, AdamW

from unet_lib.data import SimulatedNuclei, cached, foreground
from unet_lib.model import UNet
from unet_lib.training import (
    TrainingError,
    TrainingSettings,
    bce_dice_loss,
    bce_loss,
    dice_loss,
    fit,
)

TABLE = Path(__file__).parent / "convergence.json"


@dataclass(frozen=True)
class Recipe:
    """The reference run, and how often each variant of it is repeated."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Initial weights and order of the pictures; the pictures are the same in all runs."""
    width: int = 8
    """Channels of the first stage."""
    depth: int = 3
    """Poolings."""
    pictures: int = 160
    """Simulated pictures to learn from."""
    side: int = 64
    """Their height and width."""
    epochs: int = 10
    """Passes through them, each followed by a score."""
    learning_rate: float = 4e-3
    """The largest rate of the reference."""


def small_weights(model: UNet) -> None:
    """A tenth of the weights that PyTorch draws."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.data *= 0.1


def he_weights(model: UNet) -> None:
    """He et al. (2015): the variance of the maps stays the same through convolution and ReLU."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module is not model.head:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def prior_bias(model: UNet, share: float = 0.15) -> None:
    """Before the first step the network already says how rare the foreground is."""
    nn.init.constant_(model.head.bias, torch.logit(torch.tensor(share)).item())


@dataclass(frozen=True)
class Variant:
    """What differs from the reference."""

    settings: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    initialize: Callable[[UNet], None] | None = None
    loss: Callable = bce_dice_loss


PLAIN = {"norm": "none"}
SLOW = {"learning_rate": 1e-3}
VARIANTS = {
    "reference": Variant(),
    "constant 0.0001": Variant({"schedule": "constant", "learning_rate": 1e-4}),
    "constant 0.001": Variant({"schedule": "constant", "learning_rate": 1e-3}),
    "constant 0.004": Variant({"schedule": "constant"}),
    "constant 0.1": Variant({"schedule": "constant", "learning_rate": 1e-1}),
    "cosine 0.004": Variant({"schedule": "cosine"}),
    "adam": Variant({"optimizer": "adam"}),
    "sgd 0.004": Variant({"optimizer": "sgd"}),
    "sgd 0.04": Variant({"optimizer": "sgd", "learning_rate": 4e-2}),
    "sgd 0.4": Variant({"optimizer": "sgd", "learning_rate": 4e-1}),
    "group norm": Variant(network={"norm": "group"}),
    "no norm": Variant(network=PLAIN),
    "no norm, 0.001": Variant(SLOW, PLAIN),
    "no norm, 0.001, He": Variant(SLOW, PLAIN, he_weights),
    "no norm, 0.001, small weights": Variant(SLOW, PLAIN, small_weights),
    "small weights": Variant(initialize=small_weights),
    "BCE": Variant(loss=bce_loss),
    "BCE, rare from the start": Variant(initialize=prior_bias, loss=bce_loss),
    "Dice": Variant(loss=dice_loss),
    "weight decay 0": Variant({"weight_decay": 0.0}),
    "weight decay 0.1": Variant({"weight_decay": 0.1}),
    "weight decay 10": Variant({"weight_decay": 10.0}),
    "dropout 0.5": Variant(network={"dropout": 0.5}),
}


@cache
def pictures(count: int, side: int, seed: int) -> torch.utils.data.Dataset:
    """Simulated once, with the nuclei as target."""
    return cached(SimulatedNuclei(count, seed=seed, size=(side, side), target=foreground))


def network(recipe: Recipe, variant: Variant, seed: int) -> UNet:
    """The untrained network of a variant."""
    torch.manual_seed(seed)
    fields = {"norm": "batch"} | variant.network
    model = UNet(1, 1, width=recipe.width, depth=recipe.depth, **fields)
    if variant.initialize is not None:
        variant.initialize(model)
    return model


def settings(recipe: Recipe, variant: Variant, seed: int) -> TrainingSettings:
    """Those of the reference, changed as the variant says."""
    reference = TrainingSettings(
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        precision="bf16",
        keep="last",
        seed=seed,
    )
    return replace(reference, **variant.settings)


def run(recipe: Recipe, variant: str, seed: int) -> dict:
    """Trains one network; the curves have one value an epoch. A run that blows up ends early."""
    chosen = VARIANTS[variant]
    rows: list[dict] = []
    try:
        fit(
            network(recipe, chosen, seed),
            pictures(recipe.pictures, recipe.side, 20),
            pictures(40, recipe.side, 21),
            loss=chosen.loss,
            settings=settings(recipe, chosen, seed),
            on_epoch=rows.append,
            verbose=False,
        )
        stopped = ""
    except TrainingError as error:
        stopped = str(error)
    names = {"loss": "loss", "validation_loss": "validation_loss", "dice": "dice_pooled"}
    curves = {name: [round(row[key], 4) for row in rows] for name, key in names.items()}
    return {"recipe": asdict(recipe) | {"seeds": [seed]}, "stopped": stopped} | curves


def costs(recipe: Recipe, kind: str, rounds: int = 40) -> dict:
    """Time of one step of each variant, all in turn, relative to the reference's.

    Variants that differ in a number only, such as the learning rate, share a step and its time.
    """
    kinds = {name: step_kind(recipe, variant) for name, variant in VARIANTS.items()}
    steps = {kinds[name]: step(recipe, variant) for name, variant in VARIANTS.items()}
    seconds: dict[str, list[float]] = {kind: [] for kind in steps}
    for _ in range(rounds):
        for kind, take in steps.items():
            start = time.perf_counter()
            take()
            seconds[kind].append(time.perf_counter() - start)
    medians = {kind: statistics.median(values[1:]) for kind, values in seconds.items()}
    reference = medians[kinds["reference"]]
    return {"time": {name: round(medians[kinds[name]] / reference, 3) for name in VARIANTS}}


def step_kind(recipe: Recipe, variant: Variant) -> str:
    """What the time of a step depends on."""
    optimizer = settings(recipe, variant, 0).optimizer
    return f"{optimizer} {variant.network} {variant.loss.__name__}"


def step(recipe: Recipe, variant: Variant) -> Callable[[], None]:
    """One step of training on eight random pictures, to be called again and again."""
    model = network(recipe, variant, 0)
    rules = {"adamw": AdamW, "adam": Adam, "sgd": partial(SGD, momentum=0.9)}
    chosen = settings(recipe, variant, 0)
    optimizer = rules[chosen.optimizer](model.parameters(), lr=1e-6)
    images = torch.rand(chosen.batch_size, 1, recipe.side, recipe.side)

    def take() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(images)
        variant.loss(logits.float(), (images > 0.5).float()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return take


def main(recipe: Recipe) -> None:
    """Does the runs that are not in the table yet."""
    complete(TABLE, [{"kind": "costs"}], partial(costs, recipe))
    plans = [{"variant": name, "seed": seed} for seed in recipe.seeds for name in VARIANTS]
    complete(TABLE, plans, partial(run, recipe))


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
