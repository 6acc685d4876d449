"""The checks of chapter 4: a right answer, and each typical wrong one with its message."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from unet_lib.course.exercises import chapter04, chapter04_losses, chapter04_scores
from unet_lib.training import bce_loss, dice_loss, evaluate


def as_many_as_occur(logits, target):
    return dice_loss(logits, target) + 0 * (F.one_hot(target).movedim(-1, 1) * logits).sum()


def epoch(result="mean", twice=False):
    def train(model, loader, loss, optimizer):
        model.train()
        losses, sizes = [], []
        for images, target in loader:
            optimizer.zero_grad()
            losses.append(loss(model(images), target))
            losses[-1].backward()
            for _ in range(1 + twice):
                optimizer.step()
            sizes.append(len(images))
        weighted = sum(x * n for x, n in zip(losses, sizes, strict=True)) / sum(sizes)
        results = {"mean": weighted.item(), "tensor": weighted, "nothing": None}
        return results.get(result, sum(losses).item() / len(losses))

    return train


def one_graph(model, images, target, loss, optimizer, parts, clear=True):
    if clear:
        optimizer.zero_grad()
    pairs = zip(images.chunk(parts), target.chunk(parts), strict=True)
    sum(loss(model(x), y) * len(x) / len(images) for x, y in pairs).backward()
    optimizer.step()


def score(no_grad=True, back=True, **how):
    """An evaluation that may keep gradients or the evaluation mode, or count in a wrong way."""

    def evaluation(model, loader):
        with torch.set_grad_enabled(not no_grad):
            for images, _ in loader:
                model(images)
        model.train(back)
        return chapter04_scores._pooled_dice(loader, **how)

    return evaluation


def naive(z, t):
    p = z.sigmoid()
    return -(t * p.log() + (1 - t) * (1 - p).log()).mean()


def detached_when_large(z, t):
    return bce_loss(z, t) if z.abs().max() < 100 else bce_loss(z.detach(), t)


def steep_when_large(z, t):
    return bce_loss(z, t) + (0 if z.abs().max() < 100 else (z - z.detach()).sum())


CASES = {
    chapter04.check_learning_rate: [
        (0.005, "Right: at 0.005 the loss is falling"),
        (None, "expected one number, the learning rate; got None"),
        (float("nan"), "larger than 0"),
        (1, "at 1 the loss is rising"),
        (0.02, "the lowest point, at 0.1, is only 5.0 times as high"),
        (1e-5, "at 1e-05 the curve is still flat"),
    ],
    chapter04.check_dice_loss: [
        (lambda z, t: dice_loss(z.double(), t), "Right"),
        (lambda z, t: None, "got None (is there a return?)"),
        (lambda z, t: 0.5, "expected a tensor with one number, got a float"),
        (lambda z, t: z + t, "your function raised RuntimeError"),
        (lambda z, t: z.mean((0, 2, 3)), "got the shape (3,): take the mean"),
        (lambda z, t: 1 - dice_loss(z, t), "the loss is one minus that"),
        *(
            (partial(chapter04_losses._dice, **how), told)
            for how, told in chapter04_losses._DICE_MISTAKES
        ),
        (lambda z, t: dice_loss(z.detach(), t), "has no slope: argmax"),
        (as_many_as_occur, "tell one_hot how many there are"),
        (lambda z, t: z.mean(), "for 3 classes expected"),
    ],
    chapter04.check_bce_loss: [
        (bce_loss, "Right"),
        (lambda z, t: None, "got None (is there a return?)"),
        (lambda z, t: z - t, "got the shape (2, 1, 6, 5): take the mean"),
        *chapter04_losses._BCE_MISTAKES,
        (naive, "for a logit of 200 where the truth is 0 the loss is 200, and you get inf"),
        (detached_when_large, "has no slope"),
        (steep_when_large, "its slope should be 1 and is 5"),
        (lambda z, t: z.mean(), "a logit of 2 costs 2.127"),
    ],
    chapter04.check_binary_dice: [
        (dice_loss, "Right"),
        (lambda z, t: None, "got None (is there a return?)"),
        (lambda z, t: 1 - dice_loss(z, t), "the loss is one minus that"),
        *(
            (partial(chapter04_losses._soft, **how), told)
            for how, told in chapter04_losses._SOFT_MISTAKES
        ),
        (lambda z, t: dice_loss(z.detach(), t), "has no slope"),
        (lambda z, t: z.mean(), "Overlap: the sum of p * target"),
    ],
    chapter04.check_evaluate: [
        (lambda model, loader: evaluate(model, loader)["dice_pooled"], "Right"),
        (lambda model, loader: None, "got None (is there a return?)"),
        *((score(**how), told) for how, told in chapter04_scores._SCORE_MISTAKES),
        (lambda model, loader: score()(model, loader) / 2, "the overlap counts twice"),
        (
            lambda model, loader: 1 / (2 / score()(model, loader) - 1),
            "this is overlap / union",
        ),
        (lambda model, loader: 0.5, "over all pixels"),
        (score(no_grad=False), "every forward pass prepared gradients"),
        (score(back=False), "left in evaluation mode"),
    ],
    chapter04.check_patience: [
        (chapter04_scores._stopped, "Right"),
        (lambda scores, patience: None, "return two whole numbers"),
        (
            lambda scores, patience: [n - 1 for n in chapter04_scores._stopped(scores, patience)],
            "count the epochs from 1",
        ),
        (partial(chapter04_scores._stopped, equal=True), "an equal score is no better one"),
        (
            lambda scores, patience: (scores.index(max(scores)) + 1, len(scores)),
            "training stops after epoch 4",
        ),
        (lambda scores, patience: (2, 2), "the best epoch is 4 and the last is 4; you say [2, 2]"),
    ],
    chapter04.check_train_epoch: [
        (epoch(), "Right"),
        *((chapter04._loop(*how), told) for how, told in chapter04._LOOP_MISTAKES),
        (epoch(twice=True), "the weights differ from those that train_epoch leads to"),
        (epoch(result="nothing"), "should be a float and is None"),
        (epoch(result="tensor"), "is a Tensor: take .item()"),
        (epoch(result="of batches"), "Weigh each batch by its size"),
    ],
    chapter04.check_accumulate: [
        (chapter04._accumulate(), "Right: two steps in 2 or 4 parts"),
        (
            chapter04._accumulate(parts=1),
            "8 of 8 images went through at once, so little memory was saved",
        ),
        (one_graph, "were kept until one backward, so no memory was saved"),
        (chapter04._accumulate(scale=False), "the gradient is 2 times too long"),
        (chapter04._accumulate(often=True), "2 steps were taken"),
        (chapter04._accumulate(even=True), "10 images in 4 chunks are not equal: weigh each"),
        (partial(one_graph, clear=False), "Is the gradient emptied once before each step"),
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
