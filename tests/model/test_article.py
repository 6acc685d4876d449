"""The article's network as chapter 2 writes it out, layer for layer equal to the library's."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unet_lib.model import UNet, article_unet, count_parameters


def double_convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
    )


class ArticleUNet(nn.Module):
    """Numbered, as in section 2.2 of the source article."""

    def __init__(self, in_channels: int, out_channels: int, width: int = 64) -> None:
        super().__init__()
        w = width
        self.encoder1 = double_convolution(in_channels, w)
        self.encoder2 = double_convolution(w, 2 * w)
        self.encoder3 = double_convolution(2 * w, 4 * w)
        self.encoder4 = double_convolution(4 * w, 8 * w)
        self.bottleneck = double_convolution(8 * w, 16 * w)
        self.upconv4 = nn.ConvTranspose2d(16 * w, 8 * w, kernel_size=2, stride=2)
        self.upconv3 = nn.ConvTranspose2d(8 * w, 4 * w, kernel_size=2, stride=2)
        self.upconv2 = nn.ConvTranspose2d(4 * w, 2 * w, kernel_size=2, stride=2)
        self.upconv1 = nn.ConvTranspose2d(2 * w, w, kernel_size=2, stride=2)
        self.decoder4 = double_convolution(16 * w, 8 * w)
        self.decoder3 = double_convolution(8 * w, 4 * w)
        self.decoder2 = double_convolution(4 * w, 2 * w)
        self.decoder1 = double_convolution(2 * w, w)
        self.final = nn.Conv2d(w, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.encoder1(x)
        e2 = self.encoder2(F.max_pool2d(e1, 2))
        e3 = self.encoder3(F.max_pool2d(e2, 2))
        e4 = self.encoder4(F.max_pool2d(e3, 2))
        b = self.bottleneck(F.max_pool2d(e4, 2))
        d4 = self.decoder4(torch.cat([self.upconv4(b), e4], dim=1))
        d3 = self.decoder3(torch.cat([self.upconv3(d4), e3], dim=1))
        d2 = self.decoder2(torch.cat([self.upconv2(d3), e2], dim=1))
        d1 = self.decoder1(torch.cat([self.upconv1(d2), e1], dim=1))
        return self.final(d1)


def layers(network: nn.Module) -> list[nn.Module]:
    """Return the layers that have parameters, in order."""
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def description(layer: nn.Module) -> tuple:
    """Return all that defines a layer but its values."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
    return (type(layer), layer.bias is not None, *(getattr(layer, name) for name in names))


@torch.no_grad()
def copy_weights(source: nn.Module, target: nn.Module) -> None:
    for old, new in zip(source.parameters(), target.parameters(), strict=True):
        assert old.shape == new.shape
        new.copy_(old)


def equal_pair(in_channels: int, out_channels: int, width: int) -> tuple[ArticleUNet, UNet]:
    torch.manual_seed(0)
    plain = ArticleUNet(in_channels, out_channels, width)
    library = UNet(in_channels, out_channels, width=width)
    copy_weights(plain, library)
    return plain, library


def test_layer_for_layer_the_same_as_article_unet() -> None:
    plain, library = ArticleUNet(3, 1), article_unet()
    assert [description(m) for m in layers(plain)] == [description(m) for m in layers(library)]
    assert count_parameters(plain) == count_parameters(library) == 31_031_745


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "size"), [(1, 1, (16, 16)), (3, 2, (48, 80))]
)
def test_equal_outputs_and_gradients(
    in_channels: int, out_channels: int, size: tuple[int, int]
) -> None:
    plain, library = equal_pair(in_channels, out_channels, width=8)
    images = torch.rand(2, in_channels, *size)
    outputs = plain(images), library(images)
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=1e-6)
    for output in outputs:
        output.square().mean().backward()
    for a, b in zip(plain.parameters(), library.parameters(), strict=True):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-6)


def test_every_stage_gives_equal_feature_maps() -> None:
    plain, library = equal_pair(1, 1, width=4)
    maps: dict[nn.Module, Tensor] = {}
    numbered = [getattr(plain, f"encoder{n}") for n in (1, 2, 3, 4)] + [plain.bottleneck]
    numbered += [
        getattr(plain, f"{part}{n}") for part in ("upconv", "decoder") for n in (4, 3, 2, 1)
    ]
    looped = [*library.encoder, library.bottleneck, *library.up, *library.decoder]
    for module in (*numbered, *looped):
        module.register_forward_hook(lambda m, i, o: maps.update({m: o.detach().clone()}))
    images = torch.rand(1, 1, 32, 64)
    plain(images), library(images)
    for a, b in zip(numbered, looped, strict=True):
        torch.testing.assert_close(maps[b], maps[a], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "below", "skip"), [(120, 14, 15), (100, 24, 25), (130, 64, 65), (129, 128, 129)]
)
def test_the_plain_network_fails_where_a_size_cannot_be_halved(
    size: int, below: int, skip: int
) -> None:
    plain, library = equal_pair(1, 1, width=2)
    images = torch.zeros(1, 1, size, 16)
    with pytest.raises(RuntimeError, match=f"Expected size {below} but got size {skip}"):
        plain(images)
    assert library(images).shape == (1, 1, size, 16)
