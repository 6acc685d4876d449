"""The checks of chapter 1: right answers, and each typical wrong one with what it is told."""

import pytest
import torch
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
