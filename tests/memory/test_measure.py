"""Checkpointing changes the memory and nothing else; the measured peak repeats."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from unet_lib.memory import checkpoint_activations, measure_peak, measure_step
from unet_lib.model import UNet

SMALL = {"in_channels": 1, "width": 8, "depth": 2}


@pytest.mark.parametrize(
    "make",
    [
        *(partial(UNet, **SMALL, norm=norm, dropout=0.5) for norm in ("none", "batch", "group")),
        lambda: nn.Sequential(  # dropout inside a block draws the same numbers again
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.Dropout(0.5), nn.ReLU(), nn.Conv2d(4, 1, 3))
        ),
    ],
)
def test_checkpointing_keeps_gradients_statistics_and_names(make) -> None:
    torch.manual_seed(0)
    plain = make()
    wrapped = copy.deepcopy(checkpoint_activations(copy.deepcopy(plain)))  # a copy stays wrapped
    images, found = torch.rand(4, 1, 24, 20), []
    for model in (plain, wrapped):
        torch.manual_seed(1)  # dropout
        loss = model(images).square().mean()
        loss.backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        found.append([loss, gradients, dict(model.state_dict()), model.eval()(images)])
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_the_copy_recomputes_itself_not_the_original() -> None:
    model = checkpoint_activations(UNet(**SMALL))
    twin = copy.deepcopy(model)
    assert twin.bottleneck.forward.block is twin.bottleneck


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
