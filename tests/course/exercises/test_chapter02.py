"""Chapter 2's checks: the right answer, and each typical wrong one with its lesson."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unet_lib.course.exercises import chapter02
from unet_lib.model import UNet, count_parameters

Said = Callable[..., str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a check and return the one line that it prints."""

    def run(check: Callable, answer: object) -> str:
        assert check(answer) is None
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1
        return lines[0]

    return run


# -- Counting


def count(in_channels: int, out_channels: int, width: int, depth: int) -> int:
    return count_parameters(UNet(in_channels, out_channels, width=width, depth=depth))


def test_count_right(said: Said) -> None:
    assert said(chapter02.check_count, count).startswith("Right: 31,031,745")


@pytest.mark.parametrize("setting", chapter02._COUNTED)
def test_the_count_it_expects_is_the_networks(setting: tuple[int, ...]) -> None:
    assert chapter02._count(*setting) == count(*setting)


@pytest.mark.parametrize(("mistake", "lesson"), chapter02._COUNT_MISTAKES)
def test_count_knows_the_usual_mistakes(said: Said, mistake: dict, lesson: str) -> None:
    line = said(chapter02.check_count, lambda *setting: chapter02._count(*setting, **mistake))
    assert line == f"Not yet: {lesson}."


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda *_: None, "Not yet: for (3, 1, 64, 4) it returned None; return a whole number."),
        (lambda *_: True, "it returned True; return a whole number"),
        (lambda *s: float(count(*s)), "it returned 31031745.0; return a whole number"),
        (lambda *_: 1 // 0, "it raised ZeroDivisionError: integer"),
        (lambda a, b: 1, "it raised TypeError: "),
        (lambda i, o, w, d: 7, "count(3, 1, 64, 4) gives 7, and it should be 31,031,745. Compare"),
    ],
)
def test_count_wrong(said: Said, answer: Callable, text: str) -> None:
    line = said(chapter02.check_count, answer)
    assert line.startswith("Not yet: ")
    assert text in line


# -- Any size


def any_size(network: nn.Module, images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    return network(F.pad(images, (0, -width % 16, 0, -height % 16)))[..., :height, :width]


def any_size_centered(network: nn.Module, images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    bottom, right = -height % 16, -width % 16
    top, left = bottom // 2, right // 2
    padded = F.pad(images, (left, right - left, top, bottom - top), mode="replicate")
    return network(padded)[..., top : top + height, left : left + width]


def moved(network: nn.Module, images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    return network(F.pad(images, (-width % 16, 0, -height % 16, 0)))[..., :height, :width]


def resized(network: nn.Module, images: Tensor) -> Tensor:
    size = images.shape[-2:]
    larger = F.interpolate(images, size=tuple(n + -n % 16 for n in size), mode="bilinear")
    return F.interpolate(network(larger), size=size, mode="bilinear")


def too_much(network: nn.Module, images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    padded = F.pad(images, (0, 16 - width % 16, 0, 16 - height % 16))
    return network(padded)[..., :height, :width]


@pytest.mark.parametrize("answer", [any_size, any_size_centered])
def test_any_size_right(said: Said, answer: Callable) -> None:
    assert said(chapter02.check_any_size, answer).startswith("Right: every size comes back")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda network, images: network(images), "for 33x40 pixels it raised ValueError: the"),
        (lambda network, images: None, "for 32x48 pixels it returned None; return the network's"),
        (lambda network, images: images, "the network was never called"),
        (too_much, "for 32x48 pixels the network was given 48x64, and 32x48 is enough. Think of"),
        (
            lambda n, x: n(F.pad(x, (0, -x.shape[-1] % 16, 0, -x.shape[-2] % 16))),
            "for 33x40 pixels the answer has (48, 48) pixels: cut off again what you padded",
        ),
        (moved, "the pixels have moved: the pictures begin in row 15 and column 8"),
        (resized, "did not get the pictures' own pixels: pad them instead of resizing"),
    ],
)
def test_any_size_wrong(said: Said, answer: Callable, text: str) -> None:
    line = said(chapter02.check_any_size, answer)
    assert line.startswith("Not yet: ")
    assert text in line


# -- Residual block


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


def test_residual_block_needs_a_convolution_for_other_channels(said: Said) -> None:
    wrong = {(8, 8): "", (3, 8): "mean"}
    line = said(chapter02.check_residual_block, lambda i, o: Residual(i, o, wrong[i, o]))
    assert "3 -> 8 channels has no 1x1 convolution, which brings the input" in line


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.InstanceNorm2d, lambda c: nn.GroupNorm(2, c)])
def test_residual_block_may_normalize(said: Said, norm: Callable) -> None:
    def make(i: int, o: int) -> Residual:
        block = Residual(i, o)
        block.second = nn.Sequential(norm(o), block.second)
        return block

    assert said(chapter02.check_residual_block, make).startswith("Right: ")


@pytest.mark.parametrize("bias", [True, False])
def test_residual_block_right(said: Said, bias: bool) -> None:
    line = said(chapter02.check_residual_block, lambda i, o: Residual(i, o, bias=bias))
    assert line.startswith("Right: the input is added")


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("in place", "8 -> 8 channels changes its own input: an in-place ReLU works on x itself"),
        ("no shortcut", "gives 0 when its 3x3 weights are 0: add the input"),
        ("relu before", "has a ReLU before the sum, so it can only add"),
        ("no relu between", "lacks the ReLU between its two convolutions"),
        ("no relu", "gives negative values: one ReLU more, after the sum"),
        ("convolved shortcut", "does not hand its input on when its 3x3 weights are 0"),
        ("gradient", "it raised RuntimeError: one of the variables needed for gradient"),
    ],
)
def test_residual_block_wrong(said: Said, wrong: str, text: str) -> None:
    line = said(chapter02.check_residual_block, lambda i, o: Residual(i, o, wrong))
    assert line.startswith("Not yet: the block for ")
    assert text in line


def convolutions(*steps: tuple[int, int], padding: int = 1) -> nn.Sequential:
    return nn.Sequential(*(nn.Conv2d(i, o, kernel_size=3, padding=padding) for i, o in steps))


class Silent(nn.Sequential):
    """A module that forgets to return."""

    def forward(self, x: Tensor) -> None:
        super().forward(x)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda i, o: None, "8 -> 8 channels is None; return a module"),
        (lambda i: nn.Identity(), "it raised TypeError: "),
        (lambda i, o: convolutions((i, o)), "has 1 convolutions of 3x3; it needs two"),
        (lambda i, o: convolutions((i, o), (i + 1, o)), "it raised RuntimeError: Given groups=1"),
        (lambda i, o: convolutions((i, o), (o, o), padding=0), "returns (2, 8, 2, 6) for (2, 8, 6"),
        (lambda i, o: Silent(*convolutions((i, o), (o, o))), "returns None for (2, 8, 6, 10)"),
    ],
)
def test_residual_block_that_is_none(said: Said, answer: Callable, text: str) -> None:
    line = said(chapter02.check_residual_block, answer)
    assert line.startswith("Not yet: the block for 8 -> 8 channels ")
    assert text in line


# -- Without skips


class WithoutSkips(UNet):
    """The right answer; `wrong` makes a usual mistake."""

    wrong = ""

    def forward(self, images: Tensor) -> Tensor:
        x, sizes = images, []
        for block in self.encoder:
            x = block(x)
            sizes.append(x.shape[-2:])
            x = self.pool(x)
        x = self.bottleneck(x)
        if self.wrong == "cut":
            x = torch.zeros_like(x)
        for up, block, (height, width) in zip(self.up, self.decoder, reversed(sizes), strict=True):
            x = up(x)[..., :height, :width]
            x = block(torch.cat([x, torch.zeros_like(x)], dim=1))
        return self.head(x[..., :-2]) if self.wrong == "small" else self.head(x)


def without_skips(wrong: str = "", in_channels: int = 1, norm: str = "group") -> WithoutSkips:
    torch.manual_seed(0)
    network = WithoutSkips(in_channels, width=4, depth=2, norm=norm)
    network.wrong = wrong
    return network


@pytest.mark.parametrize("in_channels", [1, 3])
def test_without_skips_right(said: Said, in_channels: int) -> None:
    network = without_skips(in_channels=in_channels, norm="batch")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert said(chapter02.check_without_skips, network).startswith("Right: all that the answer")
    assert not network.bottleneck._forward_hooks  # left as it was
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


class Bare(nn.Module):
    """Has a bottleneck and no way to run."""

    def __init__(self) -> None:
        super().__init__()
        self.bottleneck = nn.Conv2d(1, 1, kernel_size=1)


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (None, "pass the network itself, a module with a member `bottleneck`"),
        (WithoutSkips, "pass the network itself"),
        (UNet(1, width=4, depth=2), "the answer still depends on the picture: a skip is open"),
        (Bare(), "for pictures of 64x64 pixels it raised NotImplementedError: "),
        (without_skips("small"), "has to be as high and wide as the pictures, 64x64"),
        (without_skips("cut"), "two different pictures get the same answer"),
    ],
)
def test_without_skips_wrong(said: Said, network: object, text: str) -> None:
    line = said(chapter02.check_without_skips, network)
    assert line.startswith("Not yet: ")
    assert text in line
