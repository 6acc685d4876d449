"""Widgets that answer in the browser, in JupyterLab and in the built book (from chapter 1 on).

Each is one small ES module; its data and its state are stored with the notebook, and a photograph
of it for paper (tools/stills.py).
"""

from unet_lib.course.widgets.arithmetic import ArithmeticWidget
from unet_lib.course.widgets.augmentation import AugmentationWidget
from unet_lib.course.widgets.convolution import ConvolutionWidget
from unet_lib.course.widgets.gallery import GalleryWidget
from unet_lib.course.widgets.gathering import GatheringWidget
from unet_lib.course.widgets.replay import ReplayWidget
from unet_lib.course.widgets.skips import SkipsWidget
from unet_lib.course.widgets.threshold import ThresholdWidget
from unet_lib.course.widgets.tiles import TilesWidget

__all__ = [
    "ArithmeticWidget",
    "AugmentationWidget",
    "ConvolutionWidget",
    "GalleryWidget",
    "GatheringWidget",
    "ReplayWidget",
    "SkipsWidget",
    "ThresholdWidget",
    "TilesWidget",
]
