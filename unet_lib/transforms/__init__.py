"""Change an image and its labels together: augmentation (chapters 3 and 6).

torchvision.transforms.v2 knows how to treat a mask, if it is told that a tensor is one; `Joint`
tells it. Labels are never blended: where pixels are computed anew, a label is taken from the
nearest pixel, while image values are interpolated. Transforms of brightness leave the labels
alone. All random numbers come from torch's global generator, so `torch.manual_seed` repeats them
and data workers differ.
"""

from unet_lib.transforms.geometry import (
    RandomRightAngle,
    random_crop,
    random_flips,
    random_scale,
    resize,
)
from unet_lib.transforms.intensity import (
    random_blur,
    random_brightness_contrast,
    random_gamma,
    random_noise,
)
from unet_lib.transforms.joint import Joint, compose, sometimes
from unet_lib.transforms.recipes import Repeatable, augment_nuclei, views
from unet_lib.transforms.warp import (
    elastic_field,
    pixel_places,
    random_elastic,
    random_rotation,
    rotation_sources,
    warp,
)
from unet_lib.transforms.zoom import random_zoom, typical_diameter

__all__ = [
    "Joint",
    "RandomRightAngle",
    "Repeatable",
    "augment_nuclei",
    "compose",
    "elastic_field",
    "pixel_places",
    "random_blur",
    "random_brightness_contrast",
    "random_crop",
    "random_elastic",
    "random_flips",
    "random_gamma",
    "random_noise",
    "random_rotation",
    "random_scale",
    "random_zoom",
    "resize",
    "rotation_sources",
    "sometimes",
    "typical_diameter",
    "views",
    "warp",
]
