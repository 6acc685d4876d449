"""Read one image or one mask from a file, and say clearly when it cannot be used.

Pillow reads everything here: PNG, JPEG, TIFF, 8 and 16 bits, palettes. An image is converted only
where nothing is lost (gray to three equal channels, an alpha channel that is opaque throughout).
Everything else is refused with the file, what was found in it, and what to do.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from unet_lib.data.findings import DataError, Finding

Mode = Literal["L", "RGB"]

_GRAY_16_BIT = ("I;16", "I;16L", "I;16B")
_SAMPLES_PER_PIXEL, _ORIENTATION = 277, 274  # tags of TIFF; the latter is EXIF's, too
_TURNED = (5, 6, 7, 8)  # orientations that exchange height and width

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Of the files that count as images in a folder; each has to be one that `open_image` reads."""


class UnreadableError(DataError):
    """A file that is no image, or no longer one: empty, truncated, corrupt.

    >>> read_image("missing.png")
    Traceback (most recent call last):
        ...
    unet_lib.data.files.UnreadableError: missing.png: no such file
    """


def unusable(
    path: Path,
    found: str,
    expected: str = "",
    cure: str = "",
    cause: str = "unusable-file",
    *arguments: Mapping[str, Any],
) -> DataError:
    """The error that names one file: an UnreadableError where it is no image."""
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
    picture = open_image(path)
    if picture.mode in _GRAY_16_BIT:
        pixels = np.array(picture).astype(np.uint16)  # in this machine's byte order
    elif picture.mode == "F":
        pixels = np.array(picture)
    elif picture.mode in ("1", "L", "P", "LA", "PA", "RGB", "RGBA"):
        require_opaque(path, picture)
        pixels = np.array(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))
    else:
        raise unusable(
            path,
            f"the image is stored as {picture.mode}",
            "gray (8 or 16 bits, or float32) or RGB",
            "convert it with the program that made it",
        )
    if mode == "L":
        return _gray(path, pixels)
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)


def open_image(path: Path) -> Image.Image:
    """The decoded and upright image of a file, or a DataError that says what is wrong with it."""
    if not path.is_file():
        raise unusable(path, "no such file", cause="unreadable-file")
    again = "copy it again or remove it"
    if path.stat().st_size == 0:
        found = "the file is empty (0 bytes)"
        raise unusable(path, found, cure=again, cause="unreadable-file")
    try:
        with Image.open(path) as picture:
            _refuse_what_pillow_changes(path, picture)
            picture.load()
            return ImageOps.exif_transpose(picture)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        found = "not an image that Pillow reads (of TIFF: 8 and 16 bits or float32)"
        cure = f"save it again, {again}"
        raise unusable(path, found, cure=cure, cause="unreadable-file") from error
    except Image.DecompressionBombError as error:
        raise unusable(path, f"{error} Cut it into smaller images") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        found = f"not a whole image ({error})"
        raise unusable(path, found, cure=again, cause="unreadable-file") from error


def _refuse_what_pillow_changes(path: Path, picture: ImageFile.ImageFile) -> None:
    """Raise DataError for files of which Pillow would silently give us only a part."""
    pages = getattr(picture, "n_frames", 1)
    if pages > 1 and picture.format != "MPO":  # a phone's photograph with a preview
        cure = "save each page as a file of its own"
        raise unusable(path, f"{pages} pages in one file", "one image a file", cure)
    if picture.mode == "RGB" and any(";16" in str(tile.args) for tile in picture.tile):
        found = "16 bits a color, of which only 8 would be read"
        cure = "save it with 8 bits, or each channel as a 16-bit gray image"
        raise unusable(path, found, cure=cure)
    if not isinstance(picture, TiffImageFile):
        return
    channels, read = picture.tag_v2.get(_SAMPLES_PER_PIXEL, 1), len(picture.getbands())
    if channels > read:
        found = f"{channels} channels, of which only {read} would be read"
        raise unusable(path, found, cure="save the channels you need as gray or RGB images")
    if picture.tag_v2.get(_ORIENTATION) in _TURNED:
        found = "a TIFF with a note to turn it (orientation tag), which is not read reliably"
        raise unusable(path, found, cure="save it upright")


def require_opaque(path: Path, picture: Image.Image) -> None:
    """Raises DataError for an image that is transparent in places."""
    if not picture.has_transparency_data:
        return
    alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
    if alpha.min() < 255:
        found = f"{np.mean(alpha < 255):.0%} of the pixels are transparent ({picture.mode})"
        cure = "paste it on a background of your choice and save that"
        raise unusable(path, found, "an opaque image", cure)


def _gray(path: Path, pixels: Shaped[np.ndarray, "H W *C"]) -> Shaped[np.ndarray, "H W"]:
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


def list_images(folder: Path) -> list[Path]:
    """The image files of one folder, by name; hidden files and other endings are left out.

    Raises DataError where the folder is missing, is a file, or holds no image.
    """
    require_folder(folder)
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    pictures = [
        path for path in files if path.suffix.lower() in ENDINGS and not path.name.startswith(".")
    ]
    if not pictures:
        found = (
            f"no images in this folder ({len(files)} other files, folders inside it are not "
            f"searched); endings searched: {', '.join(ENDINGS)}"
        )
        raise DataError(Finding("no-pictures", found, files=(str(folder),)))
    return pictures


def require_folder(folder: Path) -> None:
    """Raises DataError where a folder is missing, or is a file."""
    if not folder.is_dir():
        found = "a file, not a folder" if folder.exists() else "no such folder"
        raise DataError(Finding("no-pictures", found, cure="check the path", files=(str(folder),)))
