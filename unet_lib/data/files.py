"""Read one image from a file, and say clearly when it cannot be used.

An image is converted only where nothing is lost (gray to three equal channels, an alpha channel
that is opaque throughout). Everything else is refused with the file, what was found in it, and
what to do.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Shaped
from PIL import Image, UnidentifiedImageError

from unet_lib.data.findings import DataError
from unet_lib.data.pictures import read_picture
from unet_lib.data.raster import Raster, require_opaque, unusable
from unet_lib.data.tiff import count_pages, is_tiff, read_tiff

Mode = Literal["L", "RGB"]
AGAIN = "copy it again or remove it"
CONVERTERS = {
    ".czi": "ZEN or Fiji (Bio-Formats)",
    ".nd2": "Fiji (Bio-Formats), or the package nd2",
    ".lif": "Fiji (Bio-Formats), or the package readlif",
    ".oib": "Fiji (Bio-Formats), or the package oiffile",
    ".oif": "Fiji (Bio-Formats), or the package oiffile",
    ".ims": "Fiji (Bio-Formats)",
    ".vsi": "Fiji (Bio-Formats) or QuPath",
    ".svs": "QuPath, or the package openslide-python",
    ".ndpi": "QuPath, or the package openslide-python",
    ".mrxs": "QuPath, or the package openslide-python",
    ".dcm": "the package pydicom or SimpleITK",
    ".nii": "the package nibabel",
    ".gz": "the package nibabel, if it is NIfTI (.nii.gz)",
    ".mha": "the package SimpleITK",
    ".nrrd": "the package SimpleITK or pynrrd",
    ".mrc": "the package mrcfile",
    ".zarr": "the package zarr",
    ".h5": "the package h5py",
    ".hdf5": "the package h5py",
    ".npy": "numpy.load and PIL.Image.fromarray",
    ".npz": "numpy.load and PIL.Image.fromarray",
    ".mat": "scipy.io.loadmat and PIL.Image.fromarray",
    ".heic": "the package pillow-heif",
    ".dng": "a raw converter, or the package rawpy",
    ".psd": "the program that made it",
    ".exr": "the package OpenEXR",
}
"""Formats of images that are not read, and what converts them to TIFF or PNG."""


def read_image(
    path: str | Path, mode: Mode = "L", page: int | None = None, channel: int | None = None
) -> Shaped[np.ndarray, "H W *C"]:
    """The pixels of an image file, upright, with all their bits: uint8, uint16, float32, ...

    Mode "L" gives one gray channel, (H, W), "RGB" three, (H, W, 3). Nothing is scaled. Of a TIFF
    with several pages or channels `page` and `channel` choose one, counted from 0.

    Raises:
        UnreadableError: the file is missing, empty, truncated or no image.
        DataError: color where gray was asked for, real transparency, CMYK, several pages, ...
        ValueError: another mode.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "dot.png"
    >>> Image.new("L", (3, 2), 7).save(path)
    >>> read_image(path)
    array([[7, 7, 7],
           [7, 7, 7]], dtype=uint8)
    >>> read_image(path, mode="RGB").shape
    (2, 3, 3)
    """
    if mode not in ("L", "RGB"):
        raise ValueError(f"mode={mode!r}; 'L' (gray) or 'RGB' (color) was expected")
    raster = open_raster(path, page, channel)
    require_opaque(path, raster)
    if raster.kind == "cmyk":
        expected = "gray (8 or 16 bits, or float32) or RGB"
        cure = "convert it with the program that made it"
        raise unusable(path, "the image is stored as CMYK", expected, cure)
    pixels = raster.colors
    if pixels.dtype == bool:
        pixels = np.where(pixels, 255, 0).astype(np.uint8)
    if pixels.dtype in (np.float16, np.float64):
        pixels = pixels.astype(np.float32)
    if mode == "L":
        return _gray(path, pixels)
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)


def open_raster(path: str | Path, page: int | None = None, channel: int | None = None) -> Raster:
    """What is in a file, or a DataError that says what is wrong with it, whatever that is."""
    path = Path(path)
    require_file(path)
    try:
        if is_tiff(path):
            return read_tiff(path, page, channel)
        if page:
            raise unusable(path, f"page={page} was asked for, and it holds one alone")
        return read_picture(path).channel(path, channel)
    except DataError:
        raise
    except Exception as error:  # damaged files make decoders raise whatever there is
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    """What an error of a decoder says about the file."""
    if isinstance(error, Image.DecompressionBombError):
        return unusable(path, f"{error} Cut it into smaller images")
    told = " ".join(str(error).split())[:200] or type(error).__name__
    found, cure = f"not a whole image ({told})", AGAIN
    if isinstance(error, PermissionError):
        found, cure = "it may not be read by you", "ask for the permission"
    elif isinstance(error, UnidentifiedImageError):
        found = "not an image that is read here (PNG, TIFF, JPEG, JPEG 2000, WebP, BMP, GIF)"
        known = CONVERTERS.get(path.suffix.lower())
        cure = f"convert it with {known}" if known else f"save it again, {AGAIN}"
    return unusable(path, found, cure=cure, cause="unreadable-file")


def pages_of(path: Path) -> int:
    """How many images to take from a file: the pages of a TIFF stack, else one.

    Raises nothing: what is wrong with a file is said when it is read.
    """
    try:
        return count_pages(path) if is_tiff(path) else 1
    except Exception:
        return 1


def require_file(path: Path) -> None:
    """Raises UnreadableError for a file that is missing or empty, or a link to nothing."""
    found, cure = "", ""
    if not path.is_file():
        found = "no such file"
        if path.is_symlink():
            found, cure = f"a link to {path.readlink()}, which is not there", "fetch the file"
    elif path.stat().st_size == 0:
        found, cure = "the file is empty (0 bytes)", AGAIN
    if found:
        raise unusable(path, found, cure=cure, cause="unreadable-file")


def _gray(path: str | Path, pixels: Shaped[np.ndarray, "H W *C"]) -> Shaped[np.ndarray, "H W"]:
    if pixels.ndim == 2:
        return pixels
    if (pixels == pixels[..., :1]).all():
        return pixels[..., 0].copy()
    raise unusable(
        path,
        "a color image (3 channels)",
        "one gray channel (mode='L')",
        "pass mode='RGB', and in_channels=3 to the network",
        "color-images",
        {"mode": "RGB"},
    )
