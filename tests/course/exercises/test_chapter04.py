"""The checks of chapter 4: a right answer, and each typical wrong one with its message."""

import pytest
import torch
from torch.nn import functional as F

from unet_lib.course.exercises import chapter04
from unet_lib.training import dice_loss, train_epoch


def k_class_dice(logits, target, smooth=1.0, factor=2.0, pixels=(0, 2, 3), activation=None):
    p = logits.softmax(1) if activation is None else activation(logits)
    truth = F.one_hot(target, logits.shape[1]).movedim(-1, 1)
    overlap, total = (p * truth).sum(pixels), (p + truth).sum(pixels)
    return (1 - (factor * overlap + smooth) / (total + smooth)).mean()


def squared(logits, target):
    p, truth = logits.softmax(1), F.one_hot(target, logits.shape[1]).movedim(-1, 1)
    overlap, total = (p * truth).sum((0, 2, 3)), (p**2 + truth).sum((0, 2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


def as_many_as_occur(logits, target):
    p, truth = logits.softmax(1), F.one_hot(target).movedim(-1, 1)
    overlap, total = (p * truth).sum((0, 2, 3)), (p + truth).sum((0, 2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


def hard(logits):
    return F.one_hot(logits.argmax(1), logits.shape[1]).movedim(-1, 1).float()


def with_the_data_set(model, loader, loss, optimizer):
    """Sums instead of means, and divides by the number of pictures at the end."""
    model.train()
    total = 0.0
    for images, target in loader:
        optimizer.zero_grad()
        value = loss(model(images), target)
        value.backward()
        optimizer.step()
        total += value.item() * images.size(0)
    return total / len(loader.dataset)


def loop(mode=True, clear=True, step=True, result="mean", twice=False):
    def train(model, loader, loss, optimizer):
        model.train(mode)
        losses, sizes = [], []
        for images, target in loader:
            if clear:
                optimizer.zero_grad()
            value = loss(model(images), target)
            value.backward()
            if step:
                optimizer.step()
            if twice:
                optimizer.step()
            losses.append(value)
            sizes.append(len(images))
        weighted = sum(x * n for x, n in zip(losses, sizes, strict=True)) / sum(sizes)
        results = {"mean": weighted.item(), "tensor": weighted, "nothing": None}
        return results.get(result, sum(losses).item() / len(losses))

    return train


def at_once(model, images, target, loss, optimizer, parts):
    optimizer.zero_grad()
    loss(model(images), target).backward()
    optimizer.step()


def one_graph(model, images, target, loss, optimizer, parts):
    optimizer.zero_grad()
    pairs = zip(images.chunk(parts), target.chunk(parts), strict=True)
    sum(loss(model(x), y) * len(x) / len(images) for x, y in pairs).backward()
    optimizer.step()


def accumulate(clear=True, scale="share", every=False):
    def step(model, images, target, loss, optimizer, parts):
        if clear:
            optimizer.zero_grad()
        for image, mask in zip(images.chunk(parts), target.chunk(parts), strict=True):
            scales = {"share": len(image) / len(images), "parts": 1 / parts, "none": 1.0}
            (loss(model(image), mask) * scales[scale]).backward()
            if every:
                optimizer.step()
                optimizer.zero_grad()
        optimizer.step()

    return step


CASES = {
    chapter04.check_learning_rate: [
        (0.005, "Right: at 0.005 the loss is falling"),
        (None, "expected one number, the learning rate; got None"),
        ((1e-3, 1e-2), "expected one number"),
        (True, "expected one number"),
        (0, "larger than 0"),
        (float("nan"), "larger than 0"),
        (1, "at 1 the loss is rising"),
        (0.1, "0.1 lies at the bottom of the curve"),
        (0.02, "the lowest point, at 0.1, is only 5.0 times as high"),
        (1e-5, "at 1e-05 the curve is still flat"),
    ],
    chapter04.check_dice_loss: [
        (dice_loss, "Right: equal to unet_lib.training.dice_loss"),
        (k_class_dice, "Right"),
        (lambda z, t: k_class_dice(z.double(), t), "Right"),
        (lambda z, t: None, "got None (is there a return?)"),
        (lambda z, t: 0.5, "expected a tensor with one number, got a float"),
        (lambda z, t: z + t, "your function raised RuntimeError"),
        (lambda z, t: z.mean((0, 2, 3)), "got the shape (3,): take the mean"),
        (lambda z, t: 1 - k_class_dice(z, t), "the loss is one minus that"),
        (lambda z, t: k_class_dice(z, t, activation=torch.sigmoid), "not a sigmoid"),
        (lambda z, t: k_class_dice(z, t, activation=lambda z: z.softmax(-1)), "dim=1"),
        (lambda z, t: k_class_dice(z, t, activation=hard), "has no slope: argmax"),
        (lambda z, t: k_class_dice(z.detach(), t), "has no slope: argmax"),
        (lambda z, t: k_class_dice(z, t, smooth=0.0), "add smooth = 1 above and below"),
        (squared, "this sums p squared, as the paper does"),
        (as_many_as_occur, "tell one_hot how many there are"),
        (lambda z, t: k_class_dice(z, t, factor=1.0), "the overlap counts twice"),
        (lambda z, t: k_class_dice(z, t, pixels=(2, 3)), "sum over the whole batch (dim 0)"),
        (lambda z, t: k_class_dice(z, t, pixels=(0, 1, 2, 3)), "one Dice for each class first"),
        (lambda z, t: z.mean(), "for 3 classes expected"),
    ],
    chapter04.check_train_epoch: [
        (train_epoch, "Right: weights and mean loss equal"),
        (loop(), "Right"),
        (with_the_data_set, "Right"),
        (loop(clear=False), "gradients of earlier batches are still in the sum"),
        (loop(mode=False), "the model was in evaluation mode"),
        (loop(mode=False, clear=False), "two bugs"),
        (loop(step=False), "the weights did not move"),
        (lambda *arguments: None, "the weights did not move"),
        (loop(twice=True), "the weights differ from those that train_epoch leads to"),
        (loop(result="nothing"), "as a Python float, got None"),
        (loop(result="tensor"), "got a Tensor: take .item()"),
        (loop(result="of batches"), "Weigh each batch by its size"),
    ],
    chapter04.check_accumulate: [
        (accumulate(), "Right: two steps in 2 or 4 parts"),
        (at_once, "8 of 8 pictures went through at once, so little memory was saved"),
        (one_graph, "were kept until one backward, so no memory was saved"),
        (accumulate(scale="none"), "the gradient is 2 times too long"),
        (accumulate(every=True), "2 steps were taken"),
        (accumulate(scale="parts"), "10 pictures in 4 chunks are not equal: weigh each part"),
        (accumulate(clear=False), "Is the gradient emptied once before each step"),
        (lambda *arguments: None, "the weights did not move"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)


def test_the_curve_agrees_with_its_check():
    rates, losses = chapter04.range_test_curve()
    assert rates[0] == pytest.approx(1e-6)
    assert rates[-1] == pytest.approx(1)
    assert rates[losses.index(min(losses))] == pytest.approx(0.1, rel=0.05)
    good = [loss for rate, loss in zip(rates, losses, strict=True) if 1e-3 <= rate <= 0.007]
    assert losses[0] > good[0] > good[-1] > min(losses)
