"""Checks for the exercises of chapter 4: learning rate, Dice loss, training loop, accumulation."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.utils.data import DataLoader, TensorDataset

from unet_lib.course.exercises.harness import NotYet, ask, check, expect, say, short
from unet_lib.course.exercises.values import close, got, judge, number
from unet_lib.training.epoch import train_epoch
from unet_lib.training.losses import bce_loss, dice_loss

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
    rate = number(rate, f"expected one number, the learning rate; got {short(rate)}.")
    expect(rate > 0, f"a learning rate is larger than 0; with {rate} nothing moves, or uphill.")
    expect(rate <= 0.2, f"at {rate:g} the loss is rising: the steps leap out of every valley.")
    expect(
        rate <= 0.05,
        f"{rate:g} lies at the bottom of the curve, just before it rises: this is the edge. "
        "Small steps brought the network there; a whole run at this rate may fail. Go left, "
        "to a twentieth of it.",
    )
    expect(
        rate <= 0.007,
        f"at {rate:g} the loss is falling, but the lowest point, at 0.1, is only "
        f"{0.1 / rate:.1f} times as high. Keep a factor of twenty.",
    )
    expect(
        rate >= 1e-3,
        f"at {rate:g} the curve is still flat: this works, in ten times as many steps as "
        "needed or more. Go right, to where the loss is falling.",
    )
    say(
        True,
        f"at {rate:g} the loss is falling, and the edge at 0.1 is well away. Anything from 0.001 "
        "to 0.005 is a good answer; the longer the run, the more to the left.",
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
        result = ask(loss, logits, target, hints={Exception: hint})
        if not isinstance(result, Tensor):
            raise NotYet(f"expected a tensor with one number, got {got(result)}")
        shape = tuple(result.shape)
        expect(shape == (), f"expected one number, got the shape {shape}: take the mean.")
        _judge_dice(result, logits, target)
        expect(result.requires_grad, _NO_SLOPE)
    say(True, "equal to unet_lib.training.dice_loss for 2, 3 and 5 classes, with a slope.")


def _classes(k: int) -> tuple[Tensor, Tensor]:
    """Logits and targets of K classes, the last of which does not occur in the second picture."""
    generator = torch.Generator().manual_seed(k)
    logits = 2 * torch.randn(2, k, 6, 5, generator=generator)
    target = torch.randint(0, k, (2, 6, 5), generator=generator)
    target[1][target[1] == k - 1] = 0
    return logits.requires_grad_(), target


def _judge_dice(result: Tensor, logits: Tensor, target: Tensor) -> None:
    right, k = dice_loss(logits, target), logits.shape[1]
    truth = F.one_hot(target, k).movedim(-1, 1).float()
    p, hard = logits.softmax(1), F.one_hot(logits.argmax(1), k).movedim(-1, 1).float()
    one_sum = (
        "all classes went into one sum, so large classes drown small ones: one Dice for each "
        "class first, then their mean."
    )
    wrong = (
        (1 - right, "this is the Dice, which should grow; the loss is one minus that."),
        (_dice(logits.sigmoid(), truth), "take the softmax over the classes, not a sigmoid."),
        (_dice(logits.softmax(-1), truth), "the softmax has to run over the classes: dim=1."),
        (_dice(hard, truth), _NO_SLOPE),
        (_dice(p, truth, smooth=0.0), "add smooth = 1 above and below, for absent classes."),
        (_dice(p, truth, power=2), "this sums p squared, as the paper does; here p is summed."),
        (_dice(p, truth, factor=1.0), "the overlap counts twice: 2 * overlap / (sum + sum)."),
        (_dice(p, truth, pixels=(2, 3)), "sum over the whole batch (dim 0), not per picture."),
        (_dice(p, truth, pixels=(0, 1, 2, 3)), one_sum),
    )
    other = (
        f"for {k} classes expected {right.item():.4f}, got {result.item():.4f}. Print the sums of "
        "one class, and compare them with a pencil on a picture of 2 x 2 pixels."
    )
    judge(result, right, wrong, other, within=1e-5)


_NO_SLOPE = (
    "the value has no slope: argmax, .item() or .detach() cuts the way back to the network. "
    "Compute with the probabilities themselves."
)


def _dice(p: Tensor, truth: Tensor, smooth=1.0, factor=2.0, pixels=(0, 2, 3), power=1) -> Tensor:
    """The Dice loss; the options make the usual mistakes."""
    overlap, total = (p * truth).sum(pixels), (p**power + truth).sum(pixels)
    return (1 - (factor * overlap + smooth) / (total + smooth)).mean()


@check
def check_train_epoch(train: object) -> None:
    """Judges train(model, loader, loss, optimizer) -> mean loss, as `train_epoch` has it.

    >>> check_train_epoch(train_epoch)
    Right: weights and mean loss equal those of unet_lib.training.train_epoch.
    """
    loader = DataLoader(TensorDataset(*_pictures(10)), batch_size=4)  # 4, 4 and 2 pictures
    result, weights = _trained(train, loader)
    mean, right = _trained(train_epoch, loader)
    _judge_loop(weights, right, loader)
    if not isinstance(result, float):
        raise NotYet(
            "the weights are right; expected the mean loss as a Python float, got "
            f"{got(result)}: take .item(), or the graph of every batch stays in memory."
        )
    expect(
        close(result, mean, within=0, relative=1e-4),
        f"the weights are right, the mean loss should be {mean:.4f} and is {result:.4f}: the "
        "last batch has 2 pictures, the others 4. Weigh each batch by its size.",
    )
    say(True, "weights and mean loss equal those of unet_lib.training.train_epoch.")


def _judge_loop(weights: Tensor, right: Tensor, loader: DataLoader) -> None:
    averages = (
        "the model was in evaluation mode, so batch normalization used its stored averages: "
        "call model.train() first."
    )
    both = "two bugs: gradients add up (zero_grad), and the model is in evaluation mode (train)."
    mistakes = (
        ((True, False, True), "gradients of earlier batches are still in the sum: zero_grad."),
        ((False, True, True), averages),
        ((False, False, True), both),
        ((True, True, False), "the weights did not move: is optimizer.step() called?"),
    )
    other = (
        "the weights differ from those that train_epoch leads to. For each batch, in this order: "
        "zero_grad, forward, backward, step."
    )
    wrong = ((_trained(_loop(*how), loader)[1], message) for how, message in mistakes)
    judge(weights, right, wrong, other, **ROUNDING)


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
        images, target = _pictures(count)
        _judge_weights(_steps(step, images, target, parts), images, target, parts)
        _judge_saving(step, images, target, parts)
    say(True, "two steps in 2 or 4 parts lead to the weights of two steps on the whole batch.")


def _judge_weights(weights: Tensor, images: Tensor, target: Tensor, parts: int) -> None:
    count = len(images)
    unequal = (
        f"right for equal parts, but {count} pictures in {parts} chunks are not equal: weigh "
        "each part by len(part) / len(images)."
    )
    mistakes = (
        ({"scale": False}, f"the gradient is {parts} times too long, a sum of {parts} means."),
        ({"often": True}, f"{parts} steps were taken: call optimizer.step() after the last part."),
        ({"even": True}, unequal),
    )
    still = "the weights did not move: backward for each part, then one optimizer.step()."
    other = (
        f"after two steps on {count} pictures in {parts} parts the weights differ from those of "
        "the whole batch. Is the gradient emptied once before each step, not between the parts?"
    )
    wrong = [(_steps(_accumulate(**how), images, target, parts), text) for how, text in mistakes]
    wrong.append((_weights(_network(norm=False)), still))
    right = _steps(_accumulate(parts=1), images, target, parts)
    judge(weights, right, wrong, other, **ROUNDING)


def _judge_saving(step: object, images: Tensor, target: Tensor, parts: int) -> None:
    model = _network(norm=False)
    sizes: list[int] = []
    backward: list[Tensor] = []
    model.register_forward_pre_hook(lambda model, inputs: sizes.append(len(inputs[0])))
    model[0].weight.register_post_accumulate_grad_hook(backward.append)
    ask(step, model, images, target, bce_loss, SGD(model.parameters(), RATE), parts)
    most = max(sizes, default=0)
    expect(
        most <= math.ceil(len(images) / parts),
        f"the weights are right, but {most} of {len(images)} pictures went through at once, so "
        f"little memory was saved: images.chunk({parts}).",
    )
    expect(
        len(backward) >= len(sizes),
        "the weights are right, but the graphs of all parts were kept until one backward, so "
        "no memory was saved: call backward for each part.",
    )


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


def _pictures(count: int) -> tuple[Tensor, Tensor]:
    images = torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(count))
    return images, (images > 0.5).float()


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
