"""Shapes of objects: encoded and decoded they are the same objects, wherever they lie."""

import numpy as np
import pytest
import torch
from skimage.draw import disk, ellipse

from unet_lib.data import DSB2018, distances, offsets
from unet_lib.evaluation import (
    average_precision,
    decode_distances,
    decode_offsets,
    predict_views,
    turn,
    turn_back,
)
from unet_lib.evaluation.views import WAYS
from unet_lib.model import UNet

DECODERS = {"distances": (distances, decode_distances), "offsets": (offsets, decode_offsets)}
SIZES = [(120, 160), (61, 97), (33, 34)]


def cells(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Ellipses in rows that touch, some cut off at the edge of the image."""
    rng, labels = np.random.default_rng(seed), np.zeros(size, np.int32)
    for number, (row, column) in enumerate(np.ndindex(size[0] // 15 + 1, size[1] // 18 + 1), 1):
        radii = rng.uniform(6.5, 8.5), rng.uniform(7.5, 10)
        own = ellipse(15 * row + 4, 18 * column + 5, *radii, shape=size)
        labels[own] = np.where(labels[own] == 0, number, labels[own])
    return labels


def logits_of(target: str, labels: np.ndarray) -> torch.Tensor:
    """What a network without an error would give."""
    maps, between = DECODERS[target][0](labels), 3 if target == "distances" else 2
    return torch.cat([maps[:between].logit(1e-6), maps[between:]])


def decoded(target: str, labels: np.ndarray) -> np.ndarray:
    return DECODERS[target][1](logits_of(target, labels))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", DECODERS)
def test_the_truth_comes_back_at_odd_sizes_and_at_the_edge(target, size) -> None:
    labels = cells(size)
    small = np.bincount(labels.ravel()) < 12  # what is nearly all cut off
    labels[small[labels]] = 0
    found = average_precision([decoded(target, labels)], [labels], (0.5, 0.9))
    assert found[0.5] == 1.0
    assert found[0.9] >= {"distances": 0.8, "offsets": 1.0}[target]  # a rim is shared by chance


@pytest.mark.parametrize(("target", "least"), [("distances", 0.97), ("offsets", 0.95)])
def test_real_nuclei_come_back_as_well_as_the_target_allows(target, least, data_dir) -> None:
    labels = [
        DSB2018(data_dir / "dsb2018", "test").load(index)[1].astype(int) for index in range(12)
    ]
    found = average_precision([decoded(target, one) for one in labels], labels, (0.5, 0.9))
    assert found[0.5] >= 0.99
    assert found[0.9] >= least


@pytest.mark.parametrize("target", DECODERS)
def test_none_and_one(target) -> None:
    assert decoded(target, np.zeros((20, 31), int)).max() == 0
    one = np.zeros((20, 31), int)
    one[disk((9, 12), 6)] = 5
    np.testing.assert_array_equal(decoded(target, one), one > 0)
    np.testing.assert_array_equal(decoded(target, np.ones((20, 31), int)), np.ones((20, 31)))


@pytest.mark.parametrize("target", DECODERS)
def test_70_000_objects(target) -> None:
    side, size = 265, 5
    index = np.arange(side).repeat(size)
    labels = index[:, None] * side + index + 1
    assert labels.max() == side**2 > 70_000
    found = DECODERS[target][1](logits_of(target, labels), smoothing=0.5)
    assert found.max() == side**2
    assert found.dtype == np.int32
    first = np.zeros(side**2 + 1, int)
    first[labels[::size, ::size]] = found[2::size, 2::size]
    assert (first[labels] == found).mean() > 0.99


@pytest.mark.parametrize("target", DECODERS)
def test_where_a_label_image_is_empty_nothing_is_nan(target) -> None:
    maps = DECODERS[target][0](np.zeros((6, 7), int))
    assert not maps.any()
    assert DECODERS[target][0](np.full((6, 7), 3)).isfinite().all()


def test_pixels_gather_at_the_nearest_center() -> None:
    """A pixel whose offset misses its center by two pixels belongs to it all the same."""
    labels = cells((120, 160))
    logits = logits_of("offsets", labels)
    noisy = logits + 0.2 * torch.randn(logits.shape, generator=torch.manual_seed(0))
    noisy[:2] = logits[:2]
    assert average_precision([decode_offsets(noisy)], [labels], (0.7,))[0.7] > 0.9


@pytest.mark.parametrize("way", WAYS)
def test_turned_labels_have_turned_maps(way) -> None:
    labels = torch.zeros(20, 30, dtype=torch.long)
    for number, place in enumerate(((5, 8), (13, 14), (10, 22)), 1):
        labels[disk(place, 4)] = number
    turned = turn(labels.float(), way).long()
    assert torch.equal(turn_back(turned[None].float(), way)[0].long(), labels)
    torch.testing.assert_close(turn_back(distances(turned), way), distances(labels))
    torch.testing.assert_close(turn_back(offsets(turned), way, vectors=True), offsets(labels))


def test_the_mean_over_views_is_the_same_for_every_view() -> None:
    torch.manual_seed(0)
    model, image = UNet(1, 4, width=2, depth=2).eval(), torch.rand(1, 40, 28)
    for vectors in (False, True):
        whole = predict_views(model, image, vectors=vectors)
        turned = predict_views(model, turn(image, 5), vectors=vectors)
        torch.testing.assert_close(turn_back(turned, 5, vectors), whole, atol=1e-5, rtol=0)
        tiled = predict_views(model, image, tile=16, vectors=vectors)
        torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
