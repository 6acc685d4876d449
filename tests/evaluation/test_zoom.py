"""Objects seen at a common size: measured in a first pass, found in a second."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from unet_lib.evaluation import at_diameter
from unet_lib.transforms import typical_diameter


def squares(side: int, shape: tuple[int, int] = (61, 74)) -> np.ndarray:
    """Squares in a row, a side apart."""
    labels = np.zeros(shape, np.int32)
    for number, left in enumerate(range(side, shape[1] - side, 2 * side), start=1):
        labels[5 : 5 + side, left : left + side] = number
    return labels


def find(image: torch.Tensor) -> np.ndarray:
    return ndimage.label(image[0].numpy() > 0.5)[0].astype(np.int32)


def test_the_second_pass_sees_objects_at_the_diameter_and_comes_back_to_the_pixels() -> None:
    labels, seen = squares(6), []

    def look(image: torch.Tensor) -> np.ndarray:
        seen.append(tuple(image.shape))
        return find(image)

    found = at_diameter(look, torch.from_numpy((labels > 0)[None]).float(), 2 * 6.77)
    assert seen == [(1, 61, 74), (1, 122, 148)]
    assert typical_diameter(labels) == pytest.approx(6.77, abs=0.01)
    assert found.dtype == np.int32
    assert np.array_equal(found, labels)


@pytest.mark.parametrize(("diameter", "side"), [(1.0, 61), (900.0, 152), (6.7703, 61)])
def test_factors_stay_within_bounds(diameter: float, side: int) -> None:
    seen = []

    def look(image: torch.Tensor) -> np.ndarray:
        seen.append(image.shape[1])
        return find(image)

    at_diameter(look, torch.from_numpy((squares(6) > 0)[None]).float(), diameter)
    assert seen[-1] == side


def test_an_image_without_objects_is_looked_at_once() -> None:
    seen = []

    def look(image: torch.Tensor) -> np.ndarray:
        seen.append(1)
        return find(image)

    assert at_diameter(look, torch.zeros(1, 20, 30), 9.0).max() == 0
    assert len(seen) == 1


def test_an_object_over_all_of_the_image_keeps_its_number() -> None:
    found = at_diameter(find, torch.ones(1, 9, 9), 20.0)
    assert found.min() == found.max() == 1


def test_objects_that_vanish_on_the_way_back_leave_no_gap() -> None:
    def look(image: torch.Tensor) -> np.ndarray:
        labels = np.zeros(image.shape[1:], np.int32)
        labels[1, 1], labels[-8:, -8:] = 1, 2
        return labels

    found = at_diameter(look, torch.zeros(1, 40, 40), 80.0, most=4.0)
    assert np.unique(found).tolist() == [0, 1]


@pytest.mark.parametrize("bad", [{"diameter": 0.0}, {"least": 0.0}, {"least": 3.0, "most": 2.0}])
def test_bounds_that_make_no_sense_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match="expected a diameter above 0"):
        at_diameter(find, torch.zeros(1, 4, 4), **({"diameter": 9.0} | bad))
