"""Chapter 2's checks: the right answer, and each typical wrong one with its lesson."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unet_lib.course.exercises import chapter02
from unet_lib.model import UNet, count_parameters, double_convolution


def count(in_channels: int, out_channels: int, width: int, depth: int) -> int:
    return count_parameters(UNet(in_channels, out_channels, width=width, depth=depth))


def any_size(front=0.0, margin=lambda n: -n % 16, cut=None):
    """The right answer, with a share of the margin in front; the others make usual mistakes."""

    def run(network: nn.Module, images: Tensor) -> Tensor:
        (height, width), (down, right) = images.shape[-2:], map(margin, images.shape[-2:])
        top, left = int(front * down), int(front * right)
        logits = network(F.pad(images, (left, right - left, top, down - top)))
        top, left = cut or (top, left)
        return logits[..., top : top + height, left : left + width]

    return run


def resized(network: nn.Module, images: Tensor) -> Tensor:
    size = images.shape[-2:]
    larger = F.interpolate(images, size=tuple(n + -n % 16 for n in size), mode="bilinear")
    return F.interpolate(network(larger), size=size, mode="bilinear")


def not_cut(network: nn.Module, images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    return network(F.pad(images, (0, -width % 16, 0, -height % 16)))


def block(layers="first relu second relu", kernel=3, padding=1):
    """A block of these layers, by default the right ones."""

    def make(into: int, out: int) -> nn.Module:
        kinds = {
            "first": lambda: nn.Conv2d(into, out, kernel, padding=padding),
            "second": lambda: nn.Conv2d(out, out, kernel, padding=padding),
            "relu": lambda: nn.ReLU(inplace=True),
        }
        return nn.Sequential(*(kinds[layer]() for layer in layers.split()))

    return make


def step_up(below, skip, upconv, block, join=lambda large, skip: torch.cat([large, skip], dim=1)):
    return block(join(upconv(below), skip))


class Numbered(nn.Module):
    """A U-Net with numbered members; `wrong` makes a usual mistake in its forward pass."""

    def __init__(self, in_channels: int = 1, wrong: str = "", width: int = 4) -> None:
        super().__init__()
        self.wrong, sides = wrong, [in_channels, *(width * 2**n for n in range(5))]
        for n in (1, 2, 3, 4):
            half, full = sides[n], sides[n + 1]
            self.add_module(f"encoder{n}", block()(sides[n - 1], half))
            self.add_module(f"upconv{n}", nn.ConvTranspose2d(full, half, 2, stride=2))
            self.add_module(f"decoder{n}", block()(full, half))
        self.bottleneck = block()(sides[4], sides[5])
        self.final = nn.Conv2d(width, 1, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor | None:
        wrong, part, skips = self.wrong, self.get_submodule, []
        for n in (1, 2, 3, 4):
            skips.append(x := part(f"encoder{n}")(x))
            x = F.avg_pool2d(x, 2) if wrong == "average" else F.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for n in (4, 3, 2, 1):
            large, skip = part(f"upconv{n}")(x), skips.pop()
            if wrong == "twice" and n == 3:
                large = part(f"upconv{n}")(x)
            pair = [skip, large] if wrong == "order" else [large, skip]
            if wrong == "below" and n == 4:  # it reaches the top faintly
                pair = [skip, skip]
            if wrong == "added":
                pair = [large + skip]
            x = part(f"decoder{n}")(torch.cat(pair, dim=1))
        if wrong == "none":
            self.final(x)
            return None
        return x if wrong == "no head" else self.final(x)


class Residual(nn.Module):
    """The right answer; each argument makes one of the usual mistakes."""

    def __init__(self, into: int, out: int, wrong: str = "", bias: bool = True) -> None:
        super().__init__()
        self.wrong = wrong
        self.first = nn.Conv2d(into, out, kernel_size=3, padding=1, bias=bias)
        self.second = nn.Conv2d(out, out, kernel_size=3, padding=1, bias=bias)
        always = wrong != "mean" and (into != out or wrong == "convolved shortcut")
        self.shortcut = nn.Conv2d(into, out, kernel_size=1) if always else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        entrance = F.relu(x, inplace=True) if self.wrong == "in place" else x
        between = nn.Identity() if self.wrong == "no relu between" else F.relu
        y = self.second(between(self.first(entrance)))
        if self.wrong == "no shortcut":
            return F.relu(y)
        if self.wrong == "relu before":
            y = F.relu(y)
        total = y + (x.mean(1, keepdim=True) if self.wrong == "mean" else self.shortcut(x))
        if self.wrong == "gradient":
            total = total.exp()
            return total.relu_().sub_(1).relu_() + total
        return total if self.wrong == "no relu" else F.relu(total)


def convolutions(*steps: tuple[int, int], padding: int = 1) -> nn.Sequential:
    return nn.Sequential(*(nn.Conv2d(i, o, kernel_size=3, padding=padding) for i, o in steps))


class Silent(nn.Sequential):
    """A module that forgets to return."""

    def forward(self, x: Tensor) -> None:
        super().forward(x)


def without_skips(wrong: str = "", **options) -> UNet:
    """The right answer; `wrong` makes a usual mistake."""
    torch.manual_seed(0)
    network = UNet(**{"in_channels": 1, "width": 4, "depth": 2} | options)
    for decoder in network.decoder:
        decoder.register_forward_pre_hook(lambda decoder, inputs: muted(*inputs))
    if wrong == "cut":
        network.up[0].register_forward_hook(lambda up, inputs, output: torch.zeros_like(output))
    if wrong == "small":
        network.head.register_forward_pre_hook(lambda head, inputs: inputs[0][..., :-2])
    return network


def muted(joined: Tensor) -> Tensor:
    """The channels of the way up and of a skip, with zeros for the skip."""
    up, skip = joined.chunk(2, dim=1)
    return torch.cat([up, torch.zeros_like(skip)], dim=1)


def normalized(norm):
    """A right block with a normalization before its second convolution."""

    def make(i, o):
        made = Residual(i, o)
        made.second = nn.Sequential(norm(o), made.second)
        return made

    return make


def residual(wrong="", bias=True):
    return lambda i, o: Residual(i, o, wrong, bias)


CASES = {
    chapter02.check_block: [
        (block(), "Right: convolution, ReLU, convolution, ReLU"),
        (double_convolution, "Right: "),
        (lambda i, o: None, "Not yet: the block for 1 -> 8 channels is None; return a module"),
        (block("first relu"), "has 1 of its two convolutions"),
        (lambda i, o: Silent(*block()(i, o)), "returns None; return a tensor"),
        (block(kernel=1, padding=0), "has kernels of (1, 1) and (1, 1): both are 3x3"),
        (block(padding=0), "makes (2, 6) of 6x10 pixels: padding=1 in both"),
        (lambda i, o: block()(i, o + 1), "returns (2, 9, 6, 10); expected (2, 8, 6, 10)"),
        (lambda i, o: block()(2 * i, o), "channels raised RuntimeError: Given groups=1"),
        (block("first second"), "has no ReLU: one follows each"),
        (block("first relu second"), "lacks the ReLU after its second"),
        (block("first second relu"), "lacks the ReLU between"),
        (partial(double_convolution, norm="group"), "gives other values than convolution"),
    ],
    chapter02.check_step_up: [
        (step_up, "Right: enlarge, concatenate, convolve"),
        (lambda below, skip, upconv, block: None, "returned None (is there a return?)"),
        (lambda below, skip, upconv, block: below, "the maps from below as they came"),
        (lambda below, skip, upconv, block: skip, "this is the skip alone"),
        (lambda below, skip, upconv, block: upconv(below), "the enlarged maps alone"),
        (partial(step_up, join=torch.add), "Stack along the channels, which are axis 1"),
        (partial(step_up, join=lambda *both: torch.cat(both)), "Stack along the channels"),
        (partial(step_up, join=lambda *both: torch.cat(both[::-1], 1)), "the skip came first"),
        (lambda *all: step_up(*all[:3], nn.Identity()), "both are joined. Now let `block` run"),
        (
            lambda below, skip, upconv, block: torch.cat([skip, upconv(below)], dim=1),
            "both are joined, the skip first",
        ),
        (lambda *all: 2 * step_up(*all), "the values are others than expected. Enlarge. Conc"),
    ],
    chapter02.check_forward: [
        (Numbered(), "Right: down, across and up"),
        (Numbered(in_channels=3), "Right: "),
        (Numbered, "pass a network with members encoder1 to encoder4"),
        (Numbered(wrong="none"), "it returned None (is there a return?)"),
        (Numbered(wrong="no head"), "`final` is never called"),
        (Numbered(wrong="twice"), "`upconv3` is called 2 times"),
        (Numbered(wrong="order"), "the skips come second: (enlarged, skip)"),
        (Numbered(wrong="average"), "pool by the maximum: F.max_pool2d"),
        (Numbered(wrong="added"), "for images of 32x48 pixels it raised RuntimeError: Given"),
        (Numbered(wrong="below"), "every member is called, but the values are others"),
    ],
    chapter02.check_count: [
        (count, "Right: 31,031,745"),
        (lambda *_: None, "Not yet: for (3, 1, 64, 4) it returned None; return a whole number."),
        (lambda *s: float(count(*s)), "it returned 31031745.0; return a whole number"),
        (lambda i, o, w, d: 7, "count(3, 1, 64, 4) gives 7, and it should be 31,031,745. Compare"),
        *(
            (lambda *setting, how=how: chapter02._count(*setting, **how), f"Not yet: {lesson}.")
            for how, lesson in chapter02._COUNT_MISTAKES
        ),
    ],
    chapter02.check_any_size: [
        (any_size(), "Right: every size comes back"),
        (any_size(front=0.5), "Right: every size comes back"),
        (lambda network, images: None, "for 32x48 pixels it returned None; return the network's"),
        (lambda network, images: images, "the network was never called"),
        (any_size(margin=lambda n: 16 - n % 16), "the network was given 48x64, and 32x48 is"),
        (not_cut, "for 33x40 pixels the answer has (48, 48) pixels: cut off again what you padded"),
        (
            any_size(front=1, cut=(0, 0)),
            "the pixels have moved: the images begin in row 15 and column 8",
        ),
        (resized, "did not get the images' own pixels: pad them instead of resizing"),
    ],
    chapter02.check_residual_block: [
        (residual(), "Right: the input is added"),
        (residual(bias=False), "Right: the input is added"),
        (normalized(nn.BatchNorm2d), "Right: "),
        (normalized(lambda channels: nn.GroupNorm(2, channels)), "Right: "),
        (lambda i, o: None, "Not yet: the block for 8 -> 8 channels is None; return a module"),
        (lambda i, o: convolutions((i, o)), "has 1 convolutions of 3x3; it needs two"),
        (lambda i, o: convolutions((i, o), (i + 1, o)), "channels raised RuntimeError: Given"),
        (lambda i, o: convolutions((i, o), (o, o), padding=0), "returns (2, 8, 2, 6) for (2, 8, 6"),
        (lambda i, o: Silent(*convolutions((i, o), (o, o))), "returns None for (2, 8, 6, 10)"),
        (lambda i, o: Residual(i, o, "" if i == o else "mean"), "3 -> 8 channels has no 1x1"),
        (residual("in place"), "8 -> 8 channels changes its own input: an in-place ReLU works on"),
        (residual("no shortcut"), "gives 0 when its 3x3 weights are 0: add the input"),
        (residual("relu before"), "has a ReLU before the sum, so it can only add"),
        (residual("no relu between"), "lacks the ReLU between its two convolutions"),
        (residual("no relu"), "gives negative values: one ReLU more, after the sum"),
        (residual("convolved shortcut"), "does not hand its input on when its 3x3 weights are 0"),
        (residual("gradient"), "raised RuntimeError: one of the variables needed for gradient"),
    ],
    chapter02.check_without_skips: [
        (without_skips(in_channels=3), "Right: all that the answer"),
        (None, "pass the network itself, a module with a member `bottleneck`"),
        (UNet, "pass the network itself"),
        (nn.ModuleDict({"bottleneck": nn.Conv2d(1, 1, 1)}), "it raised NotImplementedError: "),
        (without_skips("small"), "has to be as high and wide as the images, 64x64"),
        (without_skips("cut"), "two different images get the same answer"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)


@pytest.mark.parametrize("setting", chapter02._COUNTED)
def test_the_count_it_expects_is_the_networks(setting):
    assert chapter02._count(*setting) == count(*setting)


def test_the_forward_pass_is_judged_on_a_copy(told):
    network = Numbered()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    assert told(chapter02.check_forward, network).startswith("Right: ")
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_network_stays_as_it_was(told):
    network = without_skips(norm="batch")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert told(chapter02.check_without_skips, network).startswith("Right: all that the answer")
    assert not network.bottleneck._forward_hooks
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
