"""The checks of chapter 9, slow convergence: right answers, and typical wrong ones."""

import math

import torch
from torch import nn
from torch.optim import SGD, AdamW

from unet_lib.course.exercises import chapter09b
from unet_lib.model import UNet

RIGHT = chapter09b.ANSWERS


def clamped(masks):
    return torch.logit(masks.mean().clamp(1e-4, 1 - 1e-4)).item()


def rate(begin=1, straight=True, end=1):
    def function(step, steps, warmup, largest):
        if step < warmup:
            part = (step + begin) / warmup
            return largest * (part if straight else part**2)
        t = (step - warmup + end) / (steps - warmup)
        return largest * (1 + math.cos(math.pi * t)) / 2

    return function


def setup(rule=AdamW, factor=1.0, lr=0.01, **network):
    def function():
        torch.manual_seed(0)
        model = UNet(1, 1, **{"width": 8, "depth": 2} | network)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                layer.weight.data *= factor
        return model, rule(model.parameters(), lr=lr)

    return function


CASES = {
    chapter09b.check_diagnoses: [
        (RIGHT, "Right: all five"),
        (None, "expected a dictionary, got NoneType"),
        (RIGHT | {"P": "slow"}, "'slow' is none of dead start, healthy, plateau"),
        *(
            (RIGHT | {letter: RIGHT[other]}, f"{letter} is not '{RIGHT[other]}': it {hint}")
            for letter, other, hint in zip("PQRST", "QRSTP", chapter09b.HINTS, strict=True)
        ),
    ],
    chapter09b.check_prior_bias: [
        (clamped, "Right: rare, frequent"),
        (lambda masks: masks.mean(), "a probability; the bias is a logit"),
        (lambda masks: masks.mean().log(), "log p is not yet the logit"),
        (lambda masks: -clamped(masks), "the sign"),
        (lambda masks: clamped(masks[0]), "the first mask"),
        (lambda masks: 7.0, "for a share of 0.12 expected -1.99, got 7.00"),
        (lambda masks: -1.99, "for a share of 0.88 expected 1.99, got -1.99"),
        (lambda masks: torch.logit(masks.mean().clamp(min=1e-4)), "without background give inf"),
    ],
    chapter09b.check_rate: [
        (rate(), "Right: up in a straight line"),
        (rate(begin=0), "the first step is wasted"),
        (rate(straight=False), "rises in equal amounts"),
        (rate(end=0), "half a cosine"),
        (lambda step, n, *given: rate()(min(step, n - 3), n, *given), "is t equal to 1 there?"),
    ],
    chapter09b.check_setup: [
        (setup(norm="batch"), "Right: the loss went from"),
        (lambda: 3, "expected a network and an optimizer, got 3"),
        (setup(width=16), "60,000 are allowed"),
        (setup(SGD, factor=0.1, lr=0.001), "the gradient of the first layer was"),
        (setup(SGD, lr=1e-6, norm="batch"), "the loss hardly moves"),
        (setup(SGD, lr=0.1), "it learns, too slowly or too wildly"),
        (setup(lr=1e30), "the steps are much too large"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)


def test_curves_agree_with_the_yardstick():
    curves = chapter09b.loss_curves()
    assert min(curves["P"]) > chapter09b.GUESS
    assert min(curves["S"]) > chapter09b.GUESS + 0.2
    assert abs(curves["Q"][45] - chapter09b.GUESS) < 0.03
    assert curves["Q"][-1] < chapter09b.GUESS - 0.1
