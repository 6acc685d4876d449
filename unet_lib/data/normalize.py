"""From raw numbers to float32 of a known range, by an image's own statistics or by its type."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Shaped

from unet_lib.data.findings import DataError, Finding


def normalize_percentiles(
    image: Shaped[np.ndarray, "H W *C"], low: float = 1.0, high: float = 99.8
) -> Float32[np.ndarray, "H W *C"]:
    """Maps the `low` percentile of an image to 0, its `high` percentile to 1, each channel alone.

    Microscopes leave the brightness to whoever turned the knob: many images use only the lowest
    gray values. Percentiles, unlike minimum and maximum, ignore one hot pixel. Values beyond them
    are kept (below 0, above 1): nothing is clipped.
    A channel whose two percentiles are equal holds no contrast to stretch and becomes zeros.

    Raises ValueError unless 0 <= low < high <= 100.

    >>> dim = np.array([[10, 20], [20, 30]], np.uint8)
    >>> normalize_percentiles(dim, low=0.0, high=100.0)
    array([[0. , 0.5],
           [0.5, 1. ]], dtype=float32)
    """
    if not 0 <= low < high <= 100:
        raise ValueError(f"percentiles {low} and {high}: expected 0 <= low < high <= 100")
    bottom, top = np.percentile(image, (low, high), axis=(0, 1))
    contrast = top - bottom
    scale = np.divide(1.0, contrast, out=np.zeros_like(contrast), where=contrast > 0)
    return ((image - bottom) * scale).astype(np.float32)


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
