"""Chapter 9's comparison of what makes training converge fast or slowly, one change at a time.

    python results/convergence.py          all runs, half an hour; interrupted, it goes on
    python results/convergence.py --help   fewer seeds, another length

Small networks on simulated nuclei, scored after every epoch on pictures that no run learns from.
No choice is made by these scores but the reader's. What a step costs, against the reference's, is
measured once, all variants in turn; the runs' own times are not used.

Weight decay has runs of its own, on few pictures and long enough to learn them by heart: Dice on
these pictures and on others, and how long the weights are at the end. Rows go to
`results/convergence.json`.
"""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import tyro
from table import Row, complete
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

from unet_lib.data import SimulatedNuclei, foreground
from unet_lib.model import UNet
from unet_lib.training import (
    TrainingError,
    TrainingSettings,
    bce_dice_loss,
    bce_loss,
    dice_loss,
    evaluate,
    fit,
)

TABLE = Path(__file__).parent / "convergence.json"


@dataclass(frozen=True)
class Recipe:
    """The reference run, and how often each variant of it is repeated."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Initial weights and order of the pictures; the pictures are the same in all runs."""
    width: int = 8
    """Channels of the first stage."""
    depth: int = 3
    """Poolings."""
    pictures: int = 160
    """Simulated pictures to learn from."""
    side: int = 48
    """Their height and width."""
    epochs: int = 10
    """Passes through them, each followed by a score."""
    learning_rate: float = 4e-3
    """The largest rate of the reference."""
    few: int = 20
    """Pictures of the runs with weight decay."""
    passes: int = 200
    """Through these, in batches of 4."""
    decays: tuple[float, ...] = (0.0, 0.01, 0.1, 1.0)
    """Of AdamW."""


def small_weights(model: UNet) -> None:
    """A tenth of the weights that PyTorch draws; the first answers still lie around 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.data *= 0.1
    model.head.expect([0.5])


def single_groups(model: UNet) -> None:
    """GroupNorm with a group for each channel: what InstanceNorm computes."""
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.num_groups = module.num_channels


def he_weights(model: UNet) -> None:
    """He et al. (2015): the variance of the maps stays the same through convolution and ReLU."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module is not model.head:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def prior_bias(model: UNet, share: float = 0.15) -> None:
    """Before the first step the network already says that the foreground is rare (it is 22 %)."""
    model.head.expect([share])


@dataclass(frozen=True)
class Variant:
    """What differs from the reference."""

    settings: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    initialize: Callable[[UNet], None] | None = None
    loss: Callable = bce_dice_loss


PLAIN = {"norm": "none"}
SLOW = {"learning_rate": 1e-3}
COUPLED = {"weight_decay": 1e-4}  # added to the gradient, 0.01 would be another loss
VARIANTS = {
    "reference": Variant(),
    "constant 0.0001": Variant({"schedule": "constant", "learning_rate": 1e-4}),
    "constant 0.001": Variant({"schedule": "constant", "learning_rate": 1e-3}),
    "constant 0.004": Variant({"schedule": "constant"}),
    "constant 0.1": Variant({"schedule": "constant", "learning_rate": 1e-1}),
    "cosine 0.004": Variant({"schedule": "cosine"}),
    "adam": Variant(COUPLED | {"optimizer": "adam"}),
    "sgd 0.004": Variant(COUPLED | {"optimizer": "sgd"}),
    "sgd 0.04": Variant(COUPLED | {"optimizer": "sgd", "learning_rate": 4e-2}),
    "sgd 0.4": Variant(COUPLED | {"optimizer": "sgd", "learning_rate": 4e-1}),
    "group norm": Variant(network={"norm": "group"}),
    "groups of one": Variant(network={"norm": "group"}, initialize=single_groups),
    "no norm": Variant(network=PLAIN),
    "no norm, 0.001": Variant(SLOW, PLAIN),
    "no norm, 0.001, He": Variant(SLOW, PLAIN, he_weights),
    "no norm, 0.001, small weights": Variant(SLOW, PLAIN, small_weights),
    "small weights": Variant(initialize=small_weights),
    "BCE": Variant(loss=bce_loss),
    "BCE, rare from the start": Variant(initialize=prior_bias, loss=bce_loss),
    "Dice": Variant(loss=dice_loss),
    "weight decay 10": Variant({"weight_decay": 10.0}),
    "dropout 0.5": Variant(network={"dropout": 0.5}),
}


@cache
def pictures(count: int, side: int, seed: int) -> TensorDataset:
    """Simulated once, with the nuclei as target."""
    nuclei = SimulatedNuclei(count, seed=seed, size=(side, side), target=foreground)
    images, targets = zip(*(nuclei[index] for index in range(count)), strict=True)
    return TensorDataset(torch.stack(images), torch.stack(targets))


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


def run(recipe: Recipe, variant: str, seed: int) -> Row:
    """Trains one network; the curves have one value an epoch. A run that blows up ends early."""
    begin, chosen = time.perf_counter(), VARIANTS[variant]
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
    seconds = {"seconds": round(time.perf_counter() - begin, 1)}
    return {"recipe": asdict(recipe) | {"seeds": [seed]}, "stopped": stopped} | curves | seconds


def decayed(recipe: Recipe, decay: float, seed: int) -> Row:
    """Trains one network long on few pictures; the scores have one value for ten passes."""
    begin = time.perf_counter()
    few, others = pictures(recipe.few, recipe.side, 22), pictures(100, recipe.side, 23)
    model = network(recipe, Variant(), seed)
    before = length(model)
    chosen = TrainingSettings(
        epochs=recipe.passes // 10,
        batch_size=4,
        learning_rate=recipe.learning_rate,
        weight_decay=decay,
        precision="float32",
        keep="last",
        seed=seed,
    )
    own, other = [], []

    def watch(_row: dict[str, float]) -> None:
        for scores, data in ((own, few), (other, others)):
            scores.append(round(evaluate(model, DataLoader(data, 50))["dice_pooled"], 4))

    fit(model, ConcatDataset([few] * 10), settings=chosen, on_epoch=watch, verbose=False)
    return {
        "recipe": asdict(recipe) | {"seeds": [seed]},
        "steps": recipe.few * recipe.passes // 4,
        "own": own,
        "other": other,
        "length": round(length(model) / before, 3),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def length(model: UNet) -> float:
    """Of all weights of the convolutions together."""
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]
    return math.sqrt(sum(weight.detach().square().sum().item() for weight in weights))


def costs(recipe: Recipe, kind: str, rounds: int = 40) -> Row:
    """The processor's time for one step of each variant, all in turn, over the reference's.

    Variants that differ in a number only, such as the learning rate, share a step and its time.
    """
    kinds = {name: step_kind(recipe, variant) for name, variant in VARIANTS.items()}
    steps = {kinds[name]: step(recipe, variant) for name, variant in VARIANTS.items()}
    seconds: dict[str, list[float]] = {kind: [] for kind in steps}
    for _ in range(rounds):
        for kind, take in steps.items():
            start = time.process_time()
            take()
            seconds[kind].append(time.process_time() - start)
    medians = {kind: statistics.median(values[1:]) for kind, values in seconds.items()}
    reference = medians[kinds["reference"]]
    return {"time": {name: round(medians[kinds[name]] / reference, 3) for name in VARIANTS}}


def step_kind(recipe: Recipe, variant: Variant) -> str:
    """What the time of a step depends on."""
    optimizer = settings(recipe, variant, 0).optimizer
    single = variant.initialize is single_groups
    return f"{optimizer} {variant.network} {single} {variant.loss.__name__}"


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
    plans = [{"decay": decay, "seed": seed} for seed in recipe.seeds for decay in recipe.decays]
    complete(TABLE, plans, partial(decayed, recipe))
    plans = [{"variant": name, "seed": seed} for seed in recipe.seeds for name in VARIANTS]
    complete(TABLE, plans, partial(run, recipe))


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
