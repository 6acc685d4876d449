"""Write images and labels as PNG, and never over another file (chapters 5 and 13)."""

import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from jaxtyping import Integer, UInt8
from PIL import Image

from unet_lib.data.findings import DataError


def write_atomically(path: Path | str, write: Callable[[BinaryIO], Any]) -> None:
    """Calls `write` with a file beside `path`, flushes it to disk and renames it to `path`.

    Folders are made. If `write` fails, `path` is as it was and nothing is left beside it; an
    OSError then names `path`, the reason and what to check.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_atomically(folder / "run" / "a.txt", lambda file: file.write(b"whole"))
    >>> (folder / "run" / "a.txt").read_text()
    'whole'
    """
    path = Path(path)
    beside = path.with_name(f".{os.getpid()}.{zlib.crc32(path.name.encode()):08x}")  # always short
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(beside, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(
            f"{path} cannot be written ({error}); check that its folder is one, that you may write "
            "there, and that the disk is not full"
        ) from error


def new_files(folder: Path, names: Iterable[Path | str], existing_too: bool = False) -> list[Path]:
    """For each name, as 0001.png or ward/0001.png, a file in `folder`, which is made if need be.

    Raises DataError, before anything is written, where two images have one name, such a file
    exists, unless `existing_too`, or the folder cannot be made.
    """
    files = [folder / name for name in names]
    if double := [file.name for file, times in Counter(files).items() if times > 1]:
        raise DataError(
            f"{folder}: several images would become {', '.join(double[:5])}; rename them, or "
            "write them into different folders"
        )
    there = [file.name for file in files if file.exists()]
    if there and not existing_too:
        raise DataError(
            f"{folder}: {len(there)} files exist already ({', '.join(there[:5])}) and are not "
            "overwritten; choose another output folder, or remove them"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made ({error}); choose another folder") from error
    return files


def voc_palette() -> UInt8[np.ndarray, "256 3"]:
    """VOC's color of each index: its bits, dealt out in turn to red, green and blue.

    Bit 0 of the index becomes the highest bit of red, bit 1 of green, bit 2 of blue, bit 3 the
    second highest of red, and so on: neighboring indices get colors far apart.

    >>> voc_palette()[[0, 1, 2, 15, 255]].tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128], [224, 224, 192]]
    """
    index = np.arange(256)
    palette = np.zeros((256, 3), int)
    for bit in range(8):
        palette[:, bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
    return palette.astype(np.uint8)


def save_labels(path: Path, labels: Integer[np.ndarray, "H W"], as_classes: bool = False) -> None:
    """Writes labels as PNG: as classes, 8 bits with VOC's palette, or as instances, 16 bits.

    A palette image keeps its indices: they are the classes, the colors only show them. More than
    256 classes take 16 bits, too. Raises DataError for labels that the file cannot hold.
    """
    if labels.min() < 0 or labels.max() > 65535:
        raise DataError(f"{path}: labels up to {labels.max()}; the file holds 0 to 65535")
    as_classes = as_classes and labels.max() <= 255
    picture = Image.fromarray(labels.astype(np.uint8 if as_classes else np.uint16))
    if as_classes:
        picture.putpalette(voc_palette().tobytes())
    write_atomically(path, lambda file: picture.save(file, "png"))


def save_stack(path: Path, pages: Sequence[Integer[np.ndarray, "H W"]]) -> None:
    """Writes images of one size as the pages of a TIFF, compressed, as ImageJ reads it."""
    smallest = np.result_type(*(np.min_scalar_type(int(page.max(initial=0))) for page in pages))
    stack = np.stack(pages).astype(smallest)
    how = {"compression": "zlib", "photometric": "minisblack", "metadata": {"axes": "ZYX"}}
    write_atomically(path, lambda file: tifffile.imwrite(file, stack, **how))


def save_gray(path: Path, image: UInt8[np.ndarray, "H W"]) -> None:
    """Writes gray values from 0 to 255 as PNG."""
    write_atomically(path, lambda file: Image.fromarray(image).save(file, "png"))
