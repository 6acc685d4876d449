"""Read the labels of one mask from a file, or say clearly why they cannot be used."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8

from unet_lib.data.files import open_raster
from unet_lib.data.findings import DataError, as_keywords, listed
from unet_lib.data.raster import Raster, require_opaque, unusable

Color = tuple[int, int, int]
MANY = 16  # more unexpected values than this were not drawn: they come from blending
BLENDED = (
    "so many values look resized or compressed: store masks as PNG, never as JPEG, and resize "
    "them with nearest neighbor only"
)

NUMBERED = "or has each object a color of its own? Then pass instances=True (--instance-masks)"


def read_mask(
    path: str | Path,
    mask_values: Mapping[int, int] | None = None,
    palette: Mapping[Color, int] | None = None,
    page: int | None = None,
    colored_instances: bool = False,
) -> Integer[np.ndarray, "H W"]:
    """The labels of a mask file, one whole number a pixel, exactly as stored.

    A palette PNG keeps its indices: they are the classes, the colors only show them.

    Args:
        path: best a PNG or TIFF of 8 or 16 bits.
        mask_values: which stored value stands for which class, `{0: 0, 255: 1}`; a value that
            is not in it is an error.
        palette: the same for colors, `{(0, 0, 0): 0, (255, 0, 0): 1}`, for masks stored as RGB.
        page: of a TIFF with several, counted from 0.
        colored_instances: number the colors of an RGB mask, black 0: a color an object.

    Raises:
        UnreadableError: the file is missing, empty, truncated or no image.
        DataError: an RGB mask without `palette`, values or colors that are not mapped, floats.
        ValueError: both mappings are given.

    >>> import tempfile
    >>> from PIL import Image
    >>> path = Path(tempfile.mkdtemp()) / "mask.png"
    >>> Image.fromarray(np.array([[0, 255]], np.uint8)).save(path)
    >>> read_mask(path)
    array([[  0, 255]], dtype=uint8)
    >>> read_mask(path, mask_values={0: 0, 255: 1})
    array([[0, 1]])
    """
    if mask_values is not None and palette is not None:
        raise ValueError("pass mask_values for gray masks or palette for RGB masks, not both")
    return labels_of(path, open_raster(path, page), mask_values, palette, colored_instances)


def labels_of(
    path: str | Path,
    raster: Raster,
    mask_values: Mapping[int, int] | None = None,
    palette: Mapping[Color, int] | None = None,
    colored_instances: bool = False,
) -> Integer[np.ndarray, "H W"]:
    """The labels of a mask that is read already; the rest as in `read_mask`."""
    if palette is not None:
        return _mapped_colors(path, raster, palette)
    _refuse_drawn_in_alpha(path, raster)
    if raster.pixels.ndim == 3:
        if not colored_instances:
            raise _unexpected_colors(path, _color_codes(_eight_bits(path, raster.colors)))
        return _numbered_colors(path, raster)
    if raster.kind == "gray":  # of a palette the indices count, whatever their colors
        require_opaque(path, raster)
    labels = _whole(path, raster)
    return labels if mask_values is None else _mapped_values(path, labels, mask_values)


def _whole(path: str | Path, raster: Raster) -> Integer[np.ndarray, "H W"]:
    """The labels as whole numbers."""
    labels = raster.pixels
    if labels.dtype.kind not in "iub":
        found = f"the mask holds {labels.dtype} values"
        raise unusable(path, found, "whole numbers", "save it with 8 or 16 bits")
    if raster.turned_values and labels.dtype.kind != "b":
        top = np.iinfo(labels.dtype).max
        if not set(np.unique(labels).tolist()) <= {0, top}:
            found = "the file says that white is 0, which turns its labels around"
            raise unusable(path, found, cure="save it with black as 0 (ImageJ: Edit > Invert LUT)")
    number = np.promote_types(labels.dtype, np.uint8)  # 1-bit masks become 0 and 1
    return labels.astype(number.name)  # int64 has two names in C, and one here


def _refuse_drawn_in_alpha(path: str | Path, raster: Raster) -> None:
    """Raises DataError for a mask that is one color, its objects told by transparency alone."""
    if raster.alpha is None or raster.alpha.min() == raster.alpha.max():
        return
    pixels = raster.colors.reshape(raster.alpha.size, -1)
    if (pixels == pixels[0]).all():
        found = "all of one color: the mask lies in its transparency (alpha channel)"
        cure = "save the alpha channel as a gray image, for example picture.getchannel('A')"
        raise unusable(path, found, "labels in the colors or gray values", cure)


def _numbered_colors(path: str | Path, raster: Raster) -> Integer[np.ndarray, "H W"]:
    """Objects that have a color each, numbered; black is background."""
    codes = _color_codes(_eight_bits(path, raster.colors))
    colors, numbers = np.unique(codes, return_inverse=True)
    if colors[0] != 0:
        found = f"{len(colors)} colors, black not among them"
        raise unusable(path, found, "a color an object on a black background")
    return numbers.reshape(codes.shape).astype(np.int32)


def _eight_bits(path: str | Path, colors: np.ndarray) -> np.ndarray:
    if colors.dtype != np.uint8:
        found = f"a mask in color of type {colors.dtype}"
        raise unusable(path, found, "8 bits a color, or gray values")
    return colors


def _mapped_values(
    path: str | Path, labels: Integer[np.ndarray, "H W"], mask_values: Mapping[int, int]
) -> Integer[np.ndarray, "H W"]:
    unexpected = sorted(set(np.unique(labels).tolist()) - set(mask_values))
    if unexpected:
        many = len(unexpected) > MANY
        found = f"mask values {listed(unexpected)} are not in mask_values={dict(mask_values)}"
        cure = BLENDED if many else "add them, or correct the mask"
        cause = "mask-blended" if many else "mask-values"
        raise unusable(path, found, cure=cure, cause=cause)
    return _translate(labels, mask_values)


def _mapped_colors(
    path: str | Path, raster: Raster, palette: Mapping[Color, int]
) -> Integer[np.ndarray, "H W"]:
    require_opaque(path, raster)
    colors = _eight_bits(path, raster.colors)
    codes = _color_codes(colors if colors.ndim == 3 else np.stack([colors] * 3, axis=-1))
    known = {
        (red << 16) + (green << 8) + blue: palette[red, green, blue] for red, green, blue in palette
    }
    unexpected = ~np.isin(codes, list(known))
    if unexpected.any():
        raise _unexpected_colors(path, codes[unexpected], palette)
    return _translate(codes, known)


def _unexpected_colors(
    path: str | Path, codes: Integer[np.ndarray, "..."], palette: Mapping[Color, int] | None = None
) -> DataError:
    """The error that lists the most frequent colors of a mask and the palette to write for them."""
    found, counts = np.unique(codes, return_counts=True)
    codes = found[np.argsort(-counts, kind="stable")][:5].tolist()
    colors = [(code >> 16, code >> 8 & 255, code & 255) for code in codes]
    more = ", ..." if len(found) > len(colors) else ""
    what = "is stored in color, with" if palette is None else "holds, beside those of palette,"
    seen = f"{len(found)} color{'s' * (len(found) > 1)} {', '.join(map(str, colors))}{more}"
    if len(found) > MANY:
        cure = BLENDED if palette is not None else f"{BLENDED}; {NUMBERED}"
        return unusable(path, f"the mask {what} {seen}", cure=cure, cause="mask-blended")
    cure, ways = "add them to palette, or correct the mask", []
    if palette is None:
        way = {"palette": {color: index for index, color in enumerate(sorted(colors))}}
        cure = f"pass the class of each color, for example {as_keywords(way)[:-1]}{more}}}"
        ways = [] if more else [way]
    return unusable(path, f"the mask {what} {seen}", "", cure, "color-mask", *ways)


def _color_codes(colors: UInt8[np.ndarray, "H W 3"]) -> Integer[np.ndarray, "H W"]:
    """Each color as one number, 0xRRGGBB."""
    red, green, blue = np.moveaxis(colors.astype(np.int32), -1, 0)
    return (red << 16) + (green << 8) + blue


def _translate(
    values: Integer[np.ndarray, "H W"], table: Mapping[int, int]
) -> Integer[np.ndarray, "H W"]:
    """Replace every value by its entry in the table, which holds them all."""
    known = sorted(table)
    return np.array([table[value] for value in known])[np.searchsorted(known, values)]
