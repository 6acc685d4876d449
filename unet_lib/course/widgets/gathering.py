"""Pixels that gather at the centers of their nuclei, to play with (chapter 11)."""

import numpy as np
import torch
import traitlets
from jaxtyping import Float, Integer
from torch import Tensor

from unet_lib.course.widgets.base import Widget
from unet_lib.course.widgets.pictures import check_arrays, gray_levels, packed
from unet_lib.data import offsets, simulate_nuclei

EXAMPLE = 57
CROP = slice(56, 112), slice(48, 104)
"""Seven nuclei that touch: this part of image 57 of the simulator's seed 0."""
GRAIN = 4096
"""Steps of the stored noise in one standard deviation."""


class GatheringWidget(Widget, files="gathering"):
    """Foreground pixels on their way to where their offsets point, and the votes they leave there.

    `image` (H, W) of any number type, `labels` (H, W), 0 in the background, and the `logits`
    (4, H, W) of a network that was trained on `offsets`. Without logits the pixels follow the
    true offsets, without an image those of seven simulated nuclei. `decode_offsets` makes heaps of
    the votes, in the browser.

    The traits are the settings: `way` from 0 (each pixel in its own place) to 1 (where its offset
    points), `color` ("none", "heaps" or "true"), `smoothing` of the votes and `noise` added to the
    offsets, both as standard deviations in pixels. At first the noise is 1 pixel for true offsets
    and 0 for those of a network. The notebook stores about fifteen bytes for each foreground pixel:
    pass a small image.

    Raises ValueError for arrays that do not fit, traitlets.TraitError for a value out of range.

    >>> GatheringWidget(way=1.0)
    GatheringWidget(56x56, 7 nuclei; way=1, smoothing=1, noise=1)
    """

    size = traitlets.List().tag(sync=True)
    nuclei = traitlets.Int().tag(sync=True)
    image = traitlets.Bytes().tag(sync=True)
    labels = traitlets.Bytes().tag(sync=True)
    inside = traitlets.Bytes().tag(sync=True)
    weights = traitlets.Bytes().tag(sync=True)
    offsets = traitlets.Bytes().tag(sync=True)
    grain = traitlets.Bytes().tag(sync=True)
    way = traitlets.Float(0.7, min=0, max=1).tag(sync=True)
    color = traitlets.Enum(["none", "heaps", "true"], "heaps").tag(sync=True)
    smoothing = traitlets.Float(1, min=0.5, max=5).tag(sync=True)
    noise = traitlets.Float(0, min=0, max=8).tag(sync=True)

    def __init__(
        self,
        image: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        logits: Tensor | None = None,
        seed: int = 0,
        **state: float | str,
    ) -> None:
        noise = 1.0 if logits is None else 0.0
        image, labels, logits = _complete(image, labels, logits)
        numbers = np.unique(labels[labels > 0])
        numbered = np.where(labels > 0, 1 + np.searchsorted(numbers, labels), 0)
        super().__init__(
            size=list(image.shape),
            nuclei=len(numbers),
            image=packed(gray_levels(image)),
            labels=packed(numbered.astype("<u2")),
            **_foreground(logits, seed),
            **({"noise": noise} | state),
        )

    def __repr__(self) -> str:
        height, width = self.size
        settings = ", ".join(f"{x}={getattr(self, x):g}" for x in ("way", "smoothing", "noise"))
        return f"GatheringWidget({height}x{width}, {self.nuclei} nuclei; {settings})"


def true_logits(labels: Integer[np.ndarray, "H W"]) -> Float[Tensor, "4 H W"]:
    """What a network would have to answer for `offsets` to be true, as `decode_offsets` takes it.

    >>> from unet_lib.evaluation import decode_offsets
    >>> decode_offsets(true_logits(np.full((6, 6), 9))).max()
    np.int32(1)
    """
    maps = offsets(labels)
    return torch.cat([maps[:2].logit(1e-6), maps[2:]])


def _foreground(logits: Float[Tensor, "4 H W"], seed: int) -> dict[str, bytes]:
    """Where it is, and in its pixels the votes' weights, the offsets and the noise, all packed."""
    foreground, nearness, *way = logits
    inside = foreground.sigmoid().numpy() > 0.5
    own = np.stack([nearness.sigmoid(), *way])[:, inside].astype("<f4")
    grain = GRAIN * np.random.default_rng(seed).standard_normal(own[1:].shape)
    return {
        "inside": packed(inside),
        "weights": packed(own[0]),
        "offsets": packed(own[1:]),
        "grain": packed(grain.round().astype("<i2")),
    }


def _complete(
    image: np.ndarray | None, labels: np.ndarray | None, logits: Tensor | None
) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """What is shown where nothing is given, and ValueError for what does not fit."""
    if image is None and labels is None and logits is None:
        image, labels = (part[CROP] for part in simulate_nuclei(0, EXAMPLE))
    if image is None or labels is None:
        missing = "image" if image is None else "labels"
        raise ValueError(f"expected image and labels together, got no {missing}; pass it, too")
    check_arrays("GatheringWidget", image=image, labels=labels)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"expected whole numbers as labels, got {labels.dtype}; pass instances")
    logits = true_logits(labels) if logits is None else logits.detach().cpu().float()
    if logits.shape != (expected := (4, *image.shape)):
        raise ValueError(
            f"expected logits {expected} of the target `offsets`, got {tuple(logits.shape)}; pass "
            "those of one image"
        )
    return image, labels, logits
