"""Chapter 11's long runs: which target tells touching nuclei apart, and what each step brings.

    python results/touching.py               all runs, one after the other; interrupted, it goes on
    python results/touching.py --help        fewer seeds, other lengths

Two kinds of runs stand in `results/touching.json`. Those on a *part* learn from seven eighths of
the training images and are scored on the others: every choice was made by them. Those on *all*
learn from all training images, and the 50 test images are scored once by each. The time of a run
is that of its processors, in the training alone.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from scipy.ndimage import distance_transform_edt, label
from table import Row, complete
from torch import Tensor
from torch.nn.functional import one_hot
from torch.utils.data import Dataset, Sampler, Subset

from unet_lib.data import (
    DSB2018,
    SimulatedNuclei,
    cached,
    distances,
    interior_border,
    offsets,
)
from unet_lib.data.crops import Crops
from unet_lib.evaluation import (
    count_pixels,
    dice,
    grow_seeds,
    predict,
    predict_views,
    score_objects,
)
from unet_lib.model import UNet
from unet_lib.training import Task, TrainingSettings, fit, load_model, save_checkpoint
from unet_lib.transforms import (
    Joint,
    RandomRightAngle,
    compose,
    random_blur,
    random_brightness_contrast,
    random_crop,
    random_flips,
    random_gamma,
    random_noise,
    random_scale,
    sometimes,
)

HERE = Path(__file__).parent
TABLE = Path(__file__).with_suffix(".json")
EPOCHS = 10
HELD_OUT = 8  # every eighth training image is for choosing
TARGETS = ("foreground", "distances", "offsets")
Part = Literal["part", "all", "simulated"]


@dataclass(frozen=True)
class Variant:
    """A way to train."""

    target: str = "distances"
    """What the network predicts of each pixel."""
    crops: int = 10_000
    """Crops in the whole training."""
    jitter: bool = False
    """Whether brightness, contrast, gamma, noise and focus vary."""
    rare: bool = False
    """Whether rare kinds of images are drawn more often."""
    width: int = 16
    """Channels of the first stage."""
    depth: int = 3
    """Poolings."""
    rate: float = 4e-3
    """The largest rate of the one-cycle schedule."""
    crop: int = 160
    """Side of the crops."""


@dataclass(frozen=True)
class Recipe:
    """What is trained, how often, and how long."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """One run each of every final network."""
    choice_seeds: tuple[int, ...] = (0, 1)
    """One run each of every step that is chosen by."""
    short: int = 10_000
    """Crops of the runs that compare steps."""
    long: int = 24_000
    """Crops of the final runs, equally many for each target."""

    @property
    def variants(self) -> dict[str, Variant]:
        """The ways to train, by name: first the steps, then what is compared at full length."""
        longer = Variant("distances", self.long)
        light = replace(longer, jitter=True)
        return {
            "mask": Variant("foreground", self.short),
            "distances": Variant("distances", self.short),
            "rare kinds": Variant("distances", self.short, rare=True),
            "longer": longer,
            "light": light,
            "deeper": replace(light, depth=4),
        } | {f"final {target}": replace(light, target=target) for target in TARGETS}


class ByKind(Sampler[int]):
    """Draws images so that a kind of n images is drawn in proportion to n ** power.

    The kind of an image is its size in pixels: images of one microscope have one size.
    """

    def __init__(self, sizes: list[tuple[int, int]], number: int, power: float, seed: int) -> None:
        weights = np.array([sizes.count(size) for size in sizes]) ** (power - 1)
        self.shares, self.number, self.seed, self.epoch = weights / weights.sum(), number, seed, 1

    def set_epoch(self, epoch: int) -> None:
        """What to draw next; the first epoch is 1."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self.epoch))
        yield from rng.choice(len(self.shares), self.number, p=self.shares).tolist()


def augment(variant: Variant) -> Joint:
    """Other magnifications, places and directions, and other light."""
    side = round(variant.crop / 0.7)
    places = compose(
        random_crop((side, side)),
        random_scale(0.7, 1.4),
        random_crop((variant.crop, variant.crop)),
        RandomRightAngle(),
        random_flips(),
    )
    light = (
        random_brightness_contrast(0.3, 0.3),
        random_gamma(0.6, 1.6),
        sometimes(0.2, random_noise(0.1)),
        sometimes(0.2, random_blur(1.5)),
    )
    return compose(places, *light) if variant.jitter else places


@cache
def images(name: str) -> Dataset:
    """Images and labels: real ones for training or test, or simulated ones of a seed."""
    if name.isdecimal():
        return cached(SimulatedNuclei(1700, seed=int(name)))
    return cached(DSB2018(split=name))


def chosen(part: Part) -> list[int]:
    """Numbers of the training images to learn from: all, or seven of eight."""
    return [i for i in range(len(images("train"))) if part != "part" or i % HELD_OUT]


def crops(variant: Variant, part: Part, seed: int) -> tuple[Crops, ByKind | None]:
    """What the network learns from, and how often it sees each image."""
    task = Task(variant.target)
    if part == "simulated":
        turned = compose(RandomRightAngle(), random_flips())
        return Crops(images(str(seed)), turned, task.encode, kept=True), None
    learn = Subset(images("train"), chosen(part))
    sizes = [tuple(learn.dataset.load(i)[0].shape) for i in learn.indices]
    sampler = ByKind(sizes, variant.crops // EPOCHS, 0.5 if variant.rare else 1.0, seed)
    return Crops(learn, augment(variant), task.encode, kept=True), sampler


def train(variant: Variant, part: Part, seed: int) -> tuple[UNet, Row]:
    """A trained network, and what its training took."""
    torch.manual_seed(seed)
    task = Task(variant.target)
    model = UNet(1, task.out_channels, width=variant.width, depth=variant.depth, norm="batch")
    learn, sampler = crops(variant, part, seed)
    settings = TrainingSettings(
        epochs=EPOCHS if sampler else 4,
        learning_rate=variant.rate,
        keep="last",
        seed=seed,
    )
    processor, wall = time.process_time(), time.perf_counter()
    history = fit(model, learn, task=task, settings=settings, sampler=sampler, verbose=False)
    return model, {
        "processor_seconds": round(time.process_time() - processor),
        "seconds": round(time.perf_counter() - wall),
        "loss": round(history.rows[-1]["loss"], 4),
        "mode": history.mode,
    }


def predictions(model: UNet, target: str, part: Part, eight: bool) -> dict[str, list[Tensor]]:
    """Logits of the images to score, of one view each and, if asked for, the mean of eight."""
    split, numbers = to_score(part)
    shown = [images(split)[i][0] for i in numbers]
    maps = {"one": [predict(model, image, tile=1024) for image in shown]}
    if eight:
        vectors = target == "offsets"
        maps["eight"] = [predict_views(model, image, 1024, vectors) for image in shown]
    return maps


def to_score(part: Part) -> tuple[str, list[int]]:
    """The images that no training of this part sees."""
    if part == "part":
        return "train", [i for i in range(len(images("train"))) if i % HELD_OUT == 0]
    return "test", list(range(len(images("test"))))


def score(model: UNet, target: str, part: Part, eight: bool = True) -> Row:
    """AP of the mask with its watershed and of the target's decoder; mistakes, counts, areas."""
    split, numbers = to_score(part)
    true = [images(split)[i][1].numpy() for i in numbers]
    result: Row = {"ap": {}}
    for views, logits in predictions(model, target, part, eight).items():
        masks = [Task().instances(one[:1]) for one in logits]
        found = {"watershed": masks}
        if target != "foreground":
            found[target] = [Task(target).instances(one) for one in logits]
        scores = {name: score_objects(own, true) for name, own in found.items()}
        result["ap"] |= {f"{name}, {views}": one["ap"] for name, one in scores.items()}
    best = scores.get(target, scores["watershed"])
    return result | {"dice": dice_of(logits, true)} | {k: best[k] for k in best if k != "ap"}


def dice_of(logits: list[Tensor], true: list[np.ndarray]) -> float:
    """Dice of the foreground, the mean over the images."""
    masks = [(one[:1] > 0) for one in logits]
    counts = [count_pixels(m, torch.tensor(t > 0)[None]) for m, t in zip(masks, true, strict=True)]
    return round(float(np.mean([float(dice(c)) for c in counts])), 4)


def run(recipe: Recipe, variant: str, trained_on: Part, seed: int) -> Row:
    """Trains one network and scores it."""
    how = recipe.variants[variant]
    model, result = train(how, trained_on, seed)
    if seed == 0 and trained_on != "part":
        name = f"touching-{how.target}-{trained_on}.pt"
        save_checkpoint(HERE / name, model, **Task(how.target).stored())
    return result | score(model, how.target, trained_on) | {"recipe": asdict(how)}


def earlier(**_: str) -> Row:
    """Chapter 10's network for real nuclei, and what true seeds would make of its masks."""
    model = load_model(HERE / "nuclei-real.pt")
    result = score(model, "foreground", "all")
    true = [images("test")[i][1].numpy() for i in range(len(images("test")))]
    logits = predictions(model, "foreground", "all", eight=False)["one"]
    masks = [one[0].numpy() > 0 for one in logits]
    helped = [with_true_seeds(m, t) for m, t in zip(masks, true, strict=True)]
    result["ap"]["true seeds, one"] = score_objects(helped, true)["ap"]
    return result


def with_true_seeds(mask: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The watershed of a mask from one seed in each true nucleus: its deepest part."""
    depth = distances(torch.from_numpy(true))[2].numpy()
    seeds = np.where(depth > 0.7, true, 0)
    return grow_seeds(seeds, np.asarray(distance_transform_edt(mask)), mask)


def ceilings(**_: str) -> Row:
    """The true labels of the test images, encoded and decoded."""
    true = [images("test")[i][1].numpy() for i in range(len(images("test")))]
    found: dict[str, list[np.ndarray]] = {}
    for labels in true:
        for name, decoded in perfect(labels).items():
            found.setdefault(name, []).append(decoded)
    return {"ap": {name: score_objects(own, true)["ap"] for name, own in found.items()}}


def perfect(labels: np.ndarray) -> dict[str, np.ndarray]:
    """What each target makes of the labels where the network is never wrong."""
    mask, near, way = labels > 0, distances(labels), offsets(labels)
    classes = one_hot(interior_border(labels), 3).movedim(-1, 0) * 20.0
    return {
        "mask, regions": label(mask)[0].astype(np.int32),
        "mask, watershed": Task().instances(torch.where(torch.tensor(mask), 9.0, -9.0)[None]),
        "interior and border": Task("instances").instances(classes),
        "distances": Task("distances").instances(near.logit(1e-6)),
        "offsets": Task("offsets").instances(torch.cat([way[:2].logit(1e-6), way[2:]])),
    }


def main(recipe: Recipe) -> None:
    """Does the runs that are not in the table yet."""
    do = partial(complete, TABLE)
    do([{"variant": "chapter 10"}], earlier)
    do([{"variant": "ceilings"}], ceilings)
    plans = [
        {"variant": name, "trained_on": part, "seed": seed}
        for part, seeds in (
            ("part", recipe.choice_seeds),
            ("simulated", recipe.seeds),
            ("all", recipe.seeds),
        )
        for seed in seeds
        for name in recipe.variants
        if name.startswith("final") == (part != "part")
    ]
    do(plans, partial(run, recipe))


if __name__ == "__main__":
    torch.set_num_threads(1)  # so that processor seconds say what a run takes
    main(tyro.cli(Recipe, description=__doc__))
