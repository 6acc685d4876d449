"""Normalization between convolution and ReLU: each kind, and all that depends on it (chapter 2)."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import nn

Norm = Literal["none", "batch", "group"]


class Normalization(NamedTuple):
    """One kind of normalization.

    >>> NORMS["group"].layers(12)[0].num_groups, NORMS["batch"].bias
    (3, False)
    """

    layers: Callable[[int], list[nn.Module]]
    """What follows a convolution of that many channels."""
    bias: bool = True
    """Whether the convolution before needs one: BatchNorm subtracts it again, with the mean."""
    local: bool = True
    """Whether an output pixel depends on its surroundings only, in eval mode."""
    smallest_batch: int = 1
    """Images that a batch should have at least."""


GROUP = 4  # channels in a group at least: alone, each map would lose how strong its feature is
MOST_GROUPS = 32  # as Wu and He (2018) have it


def _group_norm(channels: int) -> list[nn.Module]:
    most = max(1, min(MOST_GROUPS, channels // GROUP))
    return [nn.GroupNorm(max(g for g in range(1, most + 1) if channels % g == 0), channels)]


NORMS: dict[Norm, Normalization] = {
    "none": Normalization(lambda channels: []),
    "batch": Normalization(lambda channels: [nn.BatchNorm2d(channels)], False, smallest_batch=4),
    "group": Normalization(_group_norm, local=False),
}
"""Every kind by its name; a new one needs an entry here, and its name in `Norm`."""
