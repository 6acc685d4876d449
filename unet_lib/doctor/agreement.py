"""How well a mask fits an image: the share of the image's variance that the mask explains.

The correlation ratio (eta squared, Fisher 1925): 0 where the classes have the same mean, 1 where
each class has one gray value. It asks for no network and no training, only for objects that differ
in brightness or color from what is around them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unet_lib.data.normalize import normalize_percentiles

SIDE = 128  # larger images are thinned out to about this


def agreement(image: np.ndarray, labels: np.ndarray, ignore_index: int | None = None) -> float:
    """Share of the variance of an image (H, W) or (H, W, C) between the classes, 0 to 1.

    >>> agreement(np.array([[0.0, 1.0]]), np.array([[0, 1]]))
    1.0
    """
    return _explained(image, _Parts.of(labels, ignore_index))


class _Parts(NamedTuple):
    """The pixels that count, the class of each as 0, 1, ..., and how many each class has."""

    valid: np.ndarray
    index: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, ignore_index: int | None) -> "_Parts":
        labels = labels.ravel()
        valid = np.ones(labels.shape, bool) if ignore_index is None else labels != ignore_index
        _, index, counts = np.unique(labels[valid], return_inverse=True, return_counts=True)
        return cls(valid, index, counts)


def _explained(image: np.ndarray, parts: _Parts) -> float:
    if len(parts.counts) < 2:
        return 0.0
    pixels = image.reshape(parts.valid.size, -1)[parts.valid]
    pixels = pixels - pixels.mean(0)
    total = float((pixels**2).sum())
    if total < 1e-9 * pixels.size:
        return 0.0
    sums = np.stack([np.bincount(parts.index, weights=channel) for channel in pixels.T])
    return float((sums**2 / parts.counts).sum() / total)


def comparable(image: np.ndarray) -> np.ndarray:
    """An image, thinned out to about 128 pixels, between its percentiles, from 0 to 1."""
    return normalize_percentiles(thinned(image)).clip(0, 1)


def thinned(array: np.ndarray) -> np.ndarray:
    """Every n-th row and column, so that about 128 of the shorter side are left."""
    step = max(1, min(array.shape[:2]) // SIDE)
    return array[::step, ::step]


def agreement_table(
    images: Sequence[np.ndarray], labels: Sequence[np.ndarray], ignore_index: int | None = None
) -> np.ndarray:
    """Agreement of image i with mask j, (N, N); NaN where they differ in size.

    >>> images = [np.array([[0.0, 1.0]]), np.array([[1.0, 1.0, 0.0]])]
    >>> agreement_table(images, [np.array([[0, 1]]), np.array([[1, 1, 0]])]).round(2)
    array([[ 1., nan],
           [nan,  1.]])
    """
    table = np.full((len(images), len(labels)), np.nan)
    for j, mask in enumerate(labels):
        parts = _Parts.of(mask, ignore_index)
        for i, image in enumerate(images):
            if image.shape[:2] == mask.shape:
                table[i, j] = _explained(image, parts)
    return table
