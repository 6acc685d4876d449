"""Checks for the exercises of chapter 2: each prints one line, "Right: ..." or "Not yet: ..."."""

import copy
from collections.abc import Callable
from numbers import Integral

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unet_lib.course.exercises import say

CountFunction = Callable[[int, int, int, int], object]
AnySizeFunction = Callable[[nn.Module, Tensor], object]
BlockMaker = Callable[[int, int], object]

# (in_channels, out_channels, width, depth); the first is the article's network
_COUNTED = ((3, 1, 64, 4), (1, 1, 16, 4), (1, 3, 8, 2), (3, 21, 32, 3))

_COUNT_MISTAKES = (
    ({"bias": 0}, "the biases are missing: every layer has one number more per output channel"),
    ({"joined": 1}, "a decoder block takes twice the channels it gives: skip and upsampled maps"),
    ({"up_kernel": 3}, "the transposed convolutions have 2x2 kernels, not 3x3"),
    ({"up_kernel": 0}, "the transposed convolutions are missing: layer(2, 2 * c, c) at each stage"),
    ({"convolutions": 1}, "each block has two convolutions, the second from c to c channels"),
    ({"head": False}, "the last 1x1 convolution is missing: layer(1, width, out_channels)"),
    ({"deeper": -1}, "one stage is missing: `depth` stages, and the bottleneck below them"),
    ({"deeper": 1}, "there is one stage too many: the bottleneck has width * 2**depth channels"),
)


def check_count(answer: CountFunction) -> None:
    """Checks `answer(in_channels, out_channels, width, depth)`, the parameters of a U-Net.

    >>> check_count(lambda in_channels, out_channels, width, depth: 31_031_745)
    Not yet: count(1, 1, 16, 4) gives 31,031,745, and it should be 1,940,817. ...
    """
    found = []
    for setting in _COUNTED:
        value, problem = _call(answer, *setting)
        if problem or isinstance(value, bool) or not isinstance(value, Integral):
            text = problem or f"it returned {value!r}; return a whole number"
            return say(False, f"for {setting} {text}.")
        found.append(value)
    if found == [_count(*setting) for setting in _COUNTED]:
        return say(True, "31,031,745 for the article's network, and the others too.")
    for mistake, lesson in _COUNT_MISTAKES:
        if found == [_count(*setting, **mistake) for setting in _COUNTED]:
            return say(False, f"{lesson}.")
    setting, value = next((s, v) for s, v in zip(_COUNTED, found, strict=True) if v != _count(*s))
    say(
        False,
        f"count{setting} gives {value:,}, and it should be {_count(*setting):,}. Compare the "
        "parts one by one: encoder, bottleneck, upsampling, decoder, last layer.",
    )


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
    head: bool = True,
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
    """Hands the first channel on, refuses what the numbered network refuses, remembers its input.

    As the output is the input, it shows exactly which pixels were padded and cut.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: Tensor | None = None

    def forward(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N 1 H W"]:
        height, width = images.shape[-2:]
        if height % 16 or width % 16:
            raise ValueError(f"the network was given {height}x{width}, which 16 does not divide")
        self.seen = images.detach()
        return images[:, :1].clone()


def check_any_size(answer: AnySizeFunction) -> None:
    """Checks `answer(network, images)`, which pads the images for a network and cuts the result.

    >>> check_any_size(lambda network, images: network(images))
    Not yet: for 33x40 pixels it raised ValueError: the network was given 33x40, ...
    """
    generator = torch.Generator().manual_seed(0)
    for height, width in ((32, 48), (33, 40), (50, 37), (17, 100)):
        network = _OnlyMultiplesOf16()
        images = torch.rand(2, 3, height, width, generator=generator) + 1
        logits, problem = _call(answer, network, images.clone())
        problem = problem or _any_size_problem(network.seen, images, logits)
        if problem:
            return say(False, f"for {height}x{width} pixels {problem}.")
    say(True, "every size comes back as it went in, pixel on pixel.")


def _any_size_problem(seen: Tensor | None, images: Tensor, logits: object) -> str | None:
    """What is wrong with the logits of these images, or None."""
    if not isinstance(logits, Tensor):
        return f"it returned {logits!r}; return the network's output, cut to the pictures' size"
    if seen is None:
        return "the network was never called; pass it the padded pictures"
    size, given = images.shape[-2:], seen.shape[-2:]
    needed = tuple(n + -n % 16 for n in size)
    if tuple(given) != needed:
        return (
            f"the network was given {given[0]}x{given[1]}, and {needed[0]}x{needed[1]} is enough. "
            "Think of -n % 16, which is 0 when 16 divides n"
        )
    if logits.shape[-2:] != size:
        return (
            f"the answer has {tuple(logits.shape[-2:])} pixels: cut off again what you padded, "
            "logits[..., :height, :width] if it was on the right and at the bottom"
        )
    place = _find(images, seen)
    if place is None:
        return "the network did not get the pictures' own pixels: pad them instead of resizing"
    top, left = place
    if not torch.equal(logits, seen[:, :1, top : top + size[0], left : left + size[1]]):
        return (
            f"the size is right but the pixels have moved: the pictures begin in row {top} and "
            f"column {left} of what the network was given, so cut there"
        )
    return None


def _find(images: Tensor, seen: Tensor) -> tuple[int, int] | None:
    """Row and column where `images` begins inside `seen`, or None."""
    height, width = images.shape[-2:]
    for top in range(seen.shape[-2] - height + 1):
        for left in range(seen.shape[-1] - width + 1):
            if torch.equal(seen[..., top : top + height, left : left + width], images):
                return top, left
    return None


def check_residual_block(answer: BlockMaker) -> None:
    """Checks `answer(in_channels, out_channels)`, a module with a residual connection.

    >>> check_residual_block(lambda in_channels, out_channels: nn.Identity())
    Not yet: the block for 8 -> 8 channels has 0 convolutions of 3x3; it needs two.
    """
    for channels in ((8, 8), (3, 8)):
        name = f"the block for {channels[0]} -> {channels[1]} channels"
        block, problem = _call(answer, *channels)
        if not problem and not isinstance(block, nn.Module):
            problem = f"is {block!r}; return a module"
        problem = problem or _block_problem(block, *channels)
        if problem:
            return say(False, f"{name} {problem}.")
    say(True, "the input is added before the last ReLU, and stays as it was.")


def _block_problem(block: nn.Module, in_channels: int, out_channels: int) -> str | None:
    """What is wrong with a residual block, or None."""
    threes = [m for m in block.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    if len(threes) != 2:
        return f"has {len(threes)} convolutions of 3x3; it needs two"
    ones = [m for m in block.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    if in_channels != out_channels and not ones:
        return "has no 1x1 convolution, which brings the input to the right number of channels"
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, in_channels, 6, 10, generator=generator)
    passed = images.clone()
    output, problem = _call(block, passed)
    if problem:
        return problem
    expected = (2, out_channels, 6, 10)
    if not isinstance(output, Tensor) or tuple(output.shape) != expected:
        found = tuple(output.shape) if isinstance(output, Tensor) else output
        return f"returns {found} for (2, {in_channels}, 6, 10); expected {expected}"
    if not torch.equal(passed, images):
        return "changes its own input: an in-place ReLU works on x itself"
    _, problem = _call(lambda: output.sum().backward())
    return problem or _shortcut_problem(block, threes, images, out_channels)


@torch.no_grad()
def _shortcut_problem(
    block: nn.Module, threes: list[nn.Conv2d], images: Tensor, out_channels: int
) -> str | None:
    """With the 3x3 weights at zero, only the shortcut and the biases speak."""
    for convolution in threes:
        nn.init.zeros_(convolution.weight)
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
    alone = block(images.clone())
    if not alone.any():
        return "gives 0 when its 3x3 weights are 0: add the input to what the convolutions give"
    if (alone < 0).any():
        return "gives negative values: one ReLU more, after the sum"
    if images.shape[1] == out_channels and not torch.allclose(alone, F.relu(images), atol=1e-5):
        return (
            "does not hand its input on when its 3x3 weights are 0. Where the channels agree, "
            "the input is added as it is, without a convolution"
        )
    for convolution in threes:
        nn.init.dirac_(convolution.weight).neg_()
    positive = images.abs()  # a ReLU between the two convolutions lets nothing of it through
    normed = any(
        isinstance(m, nn.GroupNorm | nn.modules.batchnorm._NormBase) for m in block.modules()
    )
    same = images.shape[1] == out_channels and not normed
    if same and not torch.allclose(block(positive.clone()), positive, atol=1e-5):
        return "lacks the ReLU between its two convolutions"
    for convolution in threes:
        nn.init.zeros_(convolution.weight)
    if all(convolution.bias is not None for convolution in threes):
        for convolution in threes:
            nn.init.constant_(convolution.bias, -1.0)
        if torch.allclose(block(images.clone()), alone):
            return "has a ReLU before the sum, so it can only add: let the only one come after it"
    return None


def check_without_skips(network: object) -> None:
    """Checks a U-Net with a `bottleneck` whose skip connections carry nothing.

    Works for any number of input channels, on pictures of 64x64; the network stays as it is.

    >>> from unet_lib.model import UNet
    >>> check_without_skips(UNet(in_channels=1, width=4, depth=2))
    Not yet: with the bottleneck muted the answer still depends on the picture: ...
    """
    if not isinstance(getattr(network, "bottleneck", None), nn.Module):
        return say(False, "pass the network itself, a module with a member `bottleneck`.")
    network = copy.deepcopy(network).eval()
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, first.in_channels, 64, 64, generator=generator)
    logits, problem = _call(torch.no_grad()(network), images)
    if problem:
        return say(False, f"for pictures of 64x64 pixels {problem}.")
    if not isinstance(logits, Tensor) or logits.shape[-2:] != images.shape[-2:]:
        return say(False, "the answer has to be as high and wide as the pictures, 64x64.")
    if torch.equal(logits[0], logits[1]):
        return say(False, "two different pictures get the same answer: the way up is cut, too.")
    network.bottleneck.register_forward_hook(lambda m, i, o: torch.zeros_like(o))
    with torch.no_grad():
        muted = network(images)
    if not torch.allclose(muted[0], muted[1], atol=1e-7):
        return say(
            False,
            "with the bottleneck muted the answer still depends on the picture: a skip is open. "
            "Concatenate zeros of the skip's shape in its place.",
        )
    say(True, "all that the answer knows of the picture has passed the bottleneck.")


def _call(function: Callable[..., object], *arguments: object) -> tuple[object, str | None]:
    """The result, or what went wrong: a check goes on where the reader's code stops."""
    try:
        return function(*arguments), None
    except Exception as error:  # whatever the reader's code may raise
        text = str(error).strip().splitlines() or ["without a message"]
        return None, f"it raised {type(error).__name__}: {text[0].rstrip('.')}"
