"""Checks for what chapter 4 does with scores: the Dice of an evaluation, and early stopping."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from unet_lib.course.exercises.harness import ask, check, expect, say
from unet_lib.course.exercises.values import judge, number, numbers, whole


def random_images(count: int) -> tuple[Tensor, Tensor]:
    """Noise of 6 x 6 pixels, and its brighter pixels as the target: always the same.

    >>> [tuple(x.shape) for x in random_images(2)]
    [(2, 1, 6, 6), (2, 1, 6, 6)]
    """
    images = torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(count))
    return images, (images > 0.5).float()


@check
def check_evaluate(evaluate: object) -> None:
    """Judges evaluate(model, loader) -> the Dice of all pixels of all images together.

    >>> check_evaluate(lambda model, loader: None)
    Not yet: expected one number, the Dice; got None (is there a return?).
    """
    loader = DataLoader(TensorDataset(*random_images(10)), batch_size=4)
    model, tracked = _Moody(), []
    model.register_forward_pre_hook(lambda *_: tracked.append(torch.is_grad_enabled()))
    result = ask(evaluate, model, loader)
    result = number(result, "expected one number, the Dice; got {got}.")
    right = _pooled_dice(loader)
    wrong = [(_pooled_dice(loader, **how), text) for how, text in _SCORE_MISTAKES]
    wrong.append((right / 2, "the overlap counts twice: 2 * overlap / (size + size)."))
    wrong.append((right / (2 - right), "this is overlap / union; Dice is 2 * overlap / sizes."))
    told = f"expected {right:.4f}, got {result:.4f}: 2 * overlap / (found + true), over all pixels."
    judge(result, right, wrong, told)
    slopes = "the number is right, but every forward pass prepared gradients: torch.no_grad()."
    expect(not any(tracked), slopes)
    left = "the number is right, but the model is left in evaluation mode: model.train()."
    expect(model.training, left)
    say(True, "the Dice of all pixels, in evaluation mode, without gradients.")


class _Moody(nn.Module):
    """A network that finds more in evaluation mode than in training mode."""

    def forward(self, images: Tensor) -> Tensor:
        return images - (0.1 if self.training else -0.2)


_SCORE_MISTAKES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"training": True}, "the model was in training mode: call model.eval() first."),
    ({"threshold": 0.5}, "compare logits with 0: a logit of 0 is a probability of one half."),
    ({"size": 4}, "this is the mean over batches: add up all counts first, and divide once."),
    ({"size": 1}, "this is the mean over images: add up all counts first, and divide once."),
)


def _pooled_dice(
    loader: DataLoader, training: bool = False, threshold: float = 0.0, size: int = 10
) -> float:
    """The Dice of every `size` images together, its mean over these groups."""
    images, target = (torch.cat(parts) for parts in zip(*loader, strict=True))
    found, true = _Moody().train(training)(images) > threshold, target > 0
    scores = []
    for one, other in zip(found.split(size), true.split(size), strict=True):
        scores.append(2 * (one & other).sum().item() / (one.sum() + other.sum()).item())
    return sum(scores) / len(scores)


@check
def check_patience(stop: object) -> None:
    """Judges stop(scores, patience) -> the best epoch and the last one, counted from 1.

    >>> check_patience(lambda scores, patience: (2, 2))
    Not yet: for the scores [0.1, 0.5, 0.4, 0.6] and patience 2 the best epoch is 4 and ...
    """
    for scores, patience in _COURSES:
        told = f"for the scores {scores} and patience {patience}"
        asked = f"{told} return two whole numbers: the best epoch, and the last."
        found = numbers(ask(stop, list(scores), patience), asked, count=2, one=whole)
        best, last = _stopped(scores, patience)
        most = scores.index(max(scores)) + 1
        mistakes = (
            ((best - 1, last - 1), f"{told}: count the epochs from 1."),
            (_stopped(scores, patience, equal=True), f"{told}: an equal score is no better one."),
            ((most, len(scores)), f"{told} training stops after epoch {last}."),
        )
        otherwise = f"{told} the best epoch is {best} and the last is {last}; you say {found}."
        judge(found, [best, last], mistakes, otherwise)
    say(True, "the best epoch and the last, also where the patience is never used up.")


_COURSES: tuple[tuple[list[float], int], ...] = (
    ([0.1, 0.5, 0.4, 0.6], 2),
    ([0.1, 0.5, 0.4, 0.3, 0.6], 2),
    ([0.5, 0.5, 0.5, 0.7], 2),
    ([0.3, 0.2, 0.4, 0.3, 0.3, 0.3, 0.9], 3),
)


def _stopped(scores: Sequence[float], patience: int, equal: bool = False) -> tuple[int, int]:
    """The best epoch, and the last: the one after which `patience` epochs were no better."""
    best = 1
    for epoch, score in enumerate(scores, start=1):
        if score > scores[best - 1] or (equal and score == scores[best - 1]):
            best = epoch
        if epoch - best == patience:
            return best, epoch
    return best, len(scores)
