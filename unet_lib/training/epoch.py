"""Training: one epoch, one evaluation, and two tests before a long run (chapter 4).

The loop around them is `unet_lib.training.loop`.
"""

import math
from collections.abc import Callable, Iterable

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from unet_lib.evaluation.metrics import SegmentationScores
from unet_lib.model.unet import SegmentationModel

LossFunction = Callable[[Tensor, Tensor], Tensor]
Batches = Iterable[tuple[Tensor, Tensor] | list[Tensor]]


class TrainingError(RuntimeError):
    """A run that cannot go on: the message says the step, why, and the cure."""

    step: int | None = None
    """The step of the epoch, counted from 1, in which it happened."""


class OneClassWarning(UserWarning):
    """The network predicts one and the same class everywhere: the mask is black, or white."""


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
            from unet_lib.memory import advice_for  # which imports the losses of this package

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
