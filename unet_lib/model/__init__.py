"""The network: a U-Net as one loop over stages, and its sizes (chapters 1 and 2)."""

from unet_lib.model.base import SegmentationModel, count_parameters, evaluated
from unet_lib.model.checks import require
from unet_lib.model.head import Head
from unet_lib.model.sizes import Trace, contexts, receptive_field, trace_sizes
from unet_lib.model.start import he_start
from unet_lib.model.unet import (
    UNet,
    UNetSettings,
    article_unet,
    center_crop,
    decode,
    double_convolution,
    upsample,
)

__all__ = [
    "Head",
    "SegmentationModel",
    "Trace",
    "UNet",
    "UNetSettings",
    "article_unet",
    "center_crop",
    "contexts",
    "count_parameters",
    "decode",
    "double_convolution",
    "evaluated",
    "he_start",
    "receptive_field",
    "require",
    "trace_sizes",
    "upsample",
]
