"""The images of the book (from chapter 1 on)."""

from unet_lib.plots.colors import LABEL_COLORS, PALETTE, style
from unet_lib.plots.pixels import as_gray, as_image
from unet_lib.plots.show import (
    error_map,
    overlay,
    plot_history,
    show_image,
    show_mask,
    show_pairs,
)

__all__ = [
    "LABEL_COLORS",
    "PALETTE",
    "as_gray",
    "as_image",
    "error_map",
    "overlay",
    "plot_history",
    "show_image",
    "show_mask",
    "show_pairs",
    "style",
]
