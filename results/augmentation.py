"""Chapter 6's long runs: what augmentation is worth, and from how many steps on.

    python results/augmentation.py         all runs, one after the other; interrupted, it goes on
    python results/augmentation.py --help  fewer seeds, another recipe

Small networks learn to segment real nuclei, at half their size, from 8 or 128 images. All of them
see random crops of the same size; runs of one seed see the same images and begin with the same
weights. Each run is scored on its way, on images held out of the training set, so that the step
shows from which on a recipe is ahead. The rate stays constant for that reason, and what is scored
is a running mean of the weights. The test images are scored once, at the end: as they are, and as
the mean over their eight flips and quarter turns. A second question: what do transforms do that
ought to harm, and does it pass with more steps? A third: what if the training set is a handful of
small simulated pictures, shown until the network knows them by heart? The recipes were fixed
beforehand and nothing is chosen by these scores.
"""

import math
import time
from collections.abc import Callable, Sequence
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
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
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

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One run each; the seed also chooses the training images."""
    images: tuple[int, ...] = (8, 128)
    """Numbers of training images."""
    steps: int = 800
    """Steps of a run, of 8 crops each; arms that only harm take a quarter."""
    marks: tuple[int, ...] = (100, 200, 400, 800)
    """Steps after which the held-out images are scored."""
    held_out: int = 40
    """Images of the training set that are never trained on, for the scores on the way."""
    crop: int = 48
    """Side of the crops, of images at half their size."""
    simulated_images: int = 4
    """Simulated training pictures."""
    simulated_side: int = 64
    """Side of the simulated pictures, which are shown whole."""
    simulated_steps: int = 400
    """Steps of a run with simulated pictures."""
    seen: int = 32
    """Training images that are scored as well, at most."""
    width: int = 8
    """Channels of the first stage."""
    depth: int = 3
    """Poolings."""
    learning_rate: float = 2e-3
    """The rate, the same at every step."""
    memory: float = 0.98
    """What the running mean of the weights keeps of itself in a step."""


class Pictures(SegmentationDataset):
    """A data set in memory, each image normalized once; with `half`, at half its size."""

    def __init__(self, dataset: SegmentationDataset, half: bool = False) -> None:
        super().__init__(normalize=np.asarray, target=foreground)
        items = map(dataset.load, range(len(dataset)))
        items = ((normalize_percentiles(image), labels) for image, labels in items)
        self.items = [halved(*item) if half else item for item in items]

    def __len__(self) -> int:
        return len(self.items)

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The normalized image and its labels."""
        return self.items[index]

    def name(self, index: int) -> str:
        """Its number."""
        return str(index)


def halved(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each 2 by 2 pixels, and a label where half of them or more have one.

    No corner of the four is preferred: that would shift all labels, in a direction that a network
    without flips can learn and one with flips cannot.
    """
    rows, columns = (side // 2 for side in labels.shape)
    image, labels = (
        x[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2) for x in (image, labels)
    )
    covered = (labels > 0).mean((1, 3)) >= 0.5
    return image.mean((1, 3)), np.where(covered, labels.max((1, 3)), 0)


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
    """All arms by name, each on crops of `side`; the first two are those to be compared."""
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
    places = compose(zoom, flips, turn)
    return {
        "crops only": crop,
        "rich": compose(places, light),
        "inverted": compose(places, light, sometimes(0.5, Invert())),
        "blended labels": Chain(Blended(places), light),
        "separate calls": Chain(crop, Separate(flips)),
    }


COMPARED, LONG, HARMFUL = slice(2), slice(2, 3), slice(3, None)


def dice_of_each(predicted: Callable, pictures: Pictures, indices: Sequence[int]) -> list[float]:
    """Dice of each whole picture, by the logits that `predicted` makes of an image."""
    found = []
    with torch.autocast("cpu", torch.bfloat16):
        for index in indices:
            image, target = pictures[index]
            scores = SegmentationScores()
            scores.update(predicted(image).float()[None], target[None])
            found.append(round(scores.compute()["dice_per_image"], 5))
    return found


def eight_views(model: nn.Module, image: Float[Tensor, "1 H W"]) -> Float[Tensor, "1 H W"]:
    """Logits of the mean probability over flips and quarter turns, each turned back."""
    views = []
    for turns in range(4):
        for flip in ((), (2,)):
            seen = image.rot90(turns, (1, 2)).flip(flip)
            p = predict(model, seen, tile=512).float().sigmoid()
            views.append(p.flip(flip).rot90(-turns, (1, 2)))
    return torch.logit(torch.stack(views).mean(0), 1e-6)


@cache
def real(split: Literal["train", "test"]) -> Pictures:
    """The real nuclei at half their size, read once."""
    return Pictures(DSB2018(split=split), half=True)


def pictures_of(
    pictures: str, seed: int, recipe: Recipe
) -> tuple[Pictures, list[int], Pictures, list[int]]:
    """Training pictures and the order in which they are taken; held-out ones and their indices."""
    if pictures == "simulated":
        size = (recipe.simulated_side, recipe.simulated_side)
        train = Pictures(SimulatedNuclei(recipe.simulated_images, seed=seed, size=size))
        others = Pictures(SimulatedNuclei(60, seed=1000, size=size))
        return train, list(range(len(train))), others, list(range(len(others)))
    train = real("train")
    order = np.random.default_rng(seed).permutation(len(train)).tolist()
    return train, order[: -recipe.held_out], train, order[-recipe.held_out :]


def run(
    recipe: Recipe, pictures: str, arm: str, images: int, steps: int, seed: int
) -> dict[str, object]:
    """Trains one network, scoring it on its way and, with real images, once on the test images."""
    train, order, others, held_out = pictures_of(pictures, seed, recipe)
    chosen, small = order[:images], pictures == "simulated"
    varied = copy(train)
    varied.transform = augmentations(recipe.simulated_side if small else recipe.crop)[arm]
    crops = Subset(varied, [chosen[i % images] for i in range(8 * steps)])
    torch.manual_seed(seed)
    model = UNet(1, 1, width=recipe.width, depth=recipe.depth, norm="batch")
    mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.memory), use_buffers=True)
    course, test = [], {}

    def logits(image: Tensor) -> Tensor:
        return predict(mean.module, image, tile=512)

    def watch(step: int, loss: float) -> None:
        mean.update_parameters(model)
        if step in recipe.marks:
            row = {"step": step, "loss": round(loss, 5)}
            state = torch.get_rng_state()
            for name, data, which in (
                ("held_out", others, held_out),
                ("training", train, chosen[: recipe.seen]),
            ):
                row[name] = round(float(np.mean(dice_of_each(logits, data, which))), 5)
            torch.set_rng_state(state)
            course.append(row)

    settings = TrainingSettings(
        epochs=1,
        learning_rate=recipe.learning_rate,
        schedule="constant",
        precision="bf16",
        keep="last",
        seed=seed,
    )
    began = time.perf_counter()
    fit(model, crops, loss=bce_dice_loss, settings=settings, on_step=watch, verbose=False)
    seconds = round(time.perf_counter() - began, 1)
    if not small:
        found = dice_of_each(logits, real("test"), range(len(real("test"))))
        test = {"dice_per_image": float(np.mean(found)), "one_view": found}
        if steps == recipe.steps:
            views = partial(eight_views, mean.module)
            test["eight_views"] = dice_of_each(views, real("test"), range(len(real("test"))))
    return {
        "recipe": asdict(recipe) | {"seeds": [seed]},
        "seconds": seconds,
        "course": course,
    } | test


def main(recipe: Recipe) -> None:
    """Does the runs that are not in the table yet."""
    arms = list(augmentations(recipe.crop))
    most = max(recipe.images)
    few = recipe.simulated_images
    plans = [
        {"pictures": pictures, "arm": arm, "images": images, "steps": steps, "seed": seed}
        for pictures, tried, counts, steps in (
            ("real", arms[COMPARED], recipe.images, recipe.steps),
            ("real", arms[LONG], [most], recipe.steps),
            ("real", arms[HARMFUL], [most], recipe.steps // 4),
            ("simulated", arms[COMPARED], [few], recipe.simulated_steps),
        )
        for seed in recipe.seeds
        for images in counts
        for arm in tried
    ]
    complete(TABLE, plans, partial(run, recipe))


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
