"""Crops in proportion to the area of their images: what a network learns from (chapter 3)."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from unet_lib.data.base import PADDING, Transform, image_name

TRIES = 10  # to cut out a part with a pixel that counts, where most are void
MOST = 256  # crops that one image gives in a pass: it may be a slide, among photographs


def crops_of(pixels: int, side: int) -> int:
    """How many crops of that side cover an image of so many pixels; 256 at most.

    >>> crops_of(1024 * 1024, 128), crops_of(60 * 60, 128)
    (64, 1)
    """
    return min(MOST, math.ceil(pixels / side**2))


class Crops(Dataset):
    """Images as crops for training: every access cuts another part out of one.

    Args:
        images: Gives image (C, H, W) and labels (H, W).
        view: Cuts and turns both, if given.
        encode: Makes of the labels what the loss wants.
        void: The label of pixels that do not count: a crop of nothing else is cut anew.
        kept: Keep each image in memory once it was read and normalized.

    >>> from unet_lib.data import SimulatedNuclei, foreground
    >>> from unet_lib.transforms import random_crop
    >>> crops = Crops(SimulatedNuclei(2), random_crop((32, 32)), foreground)
    >>> len(crops), crops[1][1].shape
    (2, torch.Size([1, 32, 32]))
    """

    def __init__(
        self,
        images: Dataset,
        view: Transform | None,
        encode: Callable[[Tensor], Tensor],
        void: int = PADDING,
        kept: bool = False,
    ) -> None:
        self.images, self.view, self.encode, self.void = images, view, encode, void
        self.kept, self.memory = kept, dict[int, tuple[Tensor, Tensor]]()

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)  # type: ignore[arg-type]  # torch declares no length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """A crop of image `index`, and its target."""
        pair = self.memory.get(index) or self.images[index]
        if self.kept:
            self.memory[index] = pair
        image, labels = pair
        for _ in range(TRIES):
            image, labels = pair if self.view is None else self.view(*pair)
            if bool((labels != self.void).any()):
                break
        return image, self.encode(labels)

    def name(self, index: int) -> str:
        """What messages call the image."""
        return image_name(self.images, index)


class ByArea(Sampler[int]):
    """Draws every image as often as it has crops, in an order by chance, `number` in an epoch.

    The next epoch goes on where the last one ended: after one pass over all crops the next
    begins, in another order. All of it follows from the seed and the number of the epoch.

    >>> draws = ByArea([3, 1], number=4, seed=0)
    >>> sorted(draws)
    [0, 0, 0, 1]
    """

    def __init__(self, crops: Sequence[int], number: int, seed: int) -> None:
        self.places = np.repeat(np.arange(len(crops)), crops)
        self.number, self.seed, self.epoch = number, seed, 1

    def set_epoch(self, epoch: int) -> None:
        """What to draw next; the first epoch is 1."""
        self.epoch = epoch

    def __len__(self) -> int:
        """The number of crops in an epoch."""
        return self.number

    def __iter__(self) -> Iterator[int]:
        """The images of one epoch's crops, by their places."""
        first, start = divmod((self.epoch - 1) * self.number, len(self.places))
        passes = range(first, first + 1 + (start + self.number) // len(self.places))
        order = [np.random.default_rng((self.seed, i)).permutation(self.places) for i in passes]
        yield from np.concatenate(order)[start : start + self.number].tolist()
