"""Transforms put together for a kind of images (chapter 6 measures what they are worth)."""

import math
from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms import v2

from unet_lib.transforms.geometry import RandomRightAngle, random_crop, random_flips, random_scale
from unet_lib.transforms.intensity import (
    random_blur,
    random_brightness_contrast,
    random_gamma,
    random_noise,
)
from unet_lib.transforms.joint import Joint, compose, sometimes
from unet_lib.transforms.warp import random_elastic, random_rotation


def augment_nuclei(size: tuple[int, int], elastic: float = 0.0) -> Joint:
    """What may differ between two images of nuclei, as random crops of `size`.

    Magnification, place, direction, brightness, contrast, noise and focus: a nucleus has no up and
    down, and no microscope has the last word on the rest. Smaller images are padded with 0 and
    background. `elastic` is the standard deviation in pixels of a deformation; 0 leaves it out.
    Raises ValueError for a negative one.

    >>> import torch
    >>> image, labels = torch.rand(1, 90, 120), torch.ones(90, 120).long()
    >>> augment_nuclei((64, 64))(image, labels)[0].shape
    torch.Size([1, 64, 64])
    """
    height, width = (math.ceil(side / 0.7) for side in size)  # no need to scale what is cut off
    places = compose(
        random_crop((height, width)),
        random_scale(0.7, 1.4),
        random_crop(size),
        RandomRightAngle(),
        random_flips(),
        random_rotation(45, fill="reflect"),
    )
    bent = compose(places, random_elastic(elastic)) if elastic else places
    return compose(
        bent,
        random_brightness_contrast(0.3, 0.3),
        random_gamma(0.7, 1.5),
        sometimes(0.3, random_noise(0.1)),
        sometimes(0.3, random_blur(1.5)),
    )


class Repeatable:
    """A transform with the same random numbers for every image, in every epoch.

    >>> from unet_lib.transforms import random_crop
    >>> cut = Repeatable(random_crop((2, 2)))
    >>> pair = torch.rand(1, 9, 9), torch.arange(81).reshape(9, 9)
    >>> torch.equal(cut(*pair)[1], cut(*pair)[1])
    True
    """

    def __init__(self, transform: Joint) -> None:
        self.transform = transform

    def __call__(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Both transformed; torch's random numbers go on as if nothing had been drawn."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.transform(image, labels)


def views(
    crop: int | tuple[int, int] | None,
    augment: Literal["none", "flip", "all"],
    fill_labels: int,
    objects: float = 0.0,
) -> tuple[Joint | None, Repeatable | None]:
    """How images are seen in training, cropped and turned at random, and in validation.

    "flip" mirrors left to right, "all" also top to bottom, with quarter turns; `objects` is the
    share of crops around one, in training. Validation sees one and the same part of each image.
    Raises ValueError for another word, and for quarter turns of a crop that is no square.

    >>> training, validation = views(48, "all", fill_labels=0)
    >>> pair = torch.rand(1, 90, 70), torch.zeros(90, 70, dtype=torch.int64)
    >>> training(*pair)[0].shape, validation(*pair)[1].shape
    (torch.Size([1, 48, 48]), torch.Size([48, 48]))
    """
    size = (crop, crop) if isinstance(crop, int) else crop
    turns = {
        "none": [],
        "flip": [v2.RandomHorizontalFlip()],
        "all": [random_flips(), RandomRightAngle()],
    }
    if augment not in turns:
        raise ValueError(f"augment={augment!r}; expected one of {', '.join(map(repr, turns))}")
    if size is not None and augment == "all" and len(set(size)) > 1:
        raise ValueError(
            f"crop={size}: quarter turns would change its shape; cut squares, or pass "
            'augment="flip"'
        )
    cut = [] if size is None else [random_crop(size, fill_labels)]
    seen = [] if size is None else [random_crop(size, fill_labels, objects)]
    training = [*seen, *turns[augment]]
    return compose(*training) if training else None, Repeatable(*cut) if cut else None
