"""What a file of pixels holds, before anybody decides whether it is an image or a mask.

TIFF is read by tifffile (tiff.py), which knows pages, channels and all number types, everything
else by Pillow (pictures.py). What a file says about its values (polarity, no-data, calibration,
orientation) is honored, or the file is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped

from unet_lib.data.findings import DataError, Finding

Kind = Literal["gray", "palette", "color", "cmyk", "channels"]

# EXIF's and TIFF's orientation -> transposed first?, rows turned?, columns turned?
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


class UnreadableError(DataError):
    """A file that is no image, or no longer one: empty, truncated, corrupt."""


@dataclass(frozen=True)
class Raster:
    """Pixels as they are stored, (H, W) or (H, W, C), and what the file says they are.

    Of kind "cmyk" they are red, green and blue already, of kind "channels" anything but colors.
    """

    pixels: Shaped[np.ndarray, "H W *C"]
    kind: Kind
    alpha: Shaped[np.ndarray, "H W"] | None = None
    """Opacity from 0 on; the largest value of its type is opaque."""
    palette: Shaped[np.ndarray, "_ 3"] | None = None
    """The 8-bit colors that the values of kind "palette" stand for."""
    turned_values: bool = False
    """Whether white was stored as 0, and has been turned around."""

    def __post_init__(self) -> None:
        """Raises ValueError for what only a damaged file can hold."""
        pixels, alpha, palette = self.pixels, self.alpha, self.palette
        if not pixels.size or pixels.ndim not in (2, 3):
            raise ValueError(f"pixels of shape {pixels.shape}")
        if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype.kind != "u"):
            raise ValueError(f"an alpha channel of shape {alpha.shape} and type {alpha.dtype}")
        if palette is not None and (pixels.dtype.kind != "u" or pixels.max() >= len(palette)):
            raise ValueError(f"a palette for values of type {pixels.dtype}")

    def upright(self, orientation: int) -> "Raster":
        """The same as a viewer shows it, for an orientation of EXIF or TIFF, 1 to 8."""
        transposed, rows, columns = _TURNS.get(orientation, (False, False, False))

        def turn(array: np.ndarray) -> np.ndarray:
            array = array.swapaxes(0, 1) if transposed else array
            return array[:: -1 if rows else 1, :: -1 if columns else 1].copy()

        alpha = None if self.alpha is None else turn(self.alpha)
        return replace(self, pixels=turn(self.pixels), alpha=alpha)

    def channel(self, path: Path | str, number: int | None) -> "Raster":
        """One of several channels; DataError, naming the file, for one that is not there."""
        if number is None or (number == 0 and self.pixels.ndim == 2):
            return self
        if self.pixels.ndim == 2 or not 0 <= number < self.pixels.shape[2]:
            count = 1 if self.pixels.ndim == 2 else self.pixels.shape[2]
            raise unusable(path, f"channel={number} was asked for, and it holds {count}")
        return Raster(self.pixels[..., number].copy(), "gray", self.alpha)

    @property
    def colors(self) -> Shaped[np.ndarray, "H W *C"]:
        """Red, green and blue, those of a palette looked up."""
        return self.pixels if self.palette is None else self.palette[self.pixels]


def unusable(
    path: Path | str,
    found: str,
    expected: str = "",
    cure: str = "",
    cause: str = "unusable-file",
    *arguments: Mapping[str, Any],
) -> DataError:
    """The error that names one file: an UnreadableError where it is no image."""
    kind = UnreadableError if cause == "unreadable-file" else DataError
    return kind(Finding(cause, found, expected, cure, (str(path),), arguments))


def require_opaque(path: Path | str, raster: Raster) -> None:
    """Raises DataError for an image that is transparent in places."""
    if raster.alpha is None:
        return
    clear = np.mean(raster.alpha < np.iinfo(raster.alpha.dtype).max)
    if clear > 0:
        found = f"{clear:.2g} of all pixels are transparent"
        found = f"{clear:.0%} of the pixels are transparent" if clear >= 0.005 else found
        cure = "paste it on a background of your choice and save that"
        raise unusable(path, found, "an opaque image", cure)
