"""Checks for the tasks of chapter 2: a block, a step up, the forward pass."""

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, say, short
from unet_lib.course.exercises.values import judge, tensor

_MEMBERS = (
    *(f"encoder{n}" for n in (1, 2, 3, 4)),
    "bottleneck",
    *(f"{kind}{n}" for n in (4, 3, 2, 1) for kind in ("upconv", "decoder")),
    "final",
)


@check
def check_block(answer: object) -> None:
    """Checks `answer(in_channels, out_channels)`, a block of two convolutions with ReLUs.

    >>> check_block(lambda in_channels, out_channels: nn.Conv2d(in_channels, out_channels, 3))
    Not yet: the block for 1 -> 8 channels has 1 of its two convolutions. ...
    """
    judge_blocks(answer, _judge_convolutions, (1, 8), (6, 3))
    say(True, "convolution, ReLU, convolution, ReLU, and the size stays.")


def judge_blocks(
    answer: object, judge_one: Callable[[nn.Module, int, int], None], *sides: tuple[int, int]
) -> None:
    """Asks for a block from so many to so many channels, and has each of them judged."""
    for into, out in sides:
        with about(f"the block for {into} -> {out} channels "):
            block = ask(answer, into, out, who="")
            expect(isinstance(block, nn.Module), f"is {short(block)}; return a module.")
            judge_one(block, into, out)


def _judge_convolutions(block: nn.Module, in_channels: int, out_channels: int) -> None:
    layers = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    count = f"has {len(layers)} of its two convolutions. A ReLU follows each of the two."
    expect(len(layers) == 2, count)
    sides = [layer.kernel_size for layer in layers]
    expect(sides == [(3, 3)] * 2, f"has kernels of {sides[0]} and {sides[1]}: both are 3x3.")
    images = torch.randn(2, in_channels, 6, 10, generator=torch.Generator().manual_seed(0))
    output = tensor(ask(block, images, who=""), "returns {short}; return a tensor.")
    found, expected = tuple(output.shape), (2, out_channels, 6, 10)
    cure = "padding=1 in both convolutions gives back the pixel that a 3x3 kernel takes."
    expect(found[-2:] == (6, 10), f"makes {found[-2:]} of 6x10 pixels: {cure}")
    expect(found == expected, f"returns {found}; expected {expected}.")
    first, second = layers
    between = "lacks the ReLU between its two convolutions."
    wrong = (
        (second(first(images)), "has no ReLU: one follows each convolution."),
        (second(first(images).relu()), "lacks the ReLU after its second convolution."),
        (second(first(images)).relu(), between),
    )
    other = "gives other values than convolution, ReLU, convolution, ReLU in this order."
    judge(output, second(first(images).relu()).relu(), wrong, other)


@check
def check_step_up(answer: object) -> None:
    """Checks `answer(below, skip, upconv, block)`, one step of the decoder.

    >>> check_step_up(lambda below, skip, upconv, block: upconv(below))
    Not yet: these are the enlarged maps alone. Concatenate them with the skip, ...
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        upconv, block = nn.ConvTranspose2d(6, 3, 2, stride=2), nn.Conv2d(6, 3, 3, padding=1)
        below, skip = torch.randn(2, 6, 5, 7), torch.randn(2, 3, 10, 14)
    stack = "Stack along the channels, which are axis 1: torch.cat([..., ...], dim=1)."
    found = ask(answer, below, skip, upconv, block, hint=stack, on=(RuntimeError, IndexError))
    found = tensor(found, "your function returned {got}; return what `block` gives.")
    large = upconv(below)
    right, turned = torch.cat([large, skip], dim=1), torch.cat([skip, large], dim=1)
    then = "Concatenate them with the skip, and let `block` run over both."
    wrong = (
        (below, "these are the maps from below as they came. Enlarge them: upconv(below)."),
        (skip, "this is the skip alone. Enlarge what comes from below: upconv(below)."),
        (large, f"these are the enlarged maps alone. {then}"),
        (right, "both are joined. Now let `block` run over them."),
        (turned, "both are joined, the skip first; it comes second. Then let `block` run."),
        (block(turned), "the skip came first. It comes second: weights depend on the order."),
    )
    judge(found, block(right), wrong, f"the values are others than expected. Enlarge. {then}")
    say(True, "enlarge, concatenate, convolve: one stage of the decoder.")


@check
def check_forward(network: object) -> None:
    """Checks the forward pass of a network with the members encoder1 to final.

    The network stays as it is.

    >>> check_forward(nn.Identity())
    Not yet: pass a network with members encoder1 to encoder4, bottleneck, ...
    """
    network = _loud(_numbered(network))
    parts = {name: getattr(network, name) for name in _MEMBERS}
    calls: Counter[str] = Counter()
    for name, part in parts.items():
        part.register_forward_hook(lambda *_, name=name: calls.update([name]))
    channels = next(m for m in network.modules() if isinstance(m, nn.Conv2d)).in_channels
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, channels, 32, 48, generator=generator, dtype=torch.float64)
    output = ask(torch.no_grad()(network), images, who="for images of 32x48 pixels it")
    output = tensor(output, "it returned {got}; return what `final` gives.")
    for name in _MEMBERS:
        expect(calls[name], f"`{name}` is never called. Each member has its place on the way.")
        expect(calls[name] == 1, f"`{name}` is called {calls[name]} times, and once is enough.")
    wrong = (
        (_forward(parts, images, order=-1), "the skips come second: (enlarged, skip)."),
        (_forward(parts, images, pool=F.avg_pool2d), "pool by the maximum: F.max_pool2d."),
    )
    other = (
        "every member is called, but the values are others than expected. Does each get what its "
        "place says, and each decoder the skip of its own number?"
    )
    judge(output, _forward(parts, images), wrong, other)
    say(True, "down, across and up: every block gets what belongs to it.")


def _numbered(network: object) -> nn.Module:
    names = "encoder1 to encoder4, bottleneck, upconv and decoder 4 to 1, and final"
    told = f"pass a network with members {names}, for example NumberedUNet(1, 1, width=4)."
    if not isinstance(network, nn.Module) or not all(hasattr(network, name) for name in _MEMBERS):
        raise NotYet(told)
    return network


def _loud(network: nn.Module) -> nn.Module:
    """A copy with weights so large that what happens at the bottom is seen at the top."""
    network = copy.deepcopy(network).double().eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight)
    return network


@torch.no_grad()
def _forward(
    parts: dict[str, Any],
    images: Tensor,
    pool: Callable[[Tensor, int], Tensor] = F.max_pool2d,
    order: int = 1,
) -> Tensor:
    """The right way through the members; the last arguments make the usual mistakes."""
    x, skips = images, []
    for n in (1, 2, 3, 4):
        skips.append(parts[f"encoder{n}"](x))
        x = pool(skips[-1], 2)
    x = parts["bottleneck"](x)
    for n in (4, 3, 2, 1):
        joined = [parts[f"upconv{n}"](x), skips.pop()][::order]
        x = parts[f"decoder{n}"](torch.cat(joined, dim=1))
    return parts["final"](x)
