"""Validation on whole images of any size, each predicted by tiles (chapters 4 and 5)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from unet_lib.evaluation.context import find_context
from unet_lib.evaluation.metrics import SegmentationScores
from unet_lib.evaluation.tiles import predict_tiles
from unet_lib.training.epoch import LossFunction
from unet_lib.training.monitor import Metric, Running
from unet_lib.training.precision import broadcast
from unet_lib.training.task import Task


@dataclass(frozen=True)
class WholeImages:
    """A validation set for `fit` whose images are judged as a whole, as they will be predicted.

    Sizes may differ, and images may be larger than what the memory takes at once.

    >>> from unet_lib.data import SimulatedNuclei
    >>> len(WholeImages(SimulatedNuclei(2)))
    2
    """

    dataset: Dataset | Sequence[Any]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.dataset)  # type: ignore[arg-type]  # torch declares no length

    def seen_by(self, task: Task | None) -> "WholeImages":
        """The same images as the task prepares them; raises ValueError where there is none."""
        if not len(self):
            raise ValueError("the validation set is empty; check its folder, or how it was split")
        if task is None or not isinstance(self.dataset, Dataset):
            return self
        return WholeImages(task.apply(self.dataset))

    def evaluate(
        self,
        model: nn.Module,
        loss: LossFunction,
        scores: SegmentationScores,
        metrics: Mapping[str, Metric],
    ) -> dict[str, float]:
        """Scores by name, with the mean "loss" of the images that have a pixel that counts.

        In several processes each does all of it, and the first one's word counts.
        """
        own = {name: Running(metric) for name, metric in metrics.items()}
        context, losses = None, []
        for index in range(len(self)):
            image, target = self.dataset[index]
            context = context or find_context(model, len(image))
            logits, target = predict_tiles(model, image, context)[None], target[None]
            scores.update(logits, target)
            losses.append(loss(logits, target).item())
            for metric in own.values():
                metric.update(logits, target)
        tp, fp, fn, tn = scores.counts
        judged = (tp + fp + fn + tn).sum(1) > 0
        counted = [value for value, counts in zip(losses, judged, strict=True) if counts]
        mean = sum(counted) / len(counted) if counted else math.nan
        result = {name: metric.compute() for name, metric in own.items()} | {"loss": mean}
        return broadcast(scores.compute() | result)
