"""The first weights of a network, as the U-Net paper draws them (chapter 2)."""

from torch import nn

from unet_lib.model.head import Head


def he_start(model: nn.Module) -> None:
    """Draws the weights so that the signal neither fades nor grows from layer to layer.

    Gaussian with the variance 2 / n, for n numbers that a convolution adds up, and biases of 0
    (He et al., "Delving deep into rectifiers", ICCV 2015; the U-Net paper's section 3). Of an
    up-convolution torch's n is twice what it adds up where it halves the channels: right, as no
    ReLU follows. The last layer stays as `Head` begins. Torch's own variance is 1 / (3 n).

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> layer = nn.Conv2d(64, 64, kernel_size=3)
    >>> he_start(layer)
    >>> round(layer.weight.var().item() * 64 * 3 * 3, 1)
    2.0
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not isinstance(module, Head):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
