"""Prediction: an image of any size by overlapping tiles, then a mask and instances (chapter 5)."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unet_lib.model.unet import SegmentationModel


def predict(
    model: SegmentationModel,
    image: Float[Tensor, "... C H W"],
    tile: int | None = None,
    halo: int | None = None,
) -> Float[Tensor, "... K H W"]:
    """Logits of one image (C, H, W) or a batch (N, C, H, W), on the CPU, tile by tile.

    Each step shows the model `tile` by `tile` pixels and a `halo` of context around them, and
    keeps only the tile: memory follows the tile, not the image. The default tile is 256 pixels, or
    twice the halo, so that context is not most of the work. With the default halo, which covers
    the receptive field, the result equals that of the whole image; a smaller one is faster
    and may leave seams. Both are rounded up to multiples of `model.grid`, so that every tile
    meets the pooling grid where the whole image does. Runs in eval mode, on the model's device.

    Raises ValueError for `tile` < 1 or `halo` < 0, and for a model with `padding="valid"`.

    >>> from unet_lib.model import UNet
    >>> model = UNet(1, width=2, depth=2)
    >>> image = torch.rand(1, 70, 50)
    >>> torch.allclose(predict(model, image, tile=16), predict(model, image, tile=80), atol=1e-5)
    True
    """
    if model.output_size(model.minimum_size) != model.minimum_size:
        raise ValueError('predict needs a model with padding="same"; got one with "valid"')
    halo = model.halo if halo is None else halo
    tile = max(256, 2 * halo) if tile is None else tile
    if tile < 1 or halo < 0:
        raise ValueError(f"tile must be at least 1 and halo at least 0, got {tile} and {halo}")
    grid = model.grid
    tile, halo = (-(-size // grid) * grid for size in (tile, halo))
    images = image[None] if image.ndim == 3 else image
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    with torch.inference_mode():
        n, _, height, width = images.shape
        logits = torch.empty(n, model.settings.out_channels, height, width)
        for rows, outer_rows in tile_slices(height, tile, halo, grid):
            for columns, outer_columns in tile_slices(width, tile, halo, grid):
                part = model(images[..., outer_rows, outer_columns].to(device)).float().cpu()
                top, left = rows.start - outer_rows.start, columns.start - outer_columns.start
                part = part[..., top : top + rows.stop - rows.start, :]
                part = part[..., left : left + columns.stop - columns.start]
                logits[..., rows, columns] = part
    model.train(was_training)
    return logits[0] if image.ndim == 3 else logits


def tile_slices(length: int, tile: int, halo: int, grid: int = 1) -> Iterator[tuple[slice, slice]]:
    """The tiles along one side: (pixels that a tile gives, pixels that the model sees for it).

    A last tile shorter than `grid` is merged with the one before, because the model could not
    see it alone.

    >>> [(t.start, t.stop, o.start, o.stop) for t, o in tile_slices(10, tile=4, halo=2)]
    [(0, 4, 0, 6), (4, 8, 2, 10), (8, 10, 6, 10)]
    """
    starts = list(range(0, length, tile))
    if len(starts) > 1 and length - starts[-1] < grid:
        starts.pop()
    for start, stop in zip(starts, [*starts[1:], length], strict=True):
        yield slice(start, stop), slice(max(0, start - halo), min(length, stop + halo))


def probabilities(logits: Float[Tensor, "... K H W"]) -> Float[Tensor, "... K H W"]:
    """Probabilities from logits: the sigmoid of one channel, the softmax of several.

    >>> probabilities(torch.zeros(2, 1, 1)).flatten().tolist()
    [0.5, 0.5]
    """
    return logits.sigmoid() if logits.shape[-3] == 1 else logits.softmax(dim=-3)


def predict_mask(
    model: SegmentationModel,
    image: Float[Tensor, "C H W"],
    threshold: float = 0.5,
    tile: int | None = None,
) -> Bool[Tensor, "H W"]:
    """Where the model sees foreground: its probability is above `threshold`.

    With several classes, foreground is everything but class 0.

    >>> from unet_lib.model import UNet
    >>> predict_mask(UNet(1, width=2, depth=1), torch.rand(1, 9, 12)).shape
    torch.Size([9, 12])
    """
    return foreground_probability(predict(model, image, tile)) > threshold


def foreground_probability(logits: Float[Tensor, "K H W"]) -> Float[Tensor, "H W"]:
    """Probability of anything but background: the only channel, or 1 - that of class 0.

    >>> foreground_probability(torch.zeros(4, 1, 1))
    tensor([[0.7500]])
    """
    p = probabilities(logits)
    return p[0] if len(p) == 1 else 1 - p[0]
