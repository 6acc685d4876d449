"""From maps that describe each object's shape to numbered objects (chapter 11).

Each function turns the logits of one of the targets in `unet_lib.data` back into labels.
"""

import numpy as np
from jaxtyping import Float, Int32
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.measure import label
from torch import Tensor

from unet_lib.data.targets import OFFSET_UNIT
from unet_lib.evaluation.instances import grow_seeds, without_small


def decode_distances(
    logits: Float[Tensor, "3 H W"],
    threshold: float = 0.5,
    seed_threshold: float = 0.5,
    smoothing: float = 1.0,
    minimum_pixels: int = 12,
) -> Int32[np.ndarray, "H W"]:
    """Numbers objects 1 to n from the logits of foreground, nearness and depth (`distances`).

    The seeds are the connected regions where the mean of nearness and depth, smoothed over
    `smoothing` pixels, exceeds `seed_threshold`. They grow from the deepest pixels outward until
    they meet or reach the background.

    >>> import torch
    >>> from unet_lib.data import distances
    >>> labels = np.zeros((11, 16), int)
    >>> labels[1:10, 1:8], labels[1:10, 8:15] = 1, 2
    >>> np.array_equal(decode_distances(distances(labels).logit(1e-6)), labels)
    True
    """
    foreground, nearness, depth = logits.sigmoid().numpy()
    inside = foreground > threshold
    middle = ndimage.gaussian_filter((nearness + depth) / 2, smoothing)
    seeds = label((middle > seed_threshold) & inside)
    return grow_seeds(seeds, depth, inside, minimum_pixels)


def decode_offsets(
    logits: Float[Tensor, "4 H W"],
    threshold: float = 0.5,
    least_votes: float = 3.0,
    smoothing: float = 1.0,
    minimum_pixels: int = 12,
) -> Int32[np.ndarray, "H W"]:
    """Numbers objects 1 to n from the logits of foreground and nearness and offsets (`offsets`).

    Each foreground pixel votes for the place that its offset points to, with its nearness as the
    weight. The votes are smoothed over `smoothing` pixels; their peaks that gathered more than
    `least_votes` are the centers, and each pixel belongs to the center nearest to its vote.

    >>> import torch
    >>> from unet_lib.data import offsets
    >>> labels = np.repeat(np.array([[0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]]), 6, axis=0)
    >>> maps = offsets(labels)
    >>> logits = torch.cat([maps[:2].logit(1e-6), maps[2:]])
    >>> np.array_equal(decode_offsets(logits), labels)
    True
    """
    inside = logits[0].sigmoid().numpy() > threshold
    places = np.argwhere(inside)
    landed = places + OFFSET_UNIT * logits[2:].numpy()[:, inside].T
    votes = gather_votes(landed, logits[1].sigmoid().numpy()[inside], inside.shape)
    centers = _peaks(ndimage.gaussian_filter(votes, smoothing), least_votes, smoothing)
    labels = np.zeros(inside.shape, np.int32)
    if len(centers):
        labels[inside] = 1 + KDTree(centers).query(landed)[1]
    return without_small(labels, minimum_pixels)


def gather_votes(
    landed: Float[np.ndarray, "P 2"], weights: Float[np.ndarray, " P"], size: tuple[int, int]
) -> Float[np.ndarray, "H W"]:
    """The weights added up on the pixels where they landed; rows and columns may lie outside.

    >>> gather_votes(np.array([[0.2, 1.0], [0.0, 0.9]]), np.array([1.0, 0.5]), (1, 3))
    array([[0. , 1.5, 0. ]])
    """
    rows, columns = (
        np.clip(np.rint(along).astype(int), 0, side - 1)
        for along, side in zip(landed.T, size, strict=True)
    )
    votes = np.bincount(rows * size[1] + columns, weights, minlength=size[0] * size[1])
    return votes.astype(float).reshape(size)


def _peaks(
    votes: Float[np.ndarray, "H W"], least: float, smoothing: float
) -> Float[np.ndarray, "C 2"]:
    """Rows and columns of the centers: one of each region of largest votes around."""
    reach = 1 + 2 * int(np.ceil(2 * smoothing))
    peak = 2 * np.pi * smoothing**2  # how much lower smoothing makes votes that agree
    regions, number = ndimage.label(
        (votes == ndimage.maximum_filter(votes, reach)) & (votes * peak > least)
    )
    found = ndimage.center_of_mass(regions > 0, regions, np.arange(1, number + 1))
    return np.array(found).reshape(-1, 2)
