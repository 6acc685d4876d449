"""What all widgets refuse, and what they warn about."""

import numpy as np
import pytest
import traitlets

from unet_lib.course import widgets


def test_a_misspelled_trait_is_named_with_those_there_are() -> None:
    with pytest.raises(traitlets.TraitError, match="ThresholdWidget has no treshold; it has im"):
        widgets.ThresholdWidget(*3 * [np.eye(4)], treshold=0.7)


def test_a_heavy_widget_warns() -> None:
    large = np.random.default_rng(0).random((800, 800))  # noise: nothing to compress
    with pytest.warns(UserWarning, match=r"ThresholdWidget stores 1\.\d MB in the notebook"):
        widgets.ThresholdWidget(large, large > 0.5, large)
