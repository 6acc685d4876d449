"""Read one image or one mask from a file, and say clearly when it cannot be used.

Pillow reads everything here: PNG, JPEG, TIFF, 8 and 16 bits, palettes. An image is converted only
where nothing is lost (gray to three equal channels, an alpha channel that is opaque throughout).
Everything else is refused with the file, what was found in it, and what to do.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Integer, Shaped, UInt8
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from unet_lib.data.findings import DataError, Finding, as_keywords

Color = tuple[int, int, int]
Mode = Literal["L", "RGB"]

MANY = 16  # more unexpected values than this were not drawn: they come from blending
BLENDED = (
    "so many values look resized or compressed: store masks as PNG, never as JPEG, and resize "
    "them with nearest neighbor only"
)
_GRAY_16_BIT = ("I;16", "I;16L", "I;16B")
_SAMPLES_PER_PIXEL, _ORIENTATION = 277, 274  # tags of TIFF; the latter is EXIF's, too
_TURNED = (5, 6, 7, 8)  # orientations that exchange height and width


class UnreadableError(DataError):
    """A file that is no image, or no longer one: empty, truncated, corrupt.

    >>> read_image("missing.png")
    Traceback (most recent call last):
        ...
    unet_lib.data.files.UnreadableError: missing.png: no such file
    """


def _unusable(
    path: Path,
    found: str,
    expected: str = "",
    cure: str = "",
    cause: str = "unusable-file",
    *arguments: Mapping[str, Any],
) -> DataError:
    kind = UnreadableError if cause == "unreadable-file" else DataError
    return kind(Finding(cause, found, expected, cure, (str(path),), arguments))


def read_image(path: str | Path, mode: Mode = "L") -> Shaped[np.ndarray, "H W *C"]:
    """The pixels of an image file, upright (EXIF orientation applied), uint8, uint16 or float32.

    Mode "L" gives one gray channel, (H, W), "RGB" three, (H, W, 3). Nothing is scaled.

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
    path = Path(path)
    picture = _open(path)
    if picture.mode in _GRAY_16_BIT:
        pixels = np.array(picture).astype(np.uint16)  # in this machine's byte order
    elif picture.mode == "F":
        pixels = np.array(picture)
    elif picture.mode in ("1", "L", "P", "LA", "PA", "RGB", "RGBA"):
        _require_opaque(path, picture)
        pixels = np.array(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))
    else:
        raise _unusable(
            path,
            f"the image is stored as {picture.mode}",
            "gray (8 or 16 bits, or float32) or RGB",
            "convert it with the program that made it",
        )
    if mode == "L":
        return _gray(path, pixels)
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)


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
    picture = _open(path)
    if palette is not None:
        return _mapped_colors(path, picture, palette)
    if picture.mode in ("LA", "PA"):
        _require_opaque(path, picture)
        picture = picture.getchannel(0)
    labels = np.array(picture)
    if labels.ndim == 3:
        raise _unexpected_colors(path, _color_codes(labels[..., :3]))
    if labels.dtype.kind == "f":
        found = f"the mask holds {labels.dtype} values"
        raise _unusable(path, found, "whole numbers", "save it with 8 or 16 bits")
    labels = labels.astype(np.promote_types(labels.dtype, np.uint8))  # 1-bit masks become 0 and 1
    return labels if mask_values is None else _mapped_values(path, labels, mask_values)


def _open(path: Path) -> Image.Image:
    """The decoded and upright picture of a file, or an error that says what is wrong with it."""
    if not path.is_file():
        raise _unusable(path, "no such file", cause="unreadable-file")
    again = "copy it again or remove it"
    if path.stat().st_size == 0:
        found = "the file is empty (0 bytes)"
        raise _unusable(path, found, cure=again, cause="unreadable-file")
    try:
        with Image.open(path) as picture:
            _refuse_what_pillow_changes(path, picture)
            picture.load()
            return ImageOps.exif_transpose(picture)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        found = "not a picture that Pillow reads (of TIFF: 8 and 16 bits or float32)"
        cure = f"save it again, {again}"
        raise _unusable(path, found, cure=cure, cause="unreadable-file") from error
    except Image.DecompressionBombError as error:
        raise _unusable(path, f"{error} Cut it into smaller images") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        found = f"not a whole picture ({error})"
        raise _unusable(path, found, cure=again, cause="unreadable-file") from error


def _refuse_what_pillow_changes(path: Path, picture: ImageFile.ImageFile) -> None:
    """Raise DataError for files of which Pillow would silently give us only a part."""
    pages = getattr(picture, "n_frames", 1)
    if pages > 1 and picture.format != "MPO":  # a phone's photograph with a preview
        cure = "save each page as a file of its own"
        raise _unusable(path, f"{pages} pages in one file", "one image a file", cure)
    if picture.mode == "RGB" and any(";16" in str(tile.args) for tile in picture.tile):
        found = "16 bits a color, of which only 8 would be read"
        cure = "save it with 8 bits, or each channel as a 16-bit gray image"
        raise _unusable(path, found, cure=cure)
    if not isinstance(picture, TiffImageFile):
        return
    channels, read = picture.tag_v2.get(_SAMPLES_PER_PIXEL, 1), len(picture.getbands())
    if channels > read:
        found = f"{channels} channels, of which only {read} would be read"
        raise _unusable(path, found, cure="save the channels you need as gray or RGB images")
    if picture.tag_v2.get(_ORIENTATION) in _TURNED:
        found = "a TIFF with a note to turn it (orientation tag), which is not read reliably"
        raise _unusable(path, found, cure="save it upright")


def _require_opaque(path: Path, picture: Image.Image) -> None:
    if not picture.has_transparency_data:
        return
    alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
    if alpha.min() < 255:
        found = f"{np.mean(alpha < 255):.0%} of the pixels are transparent ({picture.mode})"
        cure = "paste it on a background of your choice and save that"
        raise _unusable(path, found, "an opaque image", cure)


def _gray(path: Path, pixels: Shaped[np.ndarray, "H W *C"]) -> Shaped[np.ndarray, "H W"]:
    if pixels.ndim == 2:
        return pixels
    if (pixels == pixels[..., :1]).all():
        return pixels[..., 0].copy()
    raise _unusable(
        path,
        "a color image (3 channels)",
        "one gray channel (mode='L')",
        "pass mode='RGB', and in_channels=3 to the network",
        "color-images",
        {"mode": "RGB"},
    )


def _mapped_values(
    path: Path, labels: Integer[np.ndarray, "H W"], mask_values: Mapping[int, int]
) -> Integer[np.ndarray, "H W"]:
    unexpected = sorted(set(np.unique(labels).tolist()) - set(mask_values))
    if unexpected:
        many = len(unexpected) > MANY
        found = f"mask values {listed(unexpected)} are not in mask_values={dict(mask_values)}"
        cure = BLENDED if many else "add them, or correct the mask"
        cause = "mask-blended" if many else "mask-values"
        raise _unusable(path, found, cure=cure, cause=cause)
    return _translate(labels, mask_values)


def _mapped_colors(
    path: Path, picture: Image.Image, palette: Mapping[Color, int]
) -> Integer[np.ndarray, "H W"]:
    _require_opaque(path, picture)
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
        return _unusable(path, f"the mask {what} {seen}", cure=BLENDED, cause="mask-blended")
    cure, ways = "add them to palette, or correct the mask", []
    if palette is None:
        way = {"palette": {color: index for index, color in enumerate(sorted(colors))}}
        cure = f"pass the class of each color, for example {as_keywords(way)[:-1]}{more}}}"
        ways = [] if more else [way]
    return _unusable(path, f"the mask {what} {seen}", "", cure, "color-mask", *ways)


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


def listed(values: list[int], limit: int = 8) -> str:
    """The first numbers of a list, as messages print them.

    >>> listed([0, 1, 2, 3], limit=2)
    '0, 1, ... (4 in all)'
    """
    text = ", ".join(map(str, values[:limit]))
    return text if len(values) <= limit else f"{text}, ... ({len(values)} in all)"
