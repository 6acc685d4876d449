"""Two parts of the data side by side: images in both, another preparation (chapter 9c)."""

from itertools import islice

import numpy as np
from scipy import ndimage
from torch.utils.data import Dataset

from unet_lib.data.base import origin, stored_images
from unet_lib.data.division import copies, digests, shared_images
from unet_lib.data.findings import Finding
from unet_lib.doctor.finding import diagnosis
from unet_lib.doctor.setup import Sample

MOST = 600  # images of a part that are compared
SIDE = 32  # of the small copies that are compared
ALIKE = 0.6  # correlation from which on two images show the same place
# Best correlation of an image with a part it does not belong to, measured: simulated nuclei 0.38,
# DSB 2018 0.31, CamVid 0.55. Neighboring slices of ISBI 2012: 0.60 (median).
SERIES = 0.2  # share of the images with such a neighbor, from which on a folder is a series
APART = 2.0  # ratio of the ranges of values, from which on two parts are prepared differently


def check_parts(train: Sample, validation: Sample) -> list[Finding]:
    """Findings about a training and a validation part: leaks first, then the preparation.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.doctor.setup import draw_sample
    >>> one, other = (draw_sample(SimulatedNuclei(8, seed, size=(64, 64))) for seed in (0, 1))
    >>> check_parts(one, other)
    []
    """
    return check_leak(train.dataset, validation.dataset) or check_ranges(train, validation)


def check_leak(train: Dataset, validation: Dataset) -> list[Finding]:
    """Findings about equal and about neighboring images in two parts.

    >>> from unet_lib.data import SimulatedNuclei
    >>> nuclei = SimulatedNuclei(3, size=(64, 64))
    >>> check_leak(nuclei, nuclei)[0].found
    '3 of 3 images of the second part are in the first, too'
    """
    ours, theirs = (list(islice(stored_images(part), MOST)) for part in (train, validation))
    if doubles := shared_images(digests(ours), digests(theirs)):
        found = f"{len(doubles)} of {len(theirs)} images of the second part are in the first, too"
        return [diagnosis("leak", found, [f"{other} equals {one}" for one, other in doubles])]
    table = _correlations(theirs, ours)
    if not (table.max() >= ALIKE):
        return []
    best = table.argmax(1)
    near = np.flatnonzero(table.max(1) >= ALIKE)
    found = (
        f"{len(near)} of {len(theirs)} images of the second part show nearly the same as one of "
        f"the first (correlation up to {table.max():.2f})"
    )
    files = [f"{theirs[i][0]} resembles {ours[best[i]][0]}" for i in near]
    return [diagnosis("neighboring-pictures", found, files)]


def check_series(dataset: Dataset) -> list[Finding]:
    """Findings about one folder that will be divided at random: copies, and slices of a stack.

    >>> from unet_lib.data import SimulatedNuclei
    >>> check_series(SimulatedNuclei(6, size=(64, 64)))
    []
    """
    images = list(islice(stored_images(dataset), MOST))
    pairs = copies(image for _, image in images)
    if doubles := [f"{images[j][0]} equals {images[i][0]}" for i, j in pairs]:
        return [diagnosis("leak", f"{len(doubles)} images are there twice", doubles)]
    table = _correlations(images, images)
    np.fill_diagonal(table, 0)
    near = (table >= ALIKE).any(1)
    if near.mean() < SERIES:
        return []
    found = (
        f"{near.mean():.0%} of the images have a neighbor that shows nearly the same: slices of "
        "a stack or frames of a film, which a random split would put in both parts"
    )
    return [diagnosis("neighboring-pictures", found)]


def check_ranges(train: Sample, validation: Sample) -> list[Finding]:
    """Findings about values that differ between the parts, and whether the files differ already.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.doctor.setup import draw_sample
    >>> sample = draw_sample(SimulatedNuclei(8, size=(64, 64)))
    >>> check_ranges(sample, sample)
    []
    """
    stored = _apart(train.images, validation.images)
    given = _apart(*([image.numpy() for image in part.inputs] for part in (train, validation)))
    if given is None:
        return []
    one, other = given
    same = _normalize(train) is _normalize(validation)
    cause = "domain-shift" if stored is not None and same else "normalization-differs"
    found = (
        f"a typical image spans {one[0]:.3g} to {one[1]:.3g} in the first part and {other[0]:.3g}"
        f" to {other[1]:.3g} in the second"
    )
    if cause == "domain-shift":
        found += ", and the files differ as much"
    return [diagnosis(cause, found)]


def _apart(first: list[np.ndarray], second: list[np.ndarray]) -> list[np.ndarray] | None:
    """The typical 1st and 99th percentile of both, if nearly all spans or levels differ."""
    ends = [np.array([np.percentile(image, (1, 99)) for image in part]) for part in (first, second)]
    typical = [np.median(part, axis=0) for part in ends]
    spans = [part[:, 1] - part[:, 0] for part in ends]
    small, large = sorted(spans, key=np.median)
    wider = np.quantile(large, 0.25) > max(APART * np.quantile(small, 0.75), 1e-9)
    span = max(np.median(small), 1e-9)
    levels = [part.mean(1) for part in ends]
    dim, bright = sorted(levels, key=np.median)
    lifted = np.quantile(bright, 0.1) > np.quantile(dim, 0.9) + APART * span
    return typical if wider or lifted else None


def _normalize(sample: Sample) -> object:
    found = origin(sample.dataset, 0)
    return None if found is None else found[0].normalize


def _correlations(
    first: list[tuple[str, np.ndarray]], second: list[tuple[str, np.ndarray]]
) -> np.ndarray:
    """Correlation of small copies without their slow changes of brightness, (N, M)."""
    one, other = (np.array([_small_copy(image) for _, image in part]) for part in (first, second))
    return one @ other.T


def _small_copy(image: np.ndarray) -> np.ndarray:
    gray = image.astype(float)
    if gray.ndim == 3:
        gray = gray.mean(int(np.argmin(gray.shape)))
    sigma = [max(side / SIDE / 3, 0.01) for side in gray.shape]
    factor = [SIDE / side for side in gray.shape]
    small = ndimage.zoom(ndimage.gaussian_filter(gray, sigma), factor, order=1)
    small = small - ndimage.gaussian_filter(small, 3)
    return (small / (np.linalg.norm(small) + 1e-9)).ravel()
