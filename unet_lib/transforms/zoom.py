"""Objects brought to a common size (chapter 11)."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Integer
from torch import Tensor
from torchvision.transforms import v2

from unet_lib.transforms.geometry import Size, random_crop, resize
from unet_lib.transforms.joint import Joint, uniform


def typical_diameter(labels: Integer[Tensor, "H W"] | Integer[np.ndarray, "H W"]) -> float | None:
    """The diameter in pixels of a disk with the median area of the objects; None without objects.

    Numbers above 0 are objects; they may be missing.

    >>> round(typical_diameter(np.full((10, 10), 3)), 2)  # 2 x (100 / pi) ** 0.5
    11.28
    """
    areas = np.bincount(torch.as_tensor(labels).long().clamp(min=0).numpy().ravel())[1:]
    areas = areas[areas > 0]
    return 2 * math.sqrt(float(np.median(areas)) / math.pi) if len(areas) else None


def random_zoom(size: Size, diameter: float, spread: float = 1.25) -> Joint:
    """Cut out a random part, and enlarge or shrink it to `size`, in which objects are alike.

    The factor is drawn between 1, the image as it is, and the one that makes its objects
    `diameter` pixels wide (see `typical_diameter`), and up to `spread` times beyond either; all
    ratios are equally likely. So a network learns objects of a common size, and knows them as they
    are well enough to measure them (see `unet_lib.evaluation.at_diameter`). Where the part is
    larger than the image, image and labels are padded with 0. Raises ValueError for a diameter
    that is not positive, a spread below 1, and a size as `random_crop` does.

    >>> labels = torch.kron(torch.arange(16).view(4, 4), torch.ones(8, 8, dtype=torch.int64))
    >>> image, labels = random_zoom((24, 24), diameter=18.0, spread=1.0)(labels[None] / 15, labels)
    >>> image.shape, labels.shape
    (torch.Size([1, 24, 24]), torch.Size([24, 24]))
    """
    if not (0 < diameter < math.inf and 1 <= spread < math.inf):
        raise ValueError(
            f"diameter {diameter}, spread {spread}: expected a diameter above 0, in pixels, and a "
            "spread of at least 1"
        )
    random_crop(size)  # judges the size
    return Joint(_Zoom(size, diameter, spread))


class _Zoom(v2.Transform):
    """By a factor that follows the objects of the image."""

    def __init__(self, size: Size, diameter: float, spread: float) -> None:
        super().__init__()
        self.size, self.diameter, self.spread = size, diameter, spread

    def forward(self, *inputs: Any) -> tuple[Tensor, Tensor]:
        """Image and labels, cut and resized."""
        image, labels = inputs
        factor = self._factor(typical_diameter(labels.as_subclass(Tensor)))
        height, width = (max(1, round(side / factor)) for side in self.size)
        steps = random_crop((height, width)).transforms + resize(self.size).transforms
        for step in steps:
            image, labels = step(image, labels)
        return image, labels

    def _factor(self, found: float | None) -> float:
        common = math.log(self.diameter / found) if found else 0.0
        beyond = math.log(self.spread)
        return math.exp(uniform(min(common, 0.0) - beyond, max(common, 0.0) + beyond))
