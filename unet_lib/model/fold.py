"""A network with fewer steps that gives the same, for prediction and export (chapter 13)."""

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeGuard, TypeVar

import torch
from torch import Tensor, nn

from unet_lib.model.head import Head

Layer = TypeVar("Layer", bound=nn.Module)


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """A copy in eval mode in which each BatchNorm behind a convolution has become part of it.

    In eval mode BatchNorm multiplies and adds constants, per channel; so can the convolution.

    >>> from unet_lib.model import UNet
    >>> folded = fold_batch_norm(UNet(1, width=2, depth=1, norm="batch"))
    >>> any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    False
    """
    model = copy.deepcopy(model).eval()
    for block in _in_sequence(model):
        for (name, layer), (after, norm) in pairwise(list(block.named_children())):
            if _is(layer, nn.Conv2d) and _is(norm, nn.BatchNorm2d) and norm.track_running_stats:
                setattr(block, name, nn.utils.fuse_conv_bn_eval(layer, norm))
                setattr(block, after, nn.Identity())
    return model


class Joined(nn.Module):
    """A convolution and the ReLU behind it in one pass over memory, by oneDNN, on the CPU.

    The weights are laid out once as oneDNN reads them fastest; `torch.compile` does the same.
    """

    def __init__(self, layer: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        self.layer, self.then = layer.requires_grad_(False), "relu" if relu else "none"
        self.how = [[*layer.padding], [*layer.stride], [*layer.dilation], layer.groups]
        size = [1, layer.in_channels, 64, 64]  # a hint: other sizes work as well
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(layer.weight, *self.how, size)

    def __reduce__(self) -> tuple[Any, ...]:  # oneDNN's layout is no tensor that could be copied
        return Joined, (self.layer, self.then == "relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, K, H, W)."""
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.layer.bias, *self.how, self.then, [], ""
        )


def join_layers(model: nn.Module) -> nn.Module:
    """Makes each convolution, with a ReLU behind it, a `Joined` one, in place; for the CPU only.

    Their weights stay as they are then: train the network that this one was copied from.
    Raises AttributeError or RuntimeError where PyTorch was built without oneDNN.
    """
    for block in _in_sequence(model):
        layers = [(n, layer) for n, layer in block.named_children() if not _is(layer, nn.Identity)]
        for (name, layer), (after, relu) in pairwise(layers):
            if _can_be_joined(layer) and _is(relu, nn.ReLU):
                setattr(block, name, Joined(layer, relu=True))
                setattr(block, after, nn.Identity())
    for block in [x for x in model.modules() if not isinstance(x, Joined)]:
        for name, layer in block.named_children():
            if _can_be_joined(layer):
                setattr(block, name, Joined(layer, relu=False))
    return model


def _can_be_joined(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    plain = _is(layer, nn.Conv2d) or _is(layer, Head)
    return plain and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def _in_sequence(model: nn.Module) -> Iterator[nn.Sequential]:
    """The blocks whose layers run one after the other, and nothing else happens."""
    for block in model.modules():
        if isinstance(block, nn.Sequential) and type(block).forward is nn.Sequential.forward:
            yield block


def _is(layer: nn.Module, kind: type[Layer]) -> TypeGuard[Layer]:
    """Whether it is that layer itself, and nobody listens to it or has changed what it does."""
    hooks = layer._forward_hooks, layer._forward_pre_hooks
    return type(layer) is kind and not any(hooks) and "forward" not in vars(layer)
