"""Checks for the tasks of chapter 4: learning rate, one epoch, evaluation, patience, accumulation.

Those of the losses and of the scores have modules of their own, and are found here too.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils.data import DataLoader, TensorDataset

from unet_lib.course.exercises.chapter04_losses import (
    check_bce_loss,
    check_binary_dice,
    check_dice_loss,
)
from unet_lib.course.exercises.chapter04_scores import (
    check_evaluate,
    check_patience,
    random_images,
)
from unet_lib.course.exercises.harness import NotYet, ask, check, expect, kind, say
from unet_lib.course.exercises.values import close, judge, number
from unet_lib.training.epoch import train_epoch
from unet_lib.training.losses import bce_loss

__all__ = [
    "check_accumulate",
    "check_bce_loss",
    "check_binary_dice",
    "check_dice_loss",
    "check_evaluate",
    "check_learning_rate",
    "check_patience",
    "check_train_epoch",
    "range_test_curve",
]

RATE = 0.5  # of the steps in the checks: large, so that a wrong gradient shows
ROUNDING = {"within": 1e-6, "relative": 1e-4}  # between weights that should be equal


def range_test_curve() -> tuple[list[float], list[float]]:
    """Rates and losses of the range test in the exercise: flat, falling, lowest at 0.1, rising.

    >>> rates, losses = range_test_curve()
    >>> f"{rates[losses.index(min(losses))]:.2f}"
    '0.10'
    """
    rates = [10 ** (-6 + step / 8) for step in range(49)]
    losses = []
    for step, rate in enumerate(rates):
        fall, rise = 1 / (1 + (0.006 / rate) ** 1.2), (rate / 0.7) ** 2
        losses.append(1.4 - 1.05 * fall + rise + 0.006 * math.cos(2.4 * step))
    return rates, losses


@check
def check_learning_rate(rate: object) -> None:
    """Judges the largest rate that a reader chose from `range_test_curve`.

    >>> check_learning_rate(0.1)
    Not yet: 0.1 lies at the bottom of the curve, just before it rises: this is the edge. ...
    """
    rate = number(rate, "expected one number, the learning rate; got {short}.")
    expect(rate > 0, f"a learning rate is larger than 0; with {rate} nothing moves, or uphill.")
    expect(rate <= 0.2, f"at {rate:g} the loss is rising: the steps leap out of every valley.")
    edge = f"{rate:g} lies at the bottom of the curve, just before it rises: this is the edge."
    small = "Small steps brought the network there; a whole run at this rate may fail."
    expect(rate <= 0.05, f"{edge} {small} Go left, to a twentieth of it.")
    low = f"but the lowest point, at 0.1, is only {0.1 / rate:.1f} times as high."
    told = f"at {rate:g} the loss is falling, {low} Keep a factor of twenty."
    expect(rate <= 0.007, told)
    flat = "the curve is still flat: this works, in ten times as many steps as needed or more."
    expect(rate >= 1e-3, f"at {rate:g} {flat} Go right, to where the loss is falling.")
    good = "Anything from 0.001 to 0.005 is a good answer"
    good = f"{good}; the longer the run, the more to the left."
    say(True, f"at {rate:g} the loss is falling, and the edge at 0.1 is well away. {good}")


@check
def check_train_epoch(train: object) -> None:
    """Judges train(model, loader, loss, optimizer) -> mean loss, as `train_epoch` has it.

    >>> check_train_epoch(train_epoch)
    Right: weights and mean loss equal those of unet_lib.training.train_epoch.
    """
    loader = DataLoader(TensorDataset(*random_images(10)), batch_size=4)  # 4, 4 and 2 images
    result, weights = _trained(train, loader)
    mean, right = _trained(train_epoch, loader)
    _judge_loop(weights, right, loader)
    if not isinstance(result, float):
        told = f"the weights are right; the mean loss should be a float and is {kind(result)}"
        asked = " (is there a return?)" if result is None else ""
        raise NotYet(f"{told}{asked}: take .item(), or the graph of every batch stays in memory.")
    told = f"the weights are right, the mean loss should be {mean:.4f} and is {result:.4f}: the "
    sizes = "last batch has 2 images, the others 4. Weigh each batch by its size."
    expect(close(result, mean, within=0, relative=1e-4), told + sizes)
    say(True, "weights and mean loss equal those of unet_lib.training.train_epoch.")


def _judge_loop(weights: Tensor, right: Tensor, loader: DataLoader) -> None:
    told = "the weights differ from those that train_epoch leads to. For each batch, in order: "
    wrong = ((_trained(_loop(*how), loader)[1], text) for how, text in _LOOP_MISTAKES)
    judge(weights, right, wrong, f"{told}zero_grad, forward, backward, step.", **ROUNDING)


_AVERAGES = (
    "the model was in evaluation mode, so batch normalization used its stored averages: "
    "call model.train() first."
)
_BOTH = "two bugs: gradients add up (zero_grad), and the model is in evaluation mode (train)."
_LOOP_MISTAKES = (
    ((True, False, True), "gradients of earlier batches are still in the sum: zero_grad."),
    ((False, True, True), _AVERAGES),
    ((False, False, True), _BOTH),
    ((True, True, False), "the weights did not move: is optimizer.step() called?"),
)


def _loop(mode: bool, clear: bool, step: bool) -> Callable[..., None]:
    """A training loop that may lack train mode, zero_grad or step."""

    def train(model: nn.Module, loader: DataLoader, loss: Callable, optimizer: SGD) -> None:
        model.train(mode)
        for images, target in loader:
            if clear:
                optimizer.zero_grad()
            loss(model(images), target).backward()
            if step:
                optimizer.step()

    return train


@check
def check_accumulate(step: object) -> None:
    """Judges step(model, images, target, loss, optimizer, parts): one step, the batch in parts.

    >>> check_accumulate(lambda model, images, target, loss, optimizer, parts: None)
    Not yet: the weights did not move: backward for each part, then one optimizer.step().
    """
    for count, parts in ((8, 2), (8, 4), (10, 4)):
        images, target = random_images(count)
        _judge_weights(_steps(step, images, target, parts), images, target, parts)
        _judge_saving(step, images, target, parts)
    say(True, "two steps in 2 or 4 parts lead to the weights of two steps on the whole batch.")


def _judge_weights(weights: Tensor, images: Tensor, target: Tensor, parts: int) -> None:
    count = len(images)
    unequal = f"right for equal parts, but {count} images in {parts} chunks are not equal: weigh "
    mistakes = (
        ({"scale": False}, f"the gradient is {parts} times too long, a sum of {parts} means."),
        ({"often": True}, f"{parts} steps were taken: call optimizer.step() after the last part."),
        ({"even": True}, f"{unequal}each part by len(part) / len(images)."),
    )
    still = "the weights did not move: backward for each part, then one optimizer.step()."
    after = f"after two steps on {count} images in {parts} parts the weights differ from those of"
    cure = "Is the gradient emptied once before each step, not between the parts?"
    wrong = [(_steps(_accumulate(**how), images, target, parts), text) for how, text in mistakes]
    wrong.append((_weights(_network(norm=False)), still))
    right = _steps(_accumulate(parts=1), images, target, parts)
    judge(weights, right, wrong, f"{after} the whole batch. {cure}", **ROUNDING)


def _judge_saving(step: object, images: Tensor, target: Tensor, parts: int) -> None:
    model = _network(norm=False)
    sizes, backward = [], []
    model.register_forward_pre_hook(lambda model, inputs: sizes.append(len(inputs[0])))
    next(model.parameters()).register_post_accumulate_grad_hook(backward.append)
    ask(step, model, images, target, bce_loss, SGD(model.parameters(), RATE), parts)
    told, most = "the weights are right, but", max(sizes, default=0)
    once = f"{told} {most} of {len(images)} images went through at once, so little memory was"
    expect(most <= math.ceil(len(images) / parts), f"{once} saved: images.chunk({parts}).")
    kept = f"{told} the graphs of all parts were kept until one backward, so no memory was saved:"
    expect(len(backward) >= len(sizes), f"{kept} call backward for each part.")


def _accumulate(parts=0, often=False, scale=True, even=False) -> Callable[..., None]:
    """A step in parts (`parts` overrides the number asked for), with one mistake if asked."""

    def step(model, images, target, loss, optimizer, count) -> None:
        optimizer.zero_grad()
        chunks = (x.chunk(parts or count) for x in (images, target))
        for image, mask in zip(*chunks, strict=True):
            share = 1 / count if even else len(image) / len(images)
            (loss(model(image), mask) * (share if scale else 1.0)).backward()
            if often:
                optimizer.step()
                optimizer.zero_grad()
        optimizer.step()

    return step


def _network(norm: bool) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, last = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 1, 1)
        return nn.Sequential(first, nn.BatchNorm2d(3) if norm else nn.Identity(), nn.ReLU(), last)


def _weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def _trained(train: object, loader: DataLoader) -> tuple[Any, Tensor]:
    """What `train` returned and made of a network that was last used for evaluation."""
    model = _network(norm=True).eval()
    result = ask(train, model, loader, bce_loss, SGD(model.parameters(), RATE))
    return result, _weights(model)


def _steps(step: object, images: Tensor, target: Tensor, parts: int) -> Tensor:
    """The weights after two steps; the second shows whether gradients were left behind."""
    model = _network(norm=False)
    optimizer = SGD(model.parameters(), RATE)
    for _ in range(2):
        ask(step, model, images, target, bce_loss, optimizer, parts)
    return _weights(model)
