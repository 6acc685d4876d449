"""Prediction: an image of any size by overlapping tiles, then a mask and instances (chapter 5)."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from unet_lib.evaluation.context import Context, find_context
from unet_lib.model.base import evaluated
from unet_lib.model.counter import MemoryCounter

Network = Callable[..., Any]
"""Images (N, C, H, W) -> logits (N, K, H, W): a module, or any function."""

MEMORY = 1_000_000_000
"""Bytes that the network's maps may take, unless another budget is given."""
ALWAYS = 512  # pixels: an image up to that high and wide is predicted whole, without measuring


def predict(
    model: Network,
    image: Float[Tensor, "... C H W"],
    tile: int | None = None,
    halo: int | None = None,
    grid: int | None = None,
    memory: float = MEMORY,
) -> Float[Tensor, "... K H W"]:
    """Logits of one image (C, H, W) or a batch (N, C, H, W), on the CPU, tile by tile.

    Each step shows the model `tile` by `tile` pixels and a `halo` of context around them, and
    keeps only the tile: memory follows the tile, not the image. By default the whole image is one
    tile where the network's maps fit into `memory` bytes, as up to 512 x 512 pixels they always
    do; else the largest that fits, but 256 pixels or twice the halo at least, so that context is
    not most of the work. With the default halo, which covers the receptive field, the result
    equals that of the whole image; a smaller one is faster and may leave seams. Both are rounded
    up to multiples of the model's grid, so that every tile meets the pooling grid where the whole
    image does. Runs in eval mode, on the model's device, in float32.

    A network that is no `SegmentationModel` does not know halo and grid: pass them, or they are
    measured (`measure_context`). Where every pixel depends on the whole image there is no halo:
    the default is one tile. Beyond its borders an image is continued as in a mirror, where the
    network takes other sizes only, so the logits are always as high and wide as the image.

    Raises ValueError for `tile` < 1 or `halo` < 0, for a tile where there is no halo, and for a
    network whose logits have another size.

    >>> from unet_lib.model import UNet
    >>> model = UNet(1, width=2, depth=2)
    >>> image = torch.rand(1, 70, 50)
    >>> torch.allclose(predict(model, image, tile=16), predict(model, image, tile=80), atol=1e-5)
    True
    """
    context = find_context(model, image.shape[-3], halo, grid)
    return predict_tiles(model, image, context, tile, memory)


def predict_tiles(
    model: Network,
    image: Float[Tensor, "... C H W"],
    context: Context,
    tile: int | None = None,
    memory: float = MEMORY,
    finish: Callable[[Tensor], Tensor] = Tensor.float,
) -> Shaped[Tensor, "... K H W"]:
    """The same as `predict` where the context is known already, for many images.

    What is kept of each tile is made of its logits (N, K, h, w) by `finish`: a mask, for example,
    so that no logits of a large image are held.

    >>> image = torch.rand(1, 30, 20)
    >>> torch.equal(predict_tiles(torch.neg, image, Context(halo=0, grid=1), tile=7), -image)
    True
    """
    images = image[None] if image.ndim == 3 else image
    height, width = images.shape[-2:]
    device = next(model.parameters(), images).device if isinstance(model, nn.Module) else "cpu"
    whole = torch.empty(0)
    with evaluated(model) if isinstance(model, nn.Module) else torch.no_grad():
        tile = _fitting_tile(model, images, context, memory) if tile is None else tile
        tile, halo = _on_the_grid(context, tile, max(height, width))
        for rows, seen_rows, top in _largest_first(height, tile, halo, context):
            for columns, seen_columns, left in _largest_first(width, tile, halo, context):
                seen = _mirrored(_mirrored(images, seen_rows, -2), seen_columns, -1)
                part = model(seen.to(device))
                _check_size(part, seen, context.border)
                part = part[..., top : top + rows.stop - rows.start, :]
                part = finish(part[..., left : left + columns.stop - columns.start].cpu())
                if not whole.numel():
                    whole = part.new_empty(*part.shape[:2], height, width)
                whole[..., rows, columns] = part
    return whole[0] if image.ndim == 3 else whole


def _fitting_tile(model: Network, images: Tensor, context: Context, memory: float) -> int:
    """The longer side where the network's maps of the whole fit, else the largest tile that does.

    What a pixel takes is counted on a small image.
    """
    number, channels, height, width = images.shape
    if context.halo is None or number * height * width <= ALWAYS**2:
        return max(height, width)
    side = context.admissible(64)
    first = next(model.parameters(), images) if isinstance(model, nn.Module) else images
    with MemoryCounter() as counter:
        model(images.new_zeros(1, channels, side, side, device=first.device))
    pixels = memory * side**2 / max(1, counter.peak_of_tensors) / number
    if (height + 2 * context.border) * (width + 2 * context.border) <= pixels:
        return max(height, width)
    return max(256, 2 * context.halo, math.isqrt(int(pixels)) - 2 * context.halo)


def _on_the_grid(context: Context, tile: int, longest: int) -> tuple[int, int]:
    """Tile and halo as multiples of the grid; the halo is what exceeds the border."""
    if context.halo is None and tile < longest:
        raise ValueError(
            f"the network takes means over the whole image, so {longest} pixels in tiles of {tile} "
            "would give other logits: leave tile out, or pass the halo that is enough for you"
        )
    halo = context.halo or 0
    if tile < 1 or halo < 0:
        raise ValueError(f"tile must be at least 1 and halo at least 0, got {tile} and {halo}")
    sizes = tile, max(0, halo - context.border)
    tile, halo = (-(-size // context.grid) * context.grid for size in sizes)
    return tile, halo


def _largest_first(*along: Any) -> list[tuple[slice, range, int]]:
    """The windows along one side: what a large one leaves in memory is enough for a smaller one."""
    return sorted(_windows(*along), key=lambda window: -len(window[1]))


def _windows(
    length: int, tile: int, halo: int, context: Context
) -> Iterator[tuple[slice, range, int]]:
    """The tiles along one side: the pixels of one, those that the model sees, where it begins."""
    for inner, outer in tile_slices(length, tile, halo, context.grid):
        start = outer.start - context.border
        size = context.admissible(outer.stop + context.border - start)
        yield inner, range(start, start + size), inner.start - outer.start


def _mirrored(images: Tensor, places: range, side: int) -> Tensor:
    """Some rows or columns; those beyond the border as in a mirror on the last pixel."""
    length = images.shape[side]
    if places.start >= 0 and places.stop <= length:
        return images.narrow(side, places.start, len(places))
    period = max(1, 2 * length - 2)
    index = torch.arange(places.start, places.stop, device=images.device).remainder(period)
    return images.index_select(side, torch.minimum(index, period - index))


def _check_size(logits: Any, images: Tensor, border: int) -> None:
    expected = tuple(size - 2 * border for size in images.shape[-2:])
    if not isinstance(logits, Tensor) or logits.shape[2:] != expected:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"the network made {found} of images {tuple(images.shape)}; logits (N, K, "
            f"{expected[0]}, {expected[1]}) were expected: wrap it in a module that gives them"
        )


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
    model: Network,
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
