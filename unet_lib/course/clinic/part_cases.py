"""Cases that lie between two parts of the data."""

from pathlib import Path

import numpy as np

from unet_lib.course.clinic.case import Cases
from unet_lib.course.clinic.materials import binary, nuclei
from unet_lib.data.in_memory import InMemory
from unet_lib.data.normalize import normalize_percentiles, scale_by_dtype
from unet_lib.doctor import SetUp

PART_CASES = Cases()


@PART_CASES.named("The same images in both parts", "leak")
def same_pictures(folder: Path) -> SetUp:
    """Copies under other names: a folder was merged from two sources."""
    images, labels = nuclei(20)
    first, second = InMemory(images[:12], labels[:12]), InMemory(images[10:], labels[10:])
    return SetUp(train=first, validation=second)


@PART_CASES.named("Neighboring slices in both parts", "neighboring-pictures")
def neighboring_slices(folder: Path) -> SetUp:
    """Slices of a stack were divided one by one. The next slice shows the same cells."""
    rng, images, masks = np.random.default_rng(0), [], []
    for image, labels in zip(*nuclei(3, size=(96, 96)), strict=True):
        for z in range(6):
            place = slice(z, z + 64), slice(2 * z, 2 * z + 64)  # the content drifts with depth
            noisy = image[place] + rng.normal(0, 4, (64, 64))
            images.append(noisy.clip(0, 255).astype(np.uint8))
            masks.append(binary([labels[place]])[0])
    even, odd = InMemory(images[::2], masks[::2]), InMemory(images[1::2], masks[1::2])
    return SetUp(train=even, validation=odd)


@PART_CASES.named("Prepared in two ways", "normalization-differs")
def two_preparations(folder: Path) -> SetUp:
    """The script for prediction was written a month after the one for training."""
    images, labels = nuclei(24)
    images = [image // 2 for image in images]
    return SetUp(
        train=InMemory(images[:16], labels[:16], normalize=normalize_percentiles),
        validation=InMemory(images[16:], labels[16:], normalize=lambda image: image / 2550),
    )


@PART_CASES.named("Another microscope", "domain-shift")
def brighter_microscope(folder: Path) -> SetUp:
    """Both parts are prepared alike, but the new pictures are exposed longer."""
    images, labels = nuclei(24)
    gray = [normalize_percentiles(image).clip(0, 1) for image in images]
    dim = [(30 * image).astype(np.uint8) for image in gray[:16]]
    bright = [(220 * image + 20).astype(np.uint8) for image in gray[16:]]
    return SetUp(
        train=InMemory(dim, labels[:16], normalize=scale_by_dtype),
        validation=InMemory(bright, labels[16:], normalize=scale_by_dtype),
    )
