"""Read the labels of one mask from a file, or say clearly why they cannot be used."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image

from unet_lib.data.files import open_image, require_opaque, unusable
from unet_lib.data.findings import DataError, as_keywords, listed

Color = tuple[int, int, int]
MANY = 16  # more unexpected values than this were not drawn: they come from blending
BLENDED = (
    "so many values look resized or compressed: store masks as PNG, never as JPEG, and resize "
    "them with nearest neighbor only"
)


def read_mask(
    path: str | Path,
    mask_values: Mapping[int, int] | None = None,
    palette: Mapping[Color, int] | None = None,
) -> Integer[np.ndarray, "H W"]:
    """The labels of a mask file, one whole number a pixel, exactly as stored.

    A palette PNG keeps its indices: they are the classes, the colors only show them.

    Args:
        path: best a PNG or TIFF of 8 or 16 bits.
        mask_values: which stored value stands for which class, `{0: 0, 255: 1}`; a value that
            is not in it is an error.
        palette: the same for colors, `{(0, 0, 0): 0, (255, 0, 0): 1}`, for masks stored as RGB.

    Raises:
        UnreadableError: the file is missing, empty, truncated or no image.
        DataError: an RGB mask without `palette`, values or colors that are not mapped, floats.
        ValueError: both mappings are given.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mask.png"
    >>> Image.fromarray(np.array([[0, 255]], np.uint8)).save(path)
    >>> read_mask(path)
    array([[  0, 255]], dtype=uint8)
    >>> read_mask(path, mask_values={0: 0, 255: 1})
    array([[0, 1]])
    """
    if mask_values is not None and palette is not None:
        raise ValueError("pass mask_values for gray masks or palette for RGB masks, not both")
    path = Path(path)
    picture = open_image(path)
    if palette is not None:
        return _mapped_colors(path, picture, palette)
    if picture.mode in ("LA", "PA"):
        require_opaque(path, picture)
        picture = picture.getchannel(0)
    labels = np.array(picture)
    if labels.ndim == 3:
        raise _unexpected_colors(path, _color_codes(labels[..., :3]))
    if labels.dtype.kind == "f":
        found = f"the mask holds {labels.dtype} values"
        raise unusable(path, found, "whole numbers", "save it with 8 or 16 bits")
    labels = labels.astype(np.promote_types(labels.dtype, np.uint8))  # 1-bit masks become 0 and 1
    return labels if mask_values is None else _mapped_values(path, labels, mask_values)


def _mapped_values(
    path: Path, labels: Integer[np.ndarray, "H W"], mask_values: Mapping[int, int]
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
    path: Path, picture: Image.Image, palette: Mapping[Color, int]
) -> Integer[np.ndarray, "H W"]:
    require_opaque(path, picture)
    codes = _color_codes(np.array(picture.convert("RGB")))
    known = {
        (red << 16) + (green << 8) + blue: palette[red, green, blue] for red, green, blue in palette
    }
    unexpected = ~np.isin(codes, list(known))
    if unexpected.any():
        raise _unexpected_colors(path, codes[unexpected], palette)
    return _translate(codes, known)


def _unexpected_colors(
    path: Path, codes: Integer[np.ndarray, "..."], palette: Mapping[Color, int] | None = None
) -> DataError:
    """The error that lists the most frequent colors of a mask and the palette to write for them."""
    found, counts = np.unique(codes, return_counts=True)
    codes = found[np.argsort(-counts, kind="stable")][:5].tolist()
    colors = [(code >> 16, code >> 8 & 255, code & 255) for code in codes]
    more = ", ..." if len(found) > len(colors) else ""
    what = "is stored in color, with" if palette is None else "holds, beside those of palette,"
    seen = f"{len(found)} color{'s' * (len(found) > 1)} {', '.join(map(str, colors))}{more}"
    if len(found) > MANY:
        return unusable(path, f"the mask {what} {seen}", cure=BLENDED, cause="mask-blended")
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
