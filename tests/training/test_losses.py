"""unet_lib.training.losses against brute force, and what they answer to bad input."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unet_lib.training import (
    bce_dice_loss,
    bce_loss,
    cross_entropy_dice_loss,
    cross_entropy_loss,
    dice_loss,
)


@pytest.fixture(params=range(3))
def binary(request):
    torch.manual_seed(request.param)
    return 3 * torch.randn(2, 1, 5, 7), torch.randint(0, 2, (2, 1, 5, 7))


@pytest.fixture(params=range(3))
def classes(request):
    torch.manual_seed(request.param)
    return 3 * torch.randn(2, 4, 5, 7), torch.randint(0, 4, (2, 5, 7))


def test_bce_by_hand(binary):
    logits, target = binary
    total = 0.0
    for z, t in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-z))
        total -= math.log(p if t else 1 - p)
    assert bce_loss(logits, target).item() == pytest.approx(total / target.numel(), rel=1e-5)


def test_dice_by_hand(binary):
    logits, target = binary
    p = [1 / (1 + math.exp(-z)) for z in logits.flatten().tolist()]
    t = target.flatten().tolist()
    both = sum(a * b for a, b in zip(p, t, strict=True))
    expected = 1 - (2 * both + 1) / (sum(p) + sum(t) + 1)
    assert dice_loss(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_equals_torch(classes):
    logits, target = classes
    torch.testing.assert_close(cross_entropy_loss(logits, target), F.cross_entropy(logits, target))


def test_dice_of_classes_is_the_mean_of_one_against_the_rest(classes):
    logits, target = classes
    p = logits.softmax(1)
    each = []
    for k in range(4):
        truth = (target == k).float()
        each.append(1 - (2 * (p[:, k] * truth).sum() + 1) / (p[:, k].sum() + truth.sum() + 1))
    torch.testing.assert_close(dice_loss(logits, target), torch.stack(each).mean())


def test_sums(binary, classes):
    for loss, dice_of, rest in (
        (bce_dice_loss, binary, bce_loss),
        (cross_entropy_dice_loss, classes, cross_entropy_loss),
    ):
        torch.testing.assert_close(loss(*dice_of), rest(*dice_of) + dice_loss(*dice_of))


@pytest.mark.parametrize("loss", [bce_loss, dice_loss, bce_dice_loss])
def test_ignored_pixels_of_one_channel_do_not_count(loss, binary):
    logits, target = binary
    ignored = target.clone()
    ignored[..., 3:] = 255
    torch.testing.assert_close(
        loss(logits, ignored, ignore_index=255), loss(logits[..., :3], target[..., :3])
    )


@pytest.mark.parametrize("loss", [cross_entropy_loss, dice_loss, cross_entropy_dice_loss])
def test_ignored_pixels_of_classes_do_not_count(loss, classes):
    logits, target = classes
    ignored = target.clone()
    ignored[..., 3:] = 255
    torch.testing.assert_close(
        loss(logits, ignored, ignore_index=255), loss(logits[..., :3], target[..., :3])
    )


@pytest.mark.parametrize("loss", [bce_loss, bce_dice_loss])
def test_weights_multiply_each_pixel(loss, binary):
    logits, target = binary
    weight = torch.zeros(2, 1, 5, 7)
    weight[0, 0, 2, 3] = 35.0 * 2
    pixel = F.binary_cross_entropy_with_logits(logits[0, 0, 2, 3], target[0, 0, 2, 3].float())
    rest = dice_loss(logits, target) if loss is bce_dice_loss else 0
    torch.testing.assert_close(loss(logits, target, weight=weight) - rest, pixel)


def test_class_weights(classes):
    logits, target = classes
    weights = [0.0, 0.0, 2.0, 0.0]
    plain = F.cross_entropy(logits, target, reduction="none")
    expected = 2 * plain[target == 2].sum() / target.numel()
    torch.testing.assert_close(cross_entropy_loss(logits, target, class_weights=weights), expected)


def test_fault_17_dice_learns_from_an_empty_mask():
    logits = torch.zeros(1, 1, 4, 4, requires_grad=True)
    dice_loss(logits, torch.zeros(1, 1, 4, 4)).backward()
    assert (logits.grad > 0).all()  # every probability is pushed down


@pytest.mark.parametrize(
    ("loss", "channels", "shape"),
    [
        (bce_loss, 1, (2, 1, 4, 4)),
        (dice_loss, 1, (2, 1, 4, 4)),
        (bce_dice_loss, 1, (2, 1, 4, 4)),
        (cross_entropy_loss, 3, (2, 4, 4)),
        (cross_entropy_dice_loss, 3, (2, 4, 4)),
    ],
)
def test_fault_29_all_pixels_ignored(loss, channels, shape):
    logits = torch.randn(2, channels, 4, 4, requires_grad=True)
    value = loss(logits, torch.full(shape, 255), ignore_index=255)
    assert value.item() == pytest.approx(0.0, abs=1e-6)
    value.backward()
    assert torch.count_nonzero(logits.grad) == 0


def test_half_precision_is_summed_in_float32():
    """257 pixels of loss log 2 each: in bf16 the sum would stop growing at 256."""
    logits = torch.zeros(1, 1, 1, 4096, dtype=torch.bfloat16)
    target = torch.ones(1, 1, 1, 4096)
    assert bce_loss(logits, target).item() == pytest.approx(math.log(2), rel=1e-6)
    assert bce_loss(logits, target).dtype == dice_loss(logits, target).dtype == torch.float32


def test_fault_01_mask_of_255():
    with pytest.raises(
        ValueError, match=r"from 0 to 1, got 0 to 255.*mask_values=\{0: 0, 255: 1\}"
    ):
        bce_loss(torch.zeros(1, 1, 2, 2), torch.tensor([[[[0, 255], [0, 255]]]]))


def test_fault_02_class_out_of_range():
    with pytest.raises(ValueError, match=r"from 0 to 2, got 0 to 3 \(first values \[0, 3\]\)"):
        cross_entropy_loss(torch.zeros(1, 3, 1, 2), torch.tensor([[[0, 3]]]))


@pytest.mark.parametrize("loss", [bce_loss, dice_loss])
def test_fault_16_nothing_is_broadcast(loss):
    with pytest.raises(ValueError, match=r"got logits \(2, 1, 4, 4\) and a target \(2, 4, 4\)"):
        loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))
    with pytest.raises(ValueError, match=r"got logits \(2, 3, 4, 4\) and a target \(2, 1, 4, 4\)"):
        loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4))


def test_cross_entropy_wants_several_channels():
    with pytest.raises(ValueError, match=r"got logits \(2, 1, 4, 4\)"):
        cross_entropy_loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4).long())


def test_fault_30_number_of_class_weights():
    with pytest.raises(ValueError, match=r"expected 3 class weights.*got 2"):
        cross_entropy_loss(
            torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2).long(), class_weights=[1, 2]
        )


def test_weight_of_another_shape():
    with pytest.raises(ValueError, match=r"target's shape \(1, 1, 2, 2\), got \(2, 2\)"):
        bce_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), weight=torch.ones(2, 2))


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Softmax(dim=1)])
def test_fault_15_probabilities_are_noticed(last, autocast):
    channels = 1 if isinstance(last, nn.Sigmoid) else 3
    layer = nn.Conv2d(1, channels, 1)
    target = torch.zeros((2, 1, 4, 4) if channels == 1 else (2, 4, 4), dtype=torch.int64)
    loss = bce_loss if channels == 1 else cross_entropy_loss
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = layer(torch.rand(2, 1, 4, 4))
        loss(logits, target)  # says nothing of logits
        with pytest.warns(UserWarning, match=r"got probabilities .* remove the last layer"):
            loss(last(logits).float(), target)
