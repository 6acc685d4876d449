"""What all data sets share: an image and its labels become two tensors (chapter 3)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import ClassVar, Literal, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.utils.data import Dataset, Subset

from unet_lib.data.arrays import ImageArray, LabelArray, check_pair, image_tensor
from unet_lib.data.division import digests, divide, refuse_copies
from unet_lib.data.findings import DataError
from unet_lib.data.normalize import scale_by_dtype
from unet_lib.transforms.recipes import views

Normalize = Callable[[ImageArray], ImageArray]
Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Target = Callable[[Tensor], Tensor]
Augment = Literal["none", "flip", "all"]
PADDING = -1
"""The label of what a crop holds beyond its image, where no `ignore_index` stands for it."""


class Options(TypedDict, total=False):
    """What every data set takes: `normalize`, `transform`, `target`, as `SegmentationDataset`."""

    normalize: Normalize | None
    transform: Transform | None
    target: Target | None


class SegmentationDataset(Dataset, ABC):
    """Pairs of an image and its labels, one integer a pixel; the parent of every data set here.

    A subclass says how many images it has (`__len__`), how one is read or made (`load`) and what
    it is called in messages (`name`). What happens to an image afterwards is the same for all:

    1. `normalize` turns the raw image into float32, by its own statistics or its type;
    2. `transform` changes image and labels together (chapter 6), if given;
    3. `target` makes of the labels what the loss wants, if given.

    Args:
        normalize: array (H, W) or (H, W, C) -> float32 array of the same shape; without it the
            data set's own way, `default_normalize`.
        transform: (image (C, H, W), labels (H, W)) -> the same two, perhaps of another size.
        target: labels (H, W) -> any tensor; without it the labels themselves are the target.

    >>> class White(SegmentationDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def load(self, index):
    ...         return np.full((4, 6), 255, np.uint8), np.full((4, 6), index)
    ...     def name(self, index):
    ...         return f"white image {index}"
    >>> image, labels = White()[1]
    >>> image.shape, labels.shape, image.max(), labels.max()
    (torch.Size([1, 4, 6]), torch.Size([4, 6]), tensor(1.), tensor(1))
    """

    default_normalize: ClassVar[Normalize] = staticmethod(scale_by_dtype)
    """How images are normalized where the caller does not say."""
    ignore_index: int | None = None
    """The label of pixels that do not count, if there is one."""

    def __init__(
        self,
        *,
        normalize: Normalize | None = None,
        transform: Transform | None = None,
        target: Target | None = None,
    ) -> None:
        if isinstance(transform, torch.nn.Module):  # as all of torchvision's are
            raise TypeError(
                f"{type(transform).__name__} changes an image and leaves its labels as they are; "
                "pass transform=Joint(...) from unet_lib.transforms around it"
            )
        self.normalize_given = normalize is not None
        self.normalize: Normalize = normalize or type(self).default_normalize
        self.transform = transform
        self.target = target

    def with_(self, **changes: Unpack[Options]) -> "SegmentationDataset":
        """A copy over the same files, with other `normalize`, `transform` or `target`.

        Raises TypeError for another name, or a transform that changes the image alone.

        >>> from unet_lib.data import SimulatedNuclei, foreground
        >>> nuclei = SimulatedNuclei(2)
        >>> nuclei.with_(target=foreground)[0][1].shape, nuclei.target
        (torch.Size([1, 128, 128]), None)
        """
        settings: Options = {
            "normalize": self.normalize if self.normalize_given else None,
            "transform": self.transform,
            "target": self.target,
        }
        other = copy(self)
        SegmentationDataset.__init__(other, **settings | changes)
        return other

    def split(
        self,
        share: float = 0.8,
        *,
        crop: int | tuple[int, int] | None = None,
        augment: Augment = "none",
        seed: int = 0,
        groups: Sequence[Hashable] | None = None,
    ) -> tuple[Subset, Subset]:
        """Two parts drawn at random: `share` of the images for training, the rest for validation.

        Images of one group (a patient, slide or film) stay together. `crop` cuts parts of this
        height and width, so that images of any size make a batch: at random for training, one and
        the same part of each image for validation. `augment`, for training alone: "flip" mirrors
        left to right, "all" also top to bottom, with quarter turns. Where a crop is larger than
        the image, the padding does not count: its labels are `ignore_index`, or -1 where there is
        none, which a `Task` and `fit` leave out. A `target` of the data set's own gets 0 there.

        Raises DataError where an image is in both parts, under whatever name, or a part would be
        empty, and ValueError for a share that is not between 0 and 1, and for `crop` or `augment`
        where there is a transform already.

        >>> from unet_lib.data import SimulatedNuclei
        >>> train, validation = SimulatedNuclei(5).split(crop=96, augment="all")
        >>> len(train), len(validation), validation[0][0].shape
        (4, 1, torch.Size([1, 96, 96]))
        """
        void = PADDING if self.ignore_index is None else self.ignore_index
        changed = views(crop, augment, void if self.target is None else self.ignore_index or 0)
        if self.transform is not None and changed != (None, None):
            raise ValueError(
                "the data set has a transform already; pass either transform or crop and augment"
            )
        indices = divide(len(self), (share, round(1 - share, 12)), seed, groups)
        train, validation = (
            Subset(self.with_(transform=self.transform or view), part.tolist())
            for view, part in zip(changed, indices, strict=True)
        )
        refuse_copies(*(digests(stored_images(part)) for part in (train, validation)))
        return train, validation

    @abstractmethod
    def __len__(self) -> int:
        """The number of images."""

    @abstractmethod
    def load(self, index: int) -> tuple[ImageArray, LabelArray]:
        """The raw image, (H, W) or (H, W, C), of any number type, and its integer labels (H, W)."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What to call image `index` in a message: its file, or its number."""

    def __getitem__(self, index: int) -> tuple[Float[Tensor, "C H W"], Shaped[Tensor, "..."]]:
        """Image `index` as float32 (C, H, W) and its target, by default int64 labels (H, W).

        Raises DataError, naming the image, where image and labels differ in size, labels are not
        whole numbers, or the image holds NaN or infinity or does not suit `normalize`.
        """
        index = range(len(self))[index]  # counts from the end, too; IndexError beyond it
        image, labels = self.load(index)
        try:
            check_pair(image, labels)
            image = self.normalize(image)
        except DataError as error:
            named = (replace(finding, files=(self.name(index),)) for finding in error.findings)
            raise DataError(*named) from error
        image, labels = image_tensor(image), torch.from_numpy(labels.astype(np.int64))
        if self.transform is not None:
            image, labels = self.transform(image, labels)
        return image, labels if self.target is None else self.target(labels)


def cached(dataset: SegmentationDataset) -> SegmentationDataset:
    """The same data set with all raw images in memory: each is simulated or read once.

    They are loaded now, so that data workers started later share them. `normalize`, `transform`
    and `target` still run at every access: random transforms stay random. Memory: the sum of all
    raw images and labels; 240 simulated images of 128x128 take 20 MB. Call it before `split`.

    >>> from unet_lib.data import SimulatedNuclei
    >>> nuclei = cached(SimulatedNuclei(length=3, size=(64, 64)))
    >>> len(nuclei), nuclei[2][0].shape
    (3, torch.Size([1, 64, 64]))
    """
    kept = copy(dataset)
    vars(kept)["load"] = [dataset.load(index) for index in range(len(dataset))].__getitem__
    return kept


def with_(dataset: Dataset, **changes: Unpack[Options]) -> Dataset:
    """The same images with another `normalize`, `transform` or `target`, behind any Subsets.

    A data set that is not of this library is returned as it is.

    >>> from unet_lib.data import SimulatedNuclei, foreground
    >>> with_(Subset(SimulatedNuclei(9), [7, 8]), target=foreground)[1][1].shape
    torch.Size([1, 128, 128])
    """
    if isinstance(dataset, Subset):
        return Subset(with_(dataset.dataset, **changes), dataset.indices)
    return dataset.with_(**changes) if isinstance(dataset, SegmentationDataset) else dataset


def origin(dataset: Dataset, index: int) -> tuple[SegmentationDataset, int] | None:
    """The data set of this library, and the index in it, behind any number of Subsets.

    >>> from unet_lib.data import SimulatedNuclei
    >>> origin(Subset(SimulatedNuclei(9), [7, 8]), 1)[1]
    8
    """
    while isinstance(dataset, Subset):
        dataset, index = dataset.dataset, dataset.indices[index]
    return (dataset, index) if isinstance(dataset, SegmentationDataset) else None


def stored_images(dataset: Dataset) -> Iterator[tuple[str, np.ndarray]]:
    """Name and raw image of every item of a data set or a part of one, read one by one.

    Of a data set that is not of this library, the image as it gives it.
    """
    for index in range(len(dataset)):  # type: ignore[arg-type]  # torch declares no length
        found = origin(dataset, index)
        image = dataset[index][0].numpy() if found is None else found[0].load(found[1])[0]
        yield image_name(dataset, index), image


def image_name(dataset: Dataset, index: int) -> str:
    """What messages call an image, behind any number of Subsets: its file, or its number."""
    while isinstance(dataset, Subset):
        dataset, index = dataset.dataset, dataset.indices[index]
    name = getattr(dataset, "name", None)
    return name(index) if callable(name) else f"image {index}"
