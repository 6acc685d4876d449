"""What a network predicts and how its images are prepared, kept in its checkpoint (chapter 4).

Weights alone do not say whether the images were gray, how they were normalized, or from which
probability on a pixel counts as found. A `Task` does, so a checkpoint can be used without asking.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64, Integer, Shaped
from torch import Tensor
from torch.utils.data import Dataset, Subset

from unet_lib.data.arrays import image_tensor
from unet_lib.data.base import PADDING, Normalize, SegmentationDataset, with_
from unet_lib.data.files import Mode
from unet_lib.data.findings import DataError, Finding
from unet_lib.data.normalize import NORMALIZATIONS, Normalization
from unet_lib.data.targets import distances, foreground, interior_border, offsets
from unet_lib.evaluation.decoders import decode_distances, decode_offsets
from unet_lib.evaluation.instances import label_instances
from unet_lib.evaluation.metrics import SegmentationScores
from unet_lib.evaluation.tiles import foreground_probability, probabilities
from unet_lib.model.checks import require
from unet_lib.training.checkpoint import CheckpointError, load_checkpoint, stored_object
from unet_lib.training.losses import segmentation_loss
from unet_lib.training.shape_losses import distance_loss, offset_loss

Target = Literal["foreground", "classes", "instances", "distances", "offsets"]


class Shape(NamedTuple):
    """A target that describes the shape of objects; its first map is the foreground."""

    channels: int
    encode: Callable[..., Tensor]
    loss: Callable[..., Tensor]
    decode: Callable[..., Any]


SHAPES = {
    "distances": Shape(3, distances, distance_loss, decode_distances),
    "offsets": Shape(4, offsets, offset_loss, decode_offsets),
}


@dataclass(frozen=True)
class Task:
    """What a network predicts, from which images; checks itself.

    Raises ValueError, naming the field, for values that do not fit together.

    >>> Task("instances").out_channels
    3
    """

    target: Target = "foreground"
    """One channel for anything but label 0; one channel a class; or, to tell touching objects
    apart: background, interior and border; distances to center and rim; offsets to the center."""
    mode: Mode = "L"
    """Gray images or color."""
    normalize: Normalization = "percentiles"
    """Stretch each image between its percentiles, or divide by the largest value of its type."""
    num_classes: int | None = None
    """Masks hold classes 0 to this minus one; found out by reading them if it is not given."""
    ignore_index: int | None = None
    """One further value in the masks, for pixels that do not count; often 255."""
    threshold: float = 0.5
    """A pixel is foreground where its probability is larger than this."""

    def __post_init__(self) -> None:
        for name, kind in (("target", Target), ("mode", Mode), ("normalize", Normalization)):
            require(name, getattr(self, name), choices=get_args(kind))
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {self.threshold}")
        if self.num_classes is not None and self.num_classes < 2:
            raise ValueError(f"num_classes counts the background, too: got {self.num_classes}")
        if self.numbers_objects and (self.num_classes, self.ignore_index) != (None, None):
            raise ValueError(
                f'target "{self.target}" needs masks that number objects 1 to n; num_classes and '
                "ignore_index belong to masks of classes"
            )

    @property
    def numbers_objects(self) -> bool:
        """Whether the target is made of labels that number objects."""
        return self.target == "instances" or self.target in SHAPES

    @property
    def in_channels(self) -> int:
        """Channels of the images."""
        return 1 if self.mode == "L" else 3

    @property
    def out_channels(self) -> int:
        """Channels of the logits; ValueError while the number of classes is not known."""
        if self.target == "classes" and self.num_classes is None:
            raise ValueError('num_classes is needed for target "classes"')
        if self.target in SHAPES:
            return SHAPES[self.target].channels
        return {"foreground": 1, "instances": 3}.get(self.target) or self.num_classes or 0

    def check_channels(self, takes: int, gives: int) -> None:
        """Raises ValueError for a network that has other channels."""
        if (takes, gives) != (self.in_channels, self.out_channels):
            raise ValueError(
                f"the task takes {self.in_channels} and gives {self.out_channels} channels, the "
                f"network {takes} and {gives}; take the task of its training"
            )

    @property
    def normalization(self) -> Normalize:
        """The function that `normalize` names."""
        return NORMALIZATIONS[self.normalize]

    def prepare(self, image: Shaped[np.ndarray, "..."]) -> Float[Tensor, "C H W"]:
        """An image, as `read_image` gives it, as the network has learned to see it.

        Raises DataError for an array that is no gray image (H, W) or, with mode "RGB", no color
        image (H, W, 3), for NaN and infinity, and for numbers that `normalize` does not take.
        """
        color = self.mode == "RGB"
        if image.dtype.kind not in "uif" or image.ndim < 2 or image.shape[2:] != (3,) * color:
            found = f"an array of shape {image.shape} and type {image.dtype}"
            kind = "a color image (H, W, 3)" if color else "a gray image (H, W)"
            cure = f'of an image of Pillow: np.asarray(picture.convert("{self.mode}"))'
            raise DataError(Finding("unusable-file", found, f"{kind} of numbers", cure))
        if bad := np.count_nonzero(~np.isfinite(image)):
            found = f"{bad} of {image.size} values are NaN or infinite"
            cure = "replace them, or leave the image out"
            raise DataError(Finding("not-finite", found, cure=cure))
        return image_tensor(self.normalization(image))

    def apply(self, dataset: Dataset) -> Dataset:
        """The data set as the network is to see it, also behind Subset.

        Its images are normalized as the task says, and its labels become targets unless it has a
        `target` of its own. A data set that is not of this library comes back as it is.
        Raises ValueError for a data set of another mode, or one that was made with another
        `normalize`.

        >>> from unet_lib.data import SimulatedNuclei
        >>> Task("instances").apply(SimulatedNuclei(2))[0][1].unique().tolist()
        [0, 1, 2]
        """
        base = dataset
        while isinstance(base, Subset):
            base = base.dataset
        if not isinstance(base, SegmentationDataset):
            return dataset
        if (mode := getattr(base, "mode", self.mode)) != self.mode:
            raise ValueError(
                f'the data set reads images of mode "{mode}", the task wants mode "{self.mode}": '
                "choose one for both"
            )
        wanted, given = self.normalization, base.normalize
        if getattr(base, "normalize_given", False) and given is not wanted:
            raise ValueError(
                f"the data set was made with normalize={getattr(given, '__name__', given)}, the "
                f"task wants {wanted.__name__}: leave normalize out there, or choose another "
                "normalize in the task"
            )
        return with_(dataset, normalize=wanted, target=base.target or self.encode)

    @property
    def void(self) -> int:
        """The label of pixels that do not count: `ignore_index`, or that of a crop's padding."""
        return PADDING if self.ignore_index is None else self.ignore_index

    def encode(self, labels: Int64[Tensor, "H W"]) -> Shaped[Tensor, "..."]:
        """The target that the loss wants: classes (H, W), or (1, H, W) for foreground.

        Of a shape it is (K, H, W): the foreground, and K - 1 maps that count inside objects.

        Pixels that do not count, of label `void`, are `void` in the target, too.
        """
        if self.target == "classes":
            return labels
        encodes = {"foreground": foreground, "instances": interior_border}
        encode = SHAPES[self.target].encode if self.target in SHAPES else encodes[self.target]
        return encode(labels).where(labels != self.void, self.void)

    def loss(self, logits: Tensor, target: Tensor) -> Float[Tensor, ""]:
        """Cross-entropy + Dice, of one channel or of several, and errors of a shape."""
        function = SHAPES[self.target].loss if self.target in SHAPES else segmentation_loss
        return function(logits, target, ignore_index=self.void)

    def scores(self) -> SegmentationScores:
        """An empty collection of scores: of the foreground, or means over the classes."""
        return SegmentationScores(self.threshold, self.void, self.target == "instances")

    def mask(self, logits: Float[Tensor, "K H W"]) -> Integer[np.ndarray, "H W"]:
        """The classes that the logits of an image stand for; 1 is foreground where there is one.

        Of the smallest type that holds all classes: uint8, or uint16 from 257 on.

        >>> import torch
        >>> Task().mask(torch.tensor([[[-1.0, 2.0]]]))
        array([[0, 1]], dtype=uint8)
        """
        if self.target == "classes":
            return logits.argmax(0).numpy().astype(np.min_scalar_type(len(logits) - 1))
        return (self.foreground(logits) > self.threshold).numpy().astype(np.uint8)

    def foreground(self, logits: Float[Tensor, "K H W"]) -> Float[Tensor, "H W"]:
        """The probability that a pixel is anything but background.

        >>> import torch
        >>> Task("distances").foreground(torch.zeros(3, 1, 1))
        tensor([[0.5000]])
        """
        return foreground_probability(logits[:1] if self.target in SHAPES else logits)

    def probabilities(self, logits: Float[Tensor, "K H W"]) -> Float[Tensor, "K H W"]:
        """From 0 to 1: of foreground, or of each class; of a shape also its maps as they are.

        >>> import torch
        >>> Task("offsets").probabilities(torch.full((4, 1, 1), -2.0)).flatten()
        tensor([ 0.1192,  0.1192, -2.0000, -2.0000])
        """
        if self.target not in SHAPES:
            return probabilities(logits)
        between = 2 if self.target == "offsets" else 3
        return torch.cat([logits[:between].sigmoid(), logits[between:]])

    def instances(self, logits: Float[Tensor, "K H W"]) -> Int32[np.ndarray, "H W"]:
        """The objects that the logits of an image stand for, numbered 1 to n.

        Raises ValueError for target "classes".

        >>> import torch
        >>> Task().instances(torch.full((1, 9, 9), 5.0)).max()
        np.int32(1)
        """
        if self.target == "classes":
            raise ValueError(
                "the network tells classes apart, not objects; instances need one trained with "
                'any target but "classes"'
            )
        if self.target in SHAPES:
            return SHAPES[self.target].decode(logits, self.threshold)
        return label_instances(logits, self.threshold, borders=self.target == "instances")

    def stored(self) -> dict[str, str]:
        """What to pass to `save_checkpoint` (`**task.stored()`) to keep the task.

        >>> Task(threshold=0.4).stored()["task"]
        '{"target": "foreground", ... "threshold": 0.4}'
        """
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
            "or train with fit(..., task=Task(...))"
        )
    return stored_object(Task, stored, path)
