"""The last layer, and where its answers begin (chapters 2 and 8)."""

import math
from collections.abc import Sequence

import torch
from torch import nn

FEW = 4  # features of which none can be spared
MEAN_FEATURE = 1 / math.sqrt(2 * math.pi)  # of a normal distribution behind a ReLU


class Head(nn.Conv2d):
    """A 1x1 convolution from features to logits whose first answers lie around 0.

    What comes out of a ReLU is never negative. Where chance draws all weights of a narrow network
    negative, the bias is the largest logit that it can give; with a bias below 0 it says no,
    whatever it sees. So the weights begin with mean 0, some on either side. Of fewer than 4
    features none can be spared: for a single channel their weights begin positive, each as
    evidence for a yes, and the bias where the first answers are 0 on average, for features as a
    normalization and a ReLU leave them, if `normalized`, else for small ones.

    >>> head = Head(4, 1)
    >>> bool(head.weight.sum().abs() < 1e-6), head.bias.item()
    (True, 0.0)
    """

    def __init__(self, in_channels: int, out_channels: int, normalized: bool = True) -> None:
        self._mean = MEAN_FEATURE if normalized else 0.0
        super().__init__(in_channels, out_channels, kernel_size=1)

    def reset_parameters(self) -> None:
        """Draws weights as torch does; takes their mean off, or, of few features, amounts."""
        super().reset_parameters()
        with torch.no_grad():
            nn.init.zeros_(self._bias)
            if self.in_channels < (FEW if self.out_channels == 1 else 2):
                self._bias.copy_(-self._mean * self.weight.abs_().sum(dim=(1, 2, 3)))
            else:
                self.weight -= self.weight.mean(dim=1, keepdim=True)

    def expect(self, shares: Sequence[float]) -> None:
        """Puts the bias where the first answers are about the classes' shares of the pixels.

        For a foreground of a few percent, which is then found in fewer steps. One share for one
        channel, else one a class; below 0.001 it counts as 0.001. Raises ValueError for another
        number of them, and for shares outside 0 to 1.

        >>> head, features = Head(16, 1), torch.randn(1, 16, 64, 64).relu()
        >>> head.expect([0.2])
        >>> 0.15 < head(features).sigmoid().mean().item() < 0.25
        True
        """
        wanted = torch.as_tensor(shares, dtype=torch.float32)
        if wanted.shape != self._bias.shape or not bool(((wanted >= 0) & (wanted <= 1)).all()):
            raise ValueError(
                f"shares {list(shares)}: expected {len(self._bias)} numbers from 0 to 1"
            )
        wanted = wanted.clamp(1e-3, 1 - 1e-3)
        with torch.no_grad():
            start = wanted.logit() if len(wanted) == 1 else wanted.log()
            self._bias.copy_(start - self._mean * self.weight.sum(dim=(1, 2, 3)))

    @property
    def _bias(self) -> torch.Tensor:
        if self.bias is None:
            raise ValueError("this head has lost its bias")
        return self.bias
