"""Checkpointing changes the memory and nothing else; the measured peak repeats."""

import copy

import pytest
import torch
from torch import nn

from unet_lib.memory import checkpoint_activations, measure_peak, measure_step
from unet_lib.model import UNet
from unet_lib.training import bce_dice_loss

SMALL = {"in_channels": 1, "width": 8, "depth": 2}


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_checkpointing_keeps_gradients_statistics_and_names(norm: str) -> None:
    torch.manual_seed(0)
    plain = UNet(**SMALL, norm=norm, dropout=0.5)
    wrapped = copy.deepcopy(checkpoint_activations(copy.deepcopy(plain)))  # a copy stays wrapped
    images = torch.rand(4, 1, 24, 20)
    losses = []
    for model in (plain, wrapped):
        torch.manual_seed(1)  # dropout
        losses.append(bce_dice_loss(model(images), (images > 0.5).float()))
        losses[-1].backward()
    assert torch.equal(*losses)
    others = dict(wrapped.named_parameters())
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter.grad, others[name].grad), name
    assert list(plain.state_dict()) == list(wrapped.state_dict())
    for name, value in plain.state_dict().items():
        assert torch.equal(value, wrapped.state_dict()[name]), name
    assert torch.equal(plain.eval()(images), wrapped.eval()(images))


def test_the_copy_recomputes_itself_not_the_original() -> None:
    model = checkpoint_activations(UNet(**SMALL))
    twin = copy.deepcopy(model)
    assert twin.bottleneck.forward.block is twin.bottleneck


def test_dropout_inside_a_block_draws_the_same_numbers_again() -> None:
    block = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Dropout(0.5), nn.ReLU(), nn.Conv2d(4, 1, 3))
    model = nn.Sequential(block)
    twin = checkpoint_activations(copy.deepcopy(model))
    images, gradients = torch.rand(2, 1, 8, 8), []
    for network in (model, twin):
        torch.manual_seed(0)
        network(images).square().sum().backward()
        gradients.append(next(network.parameters()).grad)
    assert torch.equal(*gradients)


def test_checkpointing_lowers_the_measured_peak() -> None:
    torch.manual_seed(0)
    peaks = [
        measure_step(change(UNet(**SMALL, norm="batch")), 64, 4)
        for change in (lambda model: model, checkpoint_activations)
    ]
    assert peaks[1] < 0.8 * peaks[0]


def test_what_cannot_be_checkpointed_is_said() -> None:
    with pytest.raises(ValueError, match=r"Linear has no nn.Sequential with two convolutions"):
        checkpoint_activations(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="wrapped already; checkpoint a model once"):
        checkpoint_activations(checkpoint_activations(UNet(**SMALL)))


def test_the_measured_peak_repeats_to_the_byte() -> None:
    model = UNet(**SMALL)
    assert measure_step(model, 32, 2) == measure_step(model, 32, 2)


def test_on_a_gpu_the_allocator_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name, answer in (
        ("synchronize", None),
        ("memory_allocated", 100),
        ("reset_peak_memory_stats", None),
        ("max_memory_allocated", 700),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda device, answer=answer: answer)
    assert measure_peak(lambda: calls.append("step"), "cuda") == 600
    assert calls == ["step"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_peak_on_a_gpu() -> None:
    step = lambda: torch.zeros(1 << 20, device="cuda").exp()  # noqa: E731
    assert measure_peak(step, "cuda") == 8 << 20
