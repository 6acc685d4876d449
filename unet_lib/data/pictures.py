"""Everything but TIFF, by Pillow: PNG, JPEG, JPEG 2000, WebP, BMP and GIF."""

from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from unet_lib.data.raster import Raster, unusable

_ORIENTATION = 274  # tag of EXIF
_ONE_NUMBER = {"1", "L", "I", "F", "I;16", "I;16L", "I;16B"}
_CODESTREAM = b"\xff\x4f\xff\x51"  # where JPEG 2000 begins to tell sizes and depths
_DEPTH = 42  # bytes from there to the bits of the first channel, less one


def read_picture(path: Path) -> Raster:
    """The pixels of a file that Pillow knows, all bits, upright as its EXIF says.

    Raises DataError for several frames in one file and for bits that would be lost, and whatever
    Pillow raises for a damaged file.
    """
    with Image.open(path) as picture:
        frames = getattr(picture, "n_frames", 1)
        if frames > 1 and picture.format != "MPO":  # a phone's photograph with a preview
            cure = "save each page as a file of its own, or all of them as one TIFF"
            raise unusable(path, f"{frames} pages in one file", "one image a file", cure)
        _refuse_deep_colors(path, picture)
        picture.load()
        orientation = 1
        with suppress(Exception):  # EXIF that is broken says nothing
            orientation = picture.getexif().get(_ORIENTATION, 1)
        return _raster(path, picture).upright(orientation)


def _raster(path: Path, picture: Image.Image) -> Raster:
    """What Pillow has decoded."""
    mode = picture.mode
    if mode in _ONE_NUMBER:
        pixels = np.array(picture)
        alpha = _alpha(picture) if picture.has_transparency_data else None
        return Raster(pixels.astype(pixels.dtype.newbyteorder("=")), "gray", alpha)
    if mode in ("P", "PA"):
        colors = np.zeros((256, 3), np.uint8)
        stored = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        colors[: len(stored)] = stored
        indices = np.array(picture if mode == "P" else picture.getchannel(0))
        return Raster(indices, "palette", _alpha(picture), colors)
    if mode in ("LA", "La"):
        return Raster(np.array(picture.getchannel(0)), "gray", _alpha(picture))
    if mode in ("RGB", "RGBA"):
        alpha = _alpha(picture) if picture.has_transparency_data else None
        return Raster(np.array(picture.convert("RGB")), "color", alpha)
    if mode in ("CMYK", "YCbCr"):
        return Raster(np.array(picture.convert("RGB")), "cmyk" if mode == "CMYK" else "color")
    raise unusable(
        path,
        f"the image is stored as {mode}",
        "gray (8 or 16 bits, or float32) or RGB",
        "convert it with the program that made it",
    )


def _alpha(picture: Image.Image) -> np.ndarray | None:
    if not picture.has_transparency_data:
        return None
    return np.array(picture.convert("RGBA").getchannel("A"))


def _refuse_deep_colors(path: Path, picture: ImageFile.ImageFile) -> None:
    """Raises DataError for several channels of more than 8 bits, of which Pillow keeps 8."""
    if picture.mode in _ONE_NUMBER:
        return
    deep = any(";16" in str(tile.args) for tile in picture.tile)
    if picture.format == "JPEG2000":
        head = path.read_bytes()[: 1 << 16]
        at = head.find(_CODESTREAM) + _DEPTH
        deep = len(head) > at >= _DEPTH and (head[at] & 127) > 7
    if deep:
        found = "16 bits a color, of which only 8 would be read"
        cure = "save it as TIFF, of which all bits are read, or with 8 bits"
        raise unusable(path, found, cure=cure)
