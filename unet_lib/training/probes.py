"""Two tests before a long run: a range of learning rates, and one batch by heart (chapter 4)."""

import copy
import itertools
from collections.abc import Iterator

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from unet_lib.training.epoch import Batches, LossFunction, logits_and_target
from unet_lib.training.losses import segmentation_loss


def short_training(
    model: nn.Module,
    batches: Batches,
    loss: LossFunction,
    optimizer: Optimizer,
    clip_norm: float = 0.0,
) -> Iterator[float]:
    """Trains on each batch once; gives each loss before its step is taken, so one can stop there.

    >>> import torch
    >>> model, batch = nn.Conv2d(1, 1, 1), (torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4))
    >>> optimizer = AdamW(model.parameters(), 0.1)
    >>> losses = list(short_training(model, 9 * [batch], segmentation_loss, optimizer))
    >>> losses[-1] < losses[0]
    True
    """
    for images, target in batches:
        value = loss(*logits_and_target(model, images, target))
        yield value.item()
        optimizer.zero_grad()
        value.backward()
        if clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()


def learning_rate_range_test(
    model: nn.Module,
    loader: Batches,
    loss: LossFunction = segmentation_loss,
    low: float = 1e-5,
    high: float = 1.0,
    steps: int = 40,
) -> tuple[list[float], list[float]]:
    """Loss of each step while the learning rate grows from `low` to `high` (Smith 2017).

    Works on a copy of the model; stops when the loss is ten times its smallest value. Returns
    the rates and the losses. A good largest rate is a twentieth to a hundredth of the one with
    the lowest loss, where the curve is already falling.

    >>> import torch
    >>> images = torch.eye(8)[None, None]
    >>> loader = [(images, images)]
    >>> rates, losses = learning_rate_range_test(nn.Conv2d(1, 1, 1), loader, steps=3)
    >>> [float(f"{rate:.1g}") for rate in rates]
    [1e-05, 0.003, 1.0]
    """
    model = copy.deepcopy(model).train()
    optimizer = AdamW(model.parameters(), low)
    rates = [low * (high / low) ** (step / max(steps - 1, 1)) for step in range(steps)]
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    losses: list[float] = []
    for rate, value in zip(rates, short_training(model, batches, loss, optimizer), strict=False):
        optimizer.param_groups[0]["lr"] = rate
        losses.append(value)
        if not value <= 10 * min(losses):  # nan too
            break
    return rates[: len(losses)], losses


def overfit_one_batch(
    model: nn.Module,
    images: Tensor,
    target: Tensor,
    loss: LossFunction = segmentation_loss,
    steps: int = 60,
    learning_rate: float = 2e-3,
) -> list[float]:
    """Loss of each step on one and the same batch: a healthy set-up brings it near zero.

    Works on a copy of the model.

    >>> import torch
    >>> images = torch.eye(8)[None, None]
    >>> losses = overfit_one_batch(nn.Conv2d(1, 1, 1), images, images, steps=30)
    >>> losses[-1] < losses[0]
    True
    """
    model = copy.deepcopy(model).train()
    optimizer = AdamW(model.parameters(), learning_rate)
    return list(short_training(model, itertools.repeat((images, target), steps), loss, optimizer))
