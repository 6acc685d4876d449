"""Change the brightness of pixels and leave their places and labels alone (chapter 6).

torchvision's own versions cut images of floats to 0..1. Images normalized by percentiles go beyond
(`unet_lib.data.normalize_percentiles`), so nothing is cut here.
"""

import math

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
    for name, value in (("brightness", brightness), ("contrast", contrast)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} {value}: expected the spread about 1, from 0 to 1")
    return Joint(_BrightnessContrast(brightness, contrast))


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
    return Joint(_Gamma(low, high))


def random_noise(sigma: float = 0.1) -> Joint:
    """Add Gaussian noise, another number for each pixel, of a random strength from 0 to `sigma`.

    Raises ValueError for a negative standard deviation.

    >>> import torch
    >>> torch.manual_seed(0)
    <torch._C.Generator object at ...>
    >>> noisy, _ = random_noise(0.1)(torch.zeros(1, 64, 64), torch.zeros(64, 64).long())
    >>> 0 < noisy.std() < 0.11
    tensor(True)
    """
    _check_sigma(sigma)
    return Joint(_Noise(sigma))


def random_blur(sigma: float = 1.5) -> Joint:
    """Blur with a Gaussian of a random standard deviation from 0 to `sigma` pixels.

    Raises ValueError for a negative standard deviation.

    >>> import torch
    >>> image = torch.eye(16)[None]
    >>> blurred, _ = random_blur(2.0)(image, image[0].long())
    >>> bool(blurred.max() < 1), bool(abs(blurred.mean() - image.mean()) < 0.02)
    (True, True)
    """
    _check_sigma(sigma)
    return Joint(_Blur(sigma))


def _check_sigma(sigma: float) -> None:
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma {sigma}: expected a standard deviation, 0 or more")


class _ImageOnly(v2.Transform):
    """Subclasses draw parameters and change the image by them; labels pass untouched."""

    def change(self, image: Tensor, params: dict) -> Tensor:
        raise NotImplementedError

    def transform(self, inpt: Tensor, params: dict) -> Tensor:
        if isinstance(inpt, tv_tensors.Mask):
            return inpt
        if not inpt.is_floating_point():
            raise TypeError(
                f"images of floats were expected, about 0 to 1, got {inpt.dtype}; normalize first, "
                "for example with unet_lib.data.scale_by_dtype"
            )
        return tv_tensors.wrap(self.change(inpt.as_subclass(Tensor), params), like=inpt)


class _BrightnessContrast(_ImageOnly):
    def __init__(self, brightness: float, contrast: float) -> None:
        super().__init__()
        self.brightness, self.contrast = brightness, contrast

    def make_params(self, flat_inputs: list) -> dict[str, float]:
        spreads = {"brightness": self.brightness, "contrast": self.contrast}
        return {name: uniform(1 - spread, 1 + spread) for name, spread in spreads.items()}

    def change(self, image: Tensor, params: dict[str, float]) -> Tensor:
        mean = image.mean()
        return params["brightness"] * (mean + params["contrast"] * (image - mean))


class _Gamma(_ImageOnly):
    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def make_params(self, flat_inputs: list) -> dict[str, float]:
        return {"power": math.exp(uniform(math.log(self.low), math.log(self.high)))}

    def change(self, image: Tensor, params: dict[str, float]) -> Tensor:
        low, high = image.aminmax()
        if low == high:
            return image
        unit = (image - low) / (high - low)
        return low + (high - low) * v2.functional.adjust_gamma(unit, params["power"])


class _Noise(_ImageOnly):
    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def make_params(self, flat_inputs: list) -> dict[str, float]:
        return {"sigma": uniform(0, self.sigma)}

    def change(self, image: Tensor, params: dict[str, float]) -> Tensor:
        return v2.functional.gaussian_noise(image, sigma=params["sigma"], clip=False)


class _Blur(_Noise):
    def change(self, image: Tensor, params: dict[str, float]) -> Tensor:
        sigma = max(params["sigma"], 1e-3)  # torchvision divides by it
        radii = [min(math.ceil(3 * sigma), n - 1) for n in (image.shape[-1], image.shape[-2])]
        return v2.functional.gaussian_blur(image, [2 * radius + 1 for radius in radii], [sigma])
