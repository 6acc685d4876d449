"""Training: one epoch, and one evaluation (chapter 4).

The loop around them is `unet_lib.training.loop`.
"""

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from unet_lib.evaluation.metrics import SegmentationScores
from unet_lib.model.base import evaluated
from unet_lib.training.monitor import Metric, Running

LossFunction = Callable[[Tensor, Tensor], Tensor]
Batches = Iterable[Any]  # of pairs: images (N, C, H, W) and their target
OnStep = Callable[[int, float], Any]


@runtime_checkable
class Steps(Protocol):
    """What is told of every step of the optimizer: a schedule of the learning rate."""

    def step(self) -> Any:
        """One step was taken."""


class TrainingError(RuntimeError):
    """A run that cannot go on: the message says epoch and step, why, and the cure.

    >>> error = TrainingError("the loss is nan")
    >>> error.epoch, error.step = 2, 7
    >>> str(error)
    'epoch 2, step 7: the loss is nan'
    """

    epoch: int | None = None
    step: int | None = None
    """The step of the epoch, counted from 1, in which it happened."""
    images: str = ""
    """The images of its batch, by name, where they are known."""

    def __str__(self) -> str:
        numbers = {"epoch": self.epoch, "step": self.step}
        at = ", ".join(f"{name} {n}" for name, n in numbers.items() if n is not None)
        images = f"; images of this batch: {self.images}" if self.images else ""
        return (f"{at}: " if at else "") + super().__str__() + images


class OutOfMemoryError(TrainingError):
    """A step that the memory was too small for, with the `shape` of its images and its precision.

    >>> OutOfMemoryError((8, 1, 512, 512), "float32").shape[0]
    8
    """

    def __init__(self, shape: tuple[int, ...], precision: str) -> None:
        super().__init__(
            f"memory ran out with a batch of shape {shape}: halve batch_size and double "
            f"accumulation_steps; unet_lib.memory.advice_for(model, {shape}, {precision!r}) "
            "computes what will fit"
        )
        self.shape, self.precision = shape, precision

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.shape, self.precision), self.__dict__


def train_epoch(
    model: nn.Module,
    loader: Batches,
    loss: LossFunction,
    optimizer: Optimizer,
    accelerator: Accelerator | None = None,
    schedule: Steps | None = None,
    clip_norm: float = 0.0,
    on_step: OnStep | None = None,
) -> float:
    """Shows the model every batch once; returns the mean loss over the images.

    With an `accelerator`, model, loader and optimizer are those that its `prepare` returned.
    `on_step` is called with the number of each step, from 1, and its loss.
    Raises TrainingError at the first loss or gradient that is not finite, before the step is
    taken; when memory runs out (OutOfMemoryError); when a data worker dies; and for a batch too
    small for BatchNorm.

    >>> import torch
    >>> from unet_lib.training import bce_dice_loss
    >>> model, images = nn.Conv2d(1, 1, 1), torch.ones(4, 1, 2, 2)
    >>> optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    >>> batches = [(images, images)]
    >>> losses = [train_epoch(model, batches, bce_dice_loss, optimizer) for _ in range(9)]
    >>> losses[-1] < losses[0]
    True
    """
    accelerator = accelerator or Accelerator()
    model.train()
    total, seen = 0.0, 0
    with _explained(accelerator, optimizer) as at:
        for at.step, (at.images, target) in enumerate(loader, start=1):
            with accelerator.accumulate(model):
                batch_loss = loss(*logits_and_target(model, at.images, target))
                at.require_finite("loss", value := batch_loss.item())
                accelerator.backward(batch_loss)
                if accelerator.sync_gradients:
                    norm = accelerator.clip_grad_norm_(model.parameters(), clip_norm or math.inf)
                    if norm is not None and accelerator.mixed_precision != "fp16":
                        at.require_finite("gradient", float(norm))  # fp16's scaler skips the step
                optimizer.step()
                if schedule is not None and accelerator.sync_gradients:
                    schedule.step()
                optimizer.zero_grad()
            total, seen = total + value * len(at.images), seen + len(at.images)
            if on_step is not None:
                on_step(at.step, value)
    if not seen:
        raise TrainingError("the loader gave no batch: no image, or drop_last left none")
    return total / seen


def logits_and_target(model: nn.Module, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The model's logits, and the part of the target that they are about.

    A network without padding (its `keeps_size` is False) answers for the middle of the image
    alone: there the target, and whatever is stacked with it, is cut to the size of the logits.
    """
    logits = model(images)
    network = getattr(model, "module", model)  # several processes wrap it
    if logits.shape[-2:] != target.shape[-2:] and not getattr(network, "keeps_size", True):
        (height, width), whole = logits.shape[-2:], target.shape[-2:]
        top, left = (whole[0] - height) // 2, (whole[1] - width) // 2
        target = target[..., top : top + height, left : left + width]
    return logits, target


@dataclass
class _Step:
    """Where an epoch is."""

    optimizer: Optimizer
    precision: str
    step: int = 0
    images: Tensor = field(default_factory=lambda: torch.empty(()))

    def require_finite(self, what: str, value: float) -> None:
        if math.isfinite(value):
            return
        rate = max(group["lr"] for group in self.optimizer.param_groups)
        raise TrainingError(
            f"the {what} is {value} at learning rate {rate:.2g}, precision {self.precision}; "
            f"images from {self.images.min():.3g} to {self.images.max():.3g}: "
            "check them for NaN, try a tenth of the rate or float32"
        )

    def explain(self, error: Exception) -> TrainingError | None:
        """What an error of PyTorch means, and the cure; None where it speaks for itself."""
        text, shape = str(error), tuple(self.images.shape)
        if "more than 1 value per channel" in text:
            return TrainingError(
                f"a batch of shape {shape} leaves BatchNorm one value per channel in the "
                'bottleneck, and no variance: take larger crops, norm="group", or a batch size '
                "that leaves no image alone at the end (drop_last=True, for training only)"
            )
        if "out of memory" in text or "can't allocate memory" in text:
            return OutOfMemoryError(shape, self.precision)
        if "DataLoader worker" in text or "bootstrapping phase" in text:
            return TrainingError(
                "a process that prepares images died, killed for its memory or by a crash in a "
                f"library ({text.splitlines()[0]}): set num_workers=0, and the error appears with "
                "its file; in a script on Windows or macOS, call it under "
                '`if __name__ == "__main__":`'
            )
        return None


@contextmanager
def _explained(accelerator: Accelerator, optimizer: Optimizer) -> Generator[_Step, None, None]:
    """What goes wrong inside is told as a TrainingError that says the step, why and the cure."""
    precision = accelerator.mixed_precision
    at = _Step(optimizer, "float32" if precision == "no" else precision)
    try:
        yield at
    except TrainingError as error:
        error.step = at.step
        raise
    except (RuntimeError, ValueError) as error:
        if (explained := at.explain(error)) is None:
            raise
        explained.step = at.step
        raise explained from error


def evaluate(
    model: nn.Module,
    loader: Batches,
    loss: LossFunction | None = None,
    scores: SegmentationScores | None = None,
    accelerator: Accelerator | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> dict[str, float]:
    """Scores the model on every batch of the loader, in eval mode, which is set back after.

    Returns the scores by name, those of `metrics` (of one's own or of torchmetrics, see `fit`)
    and, if a loss is given, its mean over the images as "loss".

    >>> import torch
    >>> images = torch.tensor([[[[1.0, -1.0]]]])
    >>> evaluate(nn.Identity(), [(images, (images > 0).float())])["dice_per_image"]
    1.0
    """
    scores, total, seen = scores or SegmentationScores(), 0.0, 0
    own = {name: Running(metric) for name, metric in (metrics or {}).items()}
    with evaluated(model):
        for images, target in loader:
            logits, target = logits_and_target(model, images, target)
            if accelerator is not None:
                logits, target = accelerator.gather_for_metrics((logits, target))
            scores.update(logits, target)
            for metric in own.values():
                metric.update(logits, target)
            if loss is not None:
                total, seen = total + loss(logits, target).item() * len(logits), seen + len(logits)
    result = scores.compute() | {name: metric.compute() for name, metric in own.items()}
    return result | ({"loss": total / seen} if loss is not None else {})
