"""Images predicted at the size at which their objects are as large as in training (chapter 11)."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int32
from torch import Tensor

from unet_lib.evaluation.instances import without_small
from unet_lib.transforms import resize, typical_diameter

Instances = Int32[np.ndarray, "H W"]


def at_diameter(
    find: Callable[[Float[Tensor, "C H W"]], Instances],
    image: Float[Tensor, "C H W"],
    diameter: float,
    least: float = 1.0,
    most: float = 2.5,
) -> Instances:
    """Objects found in two passes: the first measures them, the second sees them at their size.

    `find` makes numbered objects of an image. From those of the first pass follows the factor
    that makes them `diameter` pixels wide (see `typical_diameter`), not below `least` nor above
    `most`; the image is resized by it, predicted again, and the labels are brought back to the
    image's own pixels. Objects that come to less than a pixel are left out. With nothing found, or
    a factor of 1, the first pass stands. Raises ValueError for a diameter that is not positive
    and for bounds that are not 0 < least <= most.

    >>> def find(image):
    ...     return (image[0] > 0.5).numpy().astype(np.int32)
    >>> image = torch.zeros(1, 9, 9)
    >>> image[0, 2:7, 2:7] = 1
    >>> int(at_diameter(find, image, diameter=11.0).sum())
    25
    """
    if not (diameter > 0 and 0 < least <= most):
        raise ValueError(
            f"diameter {diameter}, least {least}, most {most}: expected a diameter above 0, in "
            "pixels, and factors 0 < least <= most"
        )
    first = find(image)
    found = typical_diameter(first)
    factor = min(max(diameter / found, least), most) if found else 1.0
    if factor == 1:
        return first
    size = image.shape[-2], image.shape[-1]
    larger = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    nothing = torch.zeros(size, dtype=torch.int64)
    labels = torch.from_numpy(find(resize(larger)(image, nothing)[0])).long()
    labels = resize(size)(torch.zeros(1, *larger), labels)[1]
    return without_small(labels.numpy(), minimum_pixels=1)
