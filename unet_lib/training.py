"""Training: one epoch, one evaluation, and two tests before a long run (chapter 4).

The loop around them is `unet_lib.fit`.
"""

import copy
import itertools
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args, get_type_hints

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from unet_lib.budget import advice_for
from unet_lib.losses import bce_dice_loss
from unet_lib.metrics import SegmentationScores
from unet_lib.model import SegmentationModel

LossFunction = Callable[[Tensor, Tensor], Tensor]
Batches = Iterable[tuple[Tensor, Tensor] | list[Tensor]]


class TrainingError(RuntimeError):
    """A run that cannot go on: the message says the step, why, and the cure."""

    step: int | None = None
    """The step of the epoch, counted from 1, in which it happened."""


class OneClassWarning(UserWarning):
    """The network predicts one and the same class everywhere: the mask is black, or white."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; checks itself and is stored in every checkpoint.

    Raises ValueError, naming the field, for a value out of range.

    >>> TrainingSettings(epochs=3).learning_rate
    0.002
    """

    epochs: int = 20
    """Passes through the training set."""
    batch_size: int = 8
    """Images per step and process."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """"adam" adds the weight decay to the gradient; "sgd" has a momentum of 0.9."""
    learning_rate: float = 2e-3
    """The largest rate of the schedule."""
    weight_decay: float = 1e-4
    """Pull of the weights towards zero."""
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    """How the learning rate moves over the run."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    """"auto" times float32 and bf16 on a few images and takes the faster."""
    accumulation_steps: int = 1
    """Batches whose gradients are added up before each step of the optimizer."""
    clip_norm: float = 1.0
    """Gradients longer than this are shortened to it; 0 leaves them."""
    patience: int = 0
    """Stop after that many epochs without a better validation score; 0 never stops."""
    keep: Literal["best", "last"] = "best"
    """Which epoch's weights the model has at the end (the best needs a validation set)."""
    seed: int = 0
    """Order of the images and random numbers of the transforms."""
    num_workers: int = 0
    """Processes that prepare images; 0 prepares them in the main process."""

    def __post_init__(self) -> None:
        lowest = {"epochs": 1, "batch_size": 1, "accumulation_steps": 1, "learning_rate": 1e-12}
        for name, value in asdict(self).items():
            if isinstance(value, int | float) and not value >= lowest.get(name, 0):
                raise ValueError(f"{name} must be at least {lowest.get(name, 0)}, got {value}")
            if value == math.inf:
                raise ValueError(f"{name} must be finite, got {value}")
        for name, kind in get_type_hints(type(self)).items():
            value, words = getattr(self, name), get_args(kind)
            if words and value not in words:
                raise ValueError(f"{name} must be one of {words}, got {value!r}")
            if kind is int and not isinstance(value, int):
                raise ValueError(f"{name} must be a whole number, got {value!r}")


@dataclass
class History:
    """What happened, epoch by epoch: rows of names and numbers.

    >>> History([{"epoch": 1, "loss": 0.5}]).column("loss")
    [0.5]
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    mode: str = ""
    """Precision and memory layout that the run used."""

    def column(self, name: str) -> list[float]:
        """One value of every epoch; raises KeyError, listing the names, for an unknown one."""
        if self.rows and name not in self.rows[0]:
            raise KeyError(f"no column {name!r}; there are {list(self.rows[0])}")
        return [row[name] for row in self.rows]

    def to_json(self) -> str:
        """The rows as JSON, as it is stored in the checkpoint."""
        return json.dumps(self.rows)


def train_epoch(
    model: nn.Module,
    loader: Batches,
    loss: LossFunction,
    optimizer: Optimizer,
    accelerator: Accelerator | None = None,
    schedule: LRScheduler | None = None,
    clip_norm: float = 0.0,
) -> float:
    """Shows the model every batch once; returns the mean loss over the images.

    With an `accelerator`, model, loader and optimizer are those that its `prepare` returned.
    Raises TrainingError at the first loss or gradient that is not finite, before the step is
    taken; when memory runs out; when a data worker dies; and for a batch too small for BatchNorm.

    >>> model, images = nn.Conv2d(1, 1, 1), torch.ones(4, 1, 2, 2)
    >>> optimizer = AdamW(model.parameters(), 0.1)
    >>> batches = [(images, images)]
    >>> losses = [train_epoch(model, batches, bce_dice_loss, optimizer) for _ in range(9)]
    >>> losses[-1] < losses[0]
    True
    """
    accelerator = accelerator or Accelerator()
    model.train()
    total, seen, step, images = 0.0, 0, 0, None
    try:
        for step, (images, target) in enumerate(loader, start=1):  # noqa: B007
            with accelerator.accumulate(model):
                batch_loss = loss(model(images), target)
                value = batch_loss.item()
                _check_finite("loss", value, images, optimizer, accelerator)
                accelerator.backward(batch_loss)
                if accelerator.sync_gradients:
                    norm = accelerator.clip_grad_norm_(model.parameters(), clip_norm or math.inf)
                    if accelerator.mixed_precision != "fp16":  # its scaler skips such a step
                        _check_finite("gradient", float(norm), images, optimizer, accelerator)
                optimizer.step()
                if schedule is not None and accelerator.sync_gradients:
                    schedule.step()
                optimizer.zero_grad()
            total, seen = total + value * len(images), seen + len(images)
    except (RuntimeError, ValueError) as error:
        explanation = _explained(error, images, accelerator.unwrap_model(model), accelerator)
        if explanation is None:
            raise
        wrong = TrainingError(f"step {step}: {explanation}")
        wrong.step = step
        raise wrong from (None if isinstance(error, TrainingError) else error)
    if not seen:
        raise TrainingError("the loader gave no batch: the data set is empty, or drop_last ate it")
    return total / seen


def _check_finite(
    what: str, value: float, images: Tensor, optimizer: Optimizer, accelerator: Accelerator
) -> None:
    if math.isfinite(value):
        return
    rate = max(group["lr"] for group in optimizer.param_groups)
    raise TrainingError(
        f"the {what} is {value} at learning rate {rate:.2g}, precision "
        f"{accelerator.mixed_precision}; images from {images.min():.3g} to {images.max():.3g}: "
        "check them for NaN, try a tenth of the rate or float32"
    )


def _explained(
    wrong: Exception, images: Tensor | None, model: nn.Module, accelerator: Accelerator
) -> str | None:
    """What an error of PyTorch means for the reader, and the cure; None where it speaks itself."""
    error = str(wrong)
    if isinstance(wrong, TrainingError):
        return error
    shape = "unknown shape" if images is None else f"shape {tuple(images.shape)}"
    if "more than 1 value per channel" in error:
        return (
            f"a batch of {shape} leaves BatchNorm one value per channel in the bottleneck, and no "
            'variance: take larger crops, norm="group", or a batch size that leaves no image '
            "alone at the end (drop_last=True, for training only)"
        )
    if "out of memory" in error or "can't allocate memory" in error:
        cure = "halve batch_size and double accumulation_steps"
        if images is not None and isinstance(model, SegmentationModel):
            cure = advice_for(model, tuple(images.shape), accelerator.mixed_precision)
        return f"memory ran out with a batch of {shape}: {cure}"
    if "DataLoader worker" in error or "bootstrapping phase" in error:
        return (
            "a process that prepares images died, killed for its memory or by a crash in a library "
            f"({error.splitlines()[0]}): set num_workers=0, and the error appears with its file; "
            'in a script on Windows or macOS, call it under `if __name__ == "__main__":`'
        )
    return None


@torch.no_grad()
def evaluate(
    model: nn.Module,
    loader: Batches,
    loss: LossFunction | None = None,
    scores: SegmentationScores | None = None,
    accelerator: Accelerator | None = None,
) -> dict[str, float]:
    """Scores the model on every batch of the loader, in eval mode, which is set back after.

    Returns the scores by name and, if a loss is given, its mean over the images as "loss".

    >>> images = torch.tensor([[[[1.0, -1.0]]]])
    >>> evaluate(nn.Identity(), [(images, (images > 0).float())])["dice_per_image"]
    1.0
    """
    scores = scores or SegmentationScores()
    was_training = model.training
    model.eval()
    total, seen = 0.0, 0
    for images, target in loader:
        logits = model(images)
        if accelerator is not None:
            logits, target = accelerator.gather_for_metrics((logits, target))
        scores.update(logits, target)
        if loss is not None:
            total, seen = total + loss(logits, target).item() * len(logits), seen + len(logits)
    model.train(was_training)
    return scores.compute() | ({"loss": total / seen} if loss is not None else {})


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
