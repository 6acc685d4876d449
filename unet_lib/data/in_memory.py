"""Images and labels that are in memory already, as a data set (chapter 9d)."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from unet_lib.data.base import Options, SegmentationDataset
from unet_lib.data.normalize import normalize_percentiles
from unet_lib.data.targets import foreground

Pictures = Sequence[np.ndarray]


class InMemory(SegmentationDataset):
    """Images and labels in two lists, paired by their places.

    >>> dataset = InMemory([np.eye(32)], [np.eye(32, dtype=int)])
    >>> dataset[0][1].shape
    torch.Size([1, 32, 32])
    """

    default_normalize = staticmethod(normalize_percentiles)

    def __init__(self, images: Pictures, labels: Pictures, **options: Unpack[Options]) -> None:
        super().__init__(**Options(target=foreground) | options)
        self.images, self.labels = list(images), list(labels)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """One of each list."""
        return self.images[index], self.labels[index]

    def name(self, index: int) -> str:
        """The place in the lists."""
        return f"image {index}"
