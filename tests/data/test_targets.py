"""The targets against definitions written out pixel by pixel."""

import time

import numpy as np
import pytest
import torch

from unet_lib.data import (
    border_weights,
    distances,
    foreground,
    interior_border,
    membrane_weights,
    offsets,
)


def random_labels(seed, size=(17, 23), nuclei=6):
    """Squares of any size, the later over the earlier; some touch, some are apart."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(size, np.int32)
    for label in range(1, nuclei + 1):
        top, left = rng.integers(0, size)
        height, width = rng.integers(1, 8, 2)
        labels[top : top + height, left : left + width] = label
    return labels


def interior_border_by_hand(labels):
    target = np.zeros(labels.shape, np.int64)
    for y, x in np.ndindex(labels.shape):
        around = labels[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        if labels[y, x]:
            target[y, x] = 1 if (around == labels[y, x]).all() else 2
        elif len(set(around[around > 0])) > 1:
            target[y, x] = 2
    return target


def border_weights_by_hand(labels, w0, sigma):
    weights = np.ones(labels.shape)
    cells = [np.argwhere(labels == label) for label in np.unique(labels[labels > 0])]
    for pixel in np.ndindex(labels.shape):
        distances = sorted(np.hypot(*(cell - pixel).T).min() for cell in cells)
        if len(distances) > 1:
            d1, d2 = distances[:2]
            weights[pixel] += w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return weights


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_every_integer_type_gives_the_same_targets(dtype):
    labels = random_labels(1)
    for target in (foreground, interior_border, border_weights, distances, offsets):
        assert torch.equal(target(labels.astype(dtype)), target(torch.from_numpy(labels).long()))


@pytest.mark.parametrize("seed", range(5))
def test_interior_and_border_as_defined(seed):
    labels = random_labels(seed)
    target = interior_border(labels)
    assert target.dtype == torch.int64
    assert np.array_equal(target, interior_border_by_hand(labels))


def test_the_edge_of_the_image_is_no_border():
    assert (interior_border(np.ones((5, 5), int)) == 1).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("w0", "sigma"), [(10.0, 5.0), (3.0, 1.5)])
def test_border_weights_equal_formula_2(seed, w0, sigma):
    labels = random_labels(seed)
    weights = border_weights(labels, w0, sigma)
    assert weights.dtype == torch.float32
    assert np.allclose(weights, border_weights_by_hand(labels, w0, sigma), atol=1e-6)


def test_nuclei_out_of_reach_do_not_count():
    labels = np.zeros((3, 200), int)
    labels[:, 0], labels[:, 70], labels[:, 199] = 1, 2, 3
    assert np.allclose(border_weights(labels), border_weights_by_hand(labels, 10.0, 5.0), atol=1e-6)


@pytest.mark.parametrize("labels", [np.zeros((4, 5), int), np.eye(3, dtype=int)])
def test_fewer_than_two_nuclei_leave_the_class_term(labels):
    assert (border_weights(labels) == 1).all()


def test_class_weights_are_added():
    labels = random_labels(2)
    difference = border_weights(labels, class_weights=(1.0, 4.0)) - border_weights(labels)
    assert np.allclose(difference, 3.0 * (labels > 0), atol=1e-5)


def test_gaps_in_the_numbering_do_not_matter():
    labels = random_labels(4)
    assert torch.equal(border_weights(labels), border_weights(labels * 50))


def test_a_picture_of_40_nuclei_takes_less_than_50_ms():
    y, x = np.mgrid[:128, :128]
    labels = np.zeros((128, 128), np.int32)
    for label, (top, left) in enumerate(np.random.default_rng(0).integers(0, 128, (40, 2)), 1):
        labels[(y - top) ** 2 + (x - left) ** 2 < 50] = label
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        border_weights(labels)
        best = min(best, time.perf_counter() - start)
    assert best < 0.05


def distances_by_hand(labels):
    maps, places = np.zeros((5, *labels.shape)), np.argwhere(labels >= 0)
    for label in np.unique(labels[labels > 0]):
        own, others = np.argwhere(labels == label), np.argwhere(labels != label)
        center = own[((own - own.mean(0)) ** 2).sum(1).argmin()]
        away = np.hypot(*(own - center).T)
        depth = np.array([np.hypot(*(others - pixel).T).min() for pixel in own])
        ways = (center - own).T / 10
        maps[:, *own.T] = [away >= 0, 1 - away / max(away.max(), 1), depth / depth.max(), *ways]
    assert len(places) == labels.size
    return maps


@pytest.mark.parametrize("seed", range(5))
def test_distances_and_offsets_as_defined(seed):
    labels = random_labels(seed)
    maps = distances_by_hand(labels)
    np.testing.assert_allclose(distances(labels), maps[:3], atol=1e-6)
    np.testing.assert_allclose(offsets(labels), maps[[0, 1, 3, 4]], atol=1e-6)


@pytest.mark.parametrize("encode", [distances, offsets])
def test_shapes_do_not_depend_on_numbers_and_padding_is_no_object(encode):
    labels = random_labels(3)
    assert torch.equal(encode(labels), encode(labels * 50))
    padded = np.where(labels == 0, -1, labels)
    assert torch.equal(encode(labels), encode(padded))


def test_scaling_an_image_does_not_change_its_distances():
    y, x = np.mgrid[:90, :90]
    large = ((y - 44) ** 2 + (x - 44) ** 2 < 900).astype(int)
    half = distances(large[::2, ::2])
    torch.testing.assert_close(distances(large)[:, ::2, ::2], half, atol=0.08, rtol=0)


def test_membranes_weigh_as_the_formula_says_with_cells_numbered_and_classes_balanced():
    cells = np.ones((30, 40), int)
    cells[:, 17:20] = 0
    cells[12, 20:] = 0
    numbered = cells.copy()
    numbered[:12, 20:], numbered[13:, 20:] = 2, 3
    weights = membrane_weights(cells, w0=7.0, sigma=3.0)
    formula = border_weights_by_hand(numbered, 7.0, 3.0) - 1  # without w_c
    share = cells.mean()
    w_c = np.where(cells > 0, 0.5 / share, 0.5 / (1 - share))
    assert np.allclose(weights, formula + w_c, atol=1e-5)
    assert np.isclose(w_c[cells > 0].sum(), w_c[cells == 0].sum())
    assert np.isclose(w_c.mean(), 1)


def test_cells_that_touch_at_a_corner_are_two():
    corner = np.kron(np.eye(2, dtype=int), np.ones((4, 4), int))
    assert membrane_weights(corner).max() > 8
    assert membrane_weights(np.eye(1, 9, dtype=int), w0=0.0).mean() == pytest.approx(1)


@pytest.mark.parametrize("value", [0, 1])
def test_a_mask_of_one_class_has_weights_that_are_finite(value):
    weights = membrane_weights(np.full((4, 5), value))
    assert torch.isfinite(weights).all()
    assert (weights < 1).all()


def test_what_is_no_mask_of_cells_is_refused():
    with pytest.raises(ValueError, match=r"the mask holds \[2, 255\]; 1 in cells and 0 in membr"):
        membrane_weights(np.array([[0, 1, 2, 255]]))
