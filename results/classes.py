"""Chapter 12's long runs: drawn scenes with VOC's classes, and street scenes of CamVid.

    python results/classes.py               all runs, one after the other; interrupted, it goes on
    python results/classes.py --help        fewer seeds, one of the two parts, another recipe

Scenes: one network, class weights with three exponents, and Dice; the list "val" is to choose by,
scenes drawn anew are the test. Streets: one network from random and from ImageNet weights, each
with one rate for all layers and with rates by depth; then with class weights, and with and without
a film that it is scored on. Each run adds itself to `results/classes.json`; the classes predicted
for three street scenes are stored beside it.
"""

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from table import complete
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset
from torchvision.transforms import v2

from unet_lib.data import (
    VOC,
    CamVid,
    cached,
    count_classes,
    median_frequency_weights,
    write_voc_scenes,
)
from unet_lib.evaluation import confusion_matrix, count_pixels, iou, precision, predict, recall
from unet_lib.model import UNet
from unet_lib.training import TrainingSettings, cross_entropy_dice_loss, cross_entropy_loss, fit
from unet_lib.training.epoch import LossFunction
from unet_lib.transfer import EncoderUNet, depth_rates, pretrained_unet
from unet_lib.transforms import compose, random_crop, random_scale

HERE = Path(__file__).parent
TABLE = HERE / "classes.json"
PLAIN, WITH_DICE = "cross-entropy", "cross-entropy + Dice"
FLAT, BY_DEPTH = "one rate", "rates by depth"
STARTS = ("ImageNet", "scratch")
UNSEEN = "Seq05VD"  # the film of which nothing is in "train"
SHARED = "0001TP"  # the film that "train" and "test" share
LARGEST = "0016E5"  # the film with most pictures in "train"
SHOWN = (0, 11, 21)  # frames of the unseen film whose predicted classes are stored


@dataclass(frozen=True)
class Recipe:
    """What is trained, how often, and how long."""

    parts: tuple[str, ...] = ("scenes", "streets")
    """Drawn scenes in VOC's layout; street scenes of CamVid."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One run each, of every kind."""
    exponents: tuple[float, ...] = (0.0, 0.5, 1.0)
    """Powers of the class weights; 0 is the plain cross-entropy."""
    scenes: int = 400
    """Drawn scenes, three quarters to learn from, a quarter to choose by."""
    fresh_scenes: int = 300
    """Scenes drawn anew, for the test."""
    scene_size: tuple[int, int] = (72, 96)
    """Their mean height and width."""
    scene_crop: tuple[int, int] = (64, 64)
    """Height and width of the random crops of them."""
    scene_epochs: int = 12
    """Passes through them."""
    scene_rate: float = 4e-3
    """The largest rate of the one-cycle schedule."""
    street_size: tuple[int, int] = (120, 160)
    """Height and width to which the street scenes are shrunk."""
    street_crop: tuple[int, int] = (96, 96)
    """Height and width of the random crops of them."""
    street_crops: int = 800
    """Crops that each training sees, 4 in each step."""
    street_rate: float = 4e-3
    """The largest rate, of all layers or of the decoder alone (`depth_rates`)."""


def loss_function(
    name: str, exponent: float, plain: Dataset, classes: int, ignore: int
) -> LossFunction:
    """The loss of a run; class weights come from its training pictures."""
    if name == WITH_DICE:
        return partial(cross_entropy_dice_loss, ignore_index=ignore)
    weights = None
    if exponent:
        weights = median_frequency_weights(count_classes(plain, classes, ignore)) ** exponent
    return partial(cross_entropy_loss, ignore_index=ignore, class_weights=weights)


def train(model: nn.Module, pictures: Dataset, loss: LossFunction, groups=None, **settings) -> None:
    """Trains in place; the last epoch counts, nothing is chosen."""
    settings = TrainingSettings(keep="last", **settings)
    model.to(memory_format=torch.channels_last)
    fit(model, pictures, loss=loss, settings=settings, parameter_groups=groups, verbose=False)


def answers(model: nn.Module, pictures: Dataset) -> tuple[list[Tensor], list[Tensor]]:
    """Predicted and true classes of every picture, whole and in its own size."""
    pairs = [(predict(model, image, tile=512).argmax(0), labels) for image, labels in pictures]
    return [found for found, _ in pairs], [true for _, true in pairs]


def score(found: list[Tensor], true: list[Tensor], classes: int, ignore: int) -> dict:
    """IoU, precision and recall of each class over all pictures; the IoU's mean in three ways."""
    pairs = [(f[None], t[None]) for f, t in zip(found, true, strict=True)]
    each = [count_pixels(*pair, classes, ignore) for pair in pairs]
    counts = type(each[0])(*(torch.cat(parts) for parts in zip(*each, strict=True)))
    of_set, pixels = iou(counts, "set", math.nan), (counts.tp + counts.fn).sum(0)
    return {
        "miou_pooled": float(of_set[pixels > 0].mean()),
        "miou_per_image": float(np.mean([float(iou(c, empty=math.nan).nanmean()) for c in each])),
        "miou_absent_as_1": float(iou(counts, "image", empty=1.0).mean()),
        "iou": numbers(of_set),
        "precision": numbers(precision(counts, "set", math.nan)),
        "recall": numbers(recall(counts, "set", math.nan)),
        "pixels": pixels.tolist(),
        "confusion": sum(confusion_matrix(*pair, classes, ignore)[0] for pair in pairs).tolist(),
    }


def numbers(values: Tensor) -> list[float | None]:
    """Rounded for the table; JSON knows no nan."""
    return [None if math.isnan(value) else round(value, 4) for value in values.tolist()]


@cache
def scenes(recipe: Recipe) -> tempfile.TemporaryDirectory:
    """Drawn once for all runs, thrown away at the end."""
    folder = tempfile.TemporaryDirectory()
    write_voc_scenes(folder.name, recipe.scenes, size=recipe.scene_size)
    fresh = Path(folder.name) / "fresh"
    write_voc_scenes(fresh, recipe.fresh_scenes, seed=1, size=recipe.scene_size)
    return folder


def run_scenes(recipe: Recipe, loss: str, exponent: float, seed: int, part: str) -> dict:
    """One training on drawn scenes, scored on those of the list "val" and on fresh ones."""
    begin = time.perf_counter()
    root, classes, ignore = scenes(recipe).name, VOC.num_classes, VOC.ignore_index
    varied = compose(random_crop(recipe.scene_crop, ignore), v2.RandomHorizontalFlip())
    pictures = cached(VOC(root, "train", transform=varied))
    chosen = loss_function(loss, exponent, VOC(root, "train"), classes, ignore)
    torch.manual_seed(seed)
    model = UNet(3, classes, width=16, depth=3, norm="batch")
    settings = {"learning_rate": recipe.scene_rate, "epochs": recipe.scene_epochs, "seed": seed}
    train(model, pictures, chosen, precision="bf16", **settings)
    result = {"training_pictures": len(pictures), "epochs": recipe.scene_epochs}
    for name, own in (("val", VOC(root, "val")), ("fresh", VOC(f"{root}/fresh", "trainval"))):
        result[name] = score(*answers(model, own), classes, ignore) | {"pictures": len(own)}
        del result[name]["confusion"]  # mostly zeros: the scenes show seven of the classes
    return result | {"seconds": round(time.perf_counter() - begin, 1)}


def street_pictures(recipe: Recipe, films: str) -> tuple[Dataset, Dataset]:
    """The training pictures of a run, as they are and varied; `films` says which are left out."""
    plain = CamVid(split="train", size=recipe.street_size)
    varied = CamVid(
        split="train",
        size=recipe.street_size,
        transform=compose(
            random_scale(0.8, 1.25),
            random_crop(recipe.street_crop, CamVid.ignore_index),
            v2.RandomHorizontalFlip(),
        ),
    )
    dropped = dropped_frames(plain.drives, films)
    rest = [index for index in range(len(plain)) if index not in dropped]
    return Subset(plain, rest), Subset(cached(varied), rest)


def dropped_frames(drives: Sequence[str], films: str) -> list[int]:
    """Nothing, or all frames of the shared film, or as many of the largest film."""
    shared = [index for index, drive in enumerate(drives) if drive == SHARED]
    largest = [index for index, drive in enumerate(drives) if drive == LARGEST]
    others = largest[:: len(largest) // len(shared)][: len(shared)]  # evenly over the film
    return {"all": [], f"without {SHARED}": shared, f"with {SHARED}": others}[films]


def run_streets(
    recipe: Recipe, start: str, rates: str, exponent: float, films: str, seed: int, part: str
) -> dict:
    """One training on street scenes, scored on "val" and on each film of "test"."""
    begin = time.perf_counter()
    classes, ignore, rate = CamVid.num_classes, CamVid.ignore_index, recipe.street_rate
    plain, varied = street_pictures(recipe, films)
    chosen = loss_function(PLAIN, exponent, plain, classes, ignore)
    torch.manual_seed(seed)
    model = (pretrained_unet if start == "ImageNet" else EncoderUNet)(3, classes)
    groups = partial(depth_rates, learning_rate=rate) if rates == BY_DEPTH else None
    epochs = round(recipe.street_crops / len(varied))
    settings = {"epochs": epochs, "batch_size": 4, "learning_rate": rate, "seed": seed}
    train(model, varied, chosen, groups, precision="float32", **settings)
    result = {"training_pictures": len(varied), "epochs": epochs}
    for split in ("val", "test"):
        pictures = CamVid(split=split, size=recipe.street_size)
        found, true = answers(model, pictures)
        for film in sorted(set(pictures.drives)):
            own = [index for index, drive in enumerate(pictures.drives) if drive == film]
            pair = [found[i] for i in own], [true[i] for i in own]
            scores = score(*pair, classes, ignore)
            if film != UNSEEN:
                del scores["confusion"]
            elif (rates, exponent, films, seed) == (BY_DEPTH, 0.0, "all", 0):
                store(*pair, HERE / f"classes-{start}.png")
            result[f"{split} {film}"] = scores
    return result | {"seconds": round(time.perf_counter() - begin, 1)}


def store(found: list[Tensor], true: list[Tensor], path: Path) -> None:
    """True classes of three frames side by side, and the predicted ones below, as gray values."""
    rows = [torch.cat([classes[i] for i in SHOWN], dim=1) for classes in (true, found)]
    Image.fromarray(torch.cat(rows).numpy().astype(np.uint8)).save(path, optimize=True)


def describe_frames(part: str, split: str) -> dict:
    """The films of a split: numbers of its frames, pixels of each class, mean gray value."""
    pictures = CamVid(split=split)
    counts = count_classes(pictures, pictures.num_classes, pictures.ignore_index)
    films = {}
    for film in sorted(set(pictures.drives)):
        own = [index for index, drive in enumerate(pictures.drives) if drive == film]
        stems = [Path(pictures.name(index)).stem.split("_")[1].lstrip("f") for index in own]
        films[film] = {
            "frames": [int(stem) for stem in stems],
            "pixels": counts[own].sum(0).tolist(),
            "brightness": round(float(np.mean([pictures.load(i)[0].mean() for i in own])), 1),
        }
    return {"films": films}


def street_plans(recipe: Recipe) -> Iterator[dict]:
    """Two starts with rates of two kinds; then, for the best of them, the class weights."""
    kinds = [(start, rates, 0.0, "all") for rates in (BY_DEPTH, FLAT) for start in STARTS]
    weights = [("ImageNet", BY_DEPTH, exponent, "all") for exponent in recipe.exponents[1:]]
    yield from named("streets", kinds, recipe.seeds)
    yield from named("streets", weights, recipe.seeds)


def film_plans(recipe: Recipe) -> Iterator[dict]:
    """As many training pictures with and without the film that is scored."""
    kinds = [("ImageNet", BY_DEPTH, 0.0, f"{how} {SHARED}") for how in ("without", "with")]
    yield from named("films", kinds, recipe.seeds)


def named(part: str, kinds: list[tuple], seeds: Sequence[int]) -> Iterator[dict]:
    """What identifies each run on streets, seed by seed."""
    names = ("start", "rates", "exponent", "films", "seed")
    for seed, kind in product(seeds, kinds):
        yield {"part": part, **dict(zip(names, (*kind, seed), strict=True))}


def scene_plans(recipe: Recipe) -> Iterator[dict]:
    """The losses that are compared on drawn scenes; the weights first, then Dice."""
    weights = [(PLAIN, exponent) for exponent in recipe.exponents]
    for losses in (weights, [(WITH_DICE, 0.0)]):
        for seed, (loss, exponent) in product(recipe.seeds, losses):
            yield {"part": "scenes", "loss": loss, "exponent": exponent, "seed": seed}


def main(recipe: Recipe) -> None:
    """Does the runs that are not in the table yet."""
    if "streets" in recipe.parts:
        splits = [{"part": "frames", "split": split} for split in ("train", "val", "test")]
        complete(TABLE, splits, describe_frames)
        complete(TABLE, street_plans(recipe), partial(run_streets, recipe))
    if "scenes" in recipe.parts:
        complete(TABLE, scene_plans(recipe), partial(run_scenes, recipe))
    if "streets" in recipe.parts:
        complete(TABLE, film_plans(recipe), partial(run_streets, recipe))


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
