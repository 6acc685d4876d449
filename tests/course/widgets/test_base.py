"""What all widgets refuse, and what they warn about."""

import numpy as np
import pytest
import torch
import traitlets

from unet_lib.course import widgets
from unet_lib.model import UNet

SMALL = np.eye(4)


def test_a_misspelled_trait_is_named_with_those_there_are() -> None:
    with pytest.raises(traitlets.TraitError, match="ThresholdWidget has no treshold; it has im"):
        widgets.ThresholdWidget(SMALL, SMALL, SMALL, treshold=0.7)


def test_a_heavy_widget_warns() -> None:
    large = np.random.default_rng(0).random((800, 800))  # noise: nothing to compress
    with pytest.warns(UserWarning, match=r"ThresholdWidget stores 1\.\d MB in the notebook"):
        widgets.ThresholdWidget(large, large > 0.5, large)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: widgets.ThresholdWidget(*3 * [np.zeros((0, 0))]), r"one shape \(H, W\), got \(0,"),
        (lambda: widgets.GalleryWidget(*3 * [[SMALL]], threshold=2.0), "threshold from 0 to 1"),
        (lambda: widgets.AugmentationWidget(*2 * [np.zeros((0, 0), int)]), r"got \(0, 0\)"),
        (lambda: widgets.ConvolutionWidget(np.full((4, 4), np.inf), 3), "whole numbers"),
        (lambda: widgets.ConvolutionWidget(np.full((4, 4), "a"), 3), "whole numbers"),
        (
            lambda: widgets.TilesWidget(
                UNet(1, width=2, depth=1), torch.full((1, 8, 8), torch.nan), tiles=(8,)
            ),
            "the image holds values that are not finite",
        ),
    ],
)
def test_what_cannot_be_shown_is_named(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()
