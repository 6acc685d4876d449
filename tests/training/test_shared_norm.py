"""BatchNorm becomes SyncBatchNorm and comes back, with the same weights and statistics."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from unet_lib.model import UNet
from unet_lib.training.shared_norm import shared_norm
from unet_lib.transfer import EncoderUNet

MODELS = [lambda: UNet(1, 1, width=2, depth=1, norm="batch"), lambda: EncoderUNet(decoder_width=2)]


@pytest.mark.parametrize("make", MODELS)
def test_it_becomes_synchronized_and_comes_back(make) -> None:
    model = make()
    kinds = [(name, type(layer)) for name, layer in model.named_modules()]
    parameters, before = list(model.parameters()), model.state_dict()
    with shared_norm(model):
        norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
        assert norms
        assert all(isinstance(layer, nn.SyncBatchNorm) for layer in norms)
        assert model.state_dict().keys() == before.keys()
        assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
        with torch.no_grad():  # what a step does, which needs GPUs
            for layer in norms:
                layer.running_mean.add_(1)
                layer.weight.mul_(2)
        model.eval()
    assert [(name, type(layer)) for name, layer in model.named_modules()] == kinds
    assert not any(layer.training for layer in model.modules() if isinstance(layer, _BatchNorm))
    after = model.state_dict()
    means = [name for name in after if name.endswith("running_mean")]
    assert all(after[name].min() == after[name].max() == 1 for name in means)
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))


def test_alone_nothing_changes_and_an_error_leaves_nothing_behind() -> None:
    model = MODELS[0]()
    with shared_norm(model, shared=False):
        assert not any(isinstance(layer, nn.SyncBatchNorm) for layer in model.modules())
    with pytest.raises(RuntimeError, match="out of memory"), shared_norm(model):
        raise RuntimeError("out of memory")
    assert not any(isinstance(layer, nn.SyncBatchNorm) for layer in model.modules())
