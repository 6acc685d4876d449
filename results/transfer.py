"""Chapter 7's runs on real nuclei: from scratch, from ImageNet, from simulation, and a plain U-Net.

    python results/transfer.py               all runs, one after the other; interrupted, it goes on
    python results/transfer.py --help        fewer seeds, other numbers of labels

One network, EfficientNet-Lite0 with a decoder, starts in three ways: with random weights, with an
encoder that has learned ImageNet, or as a whole from a training on simulated nuclei, one of its own
for each seed. Beside it stands the plain U-Net of chapter 6, with as many more steps as its steps
are shorter. Runs of one seed see the same pictures, and those of a small number are among those of
a larger one. Every run is scored on training pictures that no run learns from ("held_out_...") and
on the test pictures; rates are chosen by the former. The rows of 0 labels are the simulated starts
as they are.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import mean
from typing import Literal

import torch
import tyro
from table import Row, complete
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from unet_lib.data import DSB2018, SimulatedNuclei
from unet_lib.evaluation import predict
from unet_lib.model import SegmentationModel, UNet
from unet_lib.training import (
    Task,
    TrainingSettings,
    fit,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from unet_lib.transfer import EncoderUNet, pretrained_unet
from unet_lib.transforms import Joint, RandomRightAngle, compose, random_crop

TABLE = Path(__file__).with_suffix(".json")
RUNS = Path(__file__).parent / "runs"
Pairs = list[tuple[Tensor, Tensor]]
Start = Literal["scratch", "ImageNet", "simulation", "plain U-Net"]
TASK = Task()


@dataclass(frozen=True)
class Recipe:
    """What is trained, how often, and how long."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One run each; the seed also chooses the labeled pictures and the simulated ones."""
    labels: tuple[int, ...] = (10,)
    """Numbers of labeled pictures of real nuclei."""
    held_out: int = 40
    """Training pictures by which rates are chosen; no run learns from them."""
    steps: int = 160
    """Steps of a run."""
    plain_steps: int = 480
    """Steps of the plain U-Net; one takes about a third of the time."""
    simulation_steps: int = 300
    """Steps of a training on simulated nuclei."""
    batch_size: int = 4
    """Crops in a step."""
    crop: int = 96
    """Side of the crops."""
    decoder_width: int = 8
    """Channels of the decoder at full size."""
    rates: tuple[float, ...] = (4e-3, 1.2e-2)
    """Largest rates of the one-cycle schedule to choose from, from scratch and from ImageNet."""
    choice_seeds: tuple[int, ...] = (0, 1)
    """Seeds of the runs, of the smallest number of labels, that choose."""
    fine_rates: tuple[float, ...] = (1e-3, 2.5e-4)
    """Rates with which the whole networks from simulation go on; both are shown."""


class Crops(Dataset):
    """As many transformed pictures as a run takes, each picture as often as any other."""

    def __init__(self, pairs: Pairs, count: int, transform: Callable) -> None:
        self.pairs, self.count, self.transform = pairs, count, transform

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, labels = self.transform(*self.pairs[index % len(self.pairs)])
        return image, TASK.encode(labels)


@cache
def dataset(split: str) -> DSB2018:
    """The pictures, normalized as the task says, with their labels."""
    return DSB2018(split=split, normalize=TASK.normalization)


@cache
def pair(split: str, index: int) -> tuple[Tensor, Tensor]:
    """One picture and its labels, read once."""
    return dataset(split)[index]


@cache
def held_out(recipe: Recipe) -> tuple[list[int], list[int]]:
    """(pictures to choose by, all others), the same for every seed."""
    generator = torch.Generator().manual_seed(100)
    order = torch.randperm(len(dataset("train")), generator=generator).tolist()
    return order[: recipe.held_out], order[recipe.held_out :]


def labeled(recipe: Recipe, labels: int, seed: int) -> Pairs:
    """The pictures that the seed labels first."""
    others = held_out(recipe)[1]
    order = torch.randperm(len(others), generator=torch.Generator().manual_seed(seed)).tolist()
    return [pair("train", others[i]) for i in order[:labels]]


def network(start: Start, recipe: Recipe) -> SegmentationModel:
    """The network before its training."""
    if start == "plain U-Net":
        model = UNet(TASK.in_channels, TASK.out_channels, width=8, depth=3, norm="batch")
    else:
        make = pretrained_unet if start == "ImageNet" else EncoderUNet
        model = make(TASK.in_channels, TASK.out_channels, decoder_width=recipe.decoder_width)
    return model.to(memory_format=torch.channels_last)


def train(
    model: SegmentationModel, pairs: Pairs, steps: int, rate: float, seed: int, r: Recipe
) -> Row:
    """Trains the network; returns its training loss and the seconds."""
    turn = compose(RandomRightAngle(), Joint(v2.RandomHorizontalFlip()))  # nuclei have no top
    transform = compose(random_crop((r.crop, r.crop)), turn)
    settings = TrainingSettings(
        epochs=1,
        batch_size=r.batch_size,
        learning_rate=rate,
        precision="float32",
        keep="last",
        seed=seed,
    )
    crops = Crops(pairs, steps * r.batch_size, transform)
    (row,) = fit(model, crops, loss=TASK.loss, settings=settings, verbose=False).rows
    return {"steps": steps, "training_loss": round(row["loss"], 4), "seconds": row["seconds"]}


def simulated(recipe: Recipe, seed: int) -> Path:
    """The checkpoint of the seed's network that has seen simulated nuclei and nothing else."""
    path = RUNS / f"transfer-simulation-{seed}.pt"
    if not path.exists():
        torch.manual_seed(seed)
        model, steps = network("scratch", recipe), recipe.simulation_steps
        pictures = list(SimulatedNuclei(steps * recipe.batch_size // 4, seed=seed))
        train(model, pictures, steps, recipe.rates[0], seed, recipe)
        save_checkpoint(path, model, **TASK.stored())
    return path


def score(model: SegmentationModel, split: str, indices: list[int]) -> Row:
    """Scores of whole pictures."""
    scores = TASK.scores()
    for index in indices:
        image, labels = pair(split, index)
        scores.update(predict(model, image, tile=2048)[None], TASK.encode(labels)[None])
    return {name: round(scores.compute()[name], 4) for name in ("dice_per_image", "dice_pooled")}


def run(recipe: Recipe, start: Start, labels: int, seed: int, rate: float) -> Row:
    """Trains one network and scores it."""
    begin = time.perf_counter()
    torch.manual_seed(seed)
    model, result = network(start, recipe), {}
    if start == "simulation":
        load_weights(model, load_checkpoint(simulated(recipe, seed))["weights"])
        result["simulation_steps"] = recipe.simulation_steps
    if labels:
        steps = recipe.plain_steps if start == "plain U-Net" else recipe.steps
        result |= train(model, labeled(recipe, labels, seed), steps, rate, seed, recipe)
    chosen_by = score(model, "train", held_out(recipe)[0])
    result |= {f"held_out_{name}": value for name, value in chosen_by.items()}
    result |= score(model, "test", list(range(len(dataset("test")))))
    return result | {"seconds": round(time.perf_counter() - begin, 1)}


def plan(start: Start, labels: int, seed: int, rate: float) -> Row:
    """What identifies a run."""
    return {"start": start, "labels": labels, "seed": seed, "rate": rate}


def choice_plans(recipe: Recipe) -> Iterator[Row]:
    """From scratch and from ImageNet with every rate."""
    for seed in recipe.choice_seeds:
        for start in ("scratch", "ImageNet"):
            for rate in recipe.rates:
                yield plan(start, min(recipe.labels), seed, rate)


def best_rate(recipe: Recipe, rows: list[Row], start: str) -> float:
    """The rate with the best mean score on the pictures to choose by."""

    def held_out_score(rate: float) -> float:
        wanted = {"start": start, "labels": min(recipe.labels), "rate": rate}
        own = [r for r in rows if wanted.items() <= r.items() and r["seed"] in recipe.choice_seeds]
        return mean(row["held_out_dice_per_image"] for row in own)

    return max(recipe.rates, key=held_out_score)


def test_plans(recipe: Recipe, rows: list[Row]) -> Iterator[Row]:
    """Seed by seed, so that an interrupted command has complete comparisons."""
    rate = {start: best_rate(recipe, rows, start) for start in ("scratch", "ImageNet")}
    for seed in recipe.seeds:
        yield plan("simulation", 0, seed, 0.0)
        for labels in recipe.labels:
            for fine in recipe.fine_rates:
                yield plan("simulation", labels, seed, fine)
            for start in rate:
                yield plan(start, labels, seed, rate[start])
            yield plan("plain U-Net", labels, seed, recipe.rates[0])


def main(recipe: Recipe) -> None:
    """Does the runs that are not in the table yet."""
    do = partial(complete, TABLE, run=partial(run, recipe))
    rows = do(choice_plans(recipe))
    do(test_plans(recipe, rows))


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
