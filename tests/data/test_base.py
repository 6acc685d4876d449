"""The parent of all data sets: two arrays become two tensors, and odd pairs are named."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torchvision.transforms import v2

from unet_lib.data import (
    DataError,
    SegmentationDataset,
    SimulatedNuclei,
    cached,
    foreground,
    normalize_percentiles,
    origin,
    scale_by_dtype,
    with_,
)


class Pairs(SegmentationDataset):
    """A data set of given pairs that counts how often it is read."""

    def __init__(self, *pairs, **options):
        super().__init__(**options)
        self.pairs = pairs
        self.reads = 0

    def __len__(self):
        return len(self.pairs)

    def load(self, index):
        self.reads += 1
        return self.pairs[index]

    def name(self, index):
        return f"pair {index}"


def pair(channels=(), dtype=np.uint8, size=(4, 6)):
    image = np.arange(np.prod(size + channels)).reshape(size + channels).astype(dtype)
    return image, np.arange(np.prod(size)).reshape(size).astype(np.uint16)


def test_channels_come_first_and_labels_become_int64():
    image, labels = Pairs(pair())[0]
    assert (image.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert (image.shape, labels.shape) == ((1, 4, 6), (4, 6))
    assert torch.equal(image[0] * 255, labels.float())
    image, _ = Pairs(pair((3,)))[0]
    assert image.shape == (3, 4, 6)
    assert image.is_contiguous()
    assert torch.allclose(image[:, 0, 1] * 255, torch.tensor([3.0, 4.0, 5.0]))


def test_transform_runs_before_target():
    def crop(image, labels):
        return image[:, :2], labels[:2]

    image, target = Pairs(pair(), transform=crop, target=lambda labels: labels > 3)[0]
    assert (image.shape, target.shape, target.dtype) == ((1, 2, 6), (2, 6), torch.bool)


def test_index_counts_from_the_end_and_iteration_ends():
    pairs = Pairs(pair(), pair(size=(2, 2)))
    assert pairs[-1][1].shape == (2, 2)
    assert len(list(pairs)) == 2
    with pytest.raises(IndexError):
        pairs[2]


MASK = np.zeros((4, 6), np.uint8)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ((MASK, MASK[:, 1:]), "the image is 4x6 pixels (height x width), its labels are 4x5; both"),
        ((MASK + np.nan, MASK), "24 of 24 values are NaN or infinite; a network cannot learn "),
        ((MASK, MASK > 0), "the labels are of type bool; expected whole numbers"),
        (pair(dtype=np.int64), "the image is of type int64; expected uint8, uint16 or float in [0"),
    ],
)
def test_faults_06_11_and_12_name_the_image(stored, text):
    with pytest.raises(DataError) as error:
        Pairs(stored)[0]
    assert str(error.value).startswith(f"pair 0: {text}")


def test_cached_reads_each_picture_once_and_equals_the_original():
    original = Pairs(pair(), pair((3,)), target=lambda labels: labels > 3)
    kept = cached(original)
    assert original.reads == 2
    for _ in range(2):
        for index in range(2):
            assert all(map(torch.equal, kept[index], original[index]))
    assert original.reads == 2 + 4
    assert (len(kept), kept.name(1), kept.pairs) == (2, "pair 1", original.pairs)
    batch = next(iter(DataLoader(kept.with_(normalize=None), num_workers=1)))
    assert batch[0].shape == (1, 1, 4, 6)


def test_cached_pictures_survive_changes_in_place():
    kept = cached(Pairs(pair(dtype=np.float32), normalize=lambda image: image))
    before = kept[0][0].clone()
    kept[0][0].zero_()
    kept[0][1].zero_()
    assert torch.equal(kept[0][0], before)
    assert kept[0][1].max() > 0


def test_fault_28_transform_that_would_leave_the_labels_behind():
    with pytest.raises(TypeError) as error:
        Pairs(pair(), transform=v2.RandomHorizontalFlip())
    assert str(error.value) == (
        "RandomHorizontalFlip changes an image and leaves its labels as they are; "
        "pass transform=Joint(...) from unet_lib.transforms around it"
    )


def test_data_sets_remember_whether_the_caller_chose_the_normalization():
    plain = SimulatedNuclei(2)
    assert (plain.normalize, plain.normalize_given) == (normalize_percentiles, False)
    assert not plain.with_(target=foreground).normalize_given
    for chosen in (
        SimulatedNuclei(2, normalize=normalize_percentiles),
        plain.with_(normalize=scale_by_dtype).with_(target=foreground),
    ):
        assert chosen.normalize_given
    assert chosen.normalize is scale_by_dtype


def test_changes_and_origin_reach_behind_parts_of_parts():
    pairs = Pairs(*(pair() for _ in range(9)), target=lambda labels: labels)
    part = Subset(Subset(pairs, [3, 5, 7]), [2, 0])
    found, index = origin(part, 0)
    assert (found is pairs, index) == (True, 7)
    assert with_(part, target=foreground)[1][1].shape == (1, 4, 6)
    assert part[1][1].shape == (4, 6), "the original is as it was"
    others: Dataset = TensorDataset(torch.zeros(2))
    assert with_(others, target=None) is others
    assert origin(Subset(others, [1]), 0) is None
    with pytest.raises(TypeError, match="unexpected keyword argument 'targets'"):
        with_(part, targets=None)
