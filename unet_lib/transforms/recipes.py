"""Transforms put together for a kind of pictures (chapter 6 measures what they are worth)."""

import math

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
    """What may differ between two pictures of nuclei, as random crops of `size`.

    Magnification, place, direction, brightness, contrast, noise and focus: a nucleus has no up and
    down, and no microscope has the last word on the rest.

    Args:
        size: (height, width) of the crops; smaller pictures are padded with 0 and background.
        elastic: standard deviation in pixels of an elastic deformation; 0 leaves it out.

    Raises:
        ValueError: a negative standard deviation.

    Example:
        >>> import torch
        >>> image, labels = torch.rand(1, 90, 120), torch.ones(90, 120).long()
        >>> augment_nuclei((64, 64))(image, labels)[0].shape
        torch.Size([1, 64, 64])
    """
    before = tuple(math.ceil(side / 0.7) for side in size)  # no need to scale what is cut off
    places = compose(
        random_crop(before),
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
