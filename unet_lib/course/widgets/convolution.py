"""Convolution, max-pooling and transposed convolution on a small grid, step by step (chapter 1)."""

import numpy as np
import torch
import torch.nn.functional as F
import traitlets
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle

from unet_lib.course.widgets.base import Widget, script, style
from unet_lib.course.widgets.convolution_steps import (
    SIZES,
    Term,
    all_terms,
    as_rows,
    equals,
    factors,
    number,
    problem,
)
from unet_lib.plots.show import PALETTE

SIGNED = LinearSegmentedColormap.from_list("signed", [PALETTE["orange"], "white", PALETTE["blue"]])


class ConvolutionWidget(Widget):
    """An operation on a small grid that the reader steps through, one cell at a time.

    `grid` (H, W), 2 to 8 rows and columns, and `kernel` (K, K) hold whole numbers from -9 to 9; a
    number in place of the kernel is its size (max-pooling has no weights). The other traits are
    `operation` ("convolution", "max-pooling" or "transposed"), `divisor` of every result, `stride`
    (1 to 3), `padding` of a convolution ("valid" or "same"), `each` of a transposed one (a
    step for each "input" cell, which paints, or for each "output" cell, which collects), and
    `step`, counted from 0; a step beyond the last counts as the last.

    Raises ValueError for a grid or kernel that is no array of whole numbers, traitlets.TraitError
    for values out of range or that do not go together.

    >>> widget = ConvolutionWidget(np.array([[1, 2], [3, 4]]), 2, operation="max-pooling")
    >>> widget.output()
    array([[4.]])
    >>> print(widget.arithmetic())
    max(1, 2,
    3, 4) = 4
    """

    _esm = script("convolution")
    _css = style("convolution")
    operation = traitlets.Enum(list(SIZES), "convolution").tag(sync=True)
    grid = traitlets.List(traitlets.List(traitlets.Int())).tag(sync=True)
    kernel = traitlets.List(traitlets.List(traitlets.Int())).tag(sync=True)
    divisor = traitlets.Int(1, min=1, max=99).tag(sync=True)
    stride = traitlets.Int(1, min=1, max=3).tag(sync=True)
    padding = traitlets.Enum(["valid", "same"], "valid").tag(sync=True)
    each = traitlets.Enum(["input", "output"], "input").tag(sync=True)
    step = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(self, grid: np.ndarray, kernel: np.ndarray | int, **state: int | str) -> None:
        weights = np.ones((kernel, kernel)) if isinstance(kernel, int) else kernel
        super().__init__(grid=as_rows("grid", grid), kernel=as_rows("kernel", weights), **state)

    @traitlets.validate("operation", "grid", "kernel", "stride", "padding")
    def _check(self, proposal: dict) -> object:
        names = ("operation", "grid", "kernel", "stride", "padding")
        state = {name: getattr(self, name) for name in names}
        found = problem(**state | {proposal["trait"].name: proposal["value"]})
        if found:
            raise traitlets.TraitError(found)
        return proposal["value"]

    def __repr__(self) -> str:
        height, width = self.output().shape
        sizes = f"{len(self.grid)}x{len(self.grid[0])} to {height}x{width}"
        return f"ConvolutionWidget({self.operation}, {sizes}, step={self.step})"

    def output(self) -> Float[np.ndarray, "H W"]:
        """The whole result, as PyTorch computes it."""
        grid, kernel = (torch.tensor([[x]]).double() for x in (self.grid, self.kernel))
        if self.operation == "max-pooling":
            return F.max_pool2d(grid, len(self.kernel), self.stride)[0, 0].numpy()
        if self.operation == "transposed":
            result = F.conv_transpose2d(grid, kernel, stride=self.stride)
        else:
            result = F.conv2d(grid, kernel, stride=self.stride, padding=self._edge)
        return result[0, 0].numpy() / self.divisor

    def progress(self) -> Float[np.ndarray, "H W"]:
        """What is written after the present step, NaN where nothing is."""
        result = self.output()
        if not self._painting:
            done = np.arange(result.size).reshape(result.shape) <= self._last
            return np.where(done, result, np.nan)
        painted, width = np.full(result.shape, np.nan), len(self.grid[0])
        for (row, column), target, value, weight in self._terms():
            if row * width + column <= self._last:
                painted[target] = np.nan_to_num(painted[target]) + value * weight
        return painted / self.divisor

    def terms(self) -> list[Term]:
        """What meets at the present step, in reading order."""
        sizes = np.shape(self.grid) if self._painting else self.output().shape
        place = divmod(self._last, sizes[1])
        return [x for x in self._terms() if place == (x.source if self._painting else x.target)]

    def arithmetic(self) -> str:
        """The present step in numbers, a line for each row of the window.

        >>> grid, kernel = np.array([[1, 2], [3, 4]]), np.array([[1, 2], [0, 1]])
        >>> widget = ConvolutionWidget(grid, kernel, operation="transposed", step=1)
        >>> print(widget.arithmetic())
        2 + 2·1 = 4, 2·2 = 4
        1 + 2·0 = 1, 2·1 = 2
        """
        rows: dict[int, list[Term]] = {}
        for term in self.terms():
            row, _ = term.target if self._painting else term.source
            rows.setdefault(row, []).append(term)
        lines = list(rows.values())
        return self._painted(lines) if self._painting else self._collected(lines)

    def _collected(self, rows: list[list[Term]]) -> str:
        if not rows:
            return "no input reaches this cell: 0"
        if self.operation == "max-pooling":
            text = ",\n".join(", ".join(number(x.value) for x in row) for row in rows)
            text = f"max({text})"
        else:
            text = " +\n".join(" + ".join(map(factors, row)) for row in rows)
            text = f"({text}) / {self.divisor}" if self.divisor > 1 else text
        return f"{text} {equals(self.output().flat[self._last])}"

    def _painted(self, rows: list[list[Term]]) -> str:
        share = f" / {self.divisor}" if self.divisor > 1 else ""
        after, width = self.progress(), len(self.grid[0])
        wet = {x.target for x in self._terms() if x.source[0] * width + x.source[1] < self._last}

        def cell(term: Term) -> str:
            before = after[term.target] - term.value * term.weight / self.divisor
            start = f"{number(before)} + " if term.target in wet else ""
            return f"{start}{factors(term)}{share} {equals(after[term.target])}"

        return "\n".join(", ".join(map(cell, row)) for row in rows)

    def still(self) -> Figure:
        """Input, kernel and output of the present step, for paper.

        >>> widget = ConvolutionWidget(np.eye(3), np.array([[2]]))
        >>> [axes.get_title() for axes in widget.still().axes]
        ['input 3 × 3', 'kernel 1 × 1', 'output 3 × 3']
        """
        edge, terms = self._edge, self.terms()
        divided = f", ÷ {self.divisor}" if self.divisor > 1 else ""
        zeros = ", zeros around" if edge else ""
        panels = {
            _title("input", self.grid) + zeros: np.pad(np.array(self.grid), edge),
            _title("kernel", self.kernel) + divided: np.array(self.kernel),
            _title("output", self.output()): self.progress(),
        }
        if self.operation == "max-pooling":
            del panels[_title("kernel", self.kernel)]
        rows, widths = zip(*(panel.shape for panel in panels.values()), strict=True)
        size = (0.9 + 0.42 * sum(widths), 1.1 + 0.36 * max(rows))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, len(panels), width_ratios=widths)
        for (title, panel), ax in zip(panels.items(), axes, strict=True):
            _draw_grid(ax, panel, max(rows), title)
        _draw_frame(axes[0], [(x.source[0] + edge, x.source[1] + edge) for x in terms])
        _draw_frame(axes[-1], [x.target for x in terms])
        if self.operation == "max-pooling":
            row, column = max(terms, key=lambda x: x.value).source
            axes[0].add_patch(Ellipse((column + 0.5, row + 0.5), 0.75, 0.75, fill=False, lw=1.5))
        figure.supxlabel(self.arithmetic(), fontsize=9)
        return figure

    @property
    def _edge(self) -> int:
        """Cells of padding on each side."""
        same = self.padding == "same" and self.operation == "convolution"
        return (len(self.kernel) - 1) // 2 if same else 0

    @property
    def _painting(self) -> bool:
        return self.operation == "transposed" and self.each == "input"

    @property
    def _last(self) -> int:
        """The present step."""
        steps = np.size(self.grid) if self._painting else self.output().size
        return min(self.step, steps - 1)

    def _terms(self) -> list[Term]:
        shape = self.output().shape
        return all_terms(self.operation, self.grid, self.kernel, self.stride, self._edge, shape)


def _title(name: str, panel: np.ndarray | list) -> str:
    return f"{name} {len(panel)} × {len(panel[0])}"


def _draw_grid(axes: Axes, panel: np.ndarray, height: int, title: str) -> None:
    """Numbers in cells, the larger the darker, minus in orange; empty where nothing is written."""
    values = np.nan_to_num(panel)
    palest = 2.5 * max(np.abs(values).max(), 1)  # the largest number has two fifths of its color
    look = {"vmin": -palest, "vmax": palest, "edgecolors": PALETTE["gray"], "lw": 0.6}
    axes.pcolormesh(values, cmap=SIGNED, clip_on=False, **look)
    for row, column in np.argwhere(~np.isnan(panel)):
        text = number(float(panel[row, column]))
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=9)
    axes.set(ylim=(height, 0), aspect="equal")
    axes.set_title(title, fontsize=10)
    axes.axis("off")


def _draw_frame(axes: Axes, cells: list[tuple[int, int]]) -> None:
    """A frame around cells (row, column), none where there are none."""
    if cells:
        (top, left), (bottom, right) = np.min(cells, axis=0), np.max(cells, axis=0)
        place, size = (left, top), (right - left + 1, bottom - top + 1)
        color = PALETTE["vermillion"]
        axes.add_patch(Rectangle(place, *size, fill=False, ec=color, lw=2.5, clip_on=False))
