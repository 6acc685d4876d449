"""The checks of chapter 1: right answers, and each typical wrong one with what it is told."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unet_lib.course.exercises import chapter01
from unet_lib.model import UNet, trace_sizes


def output_size(size, depth):
    trace = trace_sizes(size, depth)
    return None if trace.problem else trace.decoder[-1][1]


def receptive_field(layers, multiply_first=False):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump * (stride if multiply_first else 1)
        jump *= stride
    return field


def convolve(image, kernel, product=np.multiply):
    size, (height, width) = len(kernel), image.shape
    result = np.zeros((height - size + 1, width - size + 1))
    for y, x in np.ndindex(result.shape):
        result[y, x] = product(image[y : y + size, x : x + size], kernel).sum()
    return result


def library_convolve(image, kernel):
    batch, weights = (torch.tensor(x, dtype=torch.float64)[None, None] for x in (image, kernel))
    return F.conv2d(batch, weights)[0, 0]


def size_rule(size, kernel, stride, padding):
    pixels, weights = torch.zeros(1, 1, 1, size), torch.zeros(1, 1, 1, kernel)
    return F.conv2d(pixels, weights, stride=(1, stride), padding=(0, padding)).shape[-1]


def window(depth, pixel):
    first = last = pixel
    for _ in range(depth):
        first, last = (first - 2) // 2, (last + 2) // 2
    first, last = first - 2, last + 2
    for _ in range(depth):
        first, last = 2 * first - 2, 2 * last + 1 + 2
    return pixel - first, last - pixel


def middle(sides):
    return max(1 + left + right for left, right in sides)


def best(sides):
    return max(map(max, sides))


def depth_needed(diameter, reach=lambda sides: min(map(min, sides))):
    for depth in range(9):
        if reach([window(depth, pixel) for pixel in range(2**depth)]) >= diameter:
            return depth
    return None


CASES = {
    chapter01.check_convolve: [
        (convolve, "Right: "),
        (library_convolve, "Right: "),
        (lambda image, kernel: None, "return the array of results, not None"),
        (lambda image, kernel: "twelve", "return the array of results, not a str"),
        (lambda image, kernel: 0 * convolve(image, kernel), "every number is still 0"),
        (lambda image, kernel: image, "the result has shape (4, 4), expected (2, 2)"),
        (
            lambda image, kernel: convolve(image, kernel).T,
            "5x6 pixels, kernel 2x2: the result has shape (5, 4), expected (4, 5). Rows come first",
        ),
        (lambda image, kernel: convolve(image, kernel[::-1, ::-1]), "the kernel is flipped"),
        (lambda image, kernel: convolve(image, kernel.T), "are exchanged"),
        (lambda image, kernel: convolve(image, kernel**0), "without the kernel's weights"),
        (
            lambda image, kernel: convolve(image, kernel, lambda a, b: b @ a),
            "the product of two matrices",
        ),
        (
            lambda image, kernel: convolve(image, kernel) + np.eye(2) * (len(image) == 4),
            "row 1, column 1 is 13, expected 12. Which pixels does the kernel cover",
        ),
    ],
    chapter01.check_size_rule: [
        (size_rule, "Right: "),
        (lambda n, k, s, p: None, "padding 0 give None. Count the places"),
        (lambda n, k, s, p: [n], "you return a list. Return a plain number"),
        (lambda n, k, s, p: size_rule(n, k, s, p) - 1, "give 1: one too few"),
        (lambda n, k, s, p: size_rule(n, k, 1, p), "give 4: without the stride"),
        (lambda n, k, s, p: (n + 2 * p - k) / s + 1, "give 2.5: part of a place is no place"),
        (lambda n, k, s, p: -(-(n + 2 * p - k) // s) + 1, "give 3: rounded up"),
        (lambda n, k, s, p: size_rule(n, k, s, 0), "give 126: without the padding"),
        (lambda n, k, s, p: (n + p - k) // s + 1, "give 127: the padding stands on both sides"),
        (lambda n, k, s, p: 7, "give 7, expected 2. Slide the kernel"),
    ],
    chapter01.check_output_size: [
        (output_size, "Right: "),
        (lambda n, d: None, "572 at depth 4 gives None, but this size goes through"),
        (lambda n, d: n - 120, "the bottleneck has two convolutions as well"),
        (lambda n, d: -12 if n == 172 else output_size(n, d), "172 at depth 4 gives -12, but a"),
        (lambda n, d: n - 184, "100 at depth 2 gives -84, but the network gives 60"),
        (
            lambda n, d: n - {1: 16, 2: 40, 4: 184}[d],
            "570 at depth 4 gives 386, but a stage on the",
        ),
        (lambda n, d: [n], "for 572, 4 you return a list. Return a plain number"),
    ],
    chapter01.check_painting: [
        ([[1, 4, 4], [3, 9, 6], [0, 9, 0]], "Right: "),
        (None, "the grid is empty"),
        ([], "the grid is empty"),
        ([[1, 2], [3]], "give a list of rows of numbers"),
        ([[1, 2, 2, 4], [0, 3, 0, 6], [3, 6, 0, 0], [0, 9, 0, 0]], "that is stride 2"),
        ([[1, 2, 4], [3, 0, 0], [0, 0, 0]], "you kept the later one"),
        ([[3, 6, 0], [11, 5, 2], [6, 3, 0]], "the kernel is turned over"),
        ([[1, 4, 4], [3, 8, 6], [0, 9, 0]], "look again at row 2, column 2: which"),
    ],
    chapter01.check_receptive_field: [
        (receptive_field, "Right: "),
        (lambda layers: None, "(3, 1) gives None. Start with 1 pixel"),
        (lambda layers: sum(k - 1 for k, _ in layers), "gives 2: one too few"),
        (lambda layers: receptive_field(layers, True), "gives 9: a layer's own stride counts only"),
        (
            lambda layers: {1: 3, 2: 5, 3: 8}[len(layers)],
            "(7, 2), (3, 2), (3, 1) gives 8, expected 19",
        ),
        (lambda layers: min(receptive_field(layers), 99), "the encoder gives 99, expected 140"),
    ],
    chapter01.check_depth_needed: [
        (depth_needed, "Right: "),
        (lambda diameter: None, "for a diameter of 1 you say None. Return the first"),
        (lambda diameter: -1, "you say -1. Return the first"),
        (
            lambda d: depth_needed(d, middle),
            "for a diameter of 5 you say 0: the window may be wide",
        ),
        (
            lambda d: depth_needed(d, best),
            "for a diameter of 9 you say 1: some pixels reach that far",
        ),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_reach_is_what_the_network_sees(depth):
    """Positive weights and average pooling: every pixel in the window has a gradient."""
    model = UNet(1, 1, width=1, depth=depth).double()
    model.pool = nn.AvgPool2d(2)
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1)
    sides = []
    for pixel in range(128, 128 + 2**depth):
        picture = torch.ones(1, 1, 16, 256, dtype=torch.float64, requires_grad=True)
        model(picture)[0, 0, 8, pixel].backward()
        seen = picture.grad[0, 0].amax(0).nonzero().flatten()
        sides.append((pixel - int(seen[0]), int(seen[-1]) - pixel))
    assert sides == [window(depth, pixel) for pixel in range(2**depth)]
    assert min(map(min, sides)) == chapter01.REACH[depth]
    assert max(map(max, sides)) == chapter01.HALO[depth]
