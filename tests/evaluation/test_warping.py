"""Warping error against brute force: simple pixels, all ways to warp, and cases by hand."""

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from unet_lib.evaluation import (
    WarpingMistakes,
    warp_target,
    warping_error,
    warping_mistakes,
)

SEEDS = pytest.mark.parametrize("seed", range(6))


def count(cells: np.ndarray) -> tuple[int, int]:
    """How many cells (4 neighbors) and membranes (8, outside included) there are."""
    membranes = np.pad(~cells, 1, constant_values=True)
    return ndimage.label(cells)[1], ndimage.label(membranes, np.ones((3, 3)))[1]


def flipped(cells: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    other = cells.copy()
    other[place] ^= True
    return other


def random_cells(seed: int, shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(seed).random((2, *shape)) < 0.55


def every_mask(height: int, width: int) -> np.ndarray:
    """All masks of one size, (2^(H W), H, W); bit k of a mask's number is its k-th pixel."""
    numbers = np.arange(2 ** (height * width))[:, None]
    return (numbers >> np.arange(height * width) & 1 > 0).reshape(-1, height, width)


def test_a_pixel_moves_exactly_where_it_changes_no_number():
    for cells in every_mask(3, 3):
        other = flipped(cells, (1, 1))
        assert (warping_error(other, cells) == 0) == (count(other) == count(cells)), cells


@SEEDS
def test_warping_keeps_every_number_and_stops_where_no_pixel_can_move(seed):
    prediction, target = random_cells(seed, (9, 12))
    warped = warp_target(prediction, target)
    assert count(warped) == count(target)
    differs = warped != prediction
    assert not np.any(differs & (target == prediction))  # no pixel was turned away
    for row, column in np.argwhere(differs):
        assert count(flipped(warped, (row, column))) != count(warped)
    assert warping_error(prediction, target) == differs.mean()


@pytest.fixture(scope="module")
def families() -> np.ndarray:
    """For every mask of 4 x 4 pixels, the number of the family that simple flips reach from it."""
    numbers = np.array([count(cells) for cells in every_mask(4, 4)])
    here, bit = np.arange(2**16)[:, None], 1 << np.arange(16)
    simple = (numbers[here] == numbers[here ^ bit]).all(-1)
    ways = sparse.coo_array((simple[simple], (np.nonzero(simple)[0], (here ^ bit)[simple])))
    return connected_components(ways.tocsr(), directed=False)[1]


def fewest(families: np.ndarray, prediction: np.ndarray, target: np.ndarray) -> int:
    """The fewest differing pixels of all that simple flips can make of the target."""
    family = families == families[(1 << np.arange(16)) @ target.ravel()]
    return (every_mask(4, 4)[family] != prediction).sum((1, 2)).min()


def test_the_best_way_to_warp_is_never_worse_and_seldom_better_than_ours(families):
    """Seldom for cells with smooth outlines and three wrong pixels of sixteen.

    In noise it often is: a detour carries a whole cell to another place.
    """
    gains = {"smooth": [], "noise": []}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        smooth = ndimage.gaussian_filter(rng.standard_normal((4, 4)), 1) > 0
        wrong = smooth.copy()
        wrong.flat[rng.choice(16, 3, replace=False)] ^= True
        for kind, pair in (("smooth", (wrong, smooth)), ("noise", random_cells(seed, (4, 4)))):
            ours = round(16 * warping_error(*pair))
            gains[kind].append(ours - fewest(families, *pair))
    assert min(gains["smooth"]) == min(gains["noise"]) == 0
    assert gains["smooth"].count(0) > 0.8 * 200
    assert np.mean(gains["smooth"]) < 0.25 < np.mean(gains["noise"]) < 2  # pixels


@SEEDS
def test_kinds_by_counting_cells_before_and_after(seed):
    prediction, target = random_cells(seed, (14, 15))
    warped = warp_target(prediction, target)
    kinds = []
    for row, column in np.argwhere(warped != prediction):
        change = count(flipped(warped, (row, column)))[0] - count(warped)[0]
        if change == 0:
            kinds.append("holes")
        elif (change > 0) == warped[row, column]:
            kinds.append("splits" if change > 0 else "merges")
        else:
            kinds.append("objects")
    ours = warping_mistakes(prediction, target)
    assert ours._asdict() == {kind: kinds.count(kind) for kind in ours._fields}
    assert sum(ours) / target.size == pytest.approx(warping_error(prediction, target))


def two_cells() -> np.ndarray:
    """Two cells of 26 x 16 pixels, two pixels apart."""
    cells = np.zeros((30, 40), bool)
    cells[2:28, 2:18] = cells[2:28, 20:38] = True
    return cells


def test_a_border_that_moved_or_widened_is_no_error():
    cells = two_cells()
    for found in (np.roll(cells, 1, axis=1), ndimage.binary_erosion(cells, iterations=4)):
        assert not np.array_equal(found, cells)
        assert warping_error(found, cells) == 0
        np.testing.assert_array_equal(warp_target(found, cells), found)
    shrunk = np.zeros_like(cells)
    shrunk[3, 3] = shrunk[15, 30] = True
    assert warping_error(shrunk, cells) == 0  # not even a cell that is left with one pixel


def test_each_kind_of_mistake_and_what_it_costs():
    """A gap counts its length, a membrane too many the pixel that closes it."""
    cells = two_cells()
    windows = {
        "gap": (np.s_[10:14, 18:20], {"merges": 4}),
        "whole membrane missed": (np.s_[2:28, 18:20], {"merges": 26}),
        "membrane too many": (np.s_[2:28, 10], {"splits": 1}),
        "cell missed": (np.s_[2:28, 2:18], {"objects": 1}),
        "cell too many": (np.s_[0, 0], {"objects": 1}),
        "hole": (np.s_[10:12, 5:7], {"holes": 4}),
    }
    for name, (window, expected) in windows.items():
        found = cells.copy()
        found[window] ^= True
        ours = warping_mistakes(found, cells)
        assert ours == WarpingMistakes(0, 0, 0, 0)._replace(**expected), name
        assert warping_error(found, cells) == sum(ours) / cells.size


def test_membranes_are_connected_diagonally_and_cells_are_not():
    diagonal = ~np.eye(6, dtype=bool)
    assert count(diagonal) == (2, 1)
    whole = np.ones((6, 6), bool)
    assert warping_mistakes(whole, diagonal).merges == 6
    assert warping_mistakes(diagonal, whole).splits == 1


def test_masks_that_are_equal_empty_or_refused():
    nothing, whole = np.zeros((3, 4)), np.ones((3, 4))
    assert warping_error(nothing, nothing) == warping_error(whole, whole) == 0
    assert warping_error(nothing, whole) == 1 / 12  # the last pixel of a cell stays
    with pytest.raises(ValueError, match=r"one shape, got \(3, 4\) and \(4, 3\)"):
        warping_error(nothing, nothing.T)
    with pytest.raises(ValueError, match=r"a prediction of 0 and 1, got \[2\.0\]"):
        warping_mistakes(whole * 2, whole)
