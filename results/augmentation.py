"""Chapter 6's long runs: what augmentation is worth, and augmentations that harm.

    python results/augmentation.py         all runs, one after the other; interrupted, it goes on
    python results/augmentation.py --help  fewer seeds, another recipe

Small networks learn to segment real nuclei from 8, 32 or 128 images. All of them take the same
number of steps with random crops of the same size; runs of one seed see the same images and begin
with the same weights. A second question: what if all training images come from one camera, with
nuclei of one magnification, and the test images do not? A third: what if the training set is a
handful of small simulated pictures, shown until the network knows them by heart? The recipes were
fixed beforehand and nothing is chosen by these scores, so no validation set is needed: each run
scores its test images once.
"""

import math
from collections.abc import Callable
from copy import copy
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from jaxtyping import Float, Int64
from table import complete
from torch import Tensor
from torch.utils.data import Subset
from torchvision import tv_tensors
from torchvision.transforms import v2

from unet_lib.data import (
    DSB2018,
    SegmentationDataset,
    SimulatedNuclei,
    foreground,
    normalize_percentiles,
)
from unet_lib.evaluation import SegmentationScores, predict
from unet_lib.model import UNet
from unet_lib.training import TrainingSettings, bce_dice_loss, fit
from unet_lib.transforms import (
    Joint,
    RandomRightAngle,
    compose,
    random_blur,
    random_brightness_contrast,
    random_crop,
    random_elastic,
    random_flips,
    random_gamma,
    random_noise,
    random_rotation,
    random_scale,
    sometimes,
)

TABLE = Path(__file__).with_suffix(".json")
Pair = tuple[Float[Tensor, "C H W"], Int64[Tensor, "H W"]]


@dataclass(frozen=True)
class Recipe:
    """What is trained, how often, and how long."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """One run each; the seed also chooses the training images."""
    images: tuple[int, ...] = (8, 32, 128)
    """Numbers of training images."""
    one_camera: tuple[int, int] = (520, 696)
    """Height and width of the training images of the runs with one camera; 32 of them each."""
    harm_images: int = 32
    """Training images of the runs with an augmentation that harms."""
    crop: int = 96
    """Side of the crops."""
    crops: int = 2000
    """Crops seen in a run, in batches of 8."""
    simulated_images: tuple[int, ...] = (4, 16, 64)
    """Numbers of simulated training pictures."""
    simulated_side: int = 64
    """Side of the simulated pictures, which are shown whole."""
    simulated_crops: int = 3000
    """Pictures shown in a run with simulated ones."""
    seen: int = 8
    """Training images that are scored as well."""
    width: int = 8
    """Channels of the first stage."""
    depth: int = 3
    """Poolings."""
    learning_rate: float = 4e-3
    """The largest rate of the one-cycle schedule."""


class Pictures(SegmentationDataset):
    """A data set in memory, each image normalized once."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        super().__init__(normalize=np.asarray, target=foreground)
        items = map(dataset.load, range(len(dataset)))
        self.items = [(normalize_percentiles(image), labels) for image, labels in items]

    def __len__(self) -> int:
        return len(self.items)

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The normalized image and its labels."""
        return self.items[index]

    def name(self, index: int) -> str:
        """Its number."""
        return str(index)


class Invert(v2.Transform):
    """Bright becomes dark."""

    def transform(self, inpt: Tensor, params: dict) -> Tensor:
        """1 minus the image."""
        return inpt if isinstance(inpt, tv_tensors.Mask) else tv_tensors.wrap(1 - inpt, like=inpt)


class Separate:
    """Two calls with random numbers of their own, one for the image and one for the labels."""

    def __init__(self, transform: Joint) -> None:
        self.transform = transform

    def __call__(self, image: Tensor, labels: Tensor) -> Pair:
        """Both changed, each in its own way."""
        return self.transform(image, labels)[0], self.transform(image, labels)[1]


class Blended:
    """Labels interpolated as if they were brightness, and rounded."""

    def __init__(self, transform: Joint) -> None:
        self.transform = transform

    def __call__(self, image: Tensor, labels: Tensor) -> Pair:
        """Both changed in one way, labels with values between labels."""
        both, _ = self.transform(torch.cat([image, labels[None].float()]), labels)
        return both[:1], both[1].round().long()


class Chain:
    """One after the other, also what is no `Joint`."""

    def __init__(self, *transforms: Callable) -> None:
        self.transforms = transforms

    def __call__(self, image: Tensor, labels: Tensor) -> Pair:
        """Both after the last of them."""
        for transform in self.transforms:
            image, labels = transform(image, labels)
        return image, labels


def augmentations(side: int) -> dict[str, Callable]:
    """All arms by name, each on crops of `side`; the first four build on each other."""
    size, before = (side, side), (math.ceil(side / 0.7),) * 2
    crop, flips = random_crop(size), compose(RandomRightAngle(), random_flips())
    zoom = compose(random_crop(before), random_scale(0.7, 1.4), crop)
    turn = random_rotation(45, fill="reflect")
    light = compose(
        random_brightness_contrast(0.3, 0.3),
        random_gamma(0.7, 1.5),
        sometimes(0.3, random_noise(0.1)),
        sometimes(0.3, random_blur(1.5)),
    )
    wide = compose(random_crop((side * 3, side * 3)), random_scale(1 / 3, 2.0), crop)
    places = compose(zoom, flips, turn)
    return {
        "crops only": crop,
        "flips": compose(crop, flips),
        "rich": compose(places, light),
        "elastic": compose(places, random_elastic(10 * side / 512), light),
        "wide scale": compose(wide, flips, turn, light),
        "elastic, four times": compose(places, random_elastic(4 * 10 * side / 512), light),
        "blended labels": Chain(Blended(places), light),
        "inverted": compose(places, light, sometimes(0.5, Invert())),
        "separate calls": Chain(crop, Separate(flips)),
    }


GOOD, ONE_CAMERA, HARMFUL = slice(4), ("crops only", "rich", "wide scale"), slice(5, None)


def score(model: UNet, pictures: Pictures, indices: range | list[int]) -> dict[str, float]:
    """Dice of the whole pictures."""
    scores = SegmentationScores()
    with torch.autocast("cpu", torch.bfloat16):
        for index in indices:
            image, target = pictures[index]
            scores.update(predict(model, image, tile=512).float()[None], target[None])
    return scores.compute()


@cache
def real(split: Literal["train", "test"]) -> Pictures:
    """The real nuclei, read once."""
    return Pictures(DSB2018(split=split))


def pictures_of(pictures: str, seed: int, recipe: Recipe) -> tuple[Pictures, list[int], Pictures]:
    """Training pictures, the order in which they are taken, and test pictures."""
    if pictures == "simulated":
        size = (recipe.simulated_side, recipe.simulated_side)
        count = max(recipe.simulated_images)
        train = Pictures(SimulatedNuclei(count, seed=seed, size=size))
        return train, list(range(count)), Pictures(SimulatedNuclei(60, seed=1000, size=size))
    train = real("train")
    order = np.random.default_rng(seed).permutation(len(train)).tolist()
    if pictures == "one camera":
        order = [index for index in order if train.load(index)[1].shape == recipe.one_camera]
    return train, order, real("test")


def run(recipe: Recipe, pictures: str, arm: str, images: int, seed: int) -> dict[str, object]:
    """Trains one network and scores it."""
    train, order, test = pictures_of(pictures, seed, recipe)
    small = pictures == "simulated"
    chosen, count = order[:images], recipe.simulated_crops if small else recipe.crops
    varied = copy(train)
    varied.transform = augmentations(recipe.simulated_side if small else recipe.crop)[arm]
    crops = Subset(varied, [chosen[i % images] for i in range(count)])
    torch.manual_seed(seed)
    model = UNet(1, 1, width=recipe.width, depth=recipe.depth, norm="batch")
    settings = TrainingSettings(
        epochs=1, learning_rate=recipe.learning_rate, precision="bf16", keep="last", seed=seed
    )
    history = fit(model, crops, loss=bce_dice_loss, settings=settings, verbose=False)
    found = score(model, test, range(len(test)))
    seen = score(model, train, chosen[: recipe.seen])
    return {
        "recipe": asdict(recipe) | {"seeds": [seed]},
        "training_loss": history.rows[-1]["loss"],
        "seconds": round(history.rows[-1]["seconds"], 1),
        "training_dice_per_image": seen["dice_per_image"],
        "dice_per_image": found["dice_per_image"],
        "dice_pooled": found["dice_pooled"],
    }


def main(recipe: Recipe) -> None:
    """Does the runs that are not in the table yet."""
    arms = list(augmentations(recipe.crop))
    plans = [
        {"pictures": pictures, "arm": arm, "images": images, "seed": seed}
        for seed in recipe.seeds
        for pictures, tried, counts in (
            ("all", arms[GOOD], recipe.images),
            ("all", arms[HARMFUL], [recipe.harm_images]),
            ("one camera", ONE_CAMERA, [32]),
            ("simulated", ("crops only", "rich"), recipe.simulated_images),
        )
        for images in counts
        for arm in tried
    ]
    complete(TABLE, plans, partial(run, recipe))


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
