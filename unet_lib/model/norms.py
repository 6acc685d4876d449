"""Normalization between convolution and ReLU: each kind, and all that depends on it (chapter 2)."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import nn

Norm = Literal["none", "batch", "group"]


class Normalization(NamedTuple):
    """One kind of normalization.

    >>> NORMS["group"].layers(12)[0].num_groups, NORMS["batch"].bias
    (6, False)
    """

    layers: Callable[[int], list[nn.Module]]
    """What follows a convolution of that many channels."""
    bias: bool = True
    """Whether the convolution before needs one: BatchNorm subtracts it again, with the mean."""
    local: bool = True
    """Whether an output pixel depends on its surroundings only, in eval mode."""
    smallest_batch: int = 1
    """Images that a batch should have at least."""


def _group_norm(channels: int) -> list[nn.Module]:
    groups = max(g for g in range(1, 9) if channels % g == 0)
    return [nn.GroupNorm(groups, channels)]


NORMS: dict[Norm, Normalization] = {
    "none": Normalization(lambda channels: []),
    "batch": Normalization(lambda channels: [nn.BatchNorm2d(channels)], False, smallest_batch=4),
    "group": Normalization(_group_norm, local=False),
}
"""Every kind by its name; a new one needs an entry here, and its name in `Norm`."""
