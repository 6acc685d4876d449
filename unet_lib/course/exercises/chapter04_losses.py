"""Checks for the losses of chapter 4: cross-entropy from logits, Dice for one channel and for K."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from unet_lib.course.exercises.harness import NotYet, ask, check, expect, say
from unet_lib.course.exercises.values import close, judge, tensor
from unet_lib.training.losses import bce_loss, dice_loss

_NO_SLOPE = (
    "the value has no slope: argmax, .item() or .detach() cuts the way back to the network. "
    "Compute with the probabilities themselves."
)


@check
def check_bce_loss(loss: object) -> None:
    """Judges the binary cross-entropy from logits: logits and target (N, 1, H, W) -> a number.

    >>> check_bce_loss(bce_loss)
    Right: equal to BCEWithLogitsLoss, also for logits of 200, and the slope is p - t.
    """
    logits, target = _binary()
    result = _one_number(ask(loss, logits, target))
    right = bce_loss(logits, target)
    wrong = [(make(logits, target), text) for make, text in _BCE_MISTAKES]
    values = f"expected {right.item():.4f}, got {result.item():.4f}"
    cure = "Compute one pixel by hand: a logit of 2 costs 2.127 on the background, 0.127 on a 1."
    judge(result, right, wrong, f"{values}. {cure}", within=1e-5)
    for value, truth in ((200.0, 0.0), (-200.0, 1.0), (200.0, 1.0)):
        z, t = torch.full((1, 1, 2, 2), value, requires_grad=True), torch.full((1, 1, 2, 2), truth)
        found, p = _one_number(ask(loss, z, t)), float(value > 0)
        cost = abs(value) * abs(p - truth)
        told = f"for a logit of {value:g} where the truth is {truth:g} the loss is"
        near = "right for small logits, but "
        if not close(found, cost, within=1e-4):
            raise NotYet(f"{near}{told} {cost:g}, and you get {found.item():g}. {_OVERFLOW}")
        expect(found.requires_grad, _NO_SLOPE)
        slope = torch.autograd.grad(found, z)[0].sum().item()
        sloped = f"{told} right, its slope should be {p - truth:g} and is {slope:g}. {_OVERFLOW}"
        expect(close(slope, p - truth, within=1e-4), sloped)
    say(True, "equal to BCEWithLogitsLoss, also for logits of 200, and the slope is p - t.")


@check
def check_binary_dice(loss: object) -> None:
    """Judges the Dice loss for one channel: logits and target (N, 1, H, W) -> a number.

    >>> check_binary_dice(dice_loss)
    Right: equal to unet_lib.training.dice_loss for one channel, with a slope.
    """
    logits, target = _binary()
    result = _one_number(ask(loss, logits, target))
    wrong = [(_soft(logits, target, **how), text) for how, text in _SOFT_MISTAKES]
    cure = "Overlap: the sum of p * target. Sizes: the sum of p, plus the sum of the target."
    _judge_dice(result, dice_loss(logits, target), wrong, cure)
    say(True, "equal to unet_lib.training.dice_loss for one channel, with a slope.")


def _binary() -> tuple[Tensor, Tensor]:
    """Logits and a target for one channel; the second image holds no foreground."""
    generator = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn(2, 1, 6, 5, generator=generator)
    target = (torch.rand(2, 1, 6, 5, generator=generator) < 0.4).float()
    target[1] = 0.0
    return logits.requires_grad_(), target


def _one_number(result: object) -> Tensor:
    found = tensor(result, "expected a tensor with one number, got {got}")
    shape = tuple(found.shape)
    expect(shape == (), f"expected one number, got the shape {shape}: take the mean.")
    return found


def _bce(z: Tensor, t: Tensor) -> Tensor:
    return z.clamp(min=0) - z * t + (-z.abs()).exp().log1p()


_OVERFLOW = "No sigmoid and no exp of a large number: use max(z, 0) and log(1 + exp(-|z|))."
_BCE_MISTAKES: tuple[tuple[Callable[[Tensor, Tensor], Tensor], str], ...] = (
    (lambda z, t: _bce(z, t).sum(), "this is the sum over the pixels; take their mean."),
    (lambda z, t: -_bce(z, t).mean(), "the sign is wrong: minus the logarithm of a probability."),
    (lambda z, t: _bce(z, 0 * t).mean(), "this takes every pixel for background: subtract z * t."),
    (lambda z, t: _bce(z, 1 - t).mean(), "nucleus and background are exchanged."),
    (lambda z, t: _bce(z.sigmoid(), t).mean(), "this takes probabilities for logits."),
    (lambda z, t: (t * _bce(z, t)).mean(), "the background is missing: it costs -log(1 - p)."),
)


def _soft(
    z: Tensor,
    target: Tensor,
    p: Callable[[Tensor], Tensor] = Tensor.sigmoid,
    above: float = 1.0,
    below: float = 1.0,
    factor: float = 2.0,
    power: int = 1,
    pixels: tuple[int, ...] = (0, 1, 2, 3),
) -> Tensor:
    """The Dice loss of one channel; the options make the usual mistakes."""
    found = p(z)
    overlap, sizes = (found * target).sum(pixels), (found**power + target).sum(pixels)
    return (1 - (factor * overlap + above) / (sizes + below)).mean()


_SOFT_MISTAKES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"p": lambda z: (z > 0).float()}, _NO_SLOPE),
    ({"p": lambda z: z}, "logits are no probabilities: take the sigmoid first."),
    ({"above": 0.0, "below": 0.0}, "add smooth = 1 above and below the fraction line."),
    ({"above": 0.0}, "smooth stands below only; without it above, an empty batch has no slope."),
    ({"power": 2}, "this sums p squared, as the paper does; here p is summed."),
    ({"factor": 1.0}, "the overlap counts twice: 2 * overlap / (sum + sum)."),
    ({"pixels": (1, 2, 3)}, "sum over the whole batch, not per image."),
)


@check
def check_dice_loss(loss: object) -> None:
    """Judges a Dice loss for K classes: logits (N, K, H, W), class indices (N, H, W) -> a number.

    >>> check_dice_loss(dice_loss)
    Right: equal to unet_lib.training.dice_loss for 2, 3 and 5 classes, with a slope.
    """
    for k, absent in ((3, False), (2, False), (5, False), (4, True)):
        (logits, target), hint = _classes(k), ""
        if absent:
            target = target.clamp(max=k - 2)
            hint = "No pixel of this batch has the last class: tell one_hot how many there are."
        result = _one_number(ask(loss, logits, target, hint=hint))
        wrong = [(_dice(logits, target, **how), text) for how, text in _DICE_MISTAKES]
        cure = "Print the sums of one class, and check them by hand on an image of 2 x 2 pixels."
        _judge_dice(result, dice_loss(logits, target), wrong, cure, near=f"for {k} classes ")
    say(True, "equal to unet_lib.training.dice_loss for 2, 3 and 5 classes, with a slope.")


def _classes(k: int) -> tuple[Tensor, Tensor]:
    """Logits and targets of K classes, the last of which does not occur in the second image."""
    generator = torch.Generator().manual_seed(k)
    logits = 2 * torch.randn(2, k, 6, 5, generator=generator)
    target = torch.randint(0, k, (2, 6, 5), generator=generator)
    target[1][target[1] == k - 1] = 0
    return logits.requires_grad_(), target


def _judge_dice(
    result: Tensor, right: Tensor, wrong: list[tuple[Tensor, str]], cure: str, near: str = ""
) -> None:
    turned = (1 - right, "this is the Dice, which should grow; the loss is one minus that.")
    values = f"{near}expected {right.item():.4f}, got {result.item():.4f}"
    judge(result, right, [*wrong, turned], f"{values}. {cure}", within=1e-5)
    expect(result.requires_grad, _NO_SLOPE)


def _dice(
    z: Tensor,
    target: Tensor,
    p: Callable = lambda z: z.softmax(1),
    smooth: float = 1.0,
    factor: float = 2.0,
    pixels: tuple[int, ...] = (0, 2, 3),
    power: int = 1,
) -> Tensor:
    """The Dice loss; the options make the usual mistakes."""
    found, truth = p(z), F.one_hot(target, z.shape[1]).movedim(-1, 1)
    overlap, total = (found * truth).sum(pixels), (found**power + truth).sum(pixels)
    return (1 - (factor * overlap + smooth) / (total + smooth)).mean()


def _hard(z: Tensor) -> Tensor:
    return F.one_hot(z.argmax(1), z.shape[1]).movedim(-1, 1)


_ONE_SUM = (
    "all classes went into one sum, so large classes drown small ones: one Dice for each "
    "class first, then their mean."
)
_DICE_MISTAKES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"p": Tensor.sigmoid}, "take the softmax over the classes, not a sigmoid."),
    ({"p": lambda z: z.softmax(-1)}, "the softmax has to run over the classes: dim=1."),
    ({"p": _hard}, _NO_SLOPE),
    ({"smooth": 0.0}, "add smooth = 1 above and below, for absent classes."),
    ({"power": 2}, "this sums p squared, as the paper does; here p is summed."),
    ({"factor": 1.0}, "the overlap counts twice: 2 * overlap / (sum + sum)."),
    ({"pixels": (2, 3)}, "sum over the whole batch (dim 0), not per image."),
    ({"pixels": (0, 1, 2, 3)}, _ONE_SUM),
)
