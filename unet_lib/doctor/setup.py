"""What the doctor examines: a set-up, and the images that are drawn from its data sets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from unet_lib.data.base import image_name, origin
from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task

IN_A_ROW, SPREAD = 16, 16  # images examined: the first ones, and others from the rest


@dataclass(frozen=True)
class SetUp:
    """Everything the doctor may look at; what is None is passed over.

    A set-up with a `history` counts as trained, any other as about to be trained.

    >>> from unet_lib.data import SimulatedNuclei
    >>> SetUp(train=SimulatedNuclei(8)).task.target
    'foreground'
    """

    train: Dataset | None = None
    """Pairs of an image (C, H, W) and a target, as the network is trained on."""
    validation: Dataset | None = None
    """Images that are not trained on."""
    task: Task = field(default_factory=Task)
    """What is to be predicted: kind of target, number of classes, ignore_index."""
    model: nn.Module | None = None
    """The network, before or after training."""
    loss: Callable[[Tensor, Tensor], Tensor] | None = None
    """The loss; that of the task if it is not given."""
    settings: TrainingSettings | None = None
    """How the network is trained."""
    optimizer: Optimizer | None = None
    """The optimizer, if it is your own."""
    history: Sequence[Mapping[str, Any]] = ()
    """The rows that `fit` returned."""
    predict: Callable[[Tensor], Tensor] | None = None
    """Your own prediction: images (N, C, H, W) -> masks (N, H, W)."""

    @property
    def loss_function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The loss that the set-up is trained with."""
        return self.loss or self.task.loss


@dataclass
class Sample:
    """Some images of a data set: as they are stored, and as the network gets them.

    images and labels: arrays before normalization and transforms, (H, W) or (H, W, C) and (H, W);
    inputs and targets: what the data set returns.
    """

    dataset: Dataset
    names: list[str]
    images: list[np.ndarray]
    labels: list[np.ndarray]
    inputs: list[Tensor]
    targets: list[Tensor]
    row: int
    """How many of them, from the beginning, follow each other in the data set."""

    def __len__(self) -> int:
        return len(self.names)

    def where(self, chosen: Sequence[bool] | np.ndarray) -> list[str]:
        """The names of the chosen images."""
        return [name for name, it in zip(self.names, chosen, strict=True) if it]


def draw_sample(dataset: Dataset, task: Task | None = None) -> Sample:
    """The first images of a data set, and some evenly spread over the rest.

    Where a data set of ours gives labels, they become the targets of the task, if one is given.
    """
    count = len(dataset)  # type: ignore[arg-type]  # torch declares no length
    row = min(IN_A_ROW, count)
    spread = np.linspace(row, count - 1, min(SPREAD, count - row)).astype(int)
    indices = [*range(row), *dict.fromkeys(spread.tolist())]
    sample = Sample(dataset, [], [], [], [], [], row)
    for index in indices:
        image, target = dataset[index]
        ours = origin(dataset, index)
        if ours and task is not None and ours[0].target is None:
            target = task.encode(target)
        stored, labels = ours[0].load(ours[1]) if ours else _as_arrays(image, target)
        sample.names.append(image_name(dataset, index))
        sample.images.append(stored)
        sample.labels.append(labels)
        sample.inputs.append(image.float())
        sample.targets.append(target)
    return sample


def judged(target: Tensor) -> Tensor:
    """What of a target is compared with classes: of several maps (K, H, W) the foreground alone."""
    return target[:1] if target.ndim == 3 else target


def has_transform(dataset: Dataset) -> bool:
    """Whether a data set of ours changes its images at each access."""
    found = origin(dataset, 0)
    return found is not None and found[0].transform is not None


def _as_arrays(image: Tensor, target: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """An image (C, H, W) as (H, W, C), and a target as labels (H, W)."""
    labels = target[0] if target.ndim == 3 else target
    return np.moveaxis(image.numpy(), 0, -1), labels.round().long().numpy()


def batch_of(sample: Sample, most: int, side: int) -> tuple[Tensor, Tensor]:
    """A batch of at most that many images, cut to one size of at most `side`.

    Images with most foreground come first, and the part with most of it is cut out.
    """
    order = sorted(range(len(sample)), key=lambda i: -float(_share(sample.targets[i])))[:most]
    height, width = (min(side, *(sample.inputs[i].shape[axis] for i in order)) for axis in (-2, -1))
    images, targets = [], []
    for i in order:
        top, left = _fullest(sample.targets[i], height, width)
        part = (..., slice(top, top + height), slice(left, left + width))
        images.append(sample.inputs[i][part])
        targets.append(sample.targets[i][part])
    return torch.stack(images), torch.stack(targets)


def _share(target: Tensor) -> Tensor:
    """How near the foreground is to half of the pixels, from 0 to 0.5."""
    share = (judged(target) != 0).float().mean()
    return torch.minimum(share, 1 - share)


def _fullest(target: Tensor, height: int, width: int) -> tuple[int, int]:
    """Top and left of the part with the most even share of foreground, of a coarse grid."""
    tops = sorted({0, (target.shape[-2] - height) // 2, target.shape[-2] - height})
    lefts = sorted({0, (target.shape[-1] - width) // 2, target.shape[-1] - width})
    return max(
        ((top, left) for top in tops for left in lefts),
        key=lambda at: float(_share(target[..., at[0] : at[0] + height, at[1] : at[1] + width])),
    )
