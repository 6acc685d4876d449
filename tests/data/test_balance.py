"""Class frequencies and the weights made of them, against sums written out."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from unet_lib.data import DataError, count_classes, median_frequency_weights
from unet_lib.training import cross_entropy_loss


@pytest.fixture
def pairs():
    torch.manual_seed(0)
    labels = torch.multinomial(torch.tensor([0.7, 0.2, 0.1]), 5 * 64, replacement=True)
    return [(None, picture) for picture in labels.reshape(5, 8, 8)]


def test_counts_leave_void_out(pairs):
    first = pairs[0][1].clone()
    first[:4] = 255
    counts = count_classes([(None, first), *pairs[1:]], 3, ignore_index=255)
    assert counts.sum(dim=1).tolist() == [32, 64, 64, 64, 64]
    assert counts[0].tolist() == [int((first == k).sum()) for k in range(3)]


def test_where_every_picture_shows_every_class_weights_are_inverse_frequencies(pairs):
    """Up to a factor they are then scikit-learn's "balanced" weights."""
    weights = median_frequency_weights(count_classes(pairs, 3))
    labels = torch.stack([picture for _, picture in pairs]).flatten().numpy()
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(weights / weights[1], balanced / balanced[1], rtol=1e-6)
    assert weights.median() == 1


def test_frequency_counts_only_pictures_that_show_the_class():
    counts = torch.tensor([[50, 50, 0], [100, 0, 0], [75, 0, 25]])
    # class 0: 225 of 300 pixels, class 1: 50 of 100, class 2: 25 of 100
    assert median_frequency_weights(counts).tolist() == pytest.approx([2 / 3, 1, 2])


def test_weights_of_absent_classes_are_zero_and_the_loss_takes_them(pairs):
    weights = median_frequency_weights(count_classes(pairs, 5))
    assert weights[3:].tolist() == [0, 0]
    target = pairs[0][1][None]
    loss = cross_entropy_loss(torch.zeros(1, 5, 8, 8), target, class_weights=weights)
    assert loss.item() == pytest.approx(weights[target].mean().item() * np.log(5), rel=1e-5)


def test_other_labels_are_named(pairs):
    with pytest.raises(DataError, match=r"image 0 has labels \[2\]; expected 0 to 1: map"):
        count_classes(pairs, 2)


def test_nothing_to_count(pairs):
    with pytest.raises(DataError, match="the data set is empty"):
        count_classes([], 2)
    with pytest.raises(DataError, match="no pixel of any class: every label is ignored"):
        median_frequency_weights(torch.zeros(2, 3, dtype=torch.int64))
