"""The images as the network gets them: finite, with content, in a range that it can learn from."""

import numpy as np

from unet_lib.data.findings import Finding
from unet_lib.data.normalize import without_missing
from unet_lib.doctor.finding import diagnosis
from unet_lib.doctor.setup import Sample

LARGE = 10.0  # 99th percentile of a typical image's values, from which on they are not scaled
HOT = 100.0  # ranges beyond the others, from which on a pixel is no measurement
FLAT = 0.02  # range of the values of all images, below which nothing is left to see


def check_images(sample: Sample) -> list[Finding]:
    """Findings about the values of the images.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.doctor.setup import draw_sample
    >>> check_images(draw_sample(SimulatedNuclei(3, size=(64, 64))))
    []
    """
    broken = np.array([not bool(image.isfinite().all()) for image in sample.inputs])
    if broken.any():
        found = f"NaN or infinity in {broken.sum()} of {len(sample)} images"
        return [diagnosis("not-finite", found, sample.where(broken))]
    flat = np.array([float(np.std(image, dtype=np.float64)) < 1e-6 for image in sample.images])
    if flat.any():
        found = f"one value everywhere in {flat.sum()} of {len(sample)} images"
        return [diagnosis("constant-images", found, sample.where(flat))]
    ends = np.array([np.percentile(image.numpy(), (1, 99)) for image in sample.inputs])
    low, high = np.median(ends, axis=0)
    if max(-low, high) > LARGE:
        found = f"values from {low:.4g} to {high:.4g} in a typical image"
        return [diagnosis("not-normalized", found)]
    if ends[:, 1].max() - ends[:, 0].min() < FLAT:
        found = f"values from {ends[:, 0].min():.3g} to {ends[:, 1].max():.3g} in all images"
        return [diagnosis("scaled-away", found)]
    return _far_values(sample)


def _far_values(sample: Sample) -> list[Finding]:
    """One value far from all others, as where there is no data, or single pixels like that."""
    strips, hot = [], []
    for image in sample.images:
        ordered = np.sort(image.astype(np.float64), axis=None)
        seen, missing = without_missing(ordered)
        strips.append(missing)
        low, high = np.percentile(seen, (1, 99.8))
        far = HOT * (high - low)
        hot.append(high > low and (ordered[0] < low - far or ordered[-1] > high + far))
    missing = np.array([value is not None for value in strips])
    if missing.any():
        value = next(value for value in strips if value is not None)
        found = (
            f"the value {value:g}, far from all others, in {missing.sum()} of {len(sample)} images"
        )
        return [diagnosis("no-data", found, sample.where(missing))]
    alone = np.array(hot) & ~missing
    if alone.any():
        found = f"single pixels far from all others in {alone.sum()} of {len(sample)} images"
        return [diagnosis("no-data", found, sample.where(alone))]
    return []
