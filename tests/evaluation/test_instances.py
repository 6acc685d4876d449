"""Objects: touching ones come apart, and are matched and scored as by hand."""

import numpy as np
import pytest
import torch
from skimage.draw import disk

from unet_lib.data import interior_border
from unet_lib.evaluation import (
    average_precision,
    label_instances,
    match_instances,
)


def touching_disks() -> np.ndarray:
    labels = np.zeros((60, 90), np.int32)
    for number, center in enumerate([(20, 20), (20, 41), (42, 60), (45, 20)], start=1):
        labels[disk(center, 11, shape=labels.shape)] = number
    return labels


def test_touching_disks_come_apart():
    labels = touching_disks()
    target = interior_border(torch.from_numpy(labels).long())
    classes = 9.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 0).float()
    one = torch.from_numpy(np.where(labels > 0, 9.0, -9.0)[None]).float()
    for logits, borders, at in ((one, False, 0.9), (classes, True, 0.7)):
        found = label_instances(logits, borders=borders)
        assert found.max() == 4
        assert average_precision([found], [labels], (at,))[at] == 1.0


def test_fault_5_three_classes_are_not_taken_for_borders() -> None:
    """Two classes that touch are two regions of one foreground: class 1 is no interior."""
    logits = torch.full((3, 20, 40), -9.0)
    logits[0], logits[2, 4:16, 4:16] = 5.0, 9.0  # all of the object is of class 2
    assert label_instances(logits).max() == 1
    with pytest.raises(ValueError, match="4 channels; background, interior and border were"):
        label_instances(torch.zeros(4, 9, 9), borders=True)


def test_small_objects_vanish_and_numbers_have_no_gaps():
    logits = torch.full((1, 30, 30), -9.0)
    logits[0, 2:4, 2:4] = logits[0, 10:20, 2:12] = logits[0, 10:20, 18:28] = 9.0
    found = label_instances(logits, minimum_pixels=12)
    assert np.unique(found).tolist() == [0, 1, 2]
    assert label_instances(torch.full((1, 9, 9), -9.0)).max() == 0


@pytest.mark.parametrize("seed", range(4))
def test_instance_iou_by_brute_force(seed):
    predicted, true = np.random.default_rng(seed).integers(0, 5, (2, 12, 9)) * 3
    found = [predicted == label for label in np.unique(predicted) if label]
    there = [true == label for label in np.unique(true) if label]
    each = [[np.sum(p & t) / np.sum(p | t) for t in there] for p in found]
    np.testing.assert_allclose(match_instances(predicted, true), each)


def test_average_precision_by_hand():
    true = np.zeros((4, 12), int)
    true[:, 0:4], true[:, 4:8], true[0, 10] = 1, 2, 3
    predicted = np.zeros((4, 12), int)
    predicted[:, 0:4], predicted[:, 4:7] = 7, 4  # one whole, one with IoU 0.75, one missed
    expected = {0.5: 2 / 3, 0.75: 2 / 3, 0.8: 1 / 4}
    assert average_precision([predicted], [true], (0.5, 0.75, 0.8)) == pytest.approx(expected)
    true, predicted = np.array([[1, 1, 2, 2]]), np.array([[1, 1, 1, 1]])
    assert average_precision([predicted], [true], (0.5,))[0.5] == 0.5  # merged: one found


def test_pooling_of_average_precision():
    full, empty = np.array([[1, 1, 2]]), np.array([[0, 0, 0]])
    lists = [full, empty, empty], [full, full, empty]
    assert average_precision(*lists, (0.5,), pooling="set")[0.5] == 0.5
    assert average_precision(*lists, (0.5,), pooling="image")[0.5] == pytest.approx(2 / 3)


def test_instances_of_other_shapes_or_numbers():
    with pytest.raises(ValueError, match=r"one shape, got \(1, 2\) and \(2, 1\)"):
        match_instances(np.zeros((1, 2), int), np.zeros((2, 1), int))
    with pytest.raises(ValueError, match="as many predictions as truths, got 1, 0"):
        average_precision([np.zeros((1, 2), int)], [])
