"""unet_lib.data.simulate: the same image everywhere, plausible nuclei, any size."""

import hashlib

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from unet_lib.data import SimulatedNuclei, cached, foreground, simulate_nuclei

GOLDEN = ["5a3c1ce5d0a0bf29", "ff2ee1fe5f287940", "f4e1c945e3e352ff"]


def fingerprint(index: int) -> str:
    image, labels = simulate_nuclei(seed=0, index=index)
    return hashlib.sha256(image.tobytes() + labels.astype("<i4").tobytes()).hexdigest()[:16]


def test_the_same_pictures_on_every_machine():
    assert [fingerprint(index) for index in range(3)] == GOLDEN
    assert not np.array_equal(simulate_nuclei(3, 5)[0], simulate_nuclei(4, 5)[0])


@pytest.mark.parametrize("size", [(16, 16), (17, 250), (128, 128)])
def test_any_size(size):
    image, labels = simulate_nuclei(0, 0, size)
    assert image.shape == labels.shape == size
    assert (image.dtype, labels.dtype) == (np.uint8, np.int32)


def test_too_small():
    with pytest.raises(ValueError, match="at least 16x16 pixels, got 15x40"):
        simulate_nuclei(0, 0, (15, 40))


def test_pictures_vary_and_hold_nuclei():
    pictures = [simulate_nuclei(1, index) for index in range(40)]
    covered = [np.mean(labels > 0) for _, labels in pictures]
    assert all(0.005 < share < 0.6 for share in covered)
    assert max(covered) > 0.25
    assert min(covered) < 0.06
    brightest = [image.max() for image, _ in pictures]
    assert min(brightest) < 80
    assert max(brightest) == 255
    counts = [labels.max() for _, labels in pictures]
    assert min(counts) < 5
    assert max(counts) > 30


def test_labels_are_whole_numbers_without_gaps_and_nuclei_are_brighter():
    for index in range(20):
        image, labels = simulate_nuclei(2, index)
        numbers = np.unique(labels)
        assert np.array_equal(numbers, np.arange(len(numbers)))
        assert image[labels > 0].mean() > image[labels == 0].mean()


def test_nuclei_touch():
    """Somewhere in a crowded image two nuclei are neighbors, or counting would be easy."""
    touching = 0
    for index in range(20):
        labels = simulate_nuclei(5, index)[1]
        left, right = labels[:, :-1], labels[:, 1:]
        touching += np.count_nonzero((left > 0) & (right > 0) & (left != right)) > 0
    assert touching > 5


@pytest.mark.parametrize("workers", [0, 2])
def test_any_number_of_workers_gives_the_same_pictures(workers):
    nuclei = SimulatedNuclei(6, seed=4, size=(32, 48), target=foreground)
    loader = DataLoader(nuclei, batch_size=3, num_workers=workers)
    images, targets = (torch.cat(part) for part in zip(*loader, strict=True))
    assert images.shape == targets.shape == (6, 1, 32, 48)
    assert images.dtype == torch.float32
    for index, (image, target) in enumerate(nuclei):
        assert torch.equal(image, images[index])
        assert torch.equal(target, targets[index])
    assert cached(nuclei).name(2) == "simulated image 2 of seed 4"
