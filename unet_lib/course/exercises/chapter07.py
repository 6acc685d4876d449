"""Checks for the exercises of chapter 7: input scaling, freezing, rates by depth, a verdict.

Each takes the reader's answer, prints one line that teaches, and never raises.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from unet_lib.course.exercises import say


def check_scaling(scale: object) -> None:
    """Judges a function that scales images from 0..1 as EfficientNet-Lite0 was trained.

    >>> check_scaling(lambda images: (images - 0.5) / 0.5)
    Not yet: this maps 0 and 1 to -1 and 1, which is close; ...
    """
    images = torch.linspace(0, 1, 24).view(1, 3, 2, 4)
    result, problem = _call(scale, images)
    if problem:
        return say(False, problem)
    if not isinstance(result, Tensor) or result.shape != images.shape:
        return say(False, "expected a tensor of the shape of the images.")
    right = (images * 255 - 127) / 128
    if torch.allclose(result, right, atol=1e-4):
        return say(True, "0 becomes -0.992, 1 becomes 1, and the gray value 127 becomes 0.")
    means = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviations = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    wrong = (
        (images, "nothing has changed: 0 has to become -127 / 128."),
        (
            (images - 127) / 128,
            "127 and 128 are gray values from 0 to 255, and the images are 0 to 1: everything "
            "came out near -1. Multiply by 255 first.",
        ),
        (images * 255, "these are gray values; now take 127 away and divide by 128."),
        (images * 255 - 127, "now divide by 128."),
        (
            (images - 0.5) / 0.5,
            "this maps 0 and 1 to -1 and 1, which is close; the network was trained with 127 and "
            "128, which are not quite the half of 255.",
        ),
        (
            (images - means) / deviations,
            "this is how the ResNets were trained, with mean and spread of ImageNet's colors; each "
            "network wants its own scaling.",
        ),
    )
    known = [message for value, message in wrong if torch.allclose(result, value, atol=1e-4)]
    say(
        False,
        next(
            iter(known),
            f"1 became {result.flatten()[-1]:.3f}, expected 1; 0 became {result.flatten()[0]:.3f}, "
            "expected -0.992.",
        ),
    )


class Pair(nn.Module):
    """A small encoder and a small decoder, for the exercise on freezing.

    >>> Pair()(torch.zeros(2, 1, 4, 4)).shape
    torch.Size([2, 1, 4, 4])
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.decoder = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, 1, H, W)."""
        return self.decoder(self.encoder(images))


def check_frozen_training(prepare: object) -> None:
    """Judges a function that makes a model ready to train with its encoder frozen.

    >>> check_frozen_training(lambda model: model.train())
    Not yet: the encoder's parameters still get gradients: requires_grad_(False) on it.
    """
    for model in (Pair().eval(), Pair().train()):
        _, problem = _call(prepare, model)
        problem = problem or _freezing_mistake(model)
        if problem:
            return say(False, problem)
    say(
        True,
        "gradients for the decoder alone, and averages of the encoder that stay. Remember that "
        "each model.train() undoes the second half; EncoderUNet does it again by itself.",
    )


def _freezing_mistake(model: Pair) -> str:
    """What keeps the decoder from learning, or lets the encoder change."""
    if any(p.requires_grad for p in model.encoder.parameters()):
        return "the encoder's parameters still get gradients: requires_grad_(False) on it."
    if not all(p.requires_grad for p in model.decoder.parameters()):
        return "the decoder is frozen as well; it is the part that has to learn."
    if not model.decoder[1].training:
        return (
            "the decoder is in evaluation mode: its BatchNorm neither uses the batch nor keeps "
            "averages of it. First train() for the whole, then eval() for the encoder."
        )
    if model.encoder[1].training:
        return (
            "no gradient reaches the encoder, and yet it will change: its BatchNorm is in training "
            "mode and goes on averaging. Put it into evaluation mode, after train()."
        )
    return ""


def check_rates(rates: object) -> None:
    """Judges rates(stages, rate, decay): a list, from the first encoder stage to the decoder.

    >>> check_rates(lambda stages, rate, decay: [rate] * (stages + 1))
    Not yet: for 2 stages, rate 0.01, decay 0.5: all rates are the same: ...
    """
    for stages, rate, decay in ((2, 0.01, 0.5), (5, 0.002, 0.3)):
        found, problem = _call(rates, stages, rate, decay)
        if problem:
            return say(False, problem)
        message = _rate_mistake(found, stages, rate, decay)
        if message:
            return say(False, f"for {stages} stages, rate {rate}, decay {decay}: {message}")
    say(True, "the decoder learns fast, and each stage toward the picture more slowly.")


def _rate_mistake(found: Any, stages: int, rate: float, decay: float) -> str:
    """What is wrong with these rates, as far as it can be told."""
    right = [rate * decay ** (stages - i) for i in range(stages + 1)]
    try:
        found = [float(value) for value in found]
    except (TypeError, ValueError):
        return "expected a list of numbers."
    if len(found) == stages:
        return f"expected {stages + 1} rates, one a stage and one for the decoder; got {stages}."
    if len(found) != stages + 1:
        return f"expected {stages + 1} rates, got {len(found)}."
    if _close(found, right):
        return ""
    if _close(found, [rate] * (stages + 1)):
        return "all rates are the same: each stage should have decay times that of the next."
    if _close(found, right[::-1]):
        return (
            "the order is turned around: the first of the list is the stage nearest to the "
            "picture, and it has the smallest rate."
        )
    if _close(found, [*right[1:], rate]):
        return "the deepest stage has the decoder's rate; it should already have decay times it."
    if found[-1] != rate:
        return f"the decoder comes last and learns at {rate}; got {found[-1]:g}."
    return f"expected {[round(value, 6) for value in right]}."


def _close(a: list[float], b: list[float]) -> bool:
    return all(abs(x - y) <= 1e-6 * abs(y) for x, y in zip(a, b, strict=True))


CASES = (
    # scores of a, of b, the answer, what an own answer that differs has overlooked
    (
        [0.91, 0.92, 0.93],
        [0.80, 0.82, 0.84],
        "a",
        "even the worst seed of a is better than the best of b.",
    ),
    ([0.70, 0.72, 0.71], [0.78, 0.80, 0.79], "b", "even the worst seed of b beats the best of a."),
    (
        [0.90, 0.93, 0.96],
        [0.89, 0.91, 0.93],
        "open",
        "the mean of a is higher, and yet a seed of a lies below a seed of b: the ranges overlap.",
    ),
    (
        [0.80, 0.99, 0.81],
        [0.90, 0.91, 0.92],
        "open",
        "the best single run is from a, and two of its three are the worst of all.",
    ),
    ([0.95], [0.90], "open", "one run each is one observation each: ask for at least three."),
    ([0.95, 0.96], [0.90, 0.91], "open", "two seeds are fewer than three."),
    ([0.90, 0.91, 0.92], [0.80, 0.81], "open", "b has two seeds, which is fewer than three."),
    ([0.90, 0.91, 0.92], [0.88, 0.89, 0.90], "open", "a seed of b is as good as one of a."),
)


def check_verdict(verdict: object) -> None:
    """Judges verdict(a, b): "a" or "b" where all seeds of one are better, else "open".

    >>> check_verdict(lambda a, b: "a" if sum(a) > sum(b) else "b")
    Not yet: a = [0.9, 0.93, 0.96], b = [0.89, 0.91, 0.93]: expected "open", got 'a'...
    """
    for a, b, right, why in CASES:
        found, problem = _call(verdict, list(a), list(b))
        if problem:
            return say(False, problem)
        if found != right:
            return say(False, f'a = {a}, b = {b}: expected "{right}", got {found!r}; {why}')
    say(True, "a winner where every seed agrees, and otherwise the courage to leave it open.")


def _call(function: object, *arguments: Any) -> tuple[Any, str]:
    """(what the function returned, what is wrong with calling it)."""
    if not callable(function):
        return None, f"expected a function, got {function!r}."
    call: Callable[..., Any] = function
    try:
        result = call(*arguments)
    except Exception as error:  # a reader's mistake is a reason to explain, not to stop
        return None, f"your function raised {type(error).__name__}: {error}."
    if result is None and not isinstance(arguments[0], nn.Module):
        return None, "your function returned None: is its last line a return?"
    return result, ""
