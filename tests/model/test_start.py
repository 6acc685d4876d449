"""He's start: what is drawn, what stays, and that the signal arrives."""

import pytest
import torch
from torch import nn

from unet_lib.model import UNet, he_start


def started(seed: int = 0, **settings) -> UNet:
    torch.manual_seed(seed)
    model = UNet(1, 2, width=16, depth=3, **settings)
    torch.manual_seed(seed)
    he_start(model)
    return model


def test_variance_and_biases_are_those_of_the_paper():
    for module in started().modules():
        if (
            isinstance(module, nn.Conv2d)
            and module.kernel_size == (3, 3)
            and module.in_channels > 1
        ):
            variance = 2 / (module.in_channels * 9)
            assert module.weight.var().item() == pytest.approx(variance, rel=0.1)
            assert not module.bias.any()


def test_the_last_layer_and_the_norms_stay():
    torch.manual_seed(0)
    plain = UNet(1, 2, width=16, depth=3, norm="batch")
    own, before = started(norm="batch").state_dict(), plain.state_dict()
    same = {name for name in own if torch.equal(own[name], before[name])}
    convolutions = {name for name in own if own[name].ndim == 4 and not name.startswith("head")}
    assert same >= set(own) - convolutions - {n for n in own if n.startswith("up.")}
    assert not same & convolutions


def strengths(model: UNet) -> list[float]:
    """Mean square of what each block makes of noise, against the first block's."""
    found, hooks = [], []
    blocks = [*model.encoder, model.bottleneck, *model.decoder]
    for block in blocks:
        keep = lambda _module, _inputs, output: found.append(output.square().mean().item())  # noqa: E731
        hooks.append(block.register_forward_hook(keep))
    with torch.no_grad():
        model(torch.randn(2, 1, 64, 64))
    return [value / found[0] for value in found]


def test_the_signal_neither_fades_nor_grows():
    for seed in range(3):
        assert all(0.2 < value < 10 for value in strengths(started(seed)))
        torch.manual_seed(seed)
        assert min(strengths(UNet(1, 2, width=16, depth=3))) < 0.05  # as torch draws them
