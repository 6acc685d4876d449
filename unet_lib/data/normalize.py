"""From raw numbers to float32 of a known range, by an image's own statistics or by its type."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Shaped

from unet_lib.data.findings import DataError, Finding

FEW = 8  # pixels at each end of an image's values that may be hot or dead
LEAST = 0.25  # share of the values' extent, without those pixels, that is stretched at least
MOST = 10.0  # largest absolute value that leaves the stretching
FAR = 20.0  # times the range of all others, from which on a value may stand for no data
HUGE = 1e30  # what nobody measures


def normalize_percentiles(
    image: Shaped[np.ndarray, "H W *C"], low: float = 1.0, high: float = 99.8
) -> Float32[np.ndarray, "H W *C"]:
    """Maps the `low` percentile of an image to 0, its `high` percentile to 1, each channel alone.

    Microscopes leave the brightness to whoever turned the knob: many images use only the lowest
    gray values. Percentiles, unlike minimum and maximum, ignore one hot pixel. Values beyond them
    are kept (below 0, above 1), up to 10 and down to -10.

    An image can neither vanish nor explode: at least a quarter of what lies between its ninth
    smallest and ninth largest value is stretched, so that small objects on flat ground stay in
    proportion, and noise remains noise. A value that stands for no data (-9999, -32768 and their
    like, or beyond 1e30) and lies far from all others becomes 0, and these are stretched alone.
    A channel without any contrast becomes zeros.

    Raises ValueError unless 0 <= low < high <= 100.

    >>> dim = np.array([[10, 20], [20, 30]], np.uint8)
    >>> normalize_percentiles(dim, low=0.0, high=100.0)
    array([[0. , 0.5],
           [0.5, 1. ]], dtype=float32)
    """
    if not 0 <= low < high <= 100:
        raise ValueError(f"percentiles {low} and {high}: expected 0 <= low < high <= 100")
    planes = image[..., np.newaxis] if image.ndim == 2 else image
    each = [_stretched(planes[..., channel], low, high) for channel in range(planes.shape[-1])]
    return each[0] if image.ndim == 2 else np.stack(each, axis=-1)


def _stretched(
    plane: Shaped[np.ndarray, "H W"], low: float, high: float
) -> Float32[np.ndarray, "H W"]:
    plane = plane.astype(np.float64) if plane.dtype.kind == "f" else plane
    ordered = np.sort(plane, axis=None)
    seen, missing = without_missing(ordered)
    bottom, top = (_percentile(seen, percent) for percent in (low, high))
    few = min(FEW, len(seen) // 100)
    extent = float(seen[-1 - few]) - float(seen[few])
    contrast = max(top - bottom, LEAST * extent)
    scale = 1 / contrast if contrast > 0 else 0.0
    values = ((plane - bottom) * scale).clip(-MOST, MOST)
    if missing is not None:
        values[plane == missing] = 0.0
    return values.astype(np.float32)


def without_missing(ordered: Shaped[np.ndarray, " N"]) -> tuple[np.ndarray, float | None]:
    """Sorted values without those that stand for no data, and the value that does, if any.

    It is the smallest or the largest and far away: more than 20 times the range of the others.
    """
    for value in (float(ordered[0]), float(ordered[-1])):
        if not _is_code(value):
            continue
        first, last = (int(np.searchsorted(ordered, value, side)) for side in ("left", "right"))
        rest = ordered[last:] if first == 0 else ordered[:first]
        if not len(rest):
            continue
        bottom, top = _percentile(rest, 1.0), _percentile(rest, 99.8)
        if max(bottom - value, value - top) > FAR * (top - bottom):
            return rest, value
    return ordered, None


def _is_code(value: float) -> bool:
    """Whether a value looks like one that was chosen to stand for no data."""
    if abs(value) >= HUGE or value == -(2**15):
        return True
    return value <= -99 and value == int(value) and set(str(int(-value))) == {"9"}


def _percentile(ordered: Shaped[np.ndarray, " N"], percent: float) -> float:
    """As numpy.percentile, of values that are sorted already."""
    place = percent / 100 * (len(ordered) - 1)
    below = int(place)
    a, b = (float(ordered[min(at, len(ordered) - 1)]) for at in (below, below + 1))
    share = place - below
    return a + (b - a) * share if share < 0.5 else b - (b - a) * (1 - share)


def scale_by_dtype(image: Shaped[np.ndarray, "H W *C"]) -> Float32[np.ndarray, "H W *C"]:
    """Divides by the largest value that the image's *type* can hold: 255, 65535, or 1 for float.

    Never by what an image happens to contain: a dark uint8 image stays dark, and two images of
    one data set keep their relation. Raises DataError for floats outside [0, 1], or a type without
    a natural range (int64, bool).

    >>> scale_by_dtype(np.array([[0, 51]], np.uint8))
    array([[0. , 0.2]], dtype=float32)
    """
    if image.dtype in (np.uint8, np.uint16):
        return (image / np.float32(np.iinfo(image.dtype).max)).astype(np.float32)
    if image.dtype.kind != "f":
        found = f"the image is of type {image.dtype}"
        cure = "convert it, or pass normalize=normalize_percentiles"
        raise DataError(Finding("unusable-file", found, "uint8, uint16 or float in [0, 1]", cure))
    if image.min() < 0 or image.max() > 1:
        found = (
            f"the image is of type {image.dtype} with values from {image.min():g} to "
            f"{image.max():g}"
        )
        cure = (
            "float images must lie in [0, 1]: scale them by what their values mean, or pass "
            "normalize=normalize_percentiles"
        )
        raise DataError(Finding("not-normalized", found, cure=cure))
    return image.astype(np.float32)


Normalization = Literal["percentiles", "type"]
NORMALIZATIONS: dict[Normalization, Callable[[Any], Any]] = {
    "percentiles": normalize_percentiles,
    "type": scale_by_dtype,
}
"""Every normalization by the name that tasks and commands know it by; `OnnxModel`, which stands
alone, has its own copy."""
