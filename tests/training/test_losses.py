"""unet_lib.training.losses against brute force, and what they answer to bad input."""

import math
import re

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
    distance_loss,
    offset_loss,
    segmentation_loss,
)

BINARY = [bce_loss, dice_loss, bce_dice_loss, segmentation_loss]
CLASSES = [cross_entropy_loss, dice_loss, cross_entropy_dice_loss, segmentation_loss]
ALL = [(loss, 1) for loss in BINARY] + [(loss, 4) for loss in CLASSES]


def batch(channels: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of so many channels, and their target."""
    torch.manual_seed(seed)
    shape = (2, 1, 5, 7) if channels == 1 else (2, 5, 7)
    return 3 * torch.randn(2, channels, 5, 7), torch.randint(0, max(channels, 2), shape)


@pytest.mark.parametrize("seed", range(3))
def test_one_channel_by_hand(seed):
    logits, target = batch(1, seed)
    p = [1 / (1 + math.exp(-z)) for z in logits.flatten().tolist()]
    t = target.flatten().tolist()
    bce = -sum(math.log(a if b else 1 - a) for a, b in zip(p, t, strict=True)) / len(t)
    both = sum(a * b for a, b in zip(p, t, strict=True))
    dice = 1 - (2 * both + 1) / (sum(p) + sum(t) + 1)
    for loss, expected in ((bce_loss, bce), (dice_loss, dice), (segmentation_loss, bce + dice)):
        assert loss(logits, target).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_classes_by_torch_and_one_against_the_rest(seed):
    logits, target = batch(4, seed)
    p, each = logits.softmax(1), []
    for k in range(4):
        truth = (target == k).float()
        each.append(1 - (2 * (p[:, k] * truth).sum() + 1) / (p[:, k].sum() + truth.sum() + 1))
    entropy, dice = F.cross_entropy(logits, target), torch.stack(each).mean()
    expected = {cross_entropy_loss: entropy, dice_loss: dice, segmentation_loss: entropy + dice}
    for loss, value in expected.items():
        torch.testing.assert_close(loss(logits, target), value)


@pytest.mark.parametrize(("loss", "channels"), ALL)
def test_ignored_pixels_do_not_count(loss, channels):
    logits, target = batch(channels)
    ignored = target.clone()
    ignored[..., 3:] = 255
    without = loss(logits[..., :3], target[..., :3])
    torch.testing.assert_close(loss(logits, ignored, ignore_index=255), without)
    logits.requires_grad_(True)
    nothing = loss(logits, torch.full_like(target, 255), ignore_index=255)  # fault 29
    assert nothing.item() == pytest.approx(0.0, abs=1e-6)
    nothing.backward()
    assert torch.count_nonzero(logits.grad) == 0


@pytest.mark.parametrize(("loss", "channels"), ALL)
def test_options_have_names(loss, channels):
    """Else 255 would be what one loss ignores, and how much another smooths."""
    with pytest.raises(TypeError, match="positional"):
        loss(*batch(channels), 255)


@pytest.mark.parametrize("loss", [bce_loss, bce_dice_loss])
def test_weights_multiply_each_pixel(loss):
    logits, target = batch(1)
    weight = torch.zeros(2, 1, 5, 7)
    weight[0, 0, 2, 3] = 35.0 * 2
    pixel = F.binary_cross_entropy_with_logits(logits[0, 0, 2, 3], target[0, 0, 2, 3].float())
    rest = dice_loss(logits, target) if loss is bce_dice_loss else 0
    torch.testing.assert_close(loss(logits, target, weight=weight) - rest, pixel)


@pytest.mark.parametrize("loss", [cross_entropy_loss, cross_entropy_dice_loss, segmentation_loss])
def test_class_weights(loss):
    logits, target = batch(4)
    plain = F.cross_entropy(logits, target, reduction="none")
    expected = 2 * plain[target == 2].sum() / target.numel()
    rest = 0 if loss is cross_entropy_loss else dice_loss(logits, target)
    found = loss(logits, target, class_weights=[0.0, 0.0, 2.0, 0.0])
    torch.testing.assert_close(found, expected + rest)
    with pytest.raises(ValueError, match=r"expected 4 class weights.*got 2"):  # fault 30
        loss(logits, target, class_weights=[1, 2])


def test_fault_17_dice_learns_from_an_empty_mask():
    logits = torch.zeros(1, 1, 4, 4, requires_grad=True)
    dice_loss(logits, torch.zeros(1, 1, 4, 4)).backward()
    assert (logits.grad > 0).all()  # every probability is pushed down


def test_half_precision_is_summed_in_float32():
    """257 pixels of loss log 2 each: in bf16 the sum would stop growing at 256."""
    logits, target = torch.zeros(1, 1, 1, 4096).bfloat16(), torch.ones(1, 1, 1, 4096)
    assert bce_loss(logits, target).item() == pytest.approx(math.log(2), rel=1e-6)
    assert bce_loss(logits, target).dtype == dice_loss(logits, target).dtype == torch.float32


@pytest.mark.parametrize(
    ("loss", "logits", "target", "told"),
    [
        (bce_loss, (1, 1, 1, 2), [[[[0, 255]]]], "from 0 to 1, got 0 to 255"),
        (bce_loss, (1, 1, 1, 2), [[[[0, 255]]]], "for example mask_values={0: 0, 255: 1}"),
        (cross_entropy_loss, (1, 3, 1, 2), [[[0, 3]]], "2, got 0 to 3 (first values [0, 3])"),
        *(
            (loss, (2, k, 4, 4), torch.zeros(target), f"got logits (2, {k}, 4, 4) and a target")
            for loss in (bce_loss, dice_loss)
            for k, target in ((1, (2, 4, 4)), (3, (2, 1, 4, 4)))
        ),
        (cross_entropy_loss, (2, 1, 4, 4), torch.zeros(2, 4, 4), "got logits (2, 1, 4, 4)"),
    ],
)
def test_targets_that_do_not_fit(loss, logits, target, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        loss(torch.zeros(logits), torch.as_tensor(target))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("loss", "maps"), [(distance_loss, 3), (offset_loss, 4)])
def test_the_maps_of_a_shape_are_never_broadcast(loss, maps):
    logits = torch.zeros(2, maps, 4, 4)
    for channels in (1, 2, 5):
        target = torch.zeros(2, channels, 4, 4)
        told = f"a target (N, {maps}, H, W), got (2, {maps}, 4, 4) and (2, {channels}, 4, 4); leave"
        with pytest.raises(ValueError, match=re.escape(told)):
            loss(logits, target)
    with pytest.raises(ValueError, match="expected logits and a target"):
        loss(target, target)


def test_weight_of_another_shape():
    with pytest.raises(ValueError, match=r"target's shape \(1, 1, 2, 2\), got \(2, 2\)"):
        bce_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), weight=torch.ones(2, 2))


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize(
    ("last", "loss"), [(nn.Sigmoid(), bce_loss), (nn.Softmax(dim=1), cross_entropy_loss)]
)
def test_fault_15_probabilities_are_noticed(last, loss, autocast):
    channels, shape = (1, (2, 1, 4, 4)) if loss is bce_loss else (3, (2, 4, 4))
    layer, target = nn.Conv2d(1, channels, 1), torch.zeros(shape, dtype=torch.int64)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = layer(torch.rand(2, 1, 4, 4))
        loss(logits, target)  # says nothing of logits
        with pytest.warns(UserWarning, match=r"got probabilities .* remove the last layer"):
            loss(last(logits).float(), target)
