"""U-Nets on the encoders of timm, with weights that have seen ImageNet (chapter 7).

One contract for every backbone: a list of feature maps, with their channels and their reductions
(how many pixels of the image lie between two neighboring values). The decoder is that of `UNet`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from unet_lib.model.base import SegmentationModel, evaluated
from unet_lib.model.checks import require
from unet_lib.model.head import Head
from unet_lib.model.norms import Norm
from unet_lib.model.sizes import Upsampling
from unet_lib.model.unet import decode, double_convolution, upsample
from unet_lib.transfer.backbones import (
    LITE0,
    EncoderError,
    backbone,
    imagenet_classifier,
    require_timm,
    scaling,
)


@dataclass(frozen=True)
class EncoderUNetSettings:
    """What defines a U-Net on a backbone; checks itself and is stored in every checkpoint.

    Raises ValueError, naming the field, for a value out of range.

    >>> EncoderUNetSettings(in_channels=1).encoder
    'tf_efficientnet_lite0'
    """

    in_channels: int = 3
    """Channels of the images: 3 for color; gray, 1, is shown to the encoder three times."""
    out_channels: int = 1
    """Channels of the logits: 1 for a binary mask, else one a class."""
    encoder: str = LITE0
    """A convolutional backbone by its name in timm."""
    decoder_width: int = 16
    """Channels of the decoder at full size, doubled at each coarser stage."""
    norm: Norm = "batch"
    """Normalization in the decoder; the encoder has its own."""
    upsampling: Upsampling = "bilinear"
    """Bilinear interpolation after a 1x1 convolution, or a learned transposed convolution."""

    def __post_init__(self) -> None:
        require("in_channels", self.in_channels, low=1)
        require("out_channels", self.out_channels, low=1)
        require("decoder_width", self.decoder_width, low=1)
        require("norm", self.norm, choices=get_args(Norm))
        require("upsampling", self.upsampling, choices=get_args(Upsampling))


class EncoderUNet(SegmentationModel):
    """A U-Net whose encoder is a backbone of timm, untrained unless `pretrained_unet` made it.

    What the arguments mean is said by `EncoderUNetSettings`. Any image of at least `minimum_size`
    gives logits of exactly its own size. The images are about 0 to 1, as for `UNet`; the scaling
    with which the backbone was trained happens inside.
    Raises EncoderError for a backbone that timm does not know or that gives no maps.

    >>> model = EncoderUNet(in_channels=1, encoder="resnet18", decoder_width=2)
    >>> model.channels, model.reductions
    ((64, 64, 128, 256, 512), (2, 4, 8, 16, 32))
    >>> model(torch.zeros(2, 1, 50, 37)).shape
    torch.Size([2, 1, 50, 37])
    """

    settings: EncoderUNetSettings
    channels: tuple[int, ...]
    """Channels of the encoder's feature maps, the largest map first."""
    reductions: tuple[int, ...]
    """Pixels of the image between neighboring values of each map."""
    stage_names: list[list[str]]
    """Names of the encoder's parameters that change the first map, the second, ..."""

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        encoder: str = LITE0,
        decoder_width: int = 16,
        norm: Norm = "batch",
        upsampling: Upsampling = "bilinear",
    ) -> None:
        super().__init__()
        self.settings = EncoderUNetSettings(
            in_channels, out_channels, encoder, decoder_width, norm, upsampling
        )
        seen = 3 if in_channels == 1 else in_channels
        self.encoder, self.stage_names = backbone(encoder, seen)
        info: Any = self.encoder.feature_info
        self.channels, self.reductions = tuple(info.channels()), tuple(info.reduction())
        colors = [channel % 3 for channel in range(seen)]
        mean, std = (torch.tensor(of)[colors].view(-1, 1, 1) for of in scaling(encoder))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        widths = [decoder_width * 2**stage for stage in range(len(self.channels))][::-1]
        skips = (seen, *self.channels[:-1])[::-1]  # the finest is the image itself
        factors = [b // a for a, b in pairwise((1, *self.reductions))][::-1]
        self.up = nn.ModuleList(
            upsample(i, o, upsampling=upsampling, factor=factor)
            for (i, o), factor in zip(pairwise([self.channels[-1], *widths]), factors, strict=True)
        )
        self.decoder = nn.ModuleList(
            double_convolution(width + skip, width, norm=norm)
            for width, skip in zip(widths, skips, strict=True)
        )
        self.head = Head(decoder_width, out_channels, normalized=norm != "none")

    def forward(self, images: Shaped[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Logits, one channel per class: (N, in_channels, H, W) -> (N, out_channels, H, W).

        Raises ValueError for a wrong channel count or an image too small, TypeError for integers.
        """
        self.check_images(images)
        height, width = images.shape[-2:]
        x = self.prepare(images)  # (N, 3 or more, multiples of grid)
        *skips, x = [x, *self.encoder(x)]  # (N, channels[i], H / reductions[i], W / ...)
        x = decode(x, skips, self.up, self.decoder)  # (N, decoder_width, H, W)
        return self.head(x)[..., :height, :width]

    def prepare(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C2 h w"]:
        """What the encoder gets: scaled as it was trained, with sides divisible by grid.

        The rows added below and on the right are zeros, as at every border of a convolution.
        """
        x = (images.expand(-1, len(self.mean), -1, -1) - self.mean) / self.std
        height, width = (-size % self.grid for size in images.shape[-2:])
        return F.pad(x, (0, width, 0, height))

    def train(self, mode: bool = True) -> "EncoderUNet":
        """Training or evaluation mode; the BatchNorm of frozen layers stays in evaluation mode."""
        super().train(mode)
        for layer in self.encoder.modules():
            if isinstance(layer, _BatchNorm) and not any(
                p.requires_grad for p in layer.parameters()
            ):
                layer.eval()
        return self

    @property
    def grid(self) -> int:
        """Pixels between neighboring values of the deepest features, 32 for most backbones."""
        return self.reductions[-1]

    @property
    def minimum_size(self) -> int:
        """The smallest admissible height or width of an image, in pixels: one grid cell."""
        return self.grid

    def output_size(self, size: int) -> int:
        """The size itself; raises ValueError where the deepest features would be empty.

        >>> EncoderUNet(encoder="resnet18", decoder_width=1).output_size(31)
        Traceback (most recent call last):
        ...
        ValueError: an image 31 pixels high or wide is too small for resnet18: the smallest is 32...
        """
        if size < self.minimum_size:
            raise ValueError(
                f"an image {size} pixels high or wide is too small for {self.settings.encoder}: "
                f"the smallest is {self.minimum_size}; enlarge or pad the image"
            )
        return size

    @cached_property
    def _reach(self) -> tuple[int, bool]:
        return _context(self)

    @property
    def halo(self) -> int:
        """Pixels of context on each side that can change one output pixel, at most.

        The windows of all layers, one behind the other. Where `is_local` is false (a layer takes
        a mean over the whole map, as squeeze-and-excitation does) every pixel changes every
        other a little, and no halo is enough: predict such an image in one tile.
        """
        return self._reach[0]

    @property
    def is_local(self) -> bool:
        """Whether an output pixel depends on its surroundings only.

        >>> EncoderUNet(decoder_width=1).is_local
        True
        >>> EncoderUNet(encoder="mobilenetv3_small_050", decoder_width=1).is_local
        False
        """
        return self._reach[1]


def pretrained_unet(
    in_channels: int = 3,
    out_channels: int = 1,
    *,
    encoder: str = LITE0,
    weights: Path | str | None = None,
    decoder_width: int = 16,
    norm: Norm = "batch",
    upsampling: Upsampling = "bilinear",
) -> EncoderUNet:
    """An `EncoderUNet` whose encoder has learned from ImageNet; its decoder is still untrained.

    The weights come from the installed package for EfficientNet-Lite0; for any other name timm
    downloads them once and keeps them, unless `weights` is a file that you fetched by hand.
    For other than 1 or 3 channels the filters of the first convolution for red, green and blue
    are given to them in turn, weaker in proportion, so that their sum keeps its size.
    Raises EncoderError, with address and cure, where there are none.

    >>> pretrained_unet(1, 1, decoder_width=4)(torch.zeros(1, 1, 32, 40)).shape
    torch.Size([1, 1, 32, 40])
    """
    model = EncoderUNet(
        in_channels,
        out_channels,
        encoder=encoder,
        decoder_width=decoder_width,
        norm=norm,
        upsampling=upsampling,
    )
    # timm joins some names of the encoder alone with "_" where the classifier has "."
    known = imagenet_classifier(encoder, weights).state_dict().items()
    stored = {name.replace(".", "_"): tensor for name, tensor in known}
    own = model.encoder.state_dict()
    if missing := [name for name in own if name.replace(".", "_") not in stored]:
        raise EncoderError(f"the weights of {encoder} lack {missing[:5]} of its encoder")
    weights_of = {name: stored[name.replace(".", "_")] for name in own}
    for name in (name for name in own if own[name].shape != weights_of[name].shape):
        weights_of[name] = require_timm().models.adapt_input_conv(in_channels, weights_of[name])
    model.encoder.load_state_dict(weights_of)
    return model


def _context(model: EncoderUNet) -> tuple[int, bool]:
    """(pixels that one output pixel sees on each side at most, whether it sees no more)."""
    size = 4 * model.grid
    met: list[tuple[nn.Module, int]] = []  # every layer with a window, and the height of its input

    def record(layer: nn.Module, inputs: Sequence[Tensor]) -> None:
        met.append((layer, inputs[0].shape[-2] if inputs[0].ndim == 4 else 1))

    windowed = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.GroupNorm, nn.Linear)
    layers = [layer for layer in model.modules() if isinstance(layer, windowed)]
    hooks = [layer.register_forward_pre_hook(record) for layer in layers]
    try:
        with evaluated(model):
            model(model.mean.new_zeros(1, model.settings.in_channels, size, size))
    finally:
        for hook in hooks:
            hook.remove()
    whole = [height == 1 or isinstance(layer, nn.GroupNorm) for layer, height in met]
    windows = [m for m, mean in zip(met, whole, strict=True) if not mean]
    reach = model.grid - 1 + sum(_window(layer) * size // height for layer, height in windows)
    if model.settings.upsampling == "bilinear":  # mixes the two nearest values
        reach += sum(model.reductions)
    return reach, not any(whole)


def _window(layer: nn.Module) -> int:
    """How far a layer looks to each side, in values of its input."""
    sizes = [getattr(layer, name, 1) for name in ("kernel_size", "stride", "dilation")]
    kernel, stride, dilation = (n if isinstance(n, int) else max(n) for n in sizes)
    extent = dilation * (kernel - 1)
    return extent if stride > 1 else -(-extent // 2)  # with a stride, it may lie on one side
