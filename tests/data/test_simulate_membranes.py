"""unet_lib.data.simulate_membranes: the same everywhere, neighbors alike, membranes dark."""

import hashlib

import numpy as np
import pytest
from scipy import ndimage

from unet_lib.data import SimulatedMembranes, blocks, membrane_weights, simulate_membranes

GOLDEN = ["417b3ba1e2213d09", "4b9d429f4848c61f"]


def fingerprint(index: int) -> str:
    image, cells = simulate_membranes(0, index, (64, 80))
    return hashlib.sha256(image.tobytes() + cells.astype("<i4").tobytes()).hexdigest()[:16]


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel().astype(float), other.ravel())[0, 1])


def test_the_same_slices_on_every_machine():
    assert [fingerprint(index) for index in (0, 7)] == GOLDEN
    assert not np.array_equal(simulate_membranes(3, 5)[0], simulate_membranes(4, 5)[0])


@pytest.mark.parametrize("size", [(16, 16), (17, 150), (96, 96)])
def test_any_size(size):
    image, cells = simulate_membranes(0, 0, size)
    assert image.shape == cells.shape == size
    assert (image.dtype, cells.dtype) == (np.uint8, np.int32)


def test_what_is_refused():
    with pytest.raises(ValueError, match="at least 16x16 pixels, got 15x40"):
        simulate_membranes(0, 0, (15, 40))
    with pytest.raises(ValueError, match="index must be at least 0"):
        simulate_membranes(0, -1)


def test_membranes_are_dark_and_divide_cells():
    for seed in range(4):
        image, cells = simulate_membranes(seed)
        assert 0.6 < cells.mean() < 0.85
        assert image[cells == 0].mean() < image[cells == 1].mean() - 25
        sizes = np.bincount(ndimage.label(cells)[0].ravel())[1:]
        assert sizes.min() >= 60
        assert 10 < np.sum(sizes > 200) < 60
        assert sizes.max() < 0.3 * cells.size


def test_neighbors_look_alike_and_distant_slices_do_not():
    first, second, far = (simulate_membranes(2, index)[1] for index in (40, 41, 80))
    assert alike(first, second) > 0.2
    assert abs(alike(first, far)) < 0.1


def test_a_stack_is_divided_like_the_real_one():
    stack = SimulatedMembranes(30, seed=1, size=(64, 64))
    assert (len(stack), stack.num_classes) == (30, 2)
    assert sum(len(fold.test) for fold in blocks(len(stack))) == 30
    image, cells = stack[29]
    assert image.shape == (1, 64, 64)
    weights = membrane_weights(cells)
    assert weights[cells == 0].mean() > weights[cells == 1].mean() + 1
    assert stack.name(29) == "simulated slice 29 of seed 1"
