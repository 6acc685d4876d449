"""What all data sets share: an image and its labels become two tensors (chapter 3)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Integer, Shaped
from torch import Tensor
from torch.utils.data import Dataset, Subset

ImageArray = Shaped[np.ndarray, "H W"] | Shaped[np.ndarray, "H W C"]
LabelArray = Integer[np.ndarray, "H W"]
Normalize = Callable[[ImageArray], ImageArray]
Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Target = Callable[[Tensor], Tensor]


class Detail(NamedTuple):
    """One fault of one file: its short name, its kind in words, and the file with what was found.

    Example:
        >>> Detail("pairing", "image without a mask of the same name", "images/7.png").cause
        'pairing'
    """

    cause: str
    kind: str
    example: str


class DataError(ValueError):
    """Something is wrong in the data: the text says where, what was expected, and what to do.

    `cause` is the short name of the fault, a key of `unet_lib.doctor.CAUSES`; `details` has an
    entry for each file where several were examined.

    Example:
        >>> raise DataError("cells/7.png: the file is empty; copy it again or remove it")
        Traceback (most recent call last):
        unet_lib.data.base.DataError: cells/7.png: the file is empty; copy it again or remove it
    """

    def __init__(
        self, message: str, cause: str = "unusable-file", details: Sequence[Detail] = ()
    ) -> None:
        super().__init__(message)
        self.cause, self.details = cause, tuple(details)


class SegmentationDataset(Dataset, ABC):
    """Pairs of an image and its labels, one integer a pixel; the parent of every data set here.

    A child says how many pictures it has (`__len__`), how one is read or made (`load`) and what
    it is called in messages (`name`). What happens to a picture afterwards is the same for all:

    1. `normalize` turns the raw image into float32, by its own statistics or its type;
    2. `transform` changes image and labels together (chapter 6), if given;
    3. `target` makes of the labels what the loss wants, if given.

    Args:
        normalize: array (H, W) or (H, W, C) -> float32 array of the same shape.
        transform: (image (C, H, W), labels (H, W)) -> the same two, perhaps of another size.
        target: labels (H, W) -> any tensor; without it the labels themselves are the target.

    Example:
        >>> from unet_lib.data import scale_by_dtype
        >>> class White(SegmentationDataset):
        ...     def __len__(self):
        ...         return 2
        ...     def load(self, index):
        ...         return np.full((4, 6), 255, np.uint8), np.full((4, 6), index)
        ...     def name(self, index):
        ...         return f"white picture {index}"
        >>> image, labels = White(normalize=scale_by_dtype)[1]
        >>> image.shape, labels.shape, image.max(), labels.max()
        (torch.Size([1, 4, 6]), torch.Size([4, 6]), tensor(1.), tensor(1))
    """

    def __init__(
        self,
        *,
        normalize: Normalize,
        transform: Transform | None = None,
        target: Target | None = None,
    ) -> None:
        if isinstance(transform, torch.nn.Module):  # as all of torchvision's are
            raise TypeError(
                f"{type(transform).__name__} changes an image and leaves its labels as they are; "
                "pass transform=Joint(...) from unet_lib.transforms around it"
            )
        self.normalize = normalize
        self.transform = transform
        self.target = target

    def with_(self, **changes: Any) -> "SegmentationDataset":
        """A copy over the same files, with other `normalize`, `transform` or `target`.

        Raises:
            TypeError: another name, or a transform that changes the image alone.

        Example:
            >>> from unet_lib.data import SimulatedNuclei, foreground
            >>> nuclei = SimulatedNuclei(2)
            >>> nuclei.with_(target=foreground)[0][1].shape, nuclei.target
            (torch.Size([1, 128, 128]), None)
        """
        settings = {"normalize": self.normalize, "transform": self.transform, "target": self.target}
        other = copy(self)
        SegmentationDataset.__init__(other, **settings | changes)
        return other

    @abstractmethod
    def __len__(self) -> int:
        """The number of pictures."""

    @abstractmethod
    def load(self, index: int) -> tuple[ImageArray, LabelArray]:
        """The raw image, (H, W) or (H, W, C), of any number type, and its integer labels (H, W)."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What to call picture `index` in a message: its file, or its number."""

    def __getitem__(self, index: int) -> tuple[Float[Tensor, "C H W"], Shaped[Tensor, "..."]]:
        """Image `index` as float32 (C, H, W) and its target, by default int64 labels (H, W).

        Raises:
            DataError: image and labels differ in size, labels are not whole numbers, or the image
                holds NaN or infinity or does not suit `normalize`. The text names the picture.
        """
        index = range(len(self))[index]  # counts from the end, too; IndexError beyond it
        image, labels = self.load(index)
        try:
            check_pair(image, labels)
            image = self.normalize(image)
        except DataError as error:
            raise DataError(f"{self.name(index)}: {error}", error.cause) from error
        image, labels = image_tensor(image), torch.from_numpy(labels.astype(np.int64))
        if self.transform is not None:
            image, labels = self.transform(image, labels)
        return image, labels if self.target is None else self.target(labels)


class _Cached(SegmentationDataset):
    """All pictures of another data set, loaded once; what `cached` returns."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        super().__init__(
            normalize=dataset.normalize, transform=dataset.transform, target=dataset.target
        )
        self.items = [dataset.load(index) for index in range(len(dataset))]
        self.names = [dataset.name(index) for index in range(len(dataset))]

    def __len__(self) -> int:
        return len(self.items)

    def load(self, index: int) -> tuple[ImageArray, LabelArray]:
        return self.items[index]

    def name(self, index: int) -> str:
        return self.names[index]


def cached(dataset: SegmentationDataset) -> SegmentationDataset:
    """The same data set with all raw pictures in memory: each is simulated or read once.

    They are loaded now, so that data workers started later share them. `normalize`, `transform`
    and `target` still run at every access: random transforms stay random. Memory: the sum of all
    raw images and labels; 240 simulated pictures of 128x128 take 20 MB. Call it before `split`.

    Example:
        >>> from unet_lib.data import SimulatedNuclei
        >>> nuclei = cached(SimulatedNuclei(length=3, size=(64, 64)))
        >>> len(nuclei), nuclei[2][0].shape
        (3, torch.Size([1, 64, 64]))
    """
    return _Cached(dataset)


def check_pair(image: ImageArray, labels: Shaped[np.ndarray, "..."]) -> None:
    """Raise DataError unless image and labels have one size, labels whole and pixels finite.

    Example:
        >>> check_pair(np.zeros((4, 6)), np.zeros((4, 6), int))  # nothing to say
        >>> check_pair(np.zeros((4, 6)), np.zeros((6, 4), int))
        Traceback (most recent call last):
            ...
        unet_lib.data.base.DataError: the image is 4x6 pixels (height x width), ...
    """
    if image.shape[:2] != labels.shape:
        hint = transposed_text(image, labels)
        raise DataError(
            f"the image is {size_text(image)} pixels (height x width), its labels are "
            f"{size_text(labels)}; both must have one size{hint}",
            cause="mask-transposed" if hint else "sizes-differ",
        )
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"the labels are of type {labels.dtype}; whole numbers were expected, "
            "for example labels.astype(np.int64)"
        )
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        bad = int(np.count_nonzero(~np.isfinite(image)))
        raise DataError(
            f"{bad} of {image.size} values are NaN or infinite; a network cannot learn from them: "
            "replace them or leave the picture out",
            cause="not-finite",
        )


def picture_name(dataset: Dataset, index: int) -> str:
    """What messages call a picture, behind any number of Subsets: its file, or its number.

    Example:
        >>> from unet_lib.data import SimulatedNuclei
        >>> picture_name(Subset(SimulatedNuclei(9), [7, 8]), 1)
        'simulated picture 8 of seed 0'
    """
    while isinstance(dataset, Subset):
        dataset, index = dataset.dataset, dataset.indices[index]
    name = getattr(dataset, "name", None)
    return name(index) if callable(name) else f"picture {index}"


def size_text(array: Shaped[np.ndarray, "..."]) -> str:
    """Height x width, as messages print it.

    Example:
        >>> size_text(np.zeros((120, 160, 3)))
        '120x160'
    """
    return "x".join(str(side) for side in array.shape[:2])


def transposed_text(image: ImageArray, labels: Shaped[np.ndarray, "..."]) -> str:
    """A hint for messages when the labels would fit after a quarter turn, else nothing.

    Example:
        >>> transposed_text(np.zeros((2, 3)), np.zeros((4, 3), int))
        ''
    """
    if image.shape[:2] != labels.shape[::-1]:
        return ""
    return (
        ". Height and width are exchanged: was one of the two turned, "
        "or the photograph annotated before its EXIF orientation was applied?"
    )


def image_tensor(image: Shaped[np.ndarray, "..."]) -> Float[Tensor, "C H W"]:
    """A copy of a normalized image (H, W) or (H, W, C) as a float32 tensor (C, H, W).

    Example:
        >>> image_tensor(np.zeros((4, 6, 3), np.float32)).shape
        torch.Size([3, 4, 6])
    """
    planes = image[np.newaxis] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return torch.from_numpy(np.array(planes, dtype=np.float32, order="C"))
