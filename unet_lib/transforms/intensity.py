"""Change the brightness of pixels and leave their places and labels alone (chapter 6).

torchvision's own versions cut images of floats to 0..1. Images normalized by percentiles go beyond
(`unet_lib.data.normalize_percentiles`), so nothing is cut here.
"""

import math
from collections.abc import Callable

from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from unet_lib.transforms.joint import Joint, uniform


def random_brightness_contrast(brightness: float = 0.2, contrast: float = 0.2) -> Joint:
    """Multiply the image by a random factor, and stretch it about its mean by another one.

    The factors are drawn from 1 - brightness to 1 + brightness, and from 1 - contrast to
    1 + contrast. Raises ValueError unless both lie in 0 to 1.

    >>> import torch
    >>> image, labels = torch.ones(1, 2, 2), torch.eye(2).long()
    >>> brighter, same = random_brightness_contrast(0.5, 0.0)(image, labels)
    >>> torch.equal(brighter, brighter.mean() * image), torch.equal(same, labels)
    (True, True)
    """
    ranges = []
    for name, value in (("brightness", brightness), ("contrast", contrast)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} {value}: expected the spread about 1, from 0 to 1")
        ranges.append((1 - value, 1 + value))
    return Joint(_ImageOnly(_stretched, *ranges))


def random_gamma(low: float = 0.7, high: float = 1.5) -> Joint:
    """Raise the image to a random power; its darkest and its brightest value stay.

    Powers below 1 lighten the middle, powers above darken it. The logarithm of the power is drawn
    evenly, so that 1/2 is as likely as 2. Raises ValueError unless 0 < low <= high.

    >>> import torch
    >>> random_gamma(2.0, 2.0)(torch.tensor([[[0.0, 1.0, 2.0]]]), torch.tensor([[0, 0, 1]]))
    (tensor([[[0.0000, 0.5000, 2.0000]]]), tensor([[0, 0, 1]]))
    """
    if not 0 < low <= high < math.inf:
        raise ValueError(f"powers {low} to {high}: expected 0 < low <= high")
    return Joint(_ImageOnly(_raised, (math.log(low), math.log(high))))


def random_noise(sigma: float = 0.1) -> Joint:
    """Add Gaussian noise, another number for each pixel, of a random strength from 0 to `sigma`.

    Raises ValueError for a negative standard deviation.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> noisy, _ = random_noise(0.1)(torch.zeros(1, 64, 64), torch.zeros(64, 64).long())
    >>> 0 < noisy.std() < 0.11
    tensor(True)
    """
    return Joint(_ImageOnly(_noisy, _to(sigma)))


def random_blur(sigma: float = 1.5) -> Joint:
    """Blur with a Gaussian of a random standard deviation from 0 to `sigma` pixels.

    Raises ValueError for a negative standard deviation.

    >>> import torch
    >>> image = torch.eye(16)[None]
    >>> blurred, _ = random_blur(2.0)(image, image[0].long())
    >>> bool(blurred.max() < 1), bool(abs(blurred.mean() - image.mean()) < 0.02)
    (True, True)
    """
    return Joint(_ImageOnly(_blurred, _to(sigma)))


def _to(sigma: float) -> tuple[float, float]:
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma {sigma}: expected a standard deviation, 0 or more")
    return 0, sigma


class _ImageOnly(v2.Transform):
    """Draws a number from each range and changes the image by them; labels pass untouched."""

    def __init__(self, change: Callable[..., Tensor], *ranges: tuple[float, float]) -> None:
        super().__init__()
        self.change, self.ranges = change, ranges

    def make_params(self, flat_inputs: list) -> dict[str, list[float]]:
        return {"numbers": [uniform(low, high) for low, high in self.ranges]}

    def transform(self, inpt: Tensor, params: dict[str, list[float]]) -> Tensor:
        if isinstance(inpt, tv_tensors.Mask):
            return inpt
        if not inpt.is_floating_point():
            raise TypeError(
                f"images of floats were expected, about 0 to 1, got {inpt.dtype}; normalize first, "
                "for example with unet_lib.data.scale_by_dtype"
            )
        changed = self.change(inpt.as_subclass(Tensor), *params["numbers"])
        return tv_tensors.wrap(changed, like=inpt)


def _stretched(image: Tensor, brightness: float, contrast: float) -> Tensor:
    mean = image.mean()
    return brightness * (mean + contrast * (image - mean))


def _raised(image: Tensor, log_power: float) -> Tensor:
    low, high = image.aminmax()
    if low == high:
        return image
    unit = (image - low) / (high - low)
    return low + (high - low) * v2.functional.adjust_gamma(unit, math.exp(log_power))


def _noisy(image: Tensor, sigma: float) -> Tensor:
    return v2.functional.gaussian_noise(image, sigma=sigma, clip=False)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    sigma = max(sigma, 1e-3)  # torchvision divides by it
    radii = [min(math.ceil(3 * sigma), n - 1) for n in (image.shape[-1], image.shape[-2])]
    return v2.functional.gaussian_blur(image, [2 * radius + 1 for radius in radii], [sigma])
