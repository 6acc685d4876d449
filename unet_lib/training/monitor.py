"""What a run is judged by: the score that finds its best epoch, metrics of one's own."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from unet_lib.evaluation.metrics import Counts, SegmentationScores

Metric = Callable[[Tensor, Tensor], Any] | nn.Module
Direction = Literal["max", "min"]
LOSSES = ("loss", "validation_loss")


class OneClassWarning(UserWarning):
    """The network predicts one and the same class everywhere: the mask is black, or white."""


class Running:
    """A metric over the images of a validation set, whether a function or one of torchmetrics.

    >>> bias = Running(lambda logits, target: (logits - target).mean())
    >>> bias.update(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    >>> bias.compute()
    1.0
    """

    def __init__(self, metric: Any) -> None:
        self.metric, self.values = metric, list[float]()
        self.collects = all(hasattr(metric, name) for name in ("update", "compute", "reset"))
        if self.collects:
            metric.reset()
            metric.sync_on_compute = False  # every process gets all images already

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Adds a batch: all of it to a metric of torchmetrics, image by image to a function."""
        if not self.collects:
            pairs = zip(logits.split(1), target.split(1), strict=True)
            self.values += [float(self.metric(*pair)) for pair in pairs]
            return
        classes = target.long()  # torchmetrics wants whole numbers as such
        truth = classes if bool((classes == target).all()) else target
        self.metric.to(logits.device).update(logits, truth)

    def compute(self) -> float:
        """The result so far; of a function the mean over all images for which it is a number."""
        if self.collects:
            return float(self.metric.compute())
        known = [value for value in self.values if not math.isnan(value)]
        return sum(known) / len(known) if known else math.nan


def check_monitor(
    monitor: str, mode: Direction, metrics: Mapping[str, Metric], validates: bool
) -> None:
    """Raises ValueError for a score that no epoch will have, or that is better the other way.

    >>> check_monitor("validation_loss", "max", {}, validates=True)
    Traceback (most recent call last):
    ...
    ValueError: monitor 'validation_loss' is better the smaller it is: pass mode="min"
    """
    scores, one = SegmentationScores(), torch.zeros(1, 1, 1, 1)
    scores.update(one, one)
    known = dict.fromkeys(scores.compute(), True) | dict.fromkeys(LOSSES, False)
    if taken := sorted(metrics.keys() & {*known, "epoch", "learning_rate", "seconds"}):
        raise ValueError(f"metrics: fit gives {', '.join(taken)} itself; take another name")
    known |= {name: getattr(metric, "higher_is_better", None) for name, metric in metrics.items()}
    if monitor not in known:
        raise ValueError(f"monitor: no score {monitor!r}; there are {', '.join(known)}")
    if mode not in ("max", "min"):
        raise ValueError(f'mode must be "max" or "min", got {mode!r}')
    if known[monitor] not in (None, mode == "max"):
        way, right = ("larger", "max") if known[monitor] else ("smaller", "min")
        raise ValueError(f'monitor {monitor!r} is better the {way} it is: pass mode="{right}"')
    if not validates and (metrics or monitor not in ("loss", "dice_per_image")):
        raise ValueError(
            f"{'metrics' if metrics else f'monitor {monitor!r}'} cannot be had without a "
            'validation set: pass one, or monitor="loss", mode="min"'
        )


def one_class(counts: Counts) -> str:
    """Says which class every pixel was given though the truth has several; else nothing.

    `counts` as `SegmentationScores.counts` holds them: of one channel, or of K classes.
    """
    tp, fp, fn, tn = (c.sum(0).double() for c in (counts.tp, counts.fp, counts.fn, counts.tn))
    predicted, true = tp + fp, tp + fn
    names = [f"class {k}" for k in range(len(true))]
    if len(true) == 1:  # make two classes of it
        predicted, true = torch.cat([fn + tn, predicted]), torch.cat([fp + tn, true])
        names = ["background", "foreground"]
    if (predicted > 0).sum() != 1 or (true > 0).sum() < 2:
        return ""
    only = int(predicted.argmax())
    share = 100 * float(1 - true[only] / true.sum())
    other = f"{share:.{2 if share < 10 else 3}g} % are not"
    return f"every pixel of the validation set is predicted as {names[only]}, though {other}"
