"""What training, prediction and checkpoints ask of a network (chapter 4)."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

Kind = TypeVar("Kind", bound="SegmentationModel")


class SegmentationModel(nn.Module, ABC):
    """A network that knows its settings and its sizes: `UNet` is one of its kinds.

    A subclass takes images (N, in_channels, H, W), about 0 to 1, and returns logits; it has
    `settings` (a frozen dataclass with `in_channels` and `out_channels`, whose fields its
    constructor takes) and the sizes below. Its `forward` begins with `check_images`. Checkpoints
    find it under the name of its class.

    >>> from unet_lib.model import UNet
    >>> isinstance(UNet(width=2), SegmentationModel), SegmentationModel.kinds["UNet"] is UNet
    (True, True)
    """

    kinds: ClassVar[dict[str, "type[SegmentationModel]"]] = {}
    """Every subclass by the name of its class, as soon as its module is imported."""
    settings: Any

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        SegmentationModel.kinds[cls.__name__] = cls

    @classmethod
    def from_settings(cls: type[Kind], settings: Any) -> Kind:
        """A new network, untrained, with the settings of another one.

        >>> from unet_lib.model import UNet, UNetSettings
        >>> UNet.from_settings(UNetSettings(width=2)).settings.width
        2
        """
        return cls(**asdict(settings))

    @property
    @abstractmethod
    def minimum_size(self) -> int:
        """The smallest admissible height or width of an image, in pixels."""

    @property
    @abstractmethod
    def grid(self) -> int:
        """Pixels between neighboring values of the deepest features: tiles begin at multiples."""

    @property
    @abstractmethod
    def halo(self) -> int:
        """Pixels of context on each side that can change one output pixel, at most.

        Counted from the place of that pixel in the image, where without padding the output begins
        `(size - output_size(size)) // 2` pixels inside. Parts of an image, cut out at multiples
        of `grid`, give what the whole gives wherever they hold a halo around the pixel, or reach
        as far as the image does.
        """

    @abstractmethod
    def output_size(self, size: int) -> int:
        """Height (or width) of the output; raises ValueError for a size that is not admissible."""

    @property
    def keeps_size(self) -> bool:
        """Whether the logits are as high and wide as the image, for every admissible size."""
        return self.output_size(self.minimum_size) == self.minimum_size

    @property
    def is_local(self) -> bool:
        """Whether an output pixel depends on its surroundings only, so that a halo is enough."""
        return True

    def check_images(self, images: Tensor) -> None:
        """Raises TypeError for integers, ValueError for images that the network does not take.

        >>> from unet_lib.model import UNet
        >>> UNet(3, width=1).check_images(torch.zeros(1, 1, 32, 32))
        Traceback (most recent call last):
        ...
        ValueError: expected images of shape (N, 3, H, W), got (1, 1, 32, 32); choose mode=...
        """
        if not images.is_floating_point():
            raise TypeError(
                f"the model got {images.dtype} values; convert the images by their type first, "
                "for example with unet_lib.data.scale_by_dtype"
            )
        if images.ndim != 4 or images.shape[1] != self.settings.in_channels:
            raise ValueError(
                f"expected images of shape (N, {self.settings.in_channels}, H, W), got "
                f'{tuple(images.shape)}; choose mode="L" (1 channel) or "RGB" (3) in the data '
                "set, or in_channels in the model"
            )
        if not torch.compiler.is_exporting():  # then sizes are symbols, for any number
            for size in images.shape[-2:]:
                self.output_size(size)


@contextmanager
def evaluated(model: nn.Module) -> Generator[None, None, None]:
    """Eval mode without gradients inside; afterwards, also after an error, each part as it was.

    >>> layer = nn.BatchNorm2d(1)
    >>> with evaluated(layer):
    ...     layer.training
    False
    >>> layer.training
    True
    """
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval()
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def unwrapped(model: nn.Module) -> nn.Module:
    """The network itself, out of torch.compile, DataParallel or the wrapper of several processes.

    >>> layer = nn.Linear(1, 1)
    >>> unwrapped(torch.compile(layer)) is unwrapped(nn.DataParallel(layer)) is layer
    True
    """
    while True:
        several = isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel)
        inner = model.module if several else getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def count_parameters(model: nn.Module) -> int:
    """How many numbers training adjusts.

    >>> count_parameters(nn.Conv2d(3, 64, kernel_size=3))
    1792
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
