"""Images and their labels: simulated, from folders, or public sets; chapter 3 derives it."""

from unet_lib.data.base import DataError, SegmentationDataset, cached
from unet_lib.data.normalize import normalize_percentiles, scale_by_dtype
from unet_lib.data.targets import border_weights, foreground, interior_border

__all__ = [
    "DataError",
    "SegmentationDataset",
    "border_weights",
    "cached",
    "foreground",
    "interior_border",
    "normalize_percentiles",
    "scale_by_dtype",
]
