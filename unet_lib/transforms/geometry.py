"""Flips, quarter turns, scales and crops (chapters 3 and 6)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from unet_lib.transforms.joint import Joint, uniform

Size = tuple[int, int]


class RandomRightAngle(v2.Transform):
    """Turn by 0, 90, 180 or 270 degrees, each with probability 1/4: no pixel is computed anew.

    An image that is not square changes its shape; crop to a square if it goes into a batch.

    >>> turn = Joint(RandomRightAngle())
    >>> image, labels = turn(torch.rand(1, 3, 3), torch.eye(3).long())
    >>> labels.sum(dim=0)
    tensor([1, 1, 1])
    """

    def make_params(self, flat_inputs: list) -> dict[str, int]:
        """Draw the number of quarter turns, once for image and labels."""
        return {"turns": int(torch.randint(4, ()))}

    def transform(self, inpt: Tensor, params: dict[str, int]) -> Tensor:
        """Turn one of the two."""
        return tv_tensors.wrap(torch.rot90(inpt, params["turns"], dims=(-2, -1)), like=inpt)


def random_flips() -> Joint:
    """Mirror left to right, and top to bottom, each with probability 1/2.

    >>> image, labels = random_flips()(torch.rand(3, 5, 7), torch.ones(5, 7).long())
    >>> image.shape
    torch.Size([3, 5, 7])
    """
    return Joint(v2.RandomHorizontalFlip(), v2.RandomVerticalFlip())


def resize(size: Size) -> Joint:
    """Bring to `size` (height, width): the image bilinear and antialiased, labels from the nearest.

    Raises ValueError for a size that is not two whole numbers from 1 on.

    >>> image, labels = resize((2, 2))(torch.rand(1, 6, 6), torch.arange(36).reshape(6, 6))
    >>> labels
    tensor([[ 7, 10],
            [25, 28]])
    """
    return Joint(_Resize(_checked(size)))


def random_scale(low: float, high: float) -> Joint:
    """Enlarge or shrink by a random factor from `low` to `high`, the same for height and width.

    The size of the result varies; follow with `random_crop` if it goes into a batch. Raises
    ValueError unless 0 < low <= high.

    >>> random_scale(2.0, 2.0)(torch.rand(1, 5, 4), torch.zeros(5, 4).long())[1].shape
    torch.Size([10, 8])
    """
    if not 0 < low <= high < math.inf:
        raise ValueError(f"factors {low} to {high}: expected 0 < low <= high")
    return Joint(_Resize(low=low, high=high))


def random_crop(size: Size, fill_labels: int = 0, objects: float = 0.0) -> Joint:
    """Cut out a random part of `size` (height, width).

    An image that is smaller is padded first: the image with 0, the labels with `fill_labels`;
    pass your `ignore_index` where the padding should not count as background. With probability
    `objects` the part holds a pixel of a label other than these and 0, drawn by chance: first the
    label, of those in the image, then the pixel. So rare classes are seen often (Isensee et al.
    2021 take a third). Raises ValueError for a size that is not two whole numbers from 1 on, and a
    probability outside 0 to 1.

    >>> random_crop((4, 4))(torch.rand(1, 9, 3), torch.zeros(9, 3).long())[0].shape
    torch.Size([1, 4, 4])
    """
    fill: dict[type | str, Any] = {tv_tensors.Image: 0, tv_tensors.Mask: fill_labels}
    if not 0 <= objects <= 1:
        raise ValueError(f"objects={objects}: expected a probability, from 0 to 1")
    return Joint(_Crop(_checked(size), fill, objects))


def _checked(size: Size) -> Size:
    sides = size if isinstance(size, Sequence) else ()
    if [isinstance(side, int | np.integer) and side > 0 for side in sides] != [True, True]:
        raise ValueError(f"size {size}: expected (height, width) in pixels, each at least 1")
    return size


class _Crop(v2.RandomCrop):
    """Anywhere, or with probability `objects` around a pixel of a label that means something."""

    def __init__(self, size: Size, fill: dict[type | str, Any], objects: float) -> None:
        super().__init__(size, pad_if_needed=True, fill=fill)
        self.objects, self.void = objects, fill[tv_tensors.Mask]

    def make_params(self, flat_inputs: list) -> dict[str, Any]:
        params = super().make_params(flat_inputs)
        if self.objects and float(torch.rand(())) < self.objects:
            labels = next(x for x in flat_inputs if isinstance(x, tv_tensors.Mask))
            known = [label for label in labels.unique().tolist() if label not in (0, self.void)]
            if known:
                places = (labels == _drawn(known)).nonzero()
                params |= self._around(_drawn(places), tuple(labels.shape), params["padding"])
        return params

    def _around(
        self, place: Tensor, sides: Sequence[int], padding: Sequence[int]
    ) -> dict[str, int]:
        """Where to cut so that the place lies anywhere in the part."""
        starts = []
        for at, side, before, cut in zip(place, sides, padding[1::-1], self.size, strict=True):
            at, most = int(at) + before, max(0, side + 2 * before - cut)
            starts.append(min(max(at - int(torch.randint(cut, ())), 0), most))
        return {"top": starts[0], "left": starts[1]}


def _drawn(choices: Any) -> Any:
    return choices[int(torch.randint(len(choices), ()))]


class _Resize(v2.Transform):
    """To a size, or by a factor; torchvision's own takes labels half a step off the image's."""

    def __init__(self, size: Size = (0, 0), low: float = 0.0, high: float = 0.0) -> None:
        super().__init__()
        self.size, self.low, self.high = size, low, high

    def make_params(self, flat_inputs: list) -> dict[str, Size]:
        if not self.high:
            return {"size": self.size}
        factor = uniform(self.low, self.high)
        height, width = v2.functional.get_size(flat_inputs[0])
        return {"size": (max(1, round(height * factor)), max(1, round(width * factor)))}

    def transform(self, inpt: Tensor, params: dict[str, Size]) -> Tensor:
        if not isinstance(inpt, tv_tensors.Mask):
            return v2.functional.resize(inpt, list(params["size"]), antialias=True)
        rows, columns = map(_nearest, inpt.shape, params["size"])
        return tv_tensors.wrap(inpt[rows[:, None], columns], like=inpt)


def _nearest(old: int, new: int) -> Int64[Tensor, " new"]:
    """For each of `new` pixels on a line the nearest of `old`, centers compared with centers."""
    return (2 * torch.arange(new) + 1) * old // (2 * new)
