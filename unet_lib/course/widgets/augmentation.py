"""Image and mask transformed together, to play with (chapter 6)."""

import math

import numpy as np
import torch
import traitlets
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torchvision import tv_tensors

from unet_lib.course.widgets.base import Widget, script, style
from unet_lib.course.widgets.pictures import gray_levels
from unet_lib.plots.show import overlay, show_image, show_mask
from unet_lib.transforms import elastic_field, pixel_places, warp

PATTERNS = 8
"""How many elastic deformations are stored."""


class AugmentationWidget(Widget):
    """Sliders for what an augmentation does to an image, its mask, and the one over the other.

    `image` (H, W) of any number type (taken from its darkest to its brightest pixel), `labels`
    (H, W) from 0 to 255. The traits are the settings: `rotation` in degrees, `scale`, `flip_x`
    and `flip_y`, `elastic` (standard deviation in pixels) with one of eight stored `pattern`s,
    `brightness`, `contrast`, `gamma`, `noise`; `mask` ("nearest" or "blended") and `outside`
    ("black" or "mirrored"). The notebook stores about two bytes a pixel: pass a small picture.

    Raises ValueError for arrays that do not fit, traitlets.TraitError for a value out of range.

    >>> labels = np.array([[0, 0, 4, 4]] * 4)
    >>> widget = AugmentationWidget(labels, labels, scale=2.0, mask="blended")
    >>> widget.transformed()[1][0]
    array([0., 1., 3., 4.], dtype=float32)
    >>> widget.invented()
    8
    """

    _esm = script("augmentation")
    _css = style("augmentation")
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
        for x in (image, labels):
            if not isinstance(x, np.ndarray):
                raise ValueError(f"expected NumPy arrays, got {type(x).__name__}; pass x.numpy()")
        if image.shape != labels.shape or image.ndim != 2 or image.size == 0:
            raise ValueError(
                f"expected image and labels of one shape (H, W), got {image.shape} and "
                f"{labels.shape}"
            )
        if labels.dtype.kind not in "iub" or labels.min() < 0 or labels.max() > 255:
            raise ValueError(
                f"expected whole labels from 0 to 255, got {labels.dtype} from {labels.min()} to "
                f"{labels.max()}"
            )
        if not np.isfinite(image).all():
            raise ValueError("the image holds values that are not finite; mend the image")
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

    def sources(self) -> Float[Tensor, "2 H W"]:
        """Row and column from which each pixel is read; what is done first is undone last."""
        vectors = torch.tensor(self.patterns[self.pattern]).view(2, 3, 3)
        size = (self.size[0], self.size[1])
        places = pixel_places(size) + self.elastic * elastic_field(vectors, size)
        center = (torch.tensor(size).view(2, 1, 1) - 1) / 2
        down, right = places - center
        cos, sin = math.cos(math.radians(self.rotation)), math.sin(math.radians(self.rotation))
        down, right = down * cos + right * sin, right * cos - down * sin
        signs = torch.tensor([-1.0 if flip else 1.0 for flip in (self.flip_y, self.flip_x)])
        return torch.stack([down, right]) * signs.view(2, 1, 1) / self.scale + center

    def transformed(self) -> tuple[Float[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
        """Image (0 to 1 before brightness and noise) and mask, in the present settings."""
        image, labels = (
            torch.frombuffer(bytearray(x), dtype=torch.uint8).view(1, *self.size).float()
            for x in (self.image, self.labels)
        )
        fill, sources = ("reflect" if self.outside == "mirrored" else 0.0), self.sources()
        labels = labels if self.mask == "blended" else tv_tensors.Mask(labels)
        mask = warp(labels, sources, fill).as_subclass(Tensor)
        image = warp(image / 255, sources, fill)
        mean = image.mean()
        image = self.brightness * (mean + self.contrast * (image - mean))
        low, high = image.aminmax()
        if high > low:
            image = low + (high - low) * ((image - low) / (high - low)) ** self.gamma
        noise = np.random.default_rng(0).normal(size=image.shape[1:])
        return (image[0].numpy() + self.noise * noise).astype(np.float32), mask[0].numpy()

    def invented(self) -> int:
        """Pixels of the mask whose value is none of the labels."""
        drawn = np.array(sorted(set(self.labels)))
        _, mask = self.transformed()
        return int((np.abs(mask[..., None] - drawn).min(-1) > 1e-3).sum())

    def still(self) -> Figure:
        """The present state as a picture for paper.

        >>> labels = np.eye(4, dtype=int)
        >>> [axes.get_title() for axes in AugmentationWidget(labels, labels).still().axes]
        ['image', 'mask, nearest', 'together']
        """
        figure = Figure(figsize=(7.5, 2.7), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        image, mask = self.transformed()
        image, mask = image.clip(0, 1), np.floor(mask + 0.5).astype(int)
        show_image(image, left, "image", (0, 1))
        show_mask(mask, middle, f"mask, {self.mask}")
        overlay(image, mask, right, "together")
        return figure
