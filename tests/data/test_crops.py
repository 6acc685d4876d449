"""Crops for training: as many of each image as its area holds, in an order that repeats."""

from collections import Counter

import numpy as np
import torch

from unet_lib.data.crops import ByArea, Crops, crops_of
from unet_lib.transforms import random_crop


def test_the_number_of_crops_follows_the_area_and_has_a_bound():
    assert [crops_of(n, 64) for n in (1, 64 * 64, 64 * 64 + 1, 10**10)] == [1, 1, 2, 256]


def test_every_pass_shows_every_crop_once_and_the_order_follows_from_the_seed():
    crops = [1, 4, 2]
    draws = ByArea(crops, number=5, seed=3)
    seen = []
    for epoch in range(1, 8):
        draws.set_epoch(epoch)
        part = [*draws]
        assert len(draws) == len(part) == 5
        assert part == [*draws]  # as often as asked
        seen += part
    passes = [seen[start : start + 7] for start in range(0, 35, 7)]
    assert all(Counter(one) == Counter({0: 1, 1: 4, 2: 2}) for one in passes)
    assert len({tuple(one) for one in passes}) > 1
    other = ByArea(crops, number=35, seed=4)
    assert Counter(other) == Counter(seen)
    assert [*other] != seen


def test_crops_are_kept_in_memory_and_cut_where_a_pixel_counts():
    labels = torch.full((64, 64), 255)
    labels[:40, :40] = 1
    read = []

    class Images(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            read.append(index)
            return torch.ones(1, 64, 64), labels

        def name(self, index):
            return f"{index}.png"

    for kept, times in ((True, 2), (False, 60)):
        crops = Crops(Images(), random_crop((8, 8)), torch.Tensor.float, void=255, kept=kept)
        assert (len(crops), crops.name(1)) == (2, "1.png")
        torch.manual_seed(0)
        cut = [crops[i % 2] for i in range(60)]
        assert np.mean([bool((target != 255).any()) for _, target in cut]) > 0.95
        assert {target.shape for _, target in cut} == {(8, 8)}
        assert len(read) == times
        read.clear()
