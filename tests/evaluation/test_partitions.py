"""Scores of partitions against all pairs of pixels, scikit-image and cases done by hand."""

import math

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import label
from skimage.metrics import adapted_rand_error
from skimage.metrics import variation_of_information as skimage_variation

from unet_lib.evaluation import (
    cells_of,
    information_scores,
    rand_scores,
    thin_borders,
    variation_of_information,
)

SEEDS = pytest.mark.parametrize("seed", range(6))
ALL = [rand_scores, information_scores, variation_of_information]


def random_labels(seed: int, shape: tuple[int, int] = (6, 7)) -> np.ndarray:
    """A prediction and a truth, (2, H, W), with numbers that leave gaps; 0 is border."""
    return np.random.default_rng(seed).integers(0, 4, (2, *shape)) * 3


def judged(prediction: np.ndarray, target: np.ndarray) -> list[tuple[int, int]]:
    """Names of the predicted and the true piece of every pixel that counts."""
    pairs = zip(prediction.ravel().tolist(), target.ravel().tolist(), strict=True)
    return [(p or -1 - i, t) for i, (p, t) in enumerate(pairs) if t]  # border: a piece of its own


@SEEDS
def test_rand_scores_over_all_pairs_of_pixels(seed):
    prediction, target = random_labels(seed)
    pixels = judged(prediction, target)
    pairs = [(a[0] == b[0], a[1] == b[1]) for a in pixels for b in pixels]
    both, found, true = (
        sum(map(test, pairs)) for test in (all, lambda pair: pair[0], lambda pair: pair[1])
    )
    ours = rand_scores(prediction, target)
    assert ours.split == pytest.approx(both / true)
    assert ours.merge == pytest.approx(both / found)
    assert ours.f == pytest.approx(2 / (found / both + true / both))
    assert ours.index == pytest.approx(np.mean([same == really for same, really in pairs]))


@SEEDS
def test_information_pixel_by_pixel(seed):
    """Entropy is the mean over the pixels of -log2 of the share of their piece."""
    prediction, target = random_labels(seed)
    pixels = judged(prediction, target)

    def entropy(names: list) -> float:
        return float(np.mean([-math.log2(names.count(name) / len(names)) for name in names]))

    found, true = (entropy([pixel[k] for pixel in pixels]) for k in (0, 1))
    both = entropy(pixels)
    shared = found + true - both
    ours = information_scores(prediction, target)
    assert ours == pytest.approx((shared / found, shared / true, 2 * shared / (found + true)))
    variation = variation_of_information(prediction, target)
    assert variation == pytest.approx((both - true, both - found, 2 * both - found - true))


@SEEDS
def test_scores_equal_scikit_image(seed):
    """There border is a piece, so none is predicted; and no pixel makes a pair with itself.

    The pair of scores is sorted: release 0.26 calls them precision and recall the other way round
    than its documentation does.
    """
    prediction, target = random_labels(seed, (120, 130))
    prediction += 1
    error, *theirs = adapted_rand_error(target, prediction)
    ours = rand_scores(prediction, target)
    assert 1 - ours.f == pytest.approx(error, abs=1e-3)
    assert sorted(ours[:2]) == pytest.approx(sorted(theirs), abs=1e-3)
    theirs = skimage_variation(target, prediction, ignore_labels=(0,))
    np.testing.assert_allclose(variation_of_information(prediction, target)[:2], theirs)


def test_names_of_pieces_and_what_lies_outside_do_not_matter():
    prediction, target = random_labels(0)
    renamed = np.array([0, 5, 9, 2, 7, 1, 4, 3, 8, 6])[prediction]
    renamed[target == 0] = 11
    for scores in ALL:
        assert scores(renamed, target) == pytest.approx(scores(prediction, target))
        assert scores(target, target) == pytest.approx(scores(renamed * 0 + target, target))
    assert rand_scores(target, target)[:3] == (1, 1, 1)
    assert information_scores(target, target) == pytest.approx((1, 1, 1))
    assert variation_of_information(target, target) == (0, 0, 0)


def test_splits_and_merges_are_told_apart():
    two, one = np.repeat([[1, 2]], 4, axis=1), np.ones((1, 8), int)
    assert rand_scores(one, two)[:3] == (1, 0.5, 2 / 3)
    assert rand_scores(two, one)[:3] == (0.5, 1, 2 / 3)
    assert information_scores(one, two) == (1, 0, 0)  # one piece tells nothing of two
    assert information_scores(two, one) == (0, 1, 0)
    assert information_scores(one, one) == (1, 1, 1)
    assert variation_of_information(one, two) == (0, 1, 1)
    assert variation_of_information(two, one) == (1, 0, 1)


def test_a_missed_piece_is_split_into_pixels():
    true = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]])
    missed = np.where(true == 2, 0, true)
    assert rand_scores(missed, true).split == (16 + 4) / 32
    assert variation_of_information(missed, true) == (1, 0, 1)  # 2 bits, for half of the pixels
    assert rand_scores(np.where(true == 0, 7, true), true).f == 1  # a false alarm is not seen


@pytest.mark.parametrize("scores", ALL)
def test_nothing_to_judge_and_shapes_that_differ(scores):
    nothing = np.zeros((2, 3), int)
    assert all(map(math.isnan, scores(nothing + 1, nothing)))
    with pytest.raises(ValueError, match=r"of one shape, got \(2, 3\) and \(3, 2\)"):
        scores(nothing, nothing.T)


def cells_with_membranes(seed: int, width: int) -> np.ndarray:
    """A mask of cells with membranes of about `width` pixels between them."""
    points = np.random.default_rng(seed).random((12, 2)) * (60, 70)
    places = np.indices((60, 70)).reshape(2, -1).T
    labels = 1 + cKDTree(points).query(places)[1].reshape(60, 70)
    between = ndimage.maximum_filter(labels, 3) != ndimage.minimum_filter(labels, 3)
    return ndimage.distance_transform_edt(~between) > width / 2 - 1


@SEEDS
def test_thinned_borders_are_one_pixel_wide(seed):
    labels = cells_of(cells_with_membranes(seed, 6))
    thin = thin_borders(labels)
    np.testing.assert_array_equal(thin[labels > 0], labels[labels > 0])
    padded = np.pad(thin, 1)
    around = [padded[1:-1, 2:], padded[1:-1, :-2], padded[2:, 1:-1], padded[:-2, 1:-1]]
    for here in np.unique(labels)[1:]:
        assert label(thin == here, connectivity=1).max() == 1
        assert all(np.isin(each[thin == here], (0, here)).all() for each in around)
    line = ndimage.distance_transform_cdt(np.pad(thin == 0, 1, mode="edge"), "chessboard")
    assert line.max() == 1  # no pixel is surrounded by line


@SEEDS
def test_the_width_of_a_predicted_membrane_costs_only_before_thinning(seed):
    truth = cells_of(cells_with_membranes(seed, 4))
    wide = [cells_of(cells_with_membranes(seed, width)) for width in (4, 6, 8)]
    plain = [rand_scores(labels, truth).split for labels in wide]
    assert plain[0] == 1
    assert plain[2] < plain[1] < 0.95
    assert min(rand_scores(thin_borders(labels), truth).split for labels in wide) > 0.995


def test_thinning_keeps_what_has_no_border():
    touching, nothing = np.array([[1, 1, 2, 2]]), np.zeros((3, 4), int)
    np.testing.assert_array_equal(thin_borders(touching), touching)
    np.testing.assert_array_equal(thin_borders(nothing), nothing)
    assert thin_borders(np.array([[0, 4, 0], [0, 0, 0]])).tolist() == [[4] * 3] * 2


def test_cells_are_connected_by_edges_alone():
    cells = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0]])
    assert cells_of(cells).tolist() == [[1, 0, 2], [0, 2, 2], [3, 0, 0]]
    with pytest.raises(ValueError, match=r"expected a mask of 0 and 1, got \[0, 255\]"):
        cells_of(cells * 255)
