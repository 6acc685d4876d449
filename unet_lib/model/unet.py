"""The U-Net of Ronneberger, Fischer and Brox (2015) as one loop over stages (chapters 1 and 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, pairwise
from typing import get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from unet_lib.model.base import SegmentationModel
from unet_lib.model.checks import require
from unet_lib.model.head import Head
from unet_lib.model.norms import NORMS, Norm
from unet_lib.model.sizes import Padding, Trace, Upsampling, contexts, trace_sizes


@dataclass(frozen=True)
class UNetSettings:
    """What defines a U-Net; checks itself and is stored in every checkpoint.

    Raises ValueError, naming the field, for a value out of range.

    >>> UNetSettings(width=16).channels
    (16, 32, 64, 128, 256)
    """

    in_channels: int = 3
    """Channels of the images: 1 for gray, 3 for color."""
    out_channels: int = 1
    """Channels of the logits: 1 for a binary mask, else one a class."""
    width: int = 64
    """Channels of the first stage, doubled at each pooling."""
    depth: int = 4
    """Poolings, and upsamplings."""
    padding: Padding = "same"
    """"same" keeps the size of the image; "valid" is the paper's way without padding."""
    norm: Norm = "none"
    """Normalization after each convolution of the blocks."""
    upsampling: Upsampling = "transposed"
    """A learned transposed convolution, or bilinear interpolation after a 1x1 convolution."""
    dropout: float = 0.0
    """Probability with which a channel of the bottleneck is dropped in training."""
    kernel: int = 3
    """Side of the window of the convolutions in the blocks: 1, 3, 5, ..."""

    def __post_init__(self) -> None:
        for field in ("in_channels", "out_channels", "width", "depth"):
            require(field, getattr(self, field), low=1)
        require("padding", self.padding, choices=get_args(Padding))
        require("norm", self.norm, choices=get_args(Norm))
        require("upsampling", self.upsampling, choices=get_args(Upsampling))
        require("dropout", self.dropout, low=0, below=1)
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, so that it has a middle, got {self.kernel}")

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each encoder stage, the bottleneck last."""
        return tuple(self.width * 2**stage for stage in range(self.depth + 1))


def double_convolution(
    in_channels: int,
    out_channels: int,
    *,
    kernel: int = 3,
    padding: Padding = "same",
    norm: Norm = "none",
) -> nn.Sequential:
    """Two convolutions, each followed by its normalization (if any) and ReLU.

    (N, in_channels, H, W) -> (N, out_channels, H, W), or H-4, W-4 with `padding="valid"`.

    >>> double_convolution(3, 8)(torch.zeros(1, 3, 6, 6)).shape
    torch.Size([1, 8, 6, 6])
    """
    layers: list[nn.Module] = []
    border = kernel // 2 if padding == "same" else 0
    kind = NORMS[norm]
    for channels in (in_channels, out_channels):
        layers += [nn.Conv2d(channels, out_channels, kernel, padding=border, bias=kind.bias)]
        layers += [*kind.layers(out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def upsample(
    in_channels: int,
    out_channels: int,
    *,
    upsampling: Upsampling = "transposed",
    factor: int = 2,
) -> nn.Module:
    """Doubles height and width (or `factor` times), as the U-Net paper's "up-conv 2x2".

    >>> upsample(8, 4, upsampling="bilinear")(torch.zeros(1, 8, 3, 5)).shape
    torch.Size([1, 4, 6, 10])
    """
    if upsampling == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=factor, stride=factor)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1),  # first: it costs a quarter here
        nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False),
    )


def center_crop(features: Float[Tensor, "N C H W"], like: Tensor) -> Float[Tensor, "N C h w"]:
    """Cuts the border off so that `features` is as high and wide as `like` (paper, figure 1).

    >>> center_crop(torch.arange(16.0).view(1, 1, 4, 4), like=torch.zeros(1, 1, 2, 2)).tolist()
    [[[[5.0, 6.0], [9.0, 10.0]]]]
    """
    top = (features.shape[-2] - like.shape[-2]) // 2
    left = (features.shape[-1] - like.shape[-1]) // 2
    return features[..., top : top + like.shape[-2], left : left + like.shape[-1]]


def decode(
    x: Float[Tensor, "N C h w"], skips: Sequence[Tensor], ups: nn.ModuleList, blocks: nn.ModuleList
) -> Float[Tensor, "N K H W"]:
    """The decoder of every U-Net here: enlarge, lay the skip beside it, convolve, stage by stage.

    `skips` are in the order in which an encoder makes them, the largest first. What was enlarged
    may be a row or column larger than its skip (the encoder had an odd size): it loses them. A
    skip that is larger (no padding) is cropped around its center, as in the paper.

    >>> twice = nn.ModuleList([nn.Upsample(scale_factor=2)])
    >>> x, skip = torch.zeros(1, 4, 3, 3), torch.zeros(1, 2, 5, 6)
    >>> decode(x, [skip], twice, nn.ModuleList([nn.Identity()])).shape
    torch.Size([1, 6, 5, 6])
    """
    for up, block, skip in zip(ups, blocks, reversed(skips), strict=True):
        x = up(x)
        for side in (-2, -1):
            if x.shape[side] >= skip.shape[side]:  # a slice would do the same, but not export
                x = x.narrow(side, 0, skip.shape[side])
        x = block(torch.cat([x, center_crop(skip, like=x)], dim=1))
    return x


class UNet(SegmentationModel):
    """A U-Net: an encoder that sees what, a decoder that says where, and skips between them.

    What the arguments mean is said by the fields of `UNetSettings`. With `padding="same"` any
    image of at least `minimum_size` gives logits of exactly its own size; with `"valid"` (the
    paper's way, no padding) ask `output_size` first.

    >>> UNet(in_channels=1, width=4, depth=2)(torch.zeros(2, 1, 50, 37)).shape
    torch.Size([2, 1, 50, 37])
    """

    settings: UNetSettings

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        width: int = 64,
        depth: int = 4,
        padding: Padding = "same",
        norm: Norm = "none",
        upsampling: Upsampling = "transposed",
        dropout: float = 0.0,
        kernel: int = 3,
    ) -> None:
        super().__init__()
        self.settings = UNetSettings(
            in_channels, out_channels, width, depth, padding, norm, upsampling, dropout, kernel
        )
        *channels, deepest = self.settings.channels
        block = partial(double_convolution, kernel=kernel, padding=padding, norm=norm)
        down, up = [in_channels, *channels], [deepest, *reversed(channels)]
        self.encoder = nn.ModuleList(block(i, o) for i, o in pairwise(down))
        self.pool = nn.MaxPool2d(kernel_size=2, ceil_mode=True)  # an odd size keeps its last row
        self.bottleneck = block(channels[-1], deepest)
        self.dropout = nn.Dropout2d(dropout)
        self.up = nn.ModuleList(upsample(i, o, upsampling=upsampling) for i, o in pairwise(up))
        self.decoder = nn.ModuleList(block(2 * c, c) for c in reversed(channels))  # with the skip
        self.head = Head(width, out_channels, normalized=norm != "none")

    def forward(self, images: Shaped[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        """Logits, one channel per class: (N, in_channels, H, W) -> (N, out_channels, H, W).

        Raises ValueError for a wrong channel count or an image too small, TypeError for integers.
        """
        self.check_images(images)
        skips, x = [], images
        for block in self.encoder:
            skips.append(block(x))  # (N, width * 2^stage, H / 2^stage, W / 2^stage)
            x = self.pool(skips[-1])
        x = self.dropout(self.bottleneck(x))  # (N, width * 2^depth, H / 2^depth, W / 2^depth)
        x = decode(x, skips, self.up, self.decoder)  # (N, width, H, W)
        return self.head(x)  # (N, out_channels, H, W)

    def _trace(self, size: int) -> Trace:
        return trace_sizes(size, self.settings.depth, self.settings.padding, self.settings.kernel)

    @property
    def minimum_size(self) -> int:
        """The smallest admissible height or width of an image, in pixels.

        >>> UNet(width=1).minimum_size, UNet(width=1, padding="valid").minimum_size
        (16, 188)
        """
        return next(size for size in count(1) if not self._trace(size).problem)

    def output_size(self, size: int) -> int:
        """Height (or width) of the output for an input that many pixels high (or wide).

        Raises ValueError, with the nearest admissible sizes, where there is none.

        >>> UNet(width=1, padding="valid").output_size(572)
        388
        """
        trace = self._trace(size)
        if not trace.problem:
            return trace.output
        if size < (smallest := self.minimum_size):
            raise ValueError(
                f"an image {size} pixels high or wide is too small for depth "
                f"{self.settings.depth}: the smallest is {smallest}; enlarge or pad the image, or "
                "choose a smaller depth"
            )
        above = next(n for n in count(size) if not self._trace(n).problem)
        raise ValueError(
            f"{trace.problem}: {size} is not admissible, the nearest sizes are "
            f"{above - self.grid} and {above}"
        )

    @property
    def grid(self) -> int:
        """Pixels between neighboring values of the bottleneck, 2^depth.

        >>> UNet(width=1, depth=3).grid
        8
        """
        return 2**self.settings.depth

    @property
    def halo(self) -> int:
        """Pixels of context on each side that can change one output pixel, at most.

        It depends on the place in the pooling grid: without padding the output loses `grid - 1`
        pixels less on each side (twice as many with bilinear interpolation, which looks further).

        >>> UNet(width=1).halo, (572 - UNet(width=1, padding="valid").output_size(572)) // 2
        (107, 92)
        """
        s = self.settings
        return max(max(sides) for sides in contexts(s.depth, 2, s.kernel, s.upsampling))

    @property
    def is_local(self) -> bool:
        """Whether an output pixel depends on its surroundings only: GroupNorm takes means.

        >>> UNet(width=1).is_local, UNet(width=1, norm="group").is_local
        (True, False)
        """
        return NORMS[self.settings.norm].local


def article_unet(in_channels: int = 3, out_channels: int = 1) -> UNet:
    """The network of the source article, section 2.2: 64 to 1024 channels, no normalization.

    >>> from unet_lib.model import count_parameters
    >>> count_parameters(article_unet())
    31031745
    """
    return UNet(in_channels, out_channels, width=64, depth=4)
