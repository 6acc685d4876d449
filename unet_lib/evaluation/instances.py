"""Numbered objects: found by a watershed, matched with true ones, scored (chapters 5 and 10)."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32, Integer
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from skimage.measure import label
from skimage.segmentation import watershed
from torch import Tensor

from unet_lib.evaluation.metrics import Counts, Pooling, iou
from unet_lib.evaluation.tiles import foreground_probability, probabilities

Labels = Integer[np.ndarray, "_ _"]  # (H, W); whether two agree is checked where it matters


def label_instances(
    logits: Float[Tensor, "K H W"],
    threshold: float = 0.5,
    seed_threshold: float = 0.5,
    smoothing: float = 0.25,
    minimum_pixels: int = 12,
    borders: bool = False,
) -> Int32[np.ndarray, "H W"]:
    """Numbers the objects 1..n by a watershed, 0 is background.

    The seeds are the peaks of the distance to the background, smoothed over `smoothing` times the
    typical radius, so that it suits small and large objects. With `borders` the three channels
    are background, interior and border (see `unet_lib.data.interior_border`), and the seeds are
    the connected regions whose interior is likelier than `seed_threshold`. Each seed then grows
    through the foreground. Objects under `minimum_pixels` vanish.
    Raises ValueError for `borders` without three channels.

    >>> import torch
    >>> logits = torch.full((1, 9, 21), -9.0)
    >>> logits[0, 2:7, 2:7] = logits[0, 2:7, 12:17] = 9.0
    >>> int(label_instances(logits).max())
    2
    """
    if borders and len(logits) != 3:
        raise ValueError(
            f"{len(logits)} channels; background, interior and border were expected: use a network "
            "that was trained for instances, or leave borders out"
        )
    foreground = foreground_probability(logits).numpy() > threshold
    distance = np.asarray(ndimage.distance_transform_edt(foreground))
    if borders:
        seeds = label(probabilities(logits)[1].numpy() > seed_threshold)
    else:
        seeds = label(_peaks(distance, smoothing) & foreground)
    return grow_seeds(seeds, distance, foreground, minimum_pixels)


def grow_seeds(
    seeds: Labels,
    height: Float[np.ndarray, "H W"],
    foreground: Bool[np.ndarray, "H W"],
    minimum_pixels: int = 12,
) -> Int32[np.ndarray, "H W"]:
    """Numbered seeds, grown through the foreground from the heights down, until they meet.

    Foreground that holds no seed becomes objects of its own, one a connected region. Objects
    under `minimum_pixels` vanish, and the others are numbered 1 to n.

    >>> height = np.array([[3.0, 2.0, 1.0, 2.0, 3.0, 0.0, 1.0]])
    >>> grow_seeds(np.array([[1, 0, 0, 0, 2, 0, 0]]), height, height > 0, minimum_pixels=1)
    array([[1, 1, 1, 2, 2, 0, 3]], dtype=int32)
    """
    labels = watershed(-height, seeds, mask=foreground)
    lost = label(foreground & (labels == 0))
    return without_small(np.where(lost > 0, lost + labels.max(), labels), minimum_pixels)


def without_small(labels: Labels, minimum_pixels: int) -> Int32[np.ndarray, "H W"]:
    """Objects of at least that many pixels, numbered 1 to n.

    >>> without_small(np.array([[4, 4, 0, 7, 9, 9]]), 2)
    array([[1, 1, 0, 0, 2, 2]], dtype=int32)
    """
    kept = np.bincount(labels.ravel()) >= minimum_pixels
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]


def _peaks(distance: Float[np.ndarray, "H W"], smoothing: float) -> Bool[np.ndarray, "H W"]:
    """Local maxima of the distance, after smoothing relative to the typical radius in pixels."""
    inside = distance[distance > 0]
    typical = np.percentile(inside, 95) if inside.size else 1.0
    sigma = float(np.clip(smoothing * typical, 0.5, 8.0))
    smooth = ndimage.gaussian_filter(distance, sigma)
    return smooth == ndimage.maximum_filter(smooth, size=1 + 2 * int(np.ceil(2 * sigma)))


def match_instances(predicted: Labels, true: Labels) -> Float[np.ndarray, "P T"]:
    """IoU of every predicted instance (rows) with every true one (columns); 0 is background.

    Rows and columns follow the sorted labels. Raises ValueError for shapes that differ.

    >>> match_instances(np.array([[1, 1, 2]]), np.array([[5, 5, 5]])).round(2).tolist()
    [[0.67], [0.33]]
    """
    shared, pixels, true_pixels = overlaps(predicted, true)
    return shared / (pixels[:, None] + true_pixels - shared)


def overlaps(
    predicted: Labels, true: Labels
) -> tuple[Float[np.ndarray, "P T"], Float[np.ndarray, " P"], Float[np.ndarray, " T"]]:
    """Pixels that each predicted and each true object share, and the pixels of each.

    Order and errors as in `match_instances`.

    >>> overlaps(np.array([[1, 1, 2]]), np.array([[5, 5, 5]]))[0].tolist()
    [[2.0], [1.0]]
    """
    if predicted.shape != true.shape:
        shapes = f"{predicted.shape} and {true.shape}"
        raise ValueError(f"expected label images of one shape, got {shapes}")
    names_p, index_p = np.unique(predicted, return_inverse=True)
    names_t, index_t = np.unique(true, return_inverse=True)
    shared = np.zeros((len(names_p), len(names_t)))
    np.add.at(shared, (index_p.ravel(), index_t.ravel()), 1)
    objects, true_objects = names_p != 0, names_t != 0
    pixels, true_pixels = shared.sum(1)[objects], shared.sum(0)[true_objects]
    return shared[objects][:, true_objects], pixels, true_pixels


def average_precision(
    predicted: Sequence[Labels],
    true: Sequence[Labels],
    thresholds: Sequence[float] = (0.5, 0.7, 0.9),
    pooling: Pooling = "set",
) -> dict[float, float]:
    """AP = TP / (TP + FP + FN) of instances, where a match needs at least that IoU.

    As in the 2018 Data Science Bowl (Caicedo et al. 2019) and StarDist: one predicted instance
    is matched to at most one true one. "set" adds up the instances of all images, "image"
    averages the images' scores (1 for an image without instances, where none was found).

    >>> average_precision([np.array([[1, 1, 2]])], [np.array([[5, 5, 5]])])
    {0.5: 0.5, 0.7: 0.0, 0.9: 0.0}
    """
    if len(predicted) != len(true):
        counts = f"{len(predicted)}, {len(true)}"
        raise ValueError(f"expected as many predictions as truths, got {counts}")
    tables = [match_instances(p, t) for p, t in zip(predicted, true, strict=True)]
    instances = torch.tensor([sum(table.shape) for table in tables])[:, None]
    zeros, something = torch.zeros_like(instances), torch.ones_like(instances)  # to judge
    result = {}
    for threshold in thresholds:
        tp = torch.tensor([_matches(table, threshold) for table in tables])[:, None]
        counts = Counts(tp, instances - 2 * tp, zeros, something)  # FP + FN in one
        result[threshold] = float(iou(counts, pooling))
    return result


def _matches(table: np.ndarray, threshold: float) -> int:
    """The largest number of disjoint pairs with at least this IoU."""
    rows, columns = linear_sum_assignment(table >= threshold, maximize=True)
    return int((table[rows, columns] >= threshold).sum())
