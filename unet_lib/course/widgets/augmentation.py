"""Image and mask transformed together, to play with (chapter 6)."""

import numpy as np
import traitlets

from unet_lib.course.widgets.base import Widget
from unet_lib.course.widgets.pictures import check_arrays, gray_levels

PATTERNS = 8
"""How many elastic deformations are stored."""


class AugmentationWidget(Widget, files="augmentation"):
    """Sliders for what an augmentation does to an image, its mask, and the one over the other.

    `image` (H, W) of any number type (taken from its darkest to its brightest pixel), `labels`
    (H, W) from 0 to 255. The traits are the settings: `rotation` in degrees, `scale`, `flip_x`
    and `flip_y`, `elastic` (standard deviation in pixels) with one of eight stored `pattern`s,
    `brightness`, `contrast`, `gamma`, `noise`; `mask` ("nearest" or "blended") and `outside`
    ("black" or "mirrored"). The notebook stores about two bytes a pixel: pass a small picture.

    Raises ValueError for arrays that do not fit, traitlets.TraitError for a value out of range.

    >>> labels = np.array([[0, 0, 4, 4]] * 4)
    >>> AugmentationWidget(labels, labels, rotation=30, mask="blended")
    AugmentationWidget(4x4; rotation=30, ...)
    """

    size = traitlets.List().tag(sync=True)
    image = traitlets.Bytes().tag(sync=True)
    labels = traitlets.Bytes().tag(sync=True)
    patterns = traitlets.List().tag(sync=True)
    rotation = traitlets.Float(0, min=-180, max=180).tag(sync=True)
    scale = traitlets.Float(1, min=0.5, max=2).tag(sync=True)
    elastic = traitlets.Float(0, min=0, max=12).tag(sync=True)
    pattern = traitlets.Int(0, min=0, max=PATTERNS - 1).tag(sync=True)
    brightness = traitlets.Float(1, min=0.4, max=1.6).tag(sync=True)
    contrast = traitlets.Float(1, min=0, max=2).tag(sync=True)
    gamma = traitlets.Float(1, min=0.4, max=2.5).tag(sync=True)
    noise = traitlets.Float(0, min=0, max=0.3).tag(sync=True)
    flip_x = traitlets.Bool(False).tag(sync=True)
    flip_y = traitlets.Bool(False).tag(sync=True)
    mask = traitlets.Enum(["nearest", "blended"], "nearest").tag(sync=True)
    outside = traitlets.Enum(["black", "mirrored"], "black").tag(sync=True)

    def __init__(
        self, image: np.ndarray, labels: np.ndarray, seed: int = 0, **state: float | bool | str
    ) -> None:
        check_arrays("AugmentationWidget", image=image, labels=labels)
        if labels.dtype.kind not in "iub" or labels.min() < 0 or labels.max() > 255:
            raise ValueError(
                f"expected whole labels from 0 to 255, got {labels.dtype} from {labels.min()} to "
                f"{labels.max()}"
            )
        vectors = np.random.default_rng(seed).normal(size=(PATTERNS, 18)).round(3)
        super().__init__(
            size=list(image.shape),
            image=gray_levels(image).tobytes(),
            labels=labels.astype(np.uint8).tobytes(),
            patterns=vectors.tolist(),
            **state,
        )

    def __repr__(self) -> str:
        height, width = self.size
        return f"AugmentationWidget({height}x{width}; rotation={self.rotation:g}, ...)"
