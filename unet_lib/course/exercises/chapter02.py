"""Checks for the exercises of chapter 2: parameters, sizes, residual blocks, skips.

Those of the tasks in the text have a module of their own, and are found here too.
"""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unet_lib.course.exercises.chapter02_forward import (
    check_block,
    check_forward,
    check_step_up,
    judge_blocks,
)
from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, say, short
from unet_lib.course.exercises.values import close, judge, tensor, whole

__all__ = [
    "check_any_size",
    "check_block",
    "check_count",
    "check_forward",
    "check_residual_block",
    "check_step_up",
    "check_without_skips",
]

# (in_channels, out_channels, width, depth); the first is the article's network
_COUNTED = ((3, 1, 64, 4), (1, 1, 16, 4), (1, 3, 8, 2), (3, 21, 32, 3))

NORMS = (nn.GroupNorm, nn.modules.batchnorm._NormBase)
_COUNT_MISTAKES = (
    ({"bias": 0}, "the biases are missing: every layer has one number more per output channel"),
    ({"joined": 1}, "a decoder block takes twice the channels it gives: skip and upsampled maps"),
    ({"up_kernel": 3}, "the transposed convolutions have 2x2 kernels, not 3x3"),
    ({"up_kernel": 0}, "the transposed convolutions are missing: layer(2, 2 * c, c) at each stage"),
    ({"convolutions": 1}, "each block has two convolutions, the second from c to c channels"),
    ({"head": 0}, "the last 1x1 convolution is missing: layer(1, width, out_channels)"),
    ({"deeper": -1}, "one stage is missing: `depth` stages, and the bottleneck below them"),
    ({"deeper": 1}, "there is one stage too many: the bottleneck has width * 2**depth channels"),
)


@check
def check_count(answer: object) -> None:
    """Checks `answer(in_channels, out_channels, width, depth)`, the parameters of a U-Net.

    >>> check_count(lambda in_channels, out_channels, width, depth: 31_031_745)
    Not yet: count(1, 1, 16, 4) gives 31,031,745, and it should be 1,940,817. ...
    """
    found, told = [], ""
    for setting in _COUNTED:
        with about(f"for {setting} it "):
            value = ask(answer, *setting, who="")
            found.append(whole(value, "returned {short}; return a whole number."))
        if found[-1] != _count(*setting) and not told:
            told = f"count{setting} gives {found[-1]:,}, and it should be {_count(*setting):,}."
    wrong = (([_count(*s, **how) for s in _COUNTED], f"{text}.") for how, text in _COUNT_MISTAKES)
    parts = "Compare the parts one by one: encoder, bottleneck, upsampling, decoder, last layer."
    judge(found, [_count(*setting) for setting in _COUNTED], wrong, f"{told} {parts}")
    say(True, "31,031,745 for the article's network, and the others too.")


def _count(
    in_channels: int,
    out_channels: int,
    width: int,
    depth: int,
    *,
    bias: int = 1,
    joined: int = 2,
    up_kernel: int = 2,
    convolutions: int = 2,
    head: int = 1,
    deeper: int = 0,
) -> int:
    """The number of parameters; the keywords make the usual mistakes."""

    def layer(k: int, into: int, out: int) -> int:
        return k * k * into * out + bias * out if k else 0

    def block(into: int, out: int) -> int:
        return layer(3, into, out) + (convolutions - 1) * layer(3, out, out)

    channels = [width * 2**stage for stage in range(depth + deeper + 1)]
    total = block(in_channels, width) + layer(1, width, out_channels) * head
    for c in channels[:-1]:
        total += block(c, 2 * c) + layer(up_kernel, 2 * c, c) + block(joined * c, c)
    return total


class _OnlyMultiplesOf16(nn.Module):
    """Hands the first channel of its input on, to show which pixels were padded and cut."""

    seen: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if height % 16 or width % 16:
            raise ValueError(f"the network was given {height}x{width}, which 16 does not divide")
        self.seen = images.detach()
        return images[:, :1].clone()


@check
def check_any_size(answer: object) -> None:
    """Checks `answer(network, images)`, which pads the images for a network and cuts the result.

    >>> check_any_size(lambda network, images: network(images))
    Not yet: for 33x40 pixels it raised ValueError: the network was given 33x40, ...
    """
    generator = torch.Generator().manual_seed(0)
    for height, width in ((32, 48), (33, 40), (50, 37), (17, 100)):
        network = _OnlyMultiplesOf16()
        images = torch.rand(2, 3, height, width, generator=generator) + 1
        with about(f"for {height}x{width} pixels "):
            _judge_any_size(network, images, ask(answer, network, images, who="it"))
    say(True, "every size comes back as it went in, pixel on pixel.")


def _judge_any_size(network: _OnlyMultiplesOf16, images: Tensor, logits: object) -> None:
    cure = "return the network's output, cut to the images' size."
    logits = tensor(logits, f"it returned {{short}}; {cure}")
    seen, size = network.seen, images.shape[-2:]
    if seen is None:
        raise NotYet("the network was never called; pass it the padded images.")
    given, needed = ("x".join(str(n + -n % 16) for n in x.shape[-2:]) for x in (seen, images))
    sixteen = "Think of -n % 16, which is 0 when 16 divides n."
    expect(given == needed, f"the network was given {given}, and {needed} is enough. {sixteen}")
    expect(
        logits.shape[-2:] == size,
        f"the answer has {tuple(logits.shape[-2:])} pixels: cut off again what you padded, "
        "logits[..., :height, :width] if it was on the right and at the bottom.",
    )
    top, left = _find(images, seen)
    expect(
        torch.equal(logits, seen[:, :1, top : top + size[0], left : left + size[1]]),
        f"the size is right but the pixels have moved: the images begin in row {top} and "
        f"column {left} of what the network was given, so cut there.",
    )


def _find(images: Tensor, seen: Tensor) -> tuple[int, int]:
    """Row and column where `images` begins inside `seen`."""
    height, width = images.shape[-2:]
    windows = seen.unfold(-2, height, 1).unfold(-2, width, 1)
    for top, left in np.ndindex(windows.shape[-4:-2]):
        if torch.equal(windows[..., top, left, :, :], images):
            return top, left
    raise NotYet("the network did not get the images' own pixels: pad them instead of resizing.")


@check
def check_residual_block(answer: object) -> None:
    """Checks `answer(in_channels, out_channels)`, a module with a residual connection.

    >>> check_residual_block(lambda in_channels, out_channels: nn.Identity())
    Not yet: the block for 8 -> 8 channels has 0 convolutions of 3x3; it needs two.
    """
    judge_blocks(answer, _judge_block, (8, 8), (3, 8))
    say(True, "the input is added before the last ReLU, and stays as it was.")


def _judge_block(block: nn.Module, in_channels: int, out_channels: int) -> None:
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    threes = [layer for layer in convolutions if layer.kernel_size == (3, 3)]
    expect(len(threes) == 2, f"has {len(threes)} convolutions of 3x3; it needs two.")
    brought = in_channels == out_channels or (1, 1) in [c.kernel_size for c in convolutions]
    one = "has no 1x1 convolution, which brings the input to the right number of channels."
    expect(brought, one)
    images = torch.randn(2, in_channels, 6, 10, generator=torch.Generator().manual_seed(0))
    passed, expected = images.clone(), (2, out_channels, 6, 10)
    output = ask(lambda: block(passed), who="")
    found = tuple(output.shape) if isinstance(output, Tensor) else short(output)
    told = f"returns {found} for (2, {in_channels}, 6, 10); expected {expected}."
    output = tensor(output, told, expected)
    unchanged = torch.equal(passed, images)
    expect(unchanged, "changes its own input: an in-place ReLU works on x itself.")
    ask(lambda: output.sum().backward(), who="")
    _judge_shortcut(block, threes, images, out_channels)


@torch.no_grad()
def _judge_shortcut(
    block: nn.Module, threes: list[nn.Conv2d], images: Tensor, out_channels: int
) -> None:
    """With the 3x3 weights at zero, only the shortcut and the biases speak."""
    biases = [layer.bias for layer in threes if layer.bias is not None]
    for values in (*(layer.weight for layer in threes), *biases):
        nn.init.zeros_(values)
    alone = block(images.clone())
    silent = "gives 0 when its 3x3 weights are 0: add the input to what the convolutions give."
    expect(alone.any(), silent)
    expect((alone >= 0).all(), "gives negative values: one ReLU more, after the sum.")
    same = images.shape[1] == out_channels
    told = "does not hand its input on when its 3x3 weights are 0. Where the channels agree, "
    handed = not same or torch.allclose(alone, F.relu(images), atol=1e-5)
    expect(handed, f"{told}the input is added as it is, without a convolution.")
    if same and not any(isinstance(layer, NORMS) for layer in block.modules()):
        for layer in threes:
            nn.init.dirac_(layer.weight).neg_()
        positive = images.abs()  # a ReLU between the convolutions lets nothing of it through
        through = torch.allclose(block(positive.clone()), positive, atol=1e-5)
        expect(through, "lacks the ReLU between its two convolutions.")
    for layer in threes:
        nn.init.zeros_(layer.weight)
    for bias in biases:
        nn.init.constant_(bias, -1.0)
    only_adds = "has a ReLU before the sum, so it can only add: let the only one come after it."
    expect(len(biases) < 2 or not torch.allclose(block(images.clone()), alone), only_adds)


@check
def check_without_skips(network: object) -> None:
    """Checks a U-Net with a `bottleneck` whose skip connections carry nothing.

    Works for any number of input channels, on images of 64x64; the network stays as it is.

    >>> from unet_lib.model import UNet
    >>> check_without_skips(UNet(in_channels=1, width=4, depth=2))
    Not yet: with the bottleneck muted the answer still depends on the image: ...
    """
    network = copy.deepcopy(network).eval() if isinstance(network, nn.Module) else nn.Identity()
    member = getattr(network, "bottleneck", None)
    if not isinstance(member, nn.Module):
        raise NotYet("pass the network itself, a module with a member `bottleneck`.")
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise NotYet("the network has no convolution.")
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, first.in_channels, 64, 64, generator=generator)
    who, run = "for images of 64x64 pixels it", torch.no_grad()(network)
    logits = ask(run, images, who=who)
    size = isinstance(logits, Tensor) and logits.shape[-2:] == images.shape[-2:]
    expect(size, "the answer has to be as high and wide as the images, 64x64.")
    same = torch.equal(logits[0], logits[1])
    expect(not same, "two different images get the same answer: the way up is cut, too.")
    member.register_forward_hook(lambda m, i, o: torch.zeros_like(o))
    told = "with the bottleneck muted the answer still depends on the image: a skip is open."
    muted = close(*ask(run, images, who=who), within=1e-7)
    expect(muted, f"{told} Concatenate zeros of the skip's shape in its place.")
    say(True, "all that the answer knows of the image has passed the bottleneck.")
