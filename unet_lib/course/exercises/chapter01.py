"""Checks for the tasks of chapter 1: convolution, sizes, painting, receptive fields."""

import numpy as np

from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, say
from unet_lib.course.exercises.values import array, judge, number
from unet_lib.model.unet import UNet

SMALL, KERNEL = np.array([[1, 2], [3, 0]]), np.array([[1, 2], [0, 3]])
REACH = (2, 8, 20, 44, 92)
"""Pixels that every output pixel sees in every direction, for depth 0, 1, 2, 3, 4."""
HALO = (2, 9, 23, 51, 107)
"""Pixels that some output pixel sees in some direction."""


@check
def check_convolve(answer: object) -> None:
    """Checks a function (image, kernel) -> the convolution without padding, as an array.

    >>> check_convolve(lambda image, kernel: np.zeros((2, 2)))
    Not yet: 4x4 pixels, kernel 3x3: every number is still 0. At each place (y, x), multiply ...
    """
    image = np.array([[1, 1, 5, 5], [1, 1, 5, 5], [1, 1, 5, 5], [1, 5, 5, 5]])
    edge = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])
    wide = np.arange(30).reshape(5, 6) ** 2 % 11
    corner = np.array([[1, 2], [0, 3]])
    for picture, kernel in ((image, edge), (wide, corner), (wide, np.outer(edge[0], [1, 2, 3]))):
        rows, columns = picture.shape
        with about(f"{rows}x{columns} pixels, kernel {len(kernel)}x{len(kernel)}: "):
            said = "return the array of results, not {kind}."
            found = array(ask(answer, picture, kernel, none=said.format(kind="None")), said)
            _judge_convolution(found, picture, kernel)
    say(True, "multiply, add up, go on by one pixel. Your pencil, your loops and PyTorch agree.")


def _convolution(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return (windows * kernel).sum(axis=(2, 3))


def _judge_convolution(found: np.ndarray, image: np.ndarray, kernel: np.ndarray) -> None:
    right = _convolution(image, kernel)
    if found.shape != right.shape:
        turned = " Rows come first: (height, width)." if found.shape == right.shape[::-1] else ""
        raise NotYet(f"the result has shape {found.shape}, expected {right.shape}.{turned}")
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    empty = (
        "every number is still 0. At each place (y, x), multiply the kernel and the pixels below "
        "it, number by number with `*`, add up, and store the sum in result[y, x]."
    )
    product = "that is the product of two matrices, `@`. Multiply number by number, with `*`."
    wrong = (
        (np.zeros(right.shape), empty),
        (_convolution(image, kernel[::-1, ::-1]), "the kernel is flipped. Lay it on as it is."),
        (_convolution(image, kernel.T), "rows and columns of the kernel are exchanged."),
        (windows.sum(axis=(2, 3)), "the pixels are added up without the kernel's weights."),
        ((windows @ kernel).sum(axis=(2, 3)), product),
        ((kernel @ windows).sum(axis=(2, 3)), product),
    )
    row, column = (1 + place for place in [*np.argwhere(found != right), (0, 0)][0])
    other = (
        f"row {row}, column {column} is {found[row - 1, column - 1]:g}, expected "
        f"{right[row - 1, column - 1]:g}. Which pixels does the kernel cover there?"
    )
    judge(found, right, wrong, other)


@check
def check_size_rule(answer: object) -> None:
    """Checks a function (size, kernel, stride, padding) -> size of what a layer gives.

    >>> check_size_rule(lambda size, kernel, stride, padding: size - kernel + 1)
    Not yet: a size of 5, kernel 2, stride 2, padding 0 give 4: without the stride. It visits ...
    """
    cases = ((4, 3, 1, 0), (572, 3, 1, 0), (5, 2, 2, 0), (25, 2, 2, 0), (128, 3, 1, 1))
    for case in (*cases, (224, 7, 2, 3), (10, 3, 3, 1)):
        found = _answered(answer, *case)
        size, kernel, stride, padding = case
        told = f"a size of {size}, kernel {kernel}, stride {stride}, padding {padding} give {found}"
        with about(told):
            _judge_size(found, *case)
    say(True, "(size + 2 padding - kernel) // stride + 1 holds for convolution and pooling.")


def _judge_size(found: float | None, size: int, kernel: int, stride: int, padding: int) -> None:
    expect(found is not None, ". Count the places where the kernel fits.")
    room = size + 2 * padding - kernel
    right = room // stride + 1
    once = (size + padding - kernel) // stride + 1
    bare = (size - kernel) // stride + 1
    places = ": without the stride. It visits only every stride-th place."
    parts = ": part of a place is no place. Round down, with //."
    wrong = (
        (bare, ": without the padding."),
        (once, ": the padding stands on both sides."),
        (right - 1, ": one too few. Where nothing is left over, the kernel still has one place."),
        (room + 1, places),
        (room / stride + 1, parts),
        (-(-room // stride) + 1, ": rounded up. Where the kernel does not fit, there is no place."),
    )
    judge(found, right, wrong, f", expected {right}. Slide the kernel along one row, on paper.")


@check
def check_output_size(answer: object) -> None:
    """Checks a function (size, depth) -> size of the output without padding, or None.

    >>> check_output_size(lambda size, depth: size)
    Not yet: 572 at depth 4 gives 572: that is padding="same". Without padding each 3x3 ...
    """
    cases = ((572, 4), (188, 4), (100, 2), (26, 1), (570, 4), (184, 4), (50, 2), (172, 4))
    for size, depth in cases:
        found, expected = _answered(answer, size, depth), _output_size(size, depth)
        told = f"{size} at depth {depth} gives {found}"
        expect(found == expected, told + _why_size(size, depth, found, expected))
    say(True, "572 gives 388, 188 is the smallest size at depth 4, and odd stages are refused.")


def _output_size(size: int, depth: int) -> int | None:
    try:
        return UNet(width=1, depth=depth, padding="valid").output_size(size)
    except ValueError:
        return None


def _why_size(size: int, depth: int, found: float | None, expected: int | None) -> str:
    """What is behind a wrong size, as the rest of a sentence."""
    if found is None:
        return ", but this size goes through. Follow it: minus 4, halve, and so on."
    if found == size:
        return (
            ': that is padding="same". Without padding each 3x3 convolution takes one pixel '
            "from each side."
        )
    if found == (expected or 0) + 4 * 2**depth:
        return ": the bottleneck has two convolutions as well."
    if expected is None:
        return ", but a stage on the way is odd or used up. Return None there."
    return f", but the network gives {expected}. Write down every stage, as in the table of 572."


@check
def check_painting(answer: object) -> None:
    """Checks the transposed convolution of [[1, 2], [3, 0]] with [[1, 2], [0, 3]], stride 1.

    >>> check_painting([[1, 2], [0, 3]])
    Not yet: the result has shape (2, 2). Two places a side, one pixel apart, and a kernel of 2: ...
    """
    found = array(answer, "give a list of rows of numbers, all of one length.")
    grid = answer is not None and found.size
    expect(grid, "the grid is empty. Its first number is 1 times the kernel's first.")
    added = _paint(KERNEL)
    if found.shape == added.shape:
        row, column = (1 + place for place in [*np.argwhere(found != added), (0, 0)][0])
        other = f"look again at row {row}, column {column}: which copies of the kernel reach it?"
    else:
        other = (
            f"the result has shape {found.shape}. Two places a side, one pixel apart, and a "
            "kernel of 2: how far does the last copy reach?"
        )
    side = "that is stride 2, copies side by side. With stride 1 they are one pixel apart."
    later = "where two copies overlap you kept the later one. Add them up."
    wrong = (
        (_paint(KERNEL, stride=2), side),
        (_paint(KERNEL, add=False), later),
        (_paint(KERNEL[::-1, ::-1]), "the kernel is turned over. Paint it as it is written."),
    )
    judge(found, added, wrong, other)
    say(True, "the copies overlap, and where they do, they add up.")


def _paint(kernel: np.ndarray, stride: int = 1, add: bool = True) -> np.ndarray:
    large = np.zeros((stride + 2, stride + 2))
    for y, x in np.ndindex(2, 2):
        window = large[y * stride : y * stride + 2, x * stride : x * stride + 2]
        window[:] = window * add + SMALL[y, x] * kernel
    return large


@check
def check_receptive_field(answer: object) -> None:
    """Checks a function from a list of (kernel, stride) to the receptive field of the stack.

    >>> check_receptive_field(lambda layers: 1 + sum(k - 1 for k, _ in layers))
    Not yet: (3, 1), (2, 2), (3, 1) gives 6: after the layer of stride 2, one step on its grid ...
    """
    encoder = 4 * [(3, 1), (3, 1), (2, 2)] + [(3, 1), (3, 1)]
    mixed = ([(3, 1), (2, 2), (3, 1)], [(7, 2), (3, 2), (3, 1)])
    for layers in ([(3, 1)], 2 * [(3, 1)], *mixed, encoder):
        found = _answered(answer, layers)
        shown = "the encoder" if layers is encoder else str(layers)[1:-1]
        with about(f"{shown} gives {found}"):
            _judge_field(layers, found)
    say(True, "each layer adds (kernel - 1) times the product of the strides before it.")


def _field(layers: list[tuple[int, int]], early: bool = False) -> int:
    """The receptive field; with `early`, as if a layer's own stride counted for itself."""
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump * (stride if early else 1)
        jump *= stride
    return field


def _judge_field(layers: list[tuple[int, int]], found: float | None) -> None:
    expect(found is not None, ". Start with 1 pixel and walk through the layers.")
    steps = sum(kernel - 1 for kernel, _ in layers)
    few = ": one too few. Without any layer, a pixel sees one pixel: itself."
    grid = ": after the layer of stride 2, one step on its grid is two pixels of the image."
    early = ": a layer's own stride counts only for the layers after it. Add first, then multiply."
    wrong = ((steps, few), (steps + 1, grid), (_field(layers, early=True), early))
    right = _field(layers)
    other = f", expected {right}. Follow the field and the jump on paper."
    judge(found, right, wrong, other)


@check
def check_depth_needed(answer: object) -> None:
    """Checks a function from the diameter of a nucleus, in pixels, to the depth it needs.

    >>> check_depth_needed(lambda diameter: 4)
    Not yet: for a diameter of 1 you say 4, and 0 is enough. Try the depths from 0 upward.
    """
    for diameter in (1, 5, 8, 9, 20, 22, 44, 48, 92):
        depth = next(i for i, reach in enumerate(REACH) if reach >= diameter)
        found = _answered(answer, diameter)
        told = f"for a diameter of {diameter} you say {found}"
        expect(found == depth, told + _why_depth(diameter, found, depth))
    say(True, "the reach grows as 2, 8, 20, 44, 92: each pooling doubles it and adds 4.")


def _why_depth(diameter: int, found: float | None, depth: int) -> str:
    """What is behind a wrong depth, as the rest of a sentence."""
    if found is None or found not in range(len(REACH)):
        return ". Return the first of the depths 0 to 4 whose reach is at least the diameter."
    if found > depth:
        return f", and {depth} is enough. Try the depths from 0 upward."
    if HALO[int(found)] >= diameter:
        return (
            ": some pixels reach that far, others do not. Take the shorter side of the window, "
            "and the worst of the 2**depth places in the pooling grid."
        )
    return (
        ": the window may be wide enough for the pixel in the middle. A pixel at the left edge "
        "of the nucleus has to see past its right edge."
    )


def _answered(answer: object, *arguments: object) -> float | None:
    """The plain number that the reader's function returns, or None."""
    found, case = ask(answer, *arguments), ", ".join(map(str, arguments))
    told = f"for {case} you return {{kind}}. Return a plain number."
    return None if found is None else number(found, told)
