"""Boundaries: how far two outlines lie apart, in pixels or in the unit of `spacing` (chapter 5).

The boundary of a mask consists of its pixels that have one of their four neighbors outside the
mask. What lies beyond the edge of the image is outside, so an object that is cut off there has a
boundary there too, and only an empty mask has none.

Two empty masks are equal: their distance is 0 and their boundary IoU is 1. Where only one mask is
empty, the distance is inf and the boundary IoU is 0. scikit-image defines its Hausdorff distance
in the same way. One such image makes the mean over many images inf, too: say in how many of them
nothing was found, and take the mean of the others.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from unet_lib.evaluation.masks import Mask, as_masks

Spacing = float | tuple[float, float]


class SurfaceDistances(NamedTuple):
    """From each boundary pixel of one mask to the nearest boundary pixel of the other.

    >>> SurfaceDistances(np.array([0.0, 3.0]), np.array([0.0])).from_prediction.max()
    np.float64(3.0)
    """

    from_prediction: Float[np.ndarray, " P"]
    from_target: Float[np.ndarray, " T"]


def surface_distances(prediction: Mask, target: Mask, spacing: Spacing = 1.0) -> SurfaceDistances:
    """Euclidean distances of the boundary pixels of two masks (H, W) of 0 and 1, both ways.

    Args:
        prediction: the mask that was found.
        target: the true mask.
        spacing: the size of a pixel, one number or (height, width), in the unit of the result.

    Returns:
        One distance for each boundary pixel of the prediction, and of the target, in the order of
        rows; inf where the other mask is empty.

    Raises:
        ValueError: for other shapes and values, and for a spacing that is not above 0.

    >>> rows = np.array([[1, 1, 1, 0], [1, 1, 1, 1]])
    >>> surface_distances(rows, rows[:, ::-1]).from_prediction
    array([1., 0., 0., 0., 0., 0., 0.])
    """
    if not np.all(np.asarray(spacing) > 0):
        raise ValueError(f"spacing must be above 0, the size of a pixel, got {spacing}")
    found, true = (_rim(mask, width=1) for mask in as_masks(prediction, target))
    return SurfaceDistances(_to(true, spacing)[found], _to(found, spacing)[true])


def _rim(
    mask: Bool[np.ndarray, "H W"], width: int, corners: bool = False
) -> Bool[np.ndarray, "H W"]:
    """The pixels of a mask from which `width` steps lead out, of 4 or with corners of 8."""
    steps = ndimage.generate_binary_structure(2, 1 + corners)
    return mask & ~ndimage.binary_erosion(mask, steps, iterations=width)


def _to(boundary: Bool[np.ndarray, "H W"], spacing: Spacing) -> Float[np.ndarray, "H W"]:
    """From every pixel to the nearest one of the boundary."""
    if not boundary.any():
        return np.full(boundary.shape, math.inf)
    return np.asarray(ndimage.distance_transform_edt(~boundary, sampling=spacing))


def hausdorff_distance(
    prediction: Mask, target: Mask, percentile: float = 95, spacing: Spacing = 1.0
) -> float:
    """How far the outlines lie apart where they are farthest apart, but for a few percent.

    The `percentile` of the distances is taken for each direction, and the larger one is returned:
    HD95. With 100 it is the distance of Hausdorff (1914), which one stray pixel decides.
    Arguments and errors as in `surface_distances`, and ValueError for a percentile that does not
    lie above 0 and up to 100. 0 is best; for empty masks see the top of the module.

    >>> mask = np.array([[1, 1, 0, 0, 0, 0]])
    >>> hausdorff_distance(np.array([[1, 1, 0, 0, 1, 0]]), mask, percentile=100)
    3.0
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must lie above 0 and up to 100, got {percentile}")
    distances = surface_distances(prediction, target, spacing)
    if (worst := _of_empty(distances)) is not None:
        return worst
    return float(max(np.percentile(each, percentile) for each in distances))


def average_surface_distance(prediction: Mask, target: Mask, spacing: Spacing = 1.0) -> float:
    """Mean distance of the outlines: of all distances in both directions, taken together.

    So each boundary pixel counts once, and the longer boundary has more to say (ASSD, the average
    symmetric surface distance). Others take the mean of the two directions' means: the numbers
    differ. Arguments and errors as in `surface_distances`. 0 is best; for empty masks see the top
    of the module.

    >>> mask = np.array([[1, 1, 0, 0, 0, 0]])
    >>> average_surface_distance(np.array([[1, 1, 0, 0, 1, 0]]), mask)  # 0, 0, 3 and 0, 0
    0.6
    """
    distances = surface_distances(prediction, target, spacing)
    if (worst := _of_empty(distances)) is not None:
        return worst
    return float(np.concatenate(distances).mean())


def _of_empty(distances: SurfaceDistances) -> float | None:
    """The distance where a mask is empty: 0 if both are; None if none is."""
    empty = [each.size == 0 for each in distances]
    return None if not any(empty) else 0.0 if all(empty) else math.inf


def boundary_iou(prediction: Mask, target: Mask, width: int) -> float:
    """IoU of the inner rims of two masks (H, W) of 0 and 1: of their pixels near the outline.

    A rim is `width` pixels wide, counted in steps to any of the eight neighbors, as in the program
    of Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR
    2021. They take 2 % of the image's diagonal. From 0 to 1; with a width that covers the objects
    it is their IoU. Raises ValueError for other shapes and values, and for a width below 1.

    >>> large, small = np.ones((4, 4)), np.pad(np.ones((2, 2)), 1)
    >>> boundary_iou(small, large, width=1), boundary_iou(small, large, width=2)
    (0.0, 0.25)
    """
    if width < 1:
        raise ValueError(f"width must be at least 1 pixel, got {width}")
    found, true = (_rim(mask, width, corners=True) for mask in as_masks(prediction, target))
    union = np.count_nonzero(found | true)
    return float(np.count_nonzero(found & true) / union) if union else 1.0
