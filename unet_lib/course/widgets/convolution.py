"""Convolution, max-pooling and transposed convolution on a small grid, step by step (chapter 1)."""

import numpy as np
import torch
import torch.nn.functional as F
import traitlets
from jaxtyping import Float

from unet_lib.course.widgets.base import Widget

SIZES = {"convolution": (1, 3, 5), "max-pooling": (2, 3), "transposed": (2, 3, 4)}
"""Kernel sizes of each operation."""

LARGEST = 10
"""Rows and columns of an output that still fit onto a phone."""

Rows = list[list[int]]


class ConvolutionWidget(Widget, files="convolution"):
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
    """

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
            edge = (len(self.kernel) - 1) // 2 if self.padding == "same" else 0
            result = F.conv2d(grid, kernel, stride=self.stride, padding=edge)
        return result[0, 0].numpy() / self.divisor


def problem(
    operation: str, grid: Rows, kernel: Rows, stride: int = 1, padding: str = "valid"
) -> str:
    """Say why settings do not go together, "" where they do."""
    for name, rows, low in (("grid", grid, 2), ("kernel", kernel, 1)):
        sides = {len(rows), *map(len, rows)}
        if not sides <= set(range(low, 9)) or len(set(map(len, rows))) != 1:
            return f"{name} has {low} to 8 rows and columns, got {_shape(rows)}"
        if any(abs(value) > 9 for row in rows for value in row):
            return f"{name} holds whole numbers from -9 to 9, got {np.ravel(rows).tolist()}"
    size, sides = len(kernel), (len(grid), len(grid[0]))
    if size not in SIZES[operation] or len(kernel[0]) != size:
        sizes = ", ".join(map(str, SIZES[operation]))
        return f"{operation} takes kernels of {sizes}, got {_shape(kernel)}"
    if operation == "transposed":
        largest = (max(sides) - 1) * stride + size
        too_large = f"an output of {largest} has no room, {LARGEST} is the most"
        return too_large if largest > LARGEST else ""
    fits = size <= min(sides) or (padding == "same" and operation == "convolution")
    return "" if fits else f"a kernel of {size} does not fit into a grid of {min(sides)}"


def as_rows(name: str, array: np.ndarray) -> Rows:
    """Whole numbers (rows, columns) as lists; raises ValueError for anything else."""
    array = np.asarray(array)
    numbers = array.dtype.kind in "biuf" and np.isfinite(array).all()
    if array.ndim != 2 or not numbers or not np.array_equal(array, array.round()):
        raise ValueError(
            f"expected whole numbers (rows, columns) as {name}, got {array.dtype} {array.shape}; "
            "round them, or scale them to -9 ... 9"
        )
    return array.astype(int).tolist()


def _shape(rows: Rows) -> str:
    """One number for a square, else the rows and their lengths."""
    widths = sorted({len(row) for row in rows})
    return str(len(rows)) if widths == [len(rows)] else f"{len(rows)} rows of {widths}"
