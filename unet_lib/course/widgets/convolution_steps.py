"""The arithmetic of the convolution widget: which numbers meet at which step (chapter 1)."""

import math
from itertools import product
from typing import NamedTuple

import numpy as np

SIZES = {"convolution": (1, 3, 5), "max-pooling": (2, 3), "transposed": (2, 3, 4)}
"""Kernel sizes of each operation."""

LARGEST = 10
"""Rows and columns of an output that still fit onto a phone."""

Rows = list[list[int]]


class Term(NamedTuple):
    """What meets where: an input cell and an output cell, both (row, column), and two numbers.

    >>> Term(source=(0, 1), target=(0, 0), value=3, weight=-1)
    Term(source=(0, 1), target=(0, 0), value=3, weight=-1)
    """

    source: tuple[int, int]
    target: tuple[int, int]
    value: int
    weight: int


def all_terms(
    operation: str, grid: Rows, kernel: Rows, stride: int, edge: int, output: tuple[int, ...]
) -> list[Term]:
    """List all products: the kernel laid onto every place, `stride` cells apart.

    The places are the cells of the input for a transposed convolution, else those of the output,
    (H, W); `edge` cells of zeros surround the input.

    >>> terms = all_terms("transposed", [[7, 8]], [[1]], 1, 0, (1, 2))
    >>> terms[1]
    Term(source=(0, 1), target=(0, 1), value=8, weight=1)
    """
    padded, up, terms = np.pad(np.array(grid), edge), operation == "transposed", []
    places = np.ndindex(np.shape(grid) if up else output)
    for (row, column), (i, j) in product(places, np.ndindex(np.shape(kernel))):
        small, large = (row, column), (row * stride + i, column * stride + j)
        source, target = (small, large) if up else (large, small)
        value = int(padded[source])
        source = (source[0] - edge, source[1] - edge)
        terms.append(Term(source, target, value, kernel[i][j]))
    return terms


def problem(
    operation: str, grid: Rows, kernel: Rows, stride: int = 1, padding: str = "valid"
) -> str:
    """Say why settings do not go together, "" where they do.

    >>> problem("convolution", [[0, 0], [0, 0]], [[1, 2], [3, 4]])
    'convolution takes kernels of 1, 3, 5, got 2'
    """
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
    """Whole numbers (rows, columns) as lists; raises ValueError for anything else.

    >>> as_rows("grid", np.eye(2))
    [[1, 0], [0, 1]]
    """
    array = np.asarray(array)
    numbers = array.dtype.kind in "biuf" and np.isfinite(array).all()
    if array.ndim != 2 or not numbers or not np.array_equal(array, array.round()):
        raise ValueError(
            f"expected whole numbers (rows, columns) as {name}, got {array.dtype} {array.shape}; "
            "round them, or scale them to -9 ... 9"
        )
    return array.astype(int).tolist()


def number(value: float) -> str:
    """A number with at most two decimals.

    >>> number(-12), number(22 / 9)
    ('−12', '2.44')
    """
    return f"{_hundredths(value) / 100:g}".replace("-", "−")


def equals(value: float) -> str:
    """The end of an equation.

    >>> equals(0.5), equals(22 / 9)
    ('= 0.5', '≈ 2.44')
    """
    rounded = abs(100 * value - _hundredths(value)) > 1e-9
    return f"{'≈' if rounded else '='} {number(value)}"


def factors(term: Term) -> str:
    """The product of a term, written out.

    >>> factors(Term((0, 0), (0, 0), 5, -1))
    '5·(−1)'
    """
    return "·".join(f"({number(x)})" if x < 0 else number(x) for x in (term.value, term.weight))


def _hundredths(value: float) -> int:
    return math.floor(100 * value + 0.5)


def _shape(rows: Rows) -> str:
    """One number for a square, else the rows and their lengths."""
    widths = sorted({len(row) for row in rows})
    return str(len(rows)) if widths == [len(rows)] else f"{len(rows)} rows of {widths}"
