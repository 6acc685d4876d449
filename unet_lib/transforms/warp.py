"""Turn by any angle and deform elastically: every pixel is computed anew (chapter 6).

Both say for each pixel of the result where in the image it is read. The image is interpolated
there, the labels are taken from the nearest pixel: one place for both, so they stay together.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.transforms import v2

from unet_lib.transforms.joint import Joint, uniform

Fill = float | Literal["reflect"]
Size = tuple[int, int]


def random_rotation(
    degrees: float | tuple[float, float], fill: Fill = 0.0, fill_labels: int = 0
) -> Joint:
    """Turn about the center by a random angle, counterclockwise; the size is kept.

    Args:
        degrees: the angle is drawn from -degrees to degrees, or from (lowest, highest).
        fill: what the image gets where the result reads outside of the image, a number, or
            "reflect": the image goes on as in a mirror at its edge, and so do the labels.
        fill_labels: what the labels get there (not with "reflect"); pass your `ignore_index`
            where the corners should not count as background.

    Raises:
        ValueError: angles that are no range, or another word for `fill`.

    >>> image, labels = torch.zeros(1, 3, 3), torch.tensor([[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    >>> random_rotation((90, 90))(image, labels)[1]  # what was on top is now on the left
    tensor([[0, 0, 0],
            [1, 0, 0],
            [0, 0, 0]])
    """
    low, high = degrees if isinstance(degrees, tuple) else (-degrees, degrees)
    if not -math.inf < low <= high < math.inf:
        raise ValueError(f"degrees {degrees}: expected one number >= 0, or (lowest, highest)")
    return Joint(_Warp(partial(_turned, low, high), fill, fill_labels))


def random_elastic(sigma: float = 10.0, fill: Fill = "reflect", fill_labels: int = 0) -> Joint:
    """Deform smoothly, as the U-Net paper did (Ronneberger et al. 2015, section 3.1).

    Random displacement vectors on a coarse 3x3 grid over the image, both components Gaussian
    with standard deviation `sigma` in pixels; between the nodes each pixel's displacement follows
    by bicubic interpolation (`elastic_field`).

    The paper's 10 pixels are meant for images of 512x512; on smaller ones the same number bends
    more: `10 * side / 512` bends a crop as the paper bent its images. `fill` and `fill_labels` as
    for `random_rotation`. Raises ValueError for a negative sigma, or another word for `fill`.

    >>> image, labels = random_elastic(2.0)(torch.rand(1, 64, 48), torch.ones(64, 48).long())
    >>> image.shape, labels.unique()
    (torch.Size([1, 64, 48]), tensor([1]))
    """
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma {sigma}: expected a standard deviation in pixels, 0 or more")
    return Joint(_Warp(partial(_bent, sigma), fill, fill_labels))


def elastic_field(vectors: Float[Tensor, "2 3 3"], size: Size) -> Float[Tensor, "2 H W"]:
    """The displacement of every pixel from those of 3x3 nodes, by bicubic interpolation.

    All in pixels, down the rows and along the columns. The outer nodes lie on the outer pixels.

    >>> vectors = torch.zeros(2, 3, 3)
    >>> vectors[0, 1, 1] = 8.0  # the middle reads 8 pixels further down
    >>> elastic_field(vectors, (5, 5))[0, 2]
    tensor([0.0000, 4.7500, 8.0000, 4.7500, 0.0000])
    """
    return F.interpolate(vectors[None], size, mode="bicubic", align_corners=True)[0]


def rotation_sources(degrees: float, size: Size) -> Float[Tensor, "2 H W"]:
    """Row and column from which each pixel of an image turned counterclockwise is read.

    >>> rotation_sources(90, (2, 2)).round().long()
    tensor([[[0, 1],
             [0, 1]],
    <BLANKLINE>
            [[1, 1],
             [0, 0]]])
    """
    places = pixel_places(size)
    center = (torch.tensor(size).view(2, 1, 1) - 1) / 2
    down, right = places - center
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.stack([down * cos + right * sin, right * cos - down * sin]) + center


def pixel_places(size: Size) -> Float[Tensor, "2 H W"]:
    """Row and column of each pixel.

    >>> pixel_places((2, 3))[1]
    tensor([[0., 1., 2.],
            [0., 1., 2.]])
    """
    rows, columns = (torch.arange(n, dtype=torch.float32) for n in size)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))


def warp(inpt: Tensor, sources: Float[Tensor, "2 H W"], fill: Fill = 0.0) -> Tensor:
    """Read an image (interpolated) or a `tv_tensors.Mask` (nearest pixel) at the given places.

    `sources` are row and column for each pixel of the result, in pixels, fractions allowed;
    `fill` as for `random_rotation`.

    >>> warp(torch.tensor([[[10.0, 20.0]]]), torch.tensor([[[0.0, 0.0]], [[0.5, 9.0]]]))
    tensor([[[15.,  0.]]])
    """
    places = pixel_places((sources.shape[-2], sources.shape[-1]))
    size = torch.tensor(sources.shape[-2:]).view(2, 1, 1)
    if fill == "reflect":
        sources, fill = _mirrored(sources, size), 0.0
    shift = ((sources - places) * 2 / size).flip(0).movedim(0, -1)  # x first, image = -1 to 1
    if isinstance(inpt, tv_tensors.Mask):
        return v2.functional.elastic(inpt, shift[None], fill=[fill])
    moved = v2.functional.elastic(inpt - fill, shift[None]) + fill  # outside counts as 0
    return tv_tensors.wrap(moved, like=inpt)


def _mirrored(sources: Tensor, size: Tensor) -> Tensor:
    """Places outside of the image folded back at the outer edge of its outer pixels."""
    along = (sources + 0.5) % (2 * size)
    along = torch.minimum(along, 2 * size - along)
    return torch.minimum((along - 0.5).clamp(min=0), size - 1.0)


class _Warp(v2.Transform):
    """Reads each pixel where `draw`, called with the size, says."""

    def __init__(self, draw: Callable[[Size], Tensor], fill: Fill, fill_labels: int) -> None:
        super().__init__()
        if isinstance(fill, str) and fill != "reflect":
            raise ValueError(f'fill {fill!r}: expected a number or "reflect"')
        self.draw, self.fill = draw, fill
        self.fill_labels: Fill = "reflect" if fill == "reflect" else fill_labels

    def make_params(self, flat_inputs: list) -> dict[str, Tensor]:
        height, width = v2.functional.get_size(flat_inputs[0])
        return {"sources": self.draw((height, width))}

    def transform(self, inpt: Tensor, params: dict[str, Tensor]) -> Tensor:
        fill = self.fill_labels if isinstance(inpt, tv_tensors.Mask) else self.fill
        return warp(inpt, params["sources"], fill)


def _turned(low: float, high: float, size: Size) -> Tensor:
    return rotation_sources(uniform(low, high), size)


def _bent(sigma: float, size: Size) -> Tensor:
    return pixel_places(size) + elastic_field(sigma * torch.randn(2, 3, 3), size)
