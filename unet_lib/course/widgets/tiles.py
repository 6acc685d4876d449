"""Tile size and halo: what the model sees, what it costs, where seams come from (chapter 5)."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import traitlets
from jaxtyping import Float, UInt8
from torch import Tensor

from unet_lib.course.widgets.base import Widget
from unet_lib.course.widgets.pictures import check_arrays, painted, photograph
from unet_lib.evaluation.tiles import foreground_probability, predict
from unet_lib.model.unet import SegmentationModel

EDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Where one level of the seam map ends and the next begins, as a difference of probability."""
COLORS = ("none", "#1c1a3a", "#3d2560", "#8f3277", "#e0604f", "#f9b13f", "#ffffff")
"""Of the levels 0 (equal up to 1e-5) to 6 (the mask changes), from dark to light."""
NAMES = (*(f"over {edge:f}".rstrip("0") for edge in EDGES), "the mask changes")


class TilesWidget(Widget, files="tiles"):
    """Tiles over a picture, what the model sees for one of them, and the seams that they leave.

    `image` (C, H, W) is predicted whole, and by tiles for every pair of the sizes `tiles` and
    `halos` (pixels, multiples of `model.grid`; by default all halos up to the first that covers
    `model.halo`). Stored are the differences of the foreground's probability, in seven levels at
    half the resolution (each dot is the largest of its 2 x 2 pixels), the largest one and how
    many pixels of the mask change. The traits `tile`, `halo` and `focus` (row and column of a
    pixel of the tile that is shown) are the state.

    Raises ValueError for sizes that are no multiples of the grid and an image that is not one,
    traitlets.TraitError for a state that is not offered.

    >>> import torch
    >>> from unet_lib.model import UNet
    >>> model = UNet(1, width=2, depth=1)
    >>> widget = TilesWidget(model, torch.rand(1, 32, 32), tiles=(8, 16), tile=8, halo=2)
    >>> widget.halos  # the last covers the receptive field
    [0, 2, 4, 6, 8, 10]
    >>> widget.differences[-1] < 1e-5, widget.changes[-1]
    (True, 0)
    """

    picture = traitlets.Unicode().tag(sync=True)
    maps = traitlets.List(traitlets.Unicode()).tag(sync=True)
    legend = traitlets.List().tag(sync=True)
    size = traitlets.List().tag(sync=True)
    grid = traitlets.Int().tag(sync=True)
    tiles = traitlets.List(traitlets.Int()).tag(sync=True)
    halos = traitlets.List(traitlets.Int()).tag(sync=True)
    differences = traitlets.List(traitlets.Float()).tag(sync=True)
    changes = traitlets.List(traitlets.Int()).tag(sync=True)
    tile = traitlets.Int().tag(sync=True)
    halo = traitlets.Int().tag(sync=True)
    # stored under the name of a method of ipywidgets, whose place it takes
    focus = traitlets.List(traitlets.Int(), minlen=2, maxlen=2).tag(sync=True)  # type: ignore[bad-override]

    def __init__(
        self,
        model: SegmentationModel,
        image: Tensor,
        tiles: Sequence[int] = (16, 32, 64, 128),
        halos: Sequence[int] | None = None,
        **state: int | Sequence[int],
    ) -> None:
        if image.ndim != 3:
            raise ValueError(f"expected one image (C, H, W), got shape {tuple(image.shape)}")
        if not model.keeps_size:
            raise ValueError('the widget shows a model with padding="same"; got one with "valid"')
        gray = image.mean(0).numpy()
        check_arrays("TilesWidget", image=gray)
        halos = range(0, model.halo + model.grid, model.grid) if halos is None else halos
        _check_sizes(tiles, halos, model.grid)
        size = list(image.shape[1:])
        middle = [length // 2 for length in size]
        super().__init__(
            picture=photograph(gray, quality=80),
            legend=[list(pair) for pair in zip(COLORS[1:], NAMES, strict=True)],
            size=size,
            grid=model.grid,
            tiles=list(tiles),
            halos=list(halos),
            **_seams(model, image, tiles, halos),
            **{"tile": tiles[len(tiles) // 2], "halo": halos[0], "focus": middle} | state,
        )

    @traitlets.validate("tile", "halo", "focus")
    def _check_state(self, proposal: dict) -> int | list[int]:
        name, value = proposal["trait"].name, proposal["value"]
        if name == "focus":
            inside = all(0 <= k < length for k, length in zip(value, self.size, strict=True))
            expected = f"a pixel [row, column] of the picture of {self.size} pixels"
        else:
            offered = self.tiles if name == "tile" else self.halos
            inside, expected = value in offered, f"one of {offered}"
        if inside:
            return value
        raise traitlets.TraitError(f"{name}: expected {expected}, got {value}")

    def __repr__(self) -> str:
        height, width = self.size
        return f"TilesWidget({height}x{width}; tile={self.tile}, halo={self.halo})"


def seam_levels(
    difference: Float[np.ndarray, "H W"], changed: np.ndarray
) -> UInt8[np.ndarray, "h w"]:
    """Levels 0 to 6 of the differences, the largest of each 2 x 2 pixels; `changed` is level 6."""
    levels = np.where(changed, len(EDGES) + 1, np.digitize(difference, EDGES)).astype(np.uint8)
    for axis in (0, 1):
        levels = np.maximum.reduceat(levels, range(0, levels.shape[axis], 2), axis)
    return levels


def _check_sizes(tiles: Sequence[int], halos: Sequence[int], grid: int) -> None:
    """The sizes must be those that `predict` uses, not such as it would round up."""
    for name, sizes, least in (("tiles", tiles, grid), ("halos", halos, 0)):
        wrong = [size for size in sizes if size < least or size % grid]
        if wrong or not len(sizes):
            raise ValueError(
                f"{name}: expected multiples of the model's grid {grid}, from {least} on and at "
                f"least one, got {list(sizes)}"
            )


def _seams(
    model: SegmentationModel, image: Tensor, tiles: Sequence[int], halos: Sequence[int]
) -> dict[str, list]:
    """What the tiles of each pair of sizes change, as the traits of the widget."""
    whole = foreground_probability(predict(model, image, max(image.shape[1:]))).numpy()
    maps, differences, changes = [], [], []
    for tile, halo in product(tiles, halos):
        result = foreground_probability(predict(model, image, tile, halo)).numpy()
        difference, changed = abs(result - whole), (result > 0.5) != (whole > 0.5)
        maps.append(painted(seam_levels(difference, changed), COLORS))
        differences.append(float(difference.max()))
        changes.append(int(changed.sum()))
    return {"maps": maps, "differences": differences, "changes": changes}
