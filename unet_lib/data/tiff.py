"""TIFF as microscopes, ImageJ, OME and GIS write it: pages, channels, polarity, calibration.

tifffile reads the structure and every number type; a page whose compression it lacks is decoded
by Pillow. A file whose metadata and pages contradict each other is refused.
"""

import logging
import math
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image

from unet_lib.data.raster import Raster, unusable

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NODATA, _ORIENTATION = 42113, 274
_WHITE_IS_0, _PALETTE, _CMYK = 0, 3, 5  # of photometric interpretations
_GRAY, _COLORS = (_WHITE_IS_0, 1, _PALETTE), (2, 6)


class Layout(NamedTuple):
    """What is in a TIFF: how many pages of how many channels, and where each plane lies."""

    pages: int
    channels: int
    planes: np.ndarray
    """(pages, channels or 1): the number of each plane in the order of the file."""
    samples: bool
    """Whether the channels lie side by side in every pixel, or plane behind plane."""


def is_tiff(path: Path) -> bool:
    """Whether a file begins as TIFF does, whatever its name."""
    with open(path, "rb") as file:
        return file.read(4) in MAGIC


def count_pages(path: Path) -> int:
    """Pages of a TIFF: slices, times, images of one size; channels are not counted."""
    with _opened(path) as (_, series):
        return layout(path, series).pages


def read_tiff(path: Path, page: int | None = None, channel: int | None = None) -> Raster:
    """One page, all channels or one, upright, white never 0.

    Raises DataError where there are several pages or channels and none was chosen, and for what
    the file says about its values and nobody can honor.
    """
    with _opened(path) as (file, series):
        found = layout(path, series)
        page = _chosen(path, "page", found.pages, page)
        first = series.keyframe
        colors = found.samples and first.photometric in (*_COLORS, _CMYK)
        if found.samples and not colors and channel is None and found.channels == 3:
            colors = True  # three channels that nobody named
        if not colors and not found.samples:
            channel = _chosen(path, "channel", found.channels, channel)
        plane = found.planes[page, (channel or 0) if not found.samples else 0]
        pixels = _decoded(path, file, series, int(plane))
        raster = _as_raster(path, pixels, first, colors, channel)
        raster = _with_values(path, raster, first, file)
    orientation = first.tags.get(_ORIENTATION)
    return raster.upright(1 if orientation is None else int(orientation.value))


@contextmanager
def _opened(path: Path) -> Generator[tuple[tifffile.TiffFile, Any], None, None]:
    """The file and the one series of images in it, other than thumbnails and smaller copies."""
    with _heard() as complaints, tifffile.TiffFile(path) as file:
        if not len(file.pages) or complaints:  # a circle of pages, which would never end
            raise ValueError(", ".join(complaints) or "no page")
        whole = [s for s in file.series if not (s.keyframe.is_reduced or s.keyframe.is_mask)]
        if len(whole) != 1:
            sizes = ", ".join(sorted({"x".join(map(str, s.shape)) for s in whole})) or "none"
            found = f"{len(whole)} images in one file ({sizes})"
            raise unusable(path, found, "one image or stack", "save each as a file of its own")
        told = (file.imagej_metadata or {}).get("images", 1) if file.is_imagej else 1
        planes = math.prod(n for axis, n in zip(whole[0].axes, whole[0].shape, strict=True)
                           if axis not in "YXS")  # fmt: skip
        if told > planes:
            complaints.append(f"{told} images are described, {planes} found")
        if whole[0].is_multifile:
            complaints.append("its planes lie in several files")
        if complaints:
            found = f"its description and its pages contradict each other ({complaints[0]})"
            raise unusable(path, found, cure="save it again with the program that made it")
        yield file, whole[0]


@contextmanager
def _heard() -> Generator[list[str], None, None]:
    """What tifffile complains of about series inside, in this thread."""
    said: list[str] = []
    logger, handler = logging.getLogger("tifffile"), logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    here = threading.get_ident()  # files are read in several threads, and the logger is one
    handler.addFilter(lambda record: record.thread == here)
    handler.addFilter(lambda record: any(w in record.getMessage() for w in ("series", "circular")))
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def layout(path: Path, series: Any) -> Layout:
    """How the planes of a series are arranged."""
    sizes = list(zip(series.axes, series.shape, strict=True))
    if not {"Y", "X"} <= set(series.axes):
        raise unusable(path, f"axes {series.axes}", "an image of rows and columns")
    samples = dict(sizes).get("S", 1)
    outer = [(axis, size) for axis, size in sizes if axis not in "YXS"]
    planes = np.arange(math.prod(size for _, size in outer)).reshape([n for _, n in outer])
    axes = [axis for axis, _ in outer]
    if "C" in axes:
        planes = np.moveaxis(planes, axes.index("C"), -1)
        planes = planes.reshape(-1, planes.shape[-1])
    else:
        planes = planes.reshape(-1, 1)
    if samples > 1 and planes.shape[1] > 1:
        raise unusable(path, f"axes {series.axes}", "one kind of channels")
    side_by_side = samples > 1
    return Layout(len(planes), samples if side_by_side else planes.shape[1], planes, side_by_side)


def _chosen(path: Path, what: str, count: int, number: int | None) -> int:
    """The page or channel asked for, or the only one."""
    if number is None and count == 1:
        return 0
    if number is not None and 0 <= number < count:
        return number
    found, numbers = f"{count} {what}s in one file", f"0 to {count - 1}"
    if number is None:
        ways = {"page": "a stack is predicted, and trained on, page by page; else pass page=",
                "channel": f"pass channel={', '.join(map(str, range(min(count, 4))))}"}  # fmt: skip
        raise unusable(path, found, f"one {what}", f"{ways[what]} ({numbers})")
    raise unusable(path, f"{found}, and {what} {number} was asked for", numbers)


def _decoded(path: Path, file: tifffile.TiffFile, series: Any, plane: int) -> np.ndarray:
    """One plane; (H, W) or (H, W, S)."""
    shape = [n for axis, n in zip(series.axes, series.shape, strict=True) if axis in "YXS"]
    order = "".join(axis for axis in series.axes if axis in "YXS")
    pages = series.pages
    if len(pages) * math.prod(shape) == series.size:
        pixels = _page(path, pages[plane], file)
    elif series.dataoffset is not None:  # all in one piece, as ImageJ writes large stacks
        number = np.dtype(f"{file.byteorder}{series.dtype.char}")
        at = series.dataoffset + plane * math.prod(shape) * number.itemsize
        pixels = np.array(np.memmap(path, number, "r", at, tuple(shape))).astype(series.dtype)
    else:
        pixels = series.asarray().reshape(-1, *shape)[plane]
    pixels = pixels.reshape(shape)
    return np.moveaxis(pixels, 0, -1) if order.startswith("S") else pixels


def _page(path: Path, page: Any, file: tifffile.TiffFile) -> np.ndarray:
    try:
        return page.asarray()
    except (ImportError, ValueError) as error:
        if isinstance(error, ValueError) and "imagecodecs" not in str(error):
            raise
    with Image.open(path) as picture:
        picture.seek(page.index if isinstance(page.index, int) else page.index[0])
        pixels = np.array(picture)
        if picture.mode in ("1", "L") and page.photometric == _WHITE_IS_0:
            pixels = ~pixels  # Pillow has turned it already
    if pixels.dtype.itemsize != page.dtype.itemsize or pixels.size != page.size:
        found = f"compression {getattr(page.compression, 'name', page.compression)}"
        raise unusable(path, found, cure="save it without compression, or with Deflate")
    return pixels


def _as_raster(
    path: Path, pixels: np.ndarray, page: Any, colors: bool, channel: int | None
) -> Raster:
    """Kind and opacity of a plane."""
    if pixels.ndim == 3 and colors and channel is None:
        return _in_colors(path, pixels, page)
    alpha = None
    if pixels.ndim == 3 and channel is None and pixels.shape[-1] == 2 and _is_alpha(page):
        pixels, alpha = pixels[..., 0], pixels[..., 1]
    elif pixels.ndim == 3:
        pixels = pixels[..., _chosen(path, "channel", pixels.shape[-1], channel)]
    if page.photometric == _PALETTE and page.colormap is not None:
        table = np.zeros((1 << max(8, page.bitspersample), 3), np.uint8)
        table[: page.colormap.shape[1]] = (page.colormap.T >> 8).astype(np.uint8)
        return Raster(pixels, "palette", alpha, table)
    if page.photometric not in (*_GRAY, *_COLORS):
        found = f"colors of the kind {getattr(page.photometric, 'name', page.photometric)}"
        raise unusable(path, found, "gray or RGB", "convert it with the program that made it")
    return Raster(pixels, "gray", alpha)


def _in_colors(path: Path, pixels: np.ndarray, page: Any) -> Raster:
    """Red, green and blue, with the opacity that may follow them."""
    count = 4 if page.photometric == _CMYK else 3
    rest = pixels.shape[-1] - count
    if rest > 1 or (rest == 1 and not _is_alpha(page)):
        found = f"{pixels.shape[-1]} channels, of which {count} are colors"
        raise unusable(path, found, cure="choose one with channel=, or save the colors alone")
    alpha, pixels = (pixels[..., count] if rest == 1 else None), pixels[..., :count]
    if count == 3:
        return Raster(pixels, "color", alpha)
    picture = Image.fromarray(pixels.astype(np.uint8), "CMYK")
    return Raster(np.array(picture.convert("RGB")), "cmyk", alpha)


def _is_alpha(page: Any) -> bool:
    """Whether the file says that its last sample is opacity."""
    return bool(page.extrasamples) and int(page.extrasamples[-1]) in (1, 2)


def _with_values(path: Path, raster: Raster, page: Any, file: tifffile.TiffFile) -> Raster:
    """The pixels as the file says they are to be understood: polarity, no-data, calibration."""
    pixels, turned = raster.pixels, page.photometric == _WHITE_IS_0
    if turned:
        if pixels.dtype.kind not in "bu":
            found = f"white is 0, for numbers of type {pixels.dtype}"
            raise unusable(path, found, cure="save it with black as 0")
        top = True if pixels.dtype.kind == "b" else (1 << page.bitspersample) - 1
        pixels = ~pixels if pixels.dtype.kind == "b" else top - pixels
    tag = page.tags.get(_NODATA)
    if tag is not None and raster.kind != "palette":
        missing = pixels == np.float64(page.nodata)
        if missing.any() and not missing.all():
            pixels = np.where(missing, pixels[~missing].min(), pixels).astype(pixels.dtype)
    return Raster(
        _calibrated(path, pixels, file), raster.kind, raster.alpha, raster.palette, turned
    )


def _calibrated(path: Path, pixels: np.ndarray, file: tifffile.TiffFile) -> np.ndarray:
    """What ImageJ's calibration makes of the numbers, if it is a straight line."""
    told = (file.imagej_metadata or {}) if file.is_imagej else {}
    if "cf" not in told:
        return pixels
    if told["cf"] != 0 or not {"c0", "c1"} <= told.keys():
        found = f"a calibration that is no straight line (ImageJ's function {told['cf']})"
        raise unusable(
            path, found, cure="in ImageJ: Analyze > Calibrate, function None; save again"
        )
    scaled = told["c0"] + told["c1"] * pixels.astype(np.float64)
    whole = np.array_equal(scaled, np.round(scaled))
    return scaled.astype(np.int32 if whole and abs(scaled).max() < 2**31 else np.float32)
