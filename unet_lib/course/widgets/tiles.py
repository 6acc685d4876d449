"""Tile size and halo: what the model sees, what it costs, where seams come from (chapter 5)."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import traitlets
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from unet_lib.course.widgets.base import Widget, script, style
from unet_lib.course.widgets.pictures import gray_levels, painted, photograph
from unet_lib.evaluation.tiles import foreground_probability, predict, tile_slices
from unet_lib.model.unet import SegmentationModel
from unet_lib.plots.show import PALETTE, show_image

EDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Where one level of the seam map ends and the next begins, as a difference of probability."""
COLORS = ("none", "#1c1a3a", "#3d2560", "#8f3277", "#e0604f", "#f9b13f", "#ffffff")
"""Of the levels 0 (equal up to 1e-5) to 6 (the mask changes), from dark to light."""
NAMES = (*(f"over {edge:f}".rstrip("0") for edge in EDGES), "the mask changes")


class TilesWidget(Widget):
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
    >>> widget.halos, widget.count(), widget.work()
    ([0, 2, 4, 6, 8, 10], 16, 1.890625)
    >>> widget.halo = widget.halos[-1]  # covers the receptive field
    >>> widget.largest() < 1e-5, widget.changed()
    (True, 0)
    """

    _esm = script("tiles")
    _css = style("tiles")
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
    focus = traitlets.List(traitlets.Int(), minlen=2, maxlen=2).tag(sync=True)

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
        if not image.isfinite().all():
            raise ValueError("the image holds values that are not finite; mend the image")
        if not model.keeps_size:
            raise ValueError('the widget shows a model with padding="same"; got one with "valid"')
        grid = model.grid
        halos = range(0, model.halo + grid, grid) if halos is None else halos
        _check_sizes(tiles, halos, grid)
        size = (int(image.shape[1]), int(image.shape[2]))
        whole = foreground_probability(predict(model, image, max(size))).numpy()
        self._image = image.mean(0).numpy()
        self._levels, largest, changed = [], [], []
        for tile, halo in product(tiles, halos):
            result = foreground_probability(predict(model, image, tile, halo)).numpy()
            difference, moved = abs(result - whole), (result > 0.5) != (whole > 0.5)
            self._levels.append(seam_levels(difference, moved))
            largest.append(float(difference.max()))
            changed.append(int(moved.sum()))
        middle = [length // 2 for length in size]
        super().__init__(
            picture=photograph(self._image, quality=80),
            maps=[painted(levels, COLORS) for levels in self._levels],
            legend=[list(pair) for pair in zip(COLORS[1:], NAMES, strict=True)],
            size=list(size),
            grid=grid,
            tiles=list(tiles),
            halos=list(halos),
            differences=largest,
            changes=changed,
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

    def count(self) -> int:
        """How many tiles the picture has."""
        return len(list(self._slices(0))) * len(list(self._slices(1)))

    def work(self) -> float:
        """Pixels that the model computes, as a multiple of the picture's."""
        seen = [sum(o.stop - o.start for _, o in self._slices(axis)) for axis in (0, 1)]
        return seen[0] * seen[1] / (self.size[0] * self.size[1])

    def largest(self) -> float:
        """The largest difference of the foreground's probability from the whole prediction."""
        return self.differences[self._at]

    def changed(self) -> int:
        """Pixels of the mask (probability above 0.5) that the tiles change."""
        return self.changes[self._at]

    def still(self) -> Figure:
        """The tiles, what the model sees for the one in focus, and the seam map, for paper.

        >>> import torch
        >>> from unet_lib.model import UNet
        >>> widget = TilesWidget(UNet(1, width=2, depth=1), torch.rand(1, 16, 16), tiles=[8])
        >>> [axes.get_title() for axes in widget.still().axes]
        ['tiles of 8 x 8, halo 0', 'difference from the whole prediction']
        """
        figure = Figure(figsize=(7, 3.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        gray, inside = gray_levels(self._image), np.zeros(self._image.shape, bool)
        (rows, seen_rows), (columns, seen_columns) = (self._focused(axis) for axis in (0, 1))
        inside[seen_rows, seen_columns] = True
        show_image(np.where(inside, gray, 0.35 * gray), left, limits=(0, 255))
        left.set_title(f"tiles of {self.tile} x {self.tile}, halo {self.halo}")
        for part, line in (((rows, columns), "-"), ((seen_rows, seen_columns), "--")):
            left.add_patch(_frame(*part, line))
        show_image(0.3 * gray, right, "difference from the whole prediction", (0, 255))
        right.imshow(
            self._levels[self._at],
            ListedColormap([*COLORS]),
            vmin=0,
            vmax=len(COLORS) - 1,
            extent=(-0.5, self.size[1] - 0.5, self.size[0] - 0.5, -0.5),
            interpolation="nearest",
        )
        _draw_edges(left, self._slices(0), self._slices(1))
        patches = [Patch(fc=c, ec="0.4", label=n) for c, n in self.legend]
        figure.legend(handles=patches, loc="outside lower center", ncols=3, fontsize=8)
        return figure

    @property
    def _at(self) -> int:
        """Where the present pair of sizes stands in the stored lists."""
        return self.tiles.index(self.tile) * len(self.halos) + self.halos.index(self.halo)

    def _slices(self, axis: int) -> Iterator[tuple[slice, slice]]:
        return tile_slices(self.size[axis], self.tile, self.halo, self.grid)

    def _focused(self, axis: int) -> tuple[slice, slice]:
        return next(pair for pair in self._slices(axis) if self.focus[axis] < pair[0].stop)


def seam_levels(
    difference: Float[np.ndarray, "H W"], changed: np.ndarray
) -> UInt8[np.ndarray, "h w"]:
    """Levels 0 to 6 of the differences, the largest of each 2 x 2 pixels; `changed` is level 6.

    >>> difference = np.array([[0.0, 2e-6, 2e-5], [0.0, 0.0, 0.5]])
    >>> seam_levels(difference, np.zeros((2, 3), bool)).tolist()
    [[0, 5]]
    """
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


def _frame(rows: slice, columns: slice, line: str) -> Rectangle:
    corner = (columns.start - 0.5, rows.start - 0.5)
    width, height = columns.stop - columns.start, rows.stop - rows.start
    return Rectangle(corner, width, height, fill=False, ec=PALETTE["orange"], ls=line, lw=1.5)


def _draw_edges(
    ax: Axes, rows: Iterator[tuple[slice, slice]], columns: Iterator[tuple[slice, slice]]
) -> None:
    for draw, slices in ((ax.axhline, rows), (ax.axvline, columns)):
        for tile, _ in list(slices)[1:]:
            draw(tile.start - 0.5, color=PALETTE["sky"], lw=0.5)
