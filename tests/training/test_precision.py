"""The probe for the fastest number format, with timings of our own making."""

import pytest
import torch

from unet_lib.model import UNet
from unet_lib.training import (
    Mode,
    TrainingSettings,
    bce_dice_loss,
    choose_mode,
    fit,
    precision,
    step_seconds,
)
from unet_lib.training.precision import MARGIN

PLAIN = Mode()
LAST = Mode("float32", channels_last=True)
BF16 = Mode("bf16", channels_last=True)


@pytest.fixture
def step() -> tuple:
    """A network, images, a target and a loss."""
    torch.manual_seed(0)
    model = UNet(1, width=2, depth=1, norm="batch", dropout=0.2)
    return model, torch.rand(5, 1, 8, 8), torch.ones(5, 1, 8, 8), bce_dice_loss


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({PLAIN: 1.0, LAST: 0.9, BF16: 0.3}, BF16),
        ({PLAIN: 1.0, LAST: 0.5, BF16: 3.0}, LAST),
        ({PLAIN: 1.0, LAST: 1.2, BF16: 4.0}, PLAIN),  # slow bf16: stay with what is fast
        ({PLAIN: 1.0, LAST: 0.98, BF16: 0.95}, PLAIN),  # no gain beyond the noise
        ({PLAIN: 1.0, LAST: 1.0, BF16: 1.0 / MARGIN - 0.01}, BF16),
    ],
)
def test_the_fastest_wins_and_plain_float32_when_nothing_is_faster(
    step, monkeypatch, seconds, chosen
) -> None:
    asked = []

    def pretended(model, images, target, loss, mode) -> float:
        asked.append((mode, len(images), len(target)))
        return seconds[mode]

    monkeypatch.setattr(precision, "step_seconds", pretended)
    assert choose_mode(*step) == chosen
    assert asked == [(PLAIN, 2, 2), (LAST, 2, 2), (BF16, 2, 2)]  # each once, on two images


def test_the_probe_leaves_no_trace(step) -> None:
    model, images, target, loss = step
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    for mode in (PLAIN, LAST, BF16):
        assert 0 < step_seconds(model, images, target, loss, mode, repeats=1) < 60
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert model.head.weight.is_contiguous()


def test_the_network_is_run_in_the_mode_that_is_timed(step) -> None:
    model, images, target, loss = step
    seen, given = [], []

    def spy(layer, _inputs, output: torch.Tensor) -> None:
        last = layer.weight.is_contiguous(memory_format=torch.channels_last)
        seen.append((output.dtype, last))

    def noted(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        given.append(logits.dtype)
        return loss(logits, target)

    model.encoder[0][3].register_forward_hook(spy)  # the second convolution, with two channels in
    for mode in (PLAIN, LAST, BF16):
        step_seconds(model, images, target, noted, mode, repeats=1)
    assert seen[::2] == seen[1::2]  # one to warm up, one that counts
    assert seen[::2] == [(torch.float32, False), (torch.float32, True), (torch.bfloat16, True)]
    assert given == [torch.float32] * 6


@pytest.mark.parametrize(
    ("asked", "cost", "said"),
    [
        ("auto", 1.8, "bf16 takes 1.8 times as long as float32 here: training in float32\n"),
        ("bf16", 1.8, "as float32 here: training in bf16 all the same, as asked\n"),
        ("auto", 0.95, ""),
        ("bf16", 0.5, ""),
        ("float32", 1.8, ""),
    ],
)
def test_fault_34_slow_bf16_is_timed_and_said(step, monkeypatch, capsys, asked, cost, said) -> None:
    model, images, target, loss = step
    timed = lambda *call: cost if call[4].precision == "bf16" else 1.0  # noqa: E731
    monkeypatch.setattr(precision, "step_seconds", timed)
    settings = TrainingSettings(epochs=1, precision=asked)
    history = fit(model, list(zip(images, target, strict=True)), loss=loss, settings=settings)
    assert history.mode == ("bf16" if asked == "bf16" else "float32")
    out = capsys.readouterr().out
    assert said in out
    assert ("times as long" in out) == bool(said)
