"""How far a network sees, and on which grid: what tiles have to respect (chapter 5)."""

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unet_lib.model.base import SegmentationModel, evaluated

LENGTHS = (512, 2048, 8192)  # of the strips on which a context is measured
LARGEST = 256  # smallest size, or grid, that is looked for


class Context(NamedTuple):
    """On what an output pixel of a network depends, and which sizes the network takes.

    >>> Context(halo=8, grid=4, border=0, smallest=4, step=4).admissible(9)
    12
    """

    halo: int | None
    """Pixels on each side that can change one output pixel; None for all pixels of the image."""
    grid: int
    """Tiles begin at multiples of it."""
    border: int = 0
    """Pixels that the output lacks on each side of the image (`padding="valid"`)."""
    smallest: int = 1
    """Height or width that the network takes at least."""
    step: int = 1
    """Sizes are admissible that are `smallest` and a multiple of this."""

    def admissible(self, size: int) -> int:
        """The first admissible size from `size` on; the network refuses what is too small."""
        if self.step == 1:
            return size
        return self.smallest + max(0, -(-(size - self.smallest) // self.step)) * self.step


def find_context(
    model: Callable[..., Any], channels: int, halo: int | None = None, grid: int | None = None
) -> Context:
    """What a network of this library says of itself; of any other what is given, or measured.

    >>> from unet_lib.model import UNet
    >>> find_context(UNet(1, width=1, depth=2, padding="valid"), channels=1)
    Context(halo=23, grid=4, border=20, smallest=44, step=4)
    """
    if isinstance(model, SegmentationModel):
        smallest, own = model.minimum_size, model.grid
        step = next((n for n in range(1, own) if _admits(model, smallest + n)), own)
        halo = model.halo if halo is None and model.is_local else halo
        border = (smallest - model.output_size(smallest)) // 2
        return Context(halo, grid or own, border, smallest, step)
    if halo is None or grid is None:
        if not isinstance(model, nn.Module):
            raise ValueError("pass halo and grid: only those of a torch.nn.Module can be measured")
        measured = measure_context(model, channels)
        halo, grid = measured.halo if halo is None else halo, grid or measured.grid
    return Context(halo, grid, 0, grid, grid)


def measure_context(model: nn.Module, channels: int) -> Context:
    """The context of any network that gives logits as high and wide as its images.

    Measured on a copy with random weights, by NaN: every output that depends on an input of NaN
    becomes NaN. The grid is the shortest shift of the image that shifts the logits and does no
    more. `halo` is None where every output depends on the whole image, as with attention or group
    normalization. Admissible are multiples of the grid, alike in height and width.
    Raises ValueError where the network takes none of the sizes up to 256.

    >>> measure_context(nn.Conv2d(1, 2, kernel_size=5, padding=2), channels=1)
    Context(halo=2, grid=1, border=0, smallest=1, step=1)
    """
    model = _random_copy(model)
    with evaluated(model):
        grid = smallest = _smallest(model, channels)
        for length in LENGTHS:
            length = length // smallest * smallest
            strip = torch.rand(1, channels, length, smallest, dtype=torch.float64)
            low, high = _reached(model, strip, length // 2, 1)
            if length < 4 * low and 4 * high < 3 * length:
                if grid := _grid(model, channels, length, smallest):
                    middle = length // 2
                    low, high = _reached(model, strip, middle, grid)
                    halo = max(middle + grid - 1 - low, high - middle)
                    return Context(halo, grid, 0, grid, grid)
                break
    return Context(None, smallest, 0, smallest, smallest)


def _admits(model: SegmentationModel, size: int) -> bool:
    try:
        return model.output_size(size) > 0
    except ValueError:
        return False


def _random_copy(model: nn.Module) -> nn.Module:
    """In float64, on the CPU: no zeros that cut a way off, no rounding that hides a difference."""
    model = copy.deepcopy(model).double().cpu()
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            scale = 1 / math.sqrt(max(1, p.numel() // len(p))) if p.ndim else 1.0
            p.copy_(scale * torch.randn(p.shape, generator=noise, dtype=torch.float64))
    return model


def _smallest(model: nn.Module, channels: int) -> int:
    """The smallest square that the network takes and gives back in its size."""
    told = ""
    for size in range(1, LARGEST + 1):
        try:
            logits = model(torch.rand(1, channels, size, size, dtype=torch.float64))
            if isinstance(logits, Tensor) and logits.shape[2:] == (size, size):
                return size
            told = f"{size}x{size} pixels became {getattr(logits, 'shape', type(logits).__name__)}"
        except Exception as error:  # whatever the network says of a size that it does not take
            told = str(error)
    raise ValueError(
        f"a {type(model).__name__} takes no images of {channels} channels and up to {LARGEST} "
        f"pixels, or gives no logits of their size (last: {told}); pass halo and grid, or a "
        "module around it that returns logits (N, K, H, W) of the image's height and width"
    )


def _reached(model: nn.Module, strip: Tensor, start: int, number: int) -> tuple[int, int]:
    """First and last row of the logits that depend on some rows of the image."""
    strip = strip.clone()
    strip[:, :, start : start + number] = torch.nan
    rows = model(strip).isnan().any(1).any(-1)[0].nonzero()
    return (int(rows[0]), int(rows[-1])) if len(rows) else (start, start)


def _grid(model: nn.Module, channels: int, length: int, width: int) -> int | None:
    """The shortest shift of the image, in multiples of the width, that only shifts the logits."""
    middle = length // 2
    for shift in range(width, min(LARGEST, length // 12) + 1, width):
        image = torch.rand(1, channels, length + shift, width, dtype=torch.float64)
        here = model(image[:, :, :length])[:, :, middle : middle + 2 * shift]
        there = model(image[:, :, shift:])[:, :, middle - shift : middle + shift]
        if (here - there).abs().max() <= 1e-6 * (here.max() - here.min()):
            return shift
    return None
