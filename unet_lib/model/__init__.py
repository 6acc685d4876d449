"""The network: a U-Net as one loop over stages, and its sizes (chapters 1 and 2)."""

from unet_lib.model.sizes import Trace, receptive_field, trace_sizes
from unet_lib.model.unet import (
    SegmentationModel,
    UNet,
    UNetSettings,
    article_unet,
    center_crop,
    count_parameters,
    decode,
    double_convolution,
    upsample,
)

__all__ = [
    "SegmentationModel",
    "Trace",
    "UNet",
    "UNetSettings",
    "article_unet",
    "center_crop",
    "count_parameters",
    "decode",
    "double_convolution",
    "receptive_field",
    "trace_sizes",
    "upsample",
]
