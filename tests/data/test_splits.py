"""Parts that share nothing, in the wanted proportions, the same for the same seed."""

import numpy as np
import pytest
import torch
from torch.utils.data import Subset

from unet_lib.data import (
    DataError,
    SegmentationDataset,
    SimulatedNuclei,
    find_duplicates,
    require_disjoint,
    split,
)


class Numbered(SegmentationDataset):
    """Images that show a number each."""

    def __init__(self, *numbers):
        super().__init__()
        self.numbers = numbers

    def __len__(self):
        return len(self.numbers)

    def load(self, index):
        return np.full((4, 4), self.numbers[index], np.uint8), np.zeros((4, 4), np.uint8)

    def name(self, index):
        return f"image {index}"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("count", "fractions"), [(10, (0.8, 0.2)), (101, (0.5, 0.25, 0.25))])
def test_parts_are_disjoint_complete_and_of_the_wanted_size(seed, count, fractions):
    parts = split(count, fractions, seed)
    assert sorted(np.concatenate(parts)) == list(range(count))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * count) <= 1
        assert (np.diff(part) > 0).all()


def test_seed_decides():
    assert all(map(np.array_equal, split(50, seed=1), split(50, seed=1)))
    assert not np.array_equal(split(50, seed=1)[1], split(50, seed=2)[1])


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_never_divided(seed):
    groups = np.random.default_rng(seed).integers(0, 12, 100).tolist()
    train, rest = split(100, seed=seed, groups=groups)
    assert not {groups[index] for index in train} & {groups[index] for index in rest}
    assert abs(len(rest) - 20) <= 8
    assert len(train) + len(rest) == 100


def test_fault_18_empty_part():
    with pytest.raises(DataError) as error:
        split(4, groups=["a"] * 4)
    assert str(error.value) == (
        "4 images in 1 groups, divided by (0.8, 0.2), give parts of 4, 0; no part may be empty: "
        "take more images, fewer parts or smaller groups"
    )
    with pytest.raises(DataError, match="1 images in 1 groups"):
        split(Numbered(7))
    with pytest.raises(DataError, match="0 images in 0 groups"):
        split(0)


def test_wrong_arguments():
    with pytest.raises(DataError, match="3 groups for 4 images; expected one for each"):
        split(4, groups=[1, 2, 3])
    for fractions in ((0.8, 0.3), (1.2, -0.2)):
        with pytest.raises(ValueError, match="expected positive numbers of sum 1"):
            split(4, fractions)


def test_duplicates_are_found_by_content():
    assert find_duplicates(Numbered(3, 1, 3, 2, 1, 3)) == [(0, 2), (1, 4), (0, 5)]
    assert find_duplicates(Numbered(1, 2)) == []


def test_fault_19_the_same_picture_in_both_parts():
    pictures = Numbered(3, 1, 3, 2)
    with pytest.raises(DataError) as error:
        require_disjoint(Subset(pictures, [0, 1]), Subset(pictures, [2, 3]))
    text = str(error.value)
    assert text.startswith("1 problem in the split\n- 1 x image in both parts; remove one")
    assert "split(dataset, groups=...)" in text
    assert "image 0 equals image 2" in text
    require_disjoint(Subset(pictures, [0, 2]), Subset(pictures, [1, 3]))
    with pytest.raises(DataError, match="image 1 equals image 0"):
        require_disjoint(pictures, Numbered(1))
    part = Subset(Subset(pictures, [0, 1, 2]), [2])  # a part of a part
    with pytest.raises(DataError, match="image 2 equals image 0"):
        require_disjoint(part, Subset(pictures, [0]))


@pytest.mark.parametrize("share", [0.8, 0.7, 0.9])
def test_parts_for_training_and_validation_are_those_of_the_function(share):
    dataset = Numbered(*range(20))
    parts = dataset.split(share, seed=3)
    expected = split(dataset, (share, round(1 - share, 1)), seed=3)
    assert [part.indices for part in parts] == [part.indices for part in expected]
    assert all(part.dataset.transform is None for part in parts)


def test_training_is_turned_at_random_and_validation_repeats():
    dataset = SimulatedNuclei(10, size=(40, 48))
    train, validation = dataset.split(0.5, crop=(24, 24), augment="all")
    state = torch.get_rng_state()
    assert torch.equal(validation[1][0], validation[1][0])
    assert torch.equal(torch.get_rng_state(), state)
    assert len({train[1][0].numpy().tobytes() for _ in range(9)}) > 1
    _, mirrored = dataset.split(augment="flip")
    assert torch.equal(mirrored[0][0], dataset[mirrored.indices[0]][0])
    assert dataset.transform is None


def test_labels_beyond_the_edge_are_ignored_where_a_label_is():
    dataset = Numbered(*range(5))
    for ignored, filled in ((None, 0), (255, 255)):
        dataset.ignore_index = ignored
        for part in dataset.split(crop=8, augment="flip"):
            assert part[0][1].max() == filled


def test_split_keeps_groups_and_refuses_copies():
    groups = [index // 4 for index in range(20)]
    train, validation = Numbered(*range(20)).split(groups=groups)
    assert not {groups[i] for i in train.indices} & {groups[i] for i in validation.indices}
    with pytest.raises(DataError, match="image in both parts; remove one"):
        Numbered(*[7] * 9).split()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": (8, 4), "augment": "all"}, "quarter turns would change its shape; cut squares"),
        ({"share": 1.0}, r"fractions \(1.0, 0.0\): expected positive numbers of sum 1"),
        ({"crop": 8}, "has a transform already; pass either transform or crop and augment"),
        ({"crop": 0}, r"size \(0, 0\): expected \(height, width\) in pixels"),
    ],
)
def test_splits_that_make_no_sense(options, message):
    dataset = Numbered(*range(5))
    if "transform already" in message:
        dataset = dataset.with_(transform=lambda image, labels: (image, labels))
    with pytest.raises(ValueError, match=message):
        dataset.split(**options)
