"""The last layer begins where it can say yes, and where it is told to."""

import pytest
import torch
from torch import nn

from unet_lib.model import Head, UNet
from unet_lib.transfer import EncoderUNet


def maps(channels: int) -> torch.Tensor:
    return torch.randn(4, channels, 64, 64).relu()


@pytest.mark.parametrize("width", [1, 2, 3])
def test_every_feature_begins_as_evidence_and_answers_lie_around_zero(width: int) -> None:
    for seed in range(100):
        torch.manual_seed(seed)
        head = Head(width, 1)
        assert (head.weight > 0).all()
        assert head(maps(width)).mean().abs() < 0.05
        torch.manual_seed(seed)
        assert torch.equal(head.weight, nn.Conv2d(width, 1, 1).weight.abs())


@pytest.mark.parametrize(("width", "channels"), [(2, 3), (3, 3), (4, 1), (16, 1), (16, 3)])
def test_enough_features_speak_on_either_side(width: int, channels: int) -> None:
    for seed in range(100):
        torch.manual_seed(seed)
        head = Head(width, channels)
        assert head.weight.sum(dim=1).abs().max() < 1e-5
        assert head(maps(width)).mean((0, 2, 3)).abs().max() < 0.05
        torch.manual_seed(seed)
        drawn = nn.Conv2d(width, channels, 1).weight
        assert torch.allclose(head.weight, drawn - drawn.mean(1, keepdim=True))


def test_features_that_nothing_normalized_are_small() -> None:
    images = torch.rand(2, 1, 64, 64)
    for seed in range(10):
        torch.manual_seed(seed)
        model = UNet(1, 1, width=2, depth=3)
        assert (model.head.weight > 0).all()
        assert model.head.bias == 0
        assert model(images).mean().abs() < 0.3


@pytest.mark.parametrize("shares", [[0.03], [0.7, 0.2, 0.1]])
def test_first_answers_are_about_the_expected_shares(shares: list[float]) -> None:
    torch.manual_seed(0)
    head = Head(8, len(shares))
    head.expect(shares)
    logits = head(maps(8))
    first = logits.sigmoid() if len(shares) == 1 else logits.softmax(1)
    assert first.mean((0, 2, 3)).tolist() == pytest.approx(shares, rel=0.15)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [-0.1], [1.1], [float("nan")]])
def test_other_shares_are_refused(shares) -> None:
    with pytest.raises(ValueError, match="expected 1 numbers from 0 to 1"):
        Head(2, 1).expect(shares)


def test_it_stays_finite_where_a_class_is_missing() -> None:
    head = Head(2, 3)
    head.expect([0.0, 1.0, 0.0])
    assert head.bias.isfinite().all()


def test_every_network_of_the_library_has_one() -> None:
    assert isinstance(UNet(width=1).head, Head)
    assert isinstance(EncoderUNet(decoder_width=1).head, Head)
