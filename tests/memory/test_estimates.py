"""The predicted peak against the measured one, and the advice followed."""

from dataclasses import replace
from functools import partial
from itertools import product
from types import SimpleNamespace

import psutil
import pytest
import torch

from unet_lib.memory import (
    advice,
    advice_for,
    checkpoint_activations,
    estimate,
    estimate_seconds,
    estimates,
    largest_batch,
    measure_step,
)
from unet_lib.model import UNet, UNetSettings
from unet_lib.transfer import EncoderUNet

GRAY = partial(UNetSettings, in_channels=1)
NORMED = GRAY(width=8, depth=3, norm="batch")
STEPS: list[tuple[UNetSettings, int, int, str, bool]] = [
    # the network, side of the images, batch, precision, checkpointing
    *[(NORMED, 96, 4, *way) for way in product(("float32", "bf16"), (False, True))],
    (GRAY(width=8, depth=3, norm="group"), 96, 4, "float32", False),
    (GRAY(width=16, depth=3), 96, 1, "float32", False),
    (GRAY(width=16, upsampling="bilinear"), 64, 2, "float32", False),
    (UNetSettings(width=32, depth=3), 64, 1, "float32", False),
    (UNetSettings(width=12, depth=2), 75, 3, "float32", False),
    (UNetSettings(out_channels=21, width=8, depth=2), 64, 2, "float32", False),
    (GRAY(width=8, depth=2, padding="valid"), 108, 2, "float32", False),
]
SMALL = GRAY(width=8, depth=2)


def measured(settings: UNetSettings, size: int, batch: int, precision: str, wrap: bool) -> int:
    model = UNet.from_settings(settings)
    return measure_step(checkpoint_activations(model) if wrap else model, size, batch, precision)


@pytest.mark.parametrize(("settings", "size", "batch", "precision", "wrap"), STEPS)
def test_predicted_within_15_percent_of_measured(settings, size, batch, precision, wrap) -> None:
    predicted = estimate(settings, size, batch, precision, checkpointing=wrap)
    peak = measured(settings, size, batch, precision, wrap)
    assert predicted.peak_bytes == pytest.approx(peak, rel=0.15)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("settings", "size", "batch", "precision", "wrap"), STEPS[:5])
def test_predicted_within_25_percent_on_a_gpu(settings, size, batch, precision, wrap) -> None:
    with torch.device("cuda"):
        peak = measured(settings, 4 * size, batch, precision, wrap)
    cost = estimate(settings, 4 * size, batch, precision, checkpointing=wrap)
    assert cost.peak_bytes - cost.workspace_bytes == pytest.approx(peak, rel=0.25)


def test_parts_by_hand() -> None:
    settings = UNetSettings(1, 1, width=4, depth=1)
    convolutions = [(1, 4), (4, 4), (4, 8), (8, 8), (8, 4), (4, 4)]
    parameters = sum(9 * i * o + o for i, o in convolutions) + (4 * 8 * 4 + 4) + (4 + 1)
    cost = estimate(settings, 16, batch_size=2)
    assert cost.parameters == parameters
    assert cost.weights_bytes == cost.gradients_bytes == 4 * parameters
    assert cost.optimizer_bytes == 8 * parameters
    assert estimate(settings, 16, optimizer="sgd").optimizer_bytes == 4 * parameters
    pixels = (256, 256, 64, 64, 256, 256)
    forward = sum(2 * 9 * i * o * n for (i, o), n in zip(convolutions, pixels, strict=True))
    forward += 2 * 4 * 8 * 4 * 64 + 2 * 4 * 256  # transposed, and the head
    assert estimate(settings, 16, batch_size=2, training=False).flops == 2 * forward
    first = 2 * 9 * 4 * 256  # no gradient for the pixels of the image
    assert cost.flops == 2 * (3 * forward - first)


def test_a_prediction_keeps_no_activations_and_no_gradients() -> None:
    cost = estimate(SMALL, 64, training=False)
    assert cost.activation_bytes == cost.gradients_bytes == cost.optimizer_bytes == 0
    assert cost.peak_bytes < estimate(SMALL, 64).peak_bytes / 2


def test_a_model_and_its_settings_cost_the_same_and_the_model_stays_whole() -> None:
    model = UNet(1, 1, width=8, depth=2, norm="batch")
    model(torch.rand(1, 1, 16, 16)).sum().backward()
    assert estimate(model, 32, 2) == estimate(model.settings, 32, 2)
    assert type(model.head.weight) is torch.nn.Parameter
    assert model.head.weight.grad is not None


def test_frozen_parameters_need_no_gradient_and_no_state() -> None:
    model = UNet(1, 1, width=8, depth=2)
    model.encoder.requires_grad_(False)
    frozen, whole = estimate(model, 32), estimate(model.settings, 32)
    assert frozen.parameters < whole.parameters
    assert frozen.optimizer_bytes == 8 * frozen.parameters
    assert frozen.peak_bytes < whole.peak_bytes


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"optimizer": "lion"}, r"optimizer must be one of \('adamw', .*, got 'lion'"),
        ({"precision": "int8"}, r"precision must be one of \('float32', .*, got 'int8'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"image_size": (64, -8)}, "image_size must be at least 1, got -8"),
    ],
)
def test_what_cannot_be_estimated_is_refused(wrong, text) -> None:
    with pytest.raises(ValueError, match=text):
        estimate(SMALL, **{"image_size": 32} | wrong)


def test_seconds_follow_the_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "step_seconds", lambda *_: 0.5)
    assert estimate_seconds(SMALL, 64) == pytest.approx(0.5)
    assert estimate_seconds(UNet.from_settings(SMALL), 128, 3) == pytest.approx(6.0, rel=0.01)


SIZE, BATCH = 64, 8


@pytest.mark.parametrize(
    ("share", "words", "precision", "wrap"),
    [  # of the peak as asked, and what the advice must be at that limit
        (0.75, "batch_size=4, accumulation_steps=2", "float32", False),
        (0.45, 'batch_size=4, accumulation_steps=2, precision="bf16"', "bf16", False),
        (0.28, "checkpoint_activations(model)", "bf16", True),
        (0.15, "random_crop(", "bf16", True),
    ],
)
def test_following_the_advice_fits(share, words, precision, wrap) -> None:
    settings = replace(SMALL, norm="batch")
    limit = share * estimate(settings, SIZE, BATCH).peak_bytes
    cure = advice(settings, SIZE, BATCH, limit)
    assert words in str(cure)
    assert (cure.precision, cure.checkpointing) == (precision, wrap)
    assert cure.batch_size * cure.accumulation_steps >= BATCH
    assert cure.estimate.peak_bytes <= limit
    side = cure.crop[0] if cure.crop else SIZE
    assert measured(settings, side, cure.batch_size, precision, wrap) <= limit


def test_advice_at_both_ends() -> None:
    unchanged = advice(SMALL, SIZE, 2, limit_bytes=1e9)
    assert (unchanged.batch_size, unchanged.accumulation_steps, unchanged.crop) == (2, 1, None)
    assert advice(SMALL, SIZE, 2, limit_bytes=1e5) is None
    assert largest_batch(SMALL, SIZE, limit_bytes=1e5) == 0
    odd = advice(SMALL, SIZE, 7, limit_bytes=5e6)
    assert odd.batch_size * odd.accumulation_steps == 7


def test_crops_are_of_sizes_that_the_network_takes() -> None:
    settings = UNetSettings(1, 1, width=4, depth=3, padding="valid")
    limit = 0.9 * estimate(settings, 140, 1, "bf16", checkpointing=True).peak_bytes
    assert advice(settings, 140, 1, limit).crop == (100, 100)
    assert advice(settings, 140, 1, limit / 9) is None


def test_a_pretrained_kind_of_model_is_advised_too() -> None:
    model = EncoderUNet(1, 1, encoder="resnet18", decoder_width=4)
    cost = estimate(model, 64, 4)
    assert cost.peak_bytes == pytest.approx(measure_step(model, 64, 4), rel=0.15)
    assert advice(model, 64, 8, 1e12).batch_size == 8


def test_memory_of_a_card_is_what_is_free_and_what_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (300, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 200)
    assert estimates._memory(torch.device("cuda")) == 500


def test_sentence_after_running_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = UNet(1, 1, width=8, depth=2)
    text = advice_for(model, (16, 1, 64, 64), "no")  # Accelerate's word for float32
    assert text.startswith("this step needs about 32 MB; try batch_size=4, accumulation_steps=4")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100_000))
    text = advice_for(model, (16, 1, 64, 64), "bf16")
    assert text.endswith("; try a narrower network (half the width takes half the memory or less)")


@pytest.mark.parametrize("limit", [float("inf"), float("nan")])
def test_a_limit_that_is_none(limit):
    with pytest.raises(ValueError, match="limit_bytes must be less than inf"):
        largest_batch(SMALL, 64, limit)
