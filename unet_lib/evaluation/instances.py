"""From logits to numbered objects: a watershed (chapters 5 and 10)."""

import numpy as np
from jaxtyping import Bool, Float, Int32
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import watershed
from torch import Tensor

from unet_lib.evaluation.tiles import foreground_probability, probabilities


def label_instances(
    logits: Float[Tensor, "K H W"],
    threshold: float = 0.5,
    seed_threshold: float = 0.5,
    smoothing: float = 0.25,
    minimum_pixels: int = 12,
    borders: bool = False,
) -> Int32[np.ndarray, "H W"]:
    """Numbers the objects 1..n by a watershed, 0 is background.

    The seeds are the peaks of the distance to the background, smoothed over `smoothing` times the
    typical radius, so that it suits small and large objects. With `borders` the three channels
    are background, interior and border (see `unet_lib.data.interior_border`), and the seeds are
    the connected regions whose interior is likelier than `seed_threshold`. Each seed then grows
    through the foreground. Objects under `minimum_pixels` vanish.
    Raises ValueError for `borders` without three channels.

    >>> import torch
    >>> logits = torch.full((1, 9, 21), -9.0)
    >>> logits[0, 2:7, 2:7] = logits[0, 2:7, 12:17] = 9.0
    >>> int(label_instances(logits).max())
    2
    """
    if borders and len(logits) != 3:
        raise ValueError(
            f"{len(logits)} channels; background, interior and border were expected: use a network "
            "that was trained for instances, or leave borders out"
        )
    foreground = foreground_probability(logits).numpy() > threshold
    distance = np.asarray(ndimage.distance_transform_edt(foreground))
    if borders:
        seeds = label(probabilities(logits)[1].numpy() > seed_threshold)
    else:
        seeds = label(_peaks(distance, smoothing) & foreground)
    labels = watershed(-distance, seeds, mask=foreground)
    lost = label(foreground & (labels == 0))  # foreground that holds no seed
    labels = np.where(lost > 0, lost + labels.max(), labels)
    kept = np.bincount(labels.ravel()) >= minimum_pixels
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]


def _peaks(distance: Float[np.ndarray, "H W"], smoothing: float) -> Bool[np.ndarray, "H W"]:
    """Local maxima of the distance, after smoothing relative to the typical radius in pixels."""
    inside = distance[distance > 0]
    typical = np.percentile(inside, 95) if inside.size else 1.0
    sigma = float(np.clip(smoothing * typical, 0.5, 8.0))
    smooth = ndimage.gaussian_filter(distance, sigma)
    return smooth == ndimage.maximum_filter(smooth, size=1 + 2 * int(np.ceil(2 * sigma)))
