"""What a network predicts and how its pictures are prepared, kept in its checkpoint (chapter 4).

Weights alone do not say whether the pictures were gray, how they were normalized, or from which
probability on a pixel counts as found. A `Task` does, so a checkpoint can be used without asking.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor

from unet_lib.data.base import ImageArray, Normalize, SegmentationDataset, image_tensor
from unet_lib.data.normalize import normalize_percentiles, scale_by_dtype
from unet_lib.data.targets import foreground, interior_border
from unet_lib.evaluation.instances import label_instances
from unet_lib.evaluation.metrics import SegmentationScores, average_precision
from unet_lib.evaluation.tiles import foreground_probability, predict
from unet_lib.model.unet import SegmentationModel
from unet_lib.training.checkpoint import CheckpointError, load_checkpoint, stored_object
from unet_lib.training.losses import segmentation_loss


@dataclass(frozen=True)
class Task:
    """What a network predicts, from which pictures; checks itself.

    Raises ValueError, naming the field, for values that do not fit together.

    >>> Task("instances").out_channels
    3
    """

    target: Literal["foreground", "classes", "instances"] = "foreground"
    """One channel for anything but label 0; one channel a class; or background, interior and
    border, to tell touching objects apart."""
    mode: Literal["L", "RGB"] = "L"
    """Gray pictures or color."""
    normalize: Literal["percentiles", "type"] = "percentiles"
    """Stretch each picture between its percentiles, or divide by the largest value of its type."""
    num_classes: int | None = None
    """Masks hold classes 0 to this minus one; found out by reading them if it is not given."""
    ignore_index: int | None = None
    """One further value in the masks, for pixels that do not count; often 255."""
    threshold: float = 0.5
    """A pixel is foreground where its probability is larger than this."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {self.threshold}")
        if self.num_classes is not None and self.num_classes < 2:
            raise ValueError(f"num_classes counts the background, too: got {self.num_classes}")
        if self.target == "instances" and (self.num_classes, self.ignore_index) != (None, None):
            raise ValueError(
                'target "instances" needs masks that number objects 1 to n; num_classes and '
                "ignore_index belong to masks of classes"
            )

    @property
    def in_channels(self) -> int:
        """Channels of the pictures."""
        return 1 if self.mode == "L" else 3

    @property
    def out_channels(self) -> int:
        """Channels of the logits; ValueError while the number of classes is not known."""
        if self.target == "classes" and self.num_classes is None:
            raise ValueError('num_classes is needed for target "classes"')
        return {"foreground": 1, "instances": 3}.get(self.target) or self.num_classes

    @property
    def normalization(self) -> Normalize:
        """The function that `normalize` names."""
        return normalize_percentiles if self.normalize == "percentiles" else scale_by_dtype

    def prepare(self, image: ImageArray) -> Float[Tensor, "C H W"]:
        """A picture, as `read_image` gives it, as the network has learned to see it."""
        return image_tensor(self.normalization(image))

    def encode(self, labels: Int64[Tensor, "H W"]) -> Shaped[Tensor, "..."]:
        """The target that the loss wants: (1, H, W) for foreground, else classes (H, W)."""
        if self.target == "classes":
            return labels
        if self.target == "instances":
            return interior_border(labels)
        target = foreground(labels)
        return (
            target
            if self.ignore_index is None
            else target.where(labels != self.ignore_index, self.ignore_index)
        )

    def loss(self, logits: Tensor, target: Tensor) -> Float[Tensor, ""]:
        """Cross-entropy + Dice, of one channel or of several."""
        return segmentation_loss(logits, target, ignore_index=self.ignore_index)

    def scores(self) -> SegmentationScores:
        """An empty collection of scores: of the foreground, or means over the classes."""
        return SegmentationScores(self.threshold, self.ignore_index, self.target == "instances")

    def mask(self, logits: Float[Tensor, "K H W"]) -> UInt8[np.ndarray, "H W"]:
        """The classes that the logits of a picture stand for; 1 is foreground where there is one.

        >>> import torch
        >>> Task().mask(torch.tensor([[[-1.0, 2.0]]]))
        array([[0, 1]], dtype=uint8)
        """
        if self.target == "classes":
            return logits.argmax(0).numpy().astype(np.uint8)
        return (foreground_probability(logits) > self.threshold).numpy().astype(np.uint8)

    def stored(self) -> dict[str, str]:
        """What to pass to `fit` or `save_checkpoint` (`**task.stored()`) to keep the task."""
        return {"task": json.dumps(asdict(self))}


def load_task(path: Path | str) -> Task:
    """The task that is stored in a checkpoint; raises CheckpointError where there is none.

    >>> import tempfile
    >>> from unet_lib.training import save_checkpoint
    >>> from unet_lib.model import UNet
    >>> file = Path(tempfile.mkdtemp()) / "model.pt"
    >>> save_checkpoint(file, UNet(3, width=2, depth=1), **Task(mode="RGB").stored())
    >>> load_task(file).mode
    'RGB'
    """
    stored = load_checkpoint(path).get("task")
    if stored is None:
        raise CheckpointError(
            f"{path} does not say what its network predicts; save it with **Task(...).stored(), "
            "or train with fit(..., extra=Task(...).stored())"
        )
    return stored_object(Task, stored, path)


def score_pictures(
    model: SegmentationModel,
    task: Task,
    dataset: SegmentationDataset,
    instances: bool = False,
    thresholds: Sequence[float] = (0.5, 0.7, 0.9),
) -> dict[str, float]:
    """Scores of a network on whole pictures of any size, by names that say how they are pooled.

    The data set gives labels, not targets. With `instances` the labels number objects, and the
    average precision at each threshold of the IoU is added, over the objects of all pictures.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.model import UNet
    >>> nuclei = SimulatedNuclei(2, size=(32, 32))
    >>> list(score_pictures(UNet(1, width=2, depth=1), Task(), nuclei, instances=True))[-1]
    'ap_at_iou_0.9_pooled'
    """
    scores, predicted, true = task.scores(), [], []
    for index in range(len(dataset)):
        image, labels = dataset[index]
        logits = predict(model, image)
        scores.update(logits[None], task.encode(labels)[None])
        if instances:
            predicted.append(label_instances(logits, task.threshold))
            true.append(labels.numpy())
    result = scores.compute()
    if instances:
        precision = average_precision(predicted, true, thresholds)
        result |= {f"ap_at_iou_{at}_pooled": value for at, value in precision.items()}
    return result
