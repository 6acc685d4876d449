"""U-Nets on the encoders of timm, with weights that have seen ImageNet (chapter 7).

One contract for every backbone: a list of feature maps, with their channels and their reductions
(how many pixels of the image lie between two neighboring values). The decoder is that of `UNet`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from unet_lib.model.unet import (
    Norm,
    SegmentationModel,
    UNetSettings,
    Upsampling,
    decode,
    double_convolution,
    upsample,
)
from unet_lib.transfer.backbones import LITE0, EncoderError, backbone, imagenet_classifier, scaling


@dataclass(frozen=True)
class EncoderUNetSettings:
    """What defines a U-Net on a backbone; checks itself and is stored in every checkpoint.

    Raises ValueError, naming the field, for a value out of range.

    >>> EncoderUNetSettings(in_channels=1).encoder
    'tf_efficientnet_lite0'
    """

    in_channels: int = 3
    """Channels of the images: 3 for color, or 1 for gray, shown to the encoder three times."""
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
        if self.in_channels not in (1, 3):
            raise ValueError(
                f"in_channels must be 1 (gray) or 3 (color), got {self.in_channels}: the encoder "
                "has learned from pictures of three colors"
            )
        UNetSettings(3, self.out_channels, norm=self.norm, upsampling=self.upsampling)
        if self.decoder_width < 1:
            raise ValueError(f"decoder_width must be at least 1, got {self.decoder_width}")


class EncoderUNet(SegmentationModel):
    """A U-Net whose encoder is a backbone of timm, untrained unless `pretrained_unet` made it.

    Takes the fields of `EncoderUNetSettings` as keyword arguments. Any image of at least
    `minimum_size` gives logits of exactly its own size. The images are about 0 to 1, as for
    `UNet`; the scaling with which the backbone was trained happens inside.
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

    def __init__(self, in_channels: int = 3, out_channels: int = 1, **settings: Any) -> None:
        super().__init__()
        self.settings = s = EncoderUNetSettings(in_channels, out_channels, **settings)
        self.encoder, self._stages = backbone(s.encoder)
        self.channels = tuple(self.encoder.feature_info.channels())
        self.reductions = tuple(self.encoder.feature_info.reduction())
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in scaling(s.encoder))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        like = UNetSettings(
            width=s.decoder_width,
            depth=len(self.channels),
            norm=s.norm,
            upsampling=s.upsampling,
        )
        into = (*like.channels[:-1], self.channels[-1])[::-1]  # coarse to fine
        skips = (3, *self.channels[:-1])[::-1]  # the finest is the picture itself
        factors = [b // a for a, b in pairwise((1, *self.reductions))][::-1]
        self.up = nn.ModuleList(
            upsample(i, o, like, factor)
            for (i, o), factor in zip(pairwise(into), factors, strict=True)
        )
        self.decoder = nn.ModuleList(
            double_convolution(o + skip, o, like) for o, skip in zip(into[1:], skips, strict=True)
        )
        self.head = nn.Conv2d(s.decoder_width, out_channels, kernel_size=1)

    def forward(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K H W"]:
        """Logits, one channel per class: (N, in_channels, H, W) -> (N, out_channels, H, W).

        Raises ValueError for a wrong channel count or an image too small, TypeError for integers.
        """
        self._check(images)
        height, width = images.shape[-2:]
        x = self.prepare(images)  # (N, 3, multiples of grid)
        *skips, x = [x, *self.encoder(x)]  # (N, channels[i], H / reductions[i], W / ...)
        x = decode(x, skips, self.up, self.decoder)  # (N, decoder_width, H, W)
        return self.head(x)[..., :height, :width]

    def prepare(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N 3 h w"]:
        """What the encoder gets: three channels, scaled as it was trained, sides divisible by grid.

        The rows added below and on the right are zeros, as at every border of a convolution.
        """
        x = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
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
    encoder: str = LITE0,
    weights: Path | str | None = None,
    **settings: Any,
) -> EncoderUNet:
    """An `EncoderUNet` whose encoder has learned from ImageNet; its decoder is still untrained.

    The weights come from the installed package for EfficientNet-Lite0; for any other name timm
    downloads them once and keeps them, unless `weights` is a file that you fetched by hand.
    Raises EncoderError, with address and cure, where there are none.

    >>> pretrained_unet(1, 1, decoder_width=4)(torch.zeros(1, 1, 32, 40)).shape
    torch.Size([1, 1, 32, 40])
    """
    model = EncoderUNet(in_channels, out_channels, encoder=encoder, **settings)
    # timm joins some names of the encoder alone with "_" where the classifier has "."
    known = imagenet_classifier(encoder, weights).state_dict().items()
    stored = {name.replace(".", "_"): tensor for name, tensor in known}
    own = model.encoder.state_dict()
    if missing := [name for name in own if name.replace(".", "_") not in stored]:
        raise EncoderError(f"the weights of {encoder} lack {missing[:5]} of its encoder")
    model.encoder.load_state_dict({name: stored[name.replace(".", "_")] for name in own})
    return model


def encoder_stages(model: EncoderUNet) -> list[list[nn.Parameter]]:
    """The encoder's parameters, one list for each feature map, the largest map first.

    A parameter belongs to the first map that it can change.

    >>> [len(stage) for stage in encoder_stages(EncoderUNet(encoder="resnet18", decoder_width=1))]
    [3, 12, 15, 15, 15]
    """
    _require_encoder(model)
    parameters = dict(model.encoder.named_parameters())
    return [[parameters[name] for name in names] for names in model._stages]


def _require_encoder(model: object) -> None:
    if not isinstance(model, EncoderUNet):
        raise TypeError(
            f"an EncoderUNet was expected, got a {type(model).__name__}, whose encoder has learned "
            "nothing that could be kept; make one with pretrained_unet"
        )


def freeze_encoder(model: EncoderUNet) -> None:
    """Keeps the encoder as it is: no gradients, and its BatchNorm stays in evaluation mode.

    Raises TypeError for any model but an `EncoderUNet`: the encoder of a `UNet` was never trained.

    >>> model = EncoderUNet(encoder="resnet18", decoder_width=1)
    >>> freeze_encoder(model)
    >>> any(p.requires_grad for p in model.encoder.parameters()), model.train().encoder.bn1.training
    (False, False)
    """
    _require_encoder(model)
    model.encoder.requires_grad_(False)
    model.train(model.training)


def thaw(model: EncoderUNet, stages: int | None = None) -> None:
    """Lets the deepest `stages` of the encoder learn again, or all of it.

    Raises ValueError for a number of stages that the encoder does not have, TypeError as
    `freeze_encoder`.

    >>> model = EncoderUNet(encoder="resnet18", decoder_width=1)
    >>> freeze_encoder(model)
    >>> thaw(model, stages=2)
    >>> [stage[0].requires_grad for stage in encoder_stages(model)]
    [False, False, False, True, True]
    """
    _require_encoder(model)
    count = len(model.channels)
    if stages is not None and not 1 <= stages <= count:
        raise ValueError(f"stages must be 1 to {count}, the feature maps of it, got {stages}")
    for stage in encoder_stages(model)[count - (stages or count) :]:
        for parameter in stage:
            parameter.requires_grad_(True)
    model.train(model.training)


def depth_rates(
    model: EncoderUNet, learning_rate: float, decay: float = 0.5
) -> list[dict[str, Any]]:
    """Groups for `fit(parameter_groups=...)`: the deeper in the encoder, the larger the rate.

    Decoder and head learn at `learning_rate`, the deepest stage of the encoder at `decay` times
    that, the one before at `decay` squared, and so on (Howard and Ruder 2018). Frozen parameters
    are among them, so that they can be thawed during the run.
    Raises ValueError for a decay that is not above 0 and at most 1.

    >>> model = EncoderUNet(encoder="resnet18", decoder_width=1)
    >>> [group["lr"] for group in depth_rates(model, 0.01, decay=0.5)]
    [0.01, 0.005, 0.0025, 0.00125, 0.000625, 0.0003125]
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay must lie in (0, 1], got {decay}")
    _require_encoder(model)
    new = [*model.up.parameters(), *model.decoder.parameters(), *model.head.parameters()]
    groups = [new, *reversed(encoder_stages(model))]
    return [{"params": g, "lr": learning_rate * decay**i} for i, g in enumerate(groups)]


def _context(model: EncoderUNet) -> tuple[int, bool]:
    """(pixels that one output pixel sees on each side at most, whether it sees no more)."""
    size = 4 * model.grid
    reach, local = model.grid - 1, model.settings.norm != "group"

    def record(layer: nn.Module, inputs: Sequence[Tensor]) -> None:
        nonlocal reach, local
        height = inputs[0].shape[-2] if inputs[0].ndim == 4 else 1
        if height == 1 or isinstance(layer, nn.GroupNorm):  # a mean over the whole map
            local = False
            return
        kernel, stride, dilation = (_side(layer, n) for n in ("kernel_size", "stride", "dilation"))
        extent = dilation * (kernel - 1)  # with a stride, all of it may lie on one side
        reach += (extent if stride > 1 else -(-extent // 2)) * size // height

    windowed = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.GroupNorm, nn.Linear)
    hooks = [
        layer.register_forward_pre_hook(record)
        for layer in model.modules()
        if isinstance(layer, windowed)
    ]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        model(model.mean.new_zeros(1, model.settings.in_channels, size, size))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    if model.settings.upsampling == "bilinear":  # mixes the two nearest values
        reach += sum(model.reductions)
    return reach, local


def _side(layer: nn.Module, name: str) -> int:
    value = getattr(layer, name, 1)
    return value if isinstance(value, int) else max(value)
