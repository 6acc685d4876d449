"""The article's network, written out as in the benchmark, and the library's loop are equal."""

import runpy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from unet_lib.model import UNet, article_unet, count_parameters

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "throughput.py"
ArticleUNet = runpy.run_path(str(SCRIPT))["ArticleUNet"]


def stages(network: nn.Module) -> list[nn.Module]:
    """The parts of either network that have parameters, in the order of their levels."""
    if isinstance(network, UNet):
        return [*network.encoder, network.bottleneck, *network.up, *network.decoder, network.head]
    names = [*(f"encoder{n}" for n in (1, 2, 3, 4)), "bottleneck"]
    names += [f"{part}{n}" for part in ("upconv", "decoder") for n in (4, 3, 2, 1)]
    return [getattr(network, name) for name in (*names, "head")]


def equal_pair(in_channels: int, out_channels: int, width: int) -> tuple[nn.Module, UNet]:
    torch.manual_seed(0)
    plain = ArticleUNet(in_channels, out_channels, width)
    library = UNet(in_channels, out_channels, width=width)
    for old, new in zip(stages(plain), stages(library), strict=True):
        new.load_state_dict(old.state_dict())
    return plain, library


def test_layer_for_layer_the_same_as_article_unet() -> None:
    plain, library = equal_pair(3, 1, width=64)
    assert library.settings == article_unet().settings
    assert count_parameters(plain) == count_parameters(article_unet()) == 31_031_745


@pytest.mark.parametrize(("channels", "classes", "size"), [(1, 1, (16, 16)), (3, 2, (48, 80))])
def test_equal_outputs_gradients_and_feature_maps(channels, classes, size) -> None:
    maps: dict[nn.Module, Tensor] = {}
    outputs = []
    images = torch.rand(2, channels, *size)
    pair = equal_pair(channels, classes, width=8)
    for network in pair:
        for stage in stages(network):
            stage.register_forward_hook(lambda m, i, o: maps.update({m: o.detach().clone()}))
        outputs.append(network(images))
        outputs[-1].square().mean().backward()
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-6)
    for old, new in zip(*map(stages, pair), strict=True):
        torch.testing.assert_close(maps[new], maps[old], rtol=0, atol=1e-6)
        for a, b in zip(old.parameters(), new.parameters(), strict=True):
            torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "below", "skip"), [(120, 14, 15), (100, 24, 25), (130, 64, 65), (129, 128, 129)]
)
def test_the_plain_network_fails_where_a_size_cannot_be_halved(size, below, skip) -> None:
    plain, library = equal_pair(1, 1, width=2)
    images = torch.zeros(1, 1, size, 16)
    with pytest.raises(RuntimeError, match=f"Expected size {below} but got size {skip}"):
        plain(images)
    assert library(images).shape == (1, 1, size, 16)
