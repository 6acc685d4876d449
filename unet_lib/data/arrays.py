"""A raw image and its labels as arrays: checked, measured, turned into tensors (chapter 3)."""

import numpy as np
import torch
from jaxtyping import Float, Integer, Shaped
from torch import Tensor

from unet_lib.data.findings import DataError, Finding

ImageArray = Shaped[np.ndarray, "H W"] | Shaped[np.ndarray, "H W C"]
LabelArray = Integer[np.ndarray, "H W"]

TURNED = (
    ". Height and width are exchanged: was one of the two turned, or the photograph annotated "
    "before its EXIF orientation was applied?"
)


def check_pair(image: ImageArray, labels: Shaped[np.ndarray, "..."]) -> None:
    """Raise DataError unless image and labels have one size, labels whole and pixels finite.

    >>> check_pair(np.zeros((4, 6)), np.zeros((4, 6), int))  # nothing to say
    >>> check_pair(np.zeros((4, 6)), np.zeros((6, 4), int))
    Traceback (most recent call last):
        ...
    unet_lib.data.findings.DataError: the image is 4x6 pixels (height x width), ...
    """
    if image.shape[:2] != labels.shape:
        turned = image.shape[:2] == labels.shape[::-1]
        found = (
            f"the image is {size_text(image)} pixels (height x width), its labels are "
            f"{size_text(labels)}; both must have one size{TURNED * turned}"
        )
        raise DataError(Finding("mask-transposed" if turned else "sizes-differ", found))
    if labels.dtype.kind not in "iu":
        found = f"the labels are of type {labels.dtype}"
        cure = "convert them, for example labels.astype(np.int64)"
        raise DataError(Finding("unusable-file", found, "whole numbers", cure))
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        bad = int(np.count_nonzero(~np.isfinite(image)))
        found = f"{bad} of {image.size} values are NaN or infinite"
        cure = "a network cannot learn from them: replace them or leave the image out"
        raise DataError(Finding("not-finite", found, cure=cure))


def size_text(array: Shaped[np.ndarray, "..."]) -> str:
    """Height x width, as messages print it."""
    return "x".join(str(side) for side in array.shape[:2])


def image_tensor(image: Shaped[np.ndarray, "..."]) -> Float[Tensor, "C H W"]:
    """A copy of a normalized image (H, W) or (H, W, C) as a float32 tensor (C, H, W)."""
    planes = image[np.newaxis] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return torch.from_numpy(np.array(planes, dtype=np.float32, order="C"))
