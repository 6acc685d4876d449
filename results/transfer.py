"""Chapter 7's long runs: from scratch, from ImageNet, from simulation, with few labels and many.

    python results/transfer.py               all runs, one after the other; interrupted, it goes on
    python results/transfer.py --help        fewer seeds, other numbers of labels

One network, EfficientNet-Lite0 with a decoder, starts in three ways: with random weights, with an
encoder that has learned ImageNet, or as a whole from one training on simulated nuclei. It then
learns from a few labeled pictures, always the same number of steps on random crops. Runs of one
seed see the same pictures, and those of a small number are among those of a larger one. Each start
has its own learning rate, chosen first on training pictures that the run has not learned from (the
rows with the part "choice"). Then each run of the part "test" scores the test pictures once, and
those of the part "longer" do the same for all street scenes with four times as many steps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import torch
import tyro
from table import Row, complete
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from unet_lib.data import DSB2018, CamVid, SegmentationDataset, SimulatedNuclei
from unet_lib.evaluation import predict
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
Start = Literal["scratch", "ImageNet", "simulation"]
TASKS = {
    "nuclei": Task(),
    "streets": Task("classes", "RGB", "type", num_classes=11, ignore_index=11),
}
STARTS = {"nuclei": ("scratch", "ImageNet", "simulation"), "streets": ("scratch", "ImageNet")}
STREET_SIZE = (120, 160)  # a third of the frames' height and width
UNSEEN_DRIVE = "Seq05VD"  # the only film in "test" that "train" has nothing of


@dataclass(frozen=True)
class Recipe:
    """What is trained, how often, and how long."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """One run each; the seed also chooses the labeled pictures."""
    nuclei: tuple[int, ...] = (5, 10, 50, 411)
    """Numbers of labeled pictures of real nuclei."""
    streets: tuple[int, ...] = (10, 62)
    """Numbers of labeled street scenes."""
    steps: int = 160
    """Steps of a run."""
    longer_steps: int = 640
    """Steps of the runs on all street scenes that are done once more."""
    simulation_steps: int = 600
    """Steps of the training on simulated nuclei."""
    batch_size: int = 4
    """Crops in a step."""
    crop: int = 96
    """Side of the crops."""
    decoder_width: int = 8
    """Channels of the decoder at full size."""
    rates: tuple[float, ...] = (1e-3, 4e-3)
    """Largest rates of the one-cycle schedule to choose from."""
    choice_labels: int = 10
    """Labeled pictures of the runs that choose."""
    choice_seed: int = 100
    """Their seed."""
    choice_pictures: int = 20
    """Training pictures on which they are compared."""


class Crops(Dataset):
    """As many transformed pictures as a run takes, each picture as often as any other."""

    def __init__(self, pairs: Pairs, count: int, transform: Callable, task: Task) -> None:
        self.pairs, self.count, self.transform, self.task = pairs, count, transform, task

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, labels = self.transform(*self.pairs[index % len(self.pairs)])
        return image, self.task.encode(labels)


@cache
def dataset(data: str, split: str) -> SegmentationDataset:
    """The pictures, normalized as the task says, with their labels."""
    if data == "streets":
        return CamVid(split=split, size=STREET_SIZE, normalize=TASKS[data].normalization)
    return DSB2018(split=split, normalize=TASKS[data].normalization)


@cache
def pair(data: str, split: str, index: int) -> tuple[Tensor, Tensor]:
    """One picture and its labels, read once."""
    return dataset(data, split)[index]


def order(data: str, seed: int) -> list[int]:
    """The training pictures in the order in which the seed labels them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(len(dataset(data, "train")), generator=generator).tolist()


def network(data: str, start: Start, recipe: Recipe) -> EncoderUNet:
    """The network before its training."""
    task = TASKS[data]
    make = pretrained_unet if start == "ImageNet" else EncoderUNet
    model = make(task.in_channels, task.out_channels, decoder_width=recipe.decoder_width)
    return model.to(memory_format=torch.channels_last)


def train(
    model: EncoderUNet, data: str, pairs: Pairs, steps: int, rate: float, seed: int, r: Recipe
) -> Row:
    """Trains the network; returns its training loss and the seconds."""
    task, turn = TASKS[data], Joint(v2.RandomHorizontalFlip())
    if data == "nuclei":  # they have no top
        turn = compose(RandomRightAngle(), turn)
    transform = compose(random_crop((r.crop, r.crop)), turn)
    settings = TrainingSettings(
        epochs=1,
        batch_size=r.batch_size,
        learning_rate=rate,
        precision="float32",
        keep="last",
        seed=seed,
    )
    crops = Crops(pairs, steps * r.batch_size, transform, task)
    (row,) = fit(model, crops, loss=task.loss, settings=settings, verbose=False).rows
    return {"training_loss": round(row["loss"], 4), "seconds": round(row["seconds"], 1)}


def simulated(recipe: Recipe) -> Path:
    """The checkpoint of the one network that has seen simulated nuclei and nothing else."""
    path = RUNS / "transfer-simulation.pt"
    if not path.exists():
        torch.manual_seed(0)
        model, steps = network("nuclei", "scratch", recipe), recipe.simulation_steps
        pictures = list(SimulatedNuclei(steps * recipe.batch_size // 4))
        train(model, "nuclei", pictures, steps, max(recipe.rates), 0, recipe)
        save_checkpoint(path, model, **TASKS["nuclei"].stored())
    return path


def score(model: EncoderUNet, data: str, split: str, indices: list[int]) -> Row:
    """Scores of whole pictures, and of those of the unseen drive where there are some."""
    task, parts = TASKS[data], {"": TASKS[data].scores()}
    drives = getattr(dataset(data, split), "drives", [])
    for index in indices:
        image, labels = pair(data, split, index)
        batch = predict(model, image, tile=2048)[None], task.encode(labels)[None]
        parts[""].update(*batch)
        if drives and drives[index] == UNSEEN_DRIVE:
            parts.setdefault("unseen_drive_", task.scores()).update(*batch)
    names = ("dice_per_image", "dice_pooled", "iou_pooled", "pixel_accuracy")
    return {
        part + name: round(value, 4)
        for part, scores in parts.items()
        for name, value in scores.compute().items()
        if name in names
    }


def run(
    recipe: Recipe, part: str, data: str, start: Start, labels: int, seed: int, rate: float
) -> Row:
    """Trains one network and scores it."""
    torch.manual_seed(seed)
    model, result = network(data, start, recipe), {}
    if start == "simulation":
        load_weights(model, load_checkpoint(simulated(recipe))["weights"])
    chosen = order(data, seed)
    if labels:
        pairs = [pair(data, "train", i) for i in chosen[:labels]]
        steps = recipe.longer_steps if part == "longer" else recipe.steps
        result = train(model, data, pairs, steps, rate, seed, recipe)
        result["steps"] = steps
    if part == "choice":
        return result | score(model, data, "train", chosen[-recipe.choice_pictures :])
    return result | score(model, data, "test", list(range(len(dataset(data, "test")))))


def choice_plans(recipe: Recipe) -> Iterator[Row]:
    """Every start with every rate."""
    for data, starts in STARTS.items():
        for start in starts:
            for rate in recipe.rates:
                yield {
                    "part": "choice",
                    "data": data,
                    "start": start,
                    "labels": recipe.choice_labels,
                    "seed": recipe.choice_seed,
                    "rate": rate,
                }


def best_rate(rows: list[Row], data: str, start: str) -> float:
    """The rate with the best score on the pictures to choose by."""
    name = "dice_per_image" if data == "nuclei" else "iou_pooled"
    of = [r for r in rows if (r["part"], r["data"], r["start"]) == ("choice", data, start)]
    return max(of, key=lambda row: row[name])["rate"]


def test_plans(recipe: Recipe, rows: list[Row]) -> Iterator[Row]:
    """Seed by seed, so that an interrupted command has complete curves."""
    for seed in recipe.seeds:
        for data, starts in STARTS.items():
            for labels in recipe.nuclei if data == "nuclei" else recipe.streets:
                for start in starts:
                    rate = best_rate(rows, data, start)
                    plan = {"part": "test", "data": data, "start": start, "labels": labels}
                    yield plan | {"seed": seed, "rate": rate}
    for seed in recipe.seeds:
        for start in STARTS["streets"]:
            plan = {"part": "longer", "data": "streets", "start": start, "seed": seed}
            yield plan | {"labels": recipe.streets[-1], "rate": best_rate(rows, "streets", start)}
    plan = {"part": "test", "data": "nuclei", "start": "simulation", "labels": 0}
    yield plan | {"seed": 0, "rate": 0.0}


def main(recipe: Recipe) -> None:
    """Does the runs that are not in the table yet."""
    do = partial(complete, TABLE, run=partial(run, recipe))
    rows = do(choice_plans(recipe))
    do(test_plans(recipe, rows))


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
