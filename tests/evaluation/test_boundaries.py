"""Distances of outlines against brute force, scikit-image and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, directed_hausdorff
from skimage.metrics import hausdorff_distance as skimage_hausdorff

from unet_lib.evaluation import (
    average_surface_distance,
    boundary_iou,
    hausdorff_distance,
    surface_distances,
)

EMPTY, ONE = np.zeros((5, 6), bool), np.zeros((5, 6), bool)
ONE[2, 3] = True


@pytest.fixture(params=range(6))
def masks(request):
    share = (0.3, 0.5, 0.8)[request.param % 3]
    return np.random.default_rng(request.param).random((2, 9, 11)) < share


def boundary(mask: np.ndarray) -> np.ndarray:
    """Places (row, column) of the pixels with a 4-neighbor outside, one by one."""
    padded = np.pad(mask, 1)
    steps = ((0, 1), (0, -1), (1, 0), (-1, 0))
    return np.array(
        [
            (y, x)
            for y, x in np.argwhere(mask)
            if not all(padded[1 + y + dy, 1 + x + dx] for dy, dx in steps)
        ]
    )


@pytest.mark.parametrize("spacing", [1.0, 0.5, (2.0, 0.7)])
def test_distances_by_brute_force(masks, spacing):
    found, true = (boundary(mask) * np.broadcast_to(spacing, 2) for mask in masks)
    each = cdist(found, true)
    ours = surface_distances(*masks, spacing)
    np.testing.assert_allclose(ours.from_prediction, each.min(1))
    np.testing.assert_allclose(ours.from_target, each.min(0))
    both = [*each.min(1), *each.min(0)]
    assert average_surface_distance(*masks, spacing) == pytest.approx(np.mean(both))
    for share in (50, 95, 100):
        expected = max(np.percentile(each.min(axis), share) for axis in (0, 1))
        assert hausdorff_distance(*masks, share, spacing) == pytest.approx(expected)


def test_the_classic_distance_equals_scikit_image_and_scipy(masks):
    found, true = (boundary(mask) for mask in masks)
    images = [np.zeros(masks[0].shape, bool) for _ in masks]
    for image, places in zip(images, (found, true), strict=True):
        image[tuple(places.T)] = True
    ours = hausdorff_distance(*masks, percentile=100)
    assert ours == pytest.approx(skimage_hausdorff(*images))
    ways = directed_hausdorff(found, true)[0], directed_hausdorff(true, found)[0]
    assert ours == pytest.approx(max(ways))


def test_a_stray_pixel_decides_the_classic_distance_alone():
    target = np.zeros((40, 60), bool)
    target[10:30, 10:30] = True
    prediction = target.copy()
    prediction[20, 55] = True
    assert hausdorff_distance(prediction, target, percentile=100) == 26
    assert hausdorff_distance(prediction, target) == 0


@pytest.mark.parametrize("width", [1, 2, 3, 20])
def test_boundary_iou_by_brute_force(masks, width):
    """A pixel is of the rim if one at most `width` steps away, diagonals too, is outside."""
    found, true = (
        {
            (y, x)
            for y, x in np.argwhere(mask)
            if not np.pad(mask, width)[y : y + 2 * width + 1, x : x + 2 * width + 1].all()
        }
        for mask in masks
    )
    assert boundary_iou(*masks, width) == pytest.approx(len(found & true) / len(found | true))
    if width == 20:
        assert boundary_iou(*masks, width) == np.sum(masks[0] & masks[1]) / np.sum(masks.any(0))


def test_the_edge_of_the_image_is_a_boundary():
    whole = np.ones((4, 5), bool)
    assert len(surface_distances(whole, whole).from_target) == 2 * 5 + 2 * 2
    hole = whole.copy()
    hole[1:3, 1:4] = False
    assert hausdorff_distance(hole, whole) == 0
    assert boundary_iou(hole, whole, width=1) == 1


def test_empty_masks():
    for distance in (hausdorff_distance, average_surface_distance):
        assert distance(EMPTY, EMPTY) == 0
        assert distance(EMPTY, ONE) == distance(ONE, EMPTY) == math.inf
    assert skimage_hausdorff(EMPTY, EMPTY) == 0
    assert skimage_hausdorff(EMPTY, ONE) == math.inf
    assert surface_distances(ONE, EMPTY).from_prediction.tolist() == [math.inf]
    assert boundary_iou(EMPTY, EMPTY, 1) == 1
    assert boundary_iou(EMPTY, ONE, 1) == 0


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, torch.tensor])
def test_every_kind_of_mask(masks, kind):
    make = kind if kind is torch.tensor else np.dtype(kind).type
    found, true = (make(mask) for mask in masks)
    assert hausdorff_distance(found, true) == hausdorff_distance(*masks)
    assert boundary_iou(found, true, 2) == boundary_iou(*masks, 2)


def test_input_that_is_refused():
    with pytest.raises(ValueError, match=r"a prediction \(H, W\), got \(1, 5, 6\): pass images"):
        hausdorff_distance(ONE[None], ONE)
    with pytest.raises(ValueError, match=r"one shape, got \(5, 6\) and \(6, 5\)"):
        boundary_iou(ONE, ONE.T, 1)
    with pytest.raises(ValueError, match=r"a target of 0 and 1, got \[0\.0, 0\.5\]: compare"):
        surface_distances(ONE, ONE / 2)
    with pytest.raises(ValueError, match="a target of 0 and 1, got \\[nan\\]"):
        surface_distances(ONE, np.full((5, 6), math.nan))
    with pytest.raises(ValueError, match=r"above 0, the size of a pixel, got \(1.0, 0"):
        average_surface_distance(ONE, ONE, spacing=(1.0, 0.0))
    with pytest.raises(ValueError, match="percentile must lie above 0 and up to 100, got 0"):
        hausdorff_distance(ONE, ONE, percentile=0)
    with pytest.raises(ValueError, match="width must be at least 1 pixel, got 0"):
        boundary_iou(ONE, ONE, width=0)
