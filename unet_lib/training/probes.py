"""Two tests before a long run: a range of learning rates, and one batch by heart (chapter 4)."""

import copy
import itertools

from torch import Tensor, nn
from torch.optim import AdamW

from unet_lib.training.epoch import Batches, LossFunction
from unet_lib.training.losses import bce_dice_loss


def learning_rate_range_test(
    model: nn.Module,
    loader: Batches,
    loss: LossFunction,
    low: float = 1e-5,
    high: float = 1.0,
    steps: int = 40,
) -> tuple[list[float], list[float]]:
    """Loss of each step while the learning rate grows from `low` to `high` (Smith 2017).

    Works on a copy of the model; stops when the loss is ten times its smallest value. Returns
    the rates and the losses. A good largest rate is a twentieth to a hundredth of the one with
    the lowest loss, where the curve is already falling.

    >>> images = torch.eye(8)[None, None]
    >>> loader = [(images, images)]
    >>> rates, losses = learning_rate_range_test(nn.Conv2d(1, 1, 1), loader, bce_dice_loss, steps=3)
    >>> [float(f"{rate:.1g}") for rate in rates]
    [1e-05, 0.003, 1.0]
    """
    model = copy.deepcopy(model).train()
    optimizer = AdamW(model.parameters(), low)
    rates, losses = [], []
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    for step, (images, target) in enumerate(itertools.islice(batches, steps)):
        rates.append(low * (high / low) ** (step / max(steps - 1, 1)))
        optimizer.param_groups[0]["lr"] = rates[-1]
        value = loss(model(images), target)
        losses.append(value.item())
        if not losses[-1] <= 10 * min(losses):  # nan too
            break
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return rates, losses


def overfit_one_batch(
    model: nn.Module,
    images: Tensor,
    target: Tensor,
    loss: LossFunction = bce_dice_loss,
    steps: int = 60,
    learning_rate: float = 2e-3,
) -> list[float]:
    """Loss of each step on one and the same batch: a healthy set-up brings it near zero.

    Works on a copy of the model.

    >>> from unet_lib.model import UNet
    >>> images = torch.eye(8)[None, None]
    >>> losses = overfit_one_batch(UNet(1, width=4, depth=1), images, images, steps=30)
    >>> losses[-1] < losses[0]
    True
    """
    model = copy.deepcopy(model).train()
    optimizer = AdamW(model.parameters(), learning_rate)
    losses = []
    for _ in range(steps):
        value = loss(model(images), target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses
