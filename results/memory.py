"""Chapter 9's cures for a training that runs out of memory, side by side.

    python results/memory.py               everything, about 15 minutes; interrupted, it goes on
    python results/memory.py --help        fewer seeds, more passes

Memory: PyTorch's allocator in one training step on the CPU. Time: the processor's, of a step on as
many pictures, all cures in turn, over the baseline's; on a graphics card it is another one.
Quality: of the cures that change what is computed, and of GroupNorm beside BatchNorm, on smaller
pictures: Dice on pictures that were not learned from, five seeds, and on others on the way, by
which one sees whether it still rises. Rows go to `results/memory.json`.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import tyro
from table import Row, complete
from torch import nn
from torch.utils.data import DataLoader, Dataset

from unet_lib.data import SimulatedNuclei, cached, foreground
from unet_lib.evaluation import predict
from unet_lib.memory import checkpoint_activations, estimate, measure_peak, measure_step
from unet_lib.model import UNet
from unet_lib.training import TrainingSettings, bce_dice_loss, evaluate, fit
from unet_lib.transforms import random_crop

TABLE = Path(__file__).parent / "memory.json"


@dataclass(frozen=True)
class Recipe:
    """The set-up that all cures start from."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One training each, of the cures that change the result."""
    width: int = 8
    """Channels of the first stage."""
    depth: int = 3
    """Poolings."""
    side: int = 128
    """Height and width of the pictures of a step whose memory and time are measured."""
    batch: int = 8
    """Pictures for each update of the weights."""
    pictures: int = 160
    """Simulated pictures to learn from."""
    learned: int = 48
    """Height and width of these, and of those that judge."""
    epochs: int = 15
    """Passes through them."""
    rounds: int = 5
    """How often each step is timed."""
    large: int = 768
    """Height and width of the picture for prediction."""


@dataclass(frozen=True)
class Cure:
    """What differs from the baseline."""

    network: dict[str, Any] = field(default_factory=dict)
    batch: int = 0
    accumulation: int = 1
    crop: int = 0
    precision: str = "float32"
    prepare: Callable[[UNet], UNet] = lambda model: model
    trained: bool = False
    """Whether the result changes, so that the quality has to be measured."""
    measured: bool = True
    """Whether memory and time are measured."""


def channels_last(model: UNet) -> UNet:
    """Keeps the channels of a pixel beside each other in memory."""
    return model.to(memory_format=torch.channels_last)


def single_groups(model: UNet) -> UNet:
    """GroupNorm with a group for each channel: what InstanceNorm computes."""
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.num_groups = module.num_channels
    return model


GROUPS = {"norm": "group"}
CURES = {
    "baseline": Cure(trained=True),
    "batch of 4, accumulated twice": Cure(batch=4, accumulation=2, trained=True),
    "batch of 1, accumulated 8 times": Cure(batch=1, accumulation=8, trained=True),
    "GroupNorm, batch of 8": Cure(GROUPS, trained=True),
    "GroupNorm, batch of 1, accumulated 8 times": Cure(
        GROUPS, batch=1, accumulation=8, trained=True
    ),
    "groups of one, batch of 8": Cure(GROUPS, prepare=single_groups, trained=True, measured=False),
    "groups of one, batch of 1, accumulated 8 times": Cure(
        GROUPS, batch=1, accumulation=8, prepare=single_groups, trained=True, measured=False
    ),
    "crops of half the side": Cure(crop=64, trained=True),
    "bf16": Cure(precision="bf16", trained=True),
    "checkpointing": Cure(prepare=checkpoint_activations),
    "bf16 and checkpointing": Cure(precision="bf16", prepare=checkpoint_activations),
    "half the width": Cure({"width": 4}, trained=True),
    "one pooling less": Cure({"depth": 2}, trained=True),
    "channels_last": Cure(prepare=channels_last),
}
MEASURED = {name: cure for name, cure in CURES.items() if cure.measured}


def network(recipe: Recipe, cure: Cure, seed: int = 0) -> UNet:
    """The untrained network of a cure."""
    torch.manual_seed(seed)
    fields = {"width": recipe.width, "depth": recipe.depth, "norm": "batch"} | cure.network
    return cure.prepare(UNet(1, 1, **fields))


def costs(recipe: Recipe, kind: str) -> dict:
    """Predicted and measured peak of each cure, and its time for a batch of the baseline."""
    seconds: dict[str, list[float]] = {name: [] for name in MEASURED}
    for _ in range(recipe.rounds):
        for name, cure in MEASURED.items():
            seconds[name].append(step_seconds(recipe, cure))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    rows = {}
    for name, cure in MEASURED.items():
        side, batch = cure.crop or recipe.side, cure.batch or recipe.batch
        wrapped = cure.prepare is checkpoint_activations
        settings = network(recipe, Cure(cure.network)).settings
        predicted = estimate(settings, side, batch, cure.precision, checkpointing=wrapped)
        peak = measure_step(network(recipe, cure), side, batch, cure.precision)
        rows[name] = {
            "predicted_bytes": predicted.peak_bytes,
            "measured_bytes": peak,
            "gflop": round(predicted.flops * recipe.batch / batch / 1e9, 2),
            "time": round(medians[name] / medians["baseline"], 3),
        }
    return {"recipe": asdict(recipe), "cures": rows}


def step_seconds(recipe: Recipe, cure: Cure) -> float:
    """The processor's time to show as many pictures as the baseline does in a step."""
    model = network(recipe, cure).train()
    side, batch = cure.crop or recipe.side, cure.batch or recipe.batch
    images = torch.rand(recipe.batch, 1, side, side)
    half = torch.autocast("cpu", torch.bfloat16, enabled=cure.precision == "bf16")

    def step() -> None:
        for part in images.split(batch):
            with half:
                logits = model(part)
            bce_dice_loss(logits.float(), (part > 0.5).float()).backward()

    step()
    start = time.process_time()
    step()
    return time.process_time() - start


@cache
def pictures(count: int, side: int, seed: int, crop: int = 0) -> Dataset:
    """Simulated once, with the nuclei as target; cut anew each time, if a crop is asked for."""
    transform = random_crop((crop, crop)) if crop else None
    size = (side, side)
    return cached(
        SimulatedNuclei(count, seed=seed, size=size, transform=transform, target=foreground)
    )


def quality(recipe: Recipe, cure: str, seed: int) -> Row:
    """Dice on 200 pictures after the run, and on 40 others after each fifth of it."""
    begin, chosen = time.perf_counter(), CURES[cure]
    model = network(recipe, chosen, seed)
    settings = TrainingSettings(
        epochs=recipe.epochs,
        batch_size=chosen.batch or recipe.batch,
        accumulation_steps=chosen.accumulation,
        learning_rate=4e-3,
        precision=chosen.precision,  # type: ignore[arg-type]
        keep="last",
        seed=seed,
    )
    side, way = recipe.learned, []
    watched = DataLoader(pictures(40, side, 32), batch_size=40)

    def watch(row: dict[str, float]) -> None:
        if row["epoch"] % (recipe.epochs // 5) == 0:
            way.append(round(evaluate(model, watched)["dice_pooled"], 4))

    crop = chosen.crop * side // recipe.side
    train_set = pictures(recipe.pictures, side, 30, crop)
    fit(model, train_set, settings=settings, on_epoch=watch, verbose=False)
    scores = evaluate(model, DataLoader(pictures(200, side, 31), batch_size=40))
    return {
        "recipe": asdict(recipe) | {"seeds": [seed]},
        "way": way,
        "dice": round(scores["dice_pooled"], 4),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def prediction(recipe: Recipe, tile: int) -> dict:
    """Peak and time of predicting one large picture in tiles of that side."""
    model = network(recipe, CURES["baseline"]).eval()
    image = torch.rand(1, recipe.large, recipe.large)
    peak = measure_peak(lambda: predict(model, image, tile))
    seconds: dict[int, list[float]] = {tile: [], recipe.large: []}
    for _ in range(3):
        for side, values in seconds.items():
            start = time.process_time()
            predict(model, image, side)
            values.append(time.process_time() - start)
    ratio = statistics.median(seconds[tile]) / statistics.median(seconds[recipe.large])
    difference = (predict(model, image, tile) - predict(model, image, recipe.large)).abs().max()
    return {
        "recipe": asdict(recipe),
        "measured_bytes": peak,
        "time": round(ratio, 3),
        "largest_difference": float(f"{difference.item():.1g}"),
    }


def main(recipe: Recipe) -> None:
    """Does the runs that are not in the table yet."""
    trained = [name for name, cure in CURES.items() if cure.trained]
    plans = [{"cure": name, "seed": seed} for seed in recipe.seeds for name in trained]
    complete(TABLE, plans, partial(quality, recipe))
    complete(TABLE, [{"kind": "costs"}], partial(costs, recipe))
    complete(TABLE, [{"tile": tile} for tile in (64, 128, 256, 768)], partial(prediction, recipe))


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
