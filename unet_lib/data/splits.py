"""Divide a data set without leaking: what belongs together stays together (chapter 3)."""

from collections.abc import Hashable, Sequence

import numpy as np
from torch.utils.data import Subset

from unet_lib.data.base import SegmentationDataset, stored_images
from unet_lib.data.division import copies, digests, divide, refuse_copies

Part = SegmentationDataset | Subset


def split(
    dataset: SegmentationDataset | int,
    fractions: Sequence[float] = (0.8, 0.2),
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
) -> list[Subset] | list[np.ndarray]:
    """Divide a data set at random into parts; a group of images is never divided.

    Images of one patient, slide or film look alike: with some of them in training and some in
    validation, the score says how well the network remembers. Give them one group.
    The parts share the transform of the data set; to transform the training part alone, use the
    method `SegmentationDataset.split`, or divide a length.

    Returns one `Subset` for each fraction (their sum is 1), or for a length sorted arrays of
    indices. The same seed gives the same parts; `groups` has a hashable value for each image.

    Raises DataError where a part would be empty, or `groups` is of another length, and ValueError
    unless the fractions are positive with sum 1.

    >>> split(5, (0.6, 0.4), groups=["Ada", "Ada", "Bo", "Bo", "Bo"])
    [array([2, 3, 4]), array([0, 1])]
    """
    if isinstance(dataset, int):
        return divide(dataset, fractions, seed, groups)
    parts = divide(len(dataset), fractions, seed, groups)
    return [Subset(dataset, indices.tolist()) for indices in parts]


def find_duplicates(dataset: Part) -> list[tuple[int, int]]:
    """The pairs of indices whose raw images are equal to the last bit, however they are named.

    Reads the whole data set. Each image is paired with the first one that equals it.

    >>> from unet_lib.data import SimulatedNuclei
    >>> find_duplicates(SimulatedNuclei(length=3, size=(32, 32)))
    []
    """
    return copies(image for _, image in stored_images(dataset))


def require_disjoint(first: Part, second: Part) -> None:
    """Raise DataError when an image of one part is also in the other, under whatever name.

    >>> from unet_lib.data import SimulatedNuclei
    >>> require_disjoint(*split(SimulatedNuclei(length=5, size=(32, 32))))
    """
    refuse_copies(*(digests(stored_images(part)) for part in (first, second)))
