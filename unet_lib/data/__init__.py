"""Images and their labels: simulated, from folders, or public sets; chapter 3 derives it."""

from unet_lib.data.base import DataError, SegmentationDataset, cached
from unet_lib.data.normalize import normalize_percentiles, scale_by_dtype

__all__ = [
    "DataError",
    "SegmentationDataset",
    "cached",
    "normalize_percentiles",
    "scale_by_dtype",
]
