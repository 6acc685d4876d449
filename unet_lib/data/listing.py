"""Which files of a folder are images: also in folders inside it, and what is left out is said."""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from unet_lib.data.files import CONVERTERS
from unet_lib.data.findings import DataError, Finding

ENDINGS = (".bmp", ".gif", ".j2k", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Of the files that count as images in a folder; each has to be one that `open_raster` reads."""
SIDECARS = ".txt .md .csv .tsv .json .xml .yaml .yml .html .pdf .log .ini .db .py .ipynb .pt .onnx"
"""Of files that nobody takes for images."""


class LeftOutWarning(UserWarning):
    """Files of a folder were left out: the text says how many, which, and what reads them."""


def list_images(folder: Path, without: Iterable[Path] = ()) -> list[Path]:
    """The image files of a folder and of those inside it, by name, without hidden ones.

    Folders in `without` are not searched. Links to nothing are among the files, so that they are
    named when they are read. Warns (LeftOutWarning) of other files that may be images.
    Raises DataError where the folder is missing, is a file, or holds no image.
    """
    require_folder(folder)
    files, others = [], []
    for path in _walk(folder, {path.resolve() for path in without}):
        known = path.suffix.lower() in ENDINGS and not path.is_dir()
        (files if known else others).append(path)
    if not files:
        found = f"no images in this folder or in those inside it ({_counted(others)}); endings "
        found = f"{found}searched: {', '.join(ENDINGS)}{_converters(others)}"
        raise DataError(Finding("no-pictures", found, files=(str(folder),)))
    others = [path for path in others if path.suffix.lower() not in SIDECARS.split()]
    if others:
        text = f"{folder}: {_counted(others)} left out, {len(files)} images taken"
        warnings.warn(text + _converters(others), LeftOutWarning, stacklevel=2)
    return files


def _walk(folder: Path, without: set[Path]) -> Iterator[Path]:
    """All files by name, and folders that are no folders to their owner (.zarr, links)."""

    def refuse(error: OSError) -> None:
        raise DataError(Finding("no-pictures", f"cannot be read ({error})", files=(str(folder),)))

    for place, folders, names in os.walk(folder, onerror=refuse):
        here = Path(place)
        inside = {n: here / n for n in sorted(folders) if not n.startswith((".", "__"))}
        units = {n for n, at in inside.items() if at.suffix in CONVERTERS or at.is_symlink()}
        entered = inside.keys() - units
        folders[:] = sorted(n for n in entered if not without or inside[n].resolve() not in without)
        yield from (here / n for n in sorted([*units, *names]) if not n.startswith("."))


def require_folder(folder: Path) -> None:
    """Raises DataError where a folder is missing, or is a file."""
    if not folder.is_dir():
        found = "a file, not a folder" if folder.exists() else "no such folder"
        raise DataError(Finding("no-pictures", found, cure="check the path", files=(str(folder),)))


def _counted(files: list[Path]) -> str:
    endings = Counter(path.suffix.lower() or "no ending" for path in files)
    kinds = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(4))
    return f"{len(files)} other file{'s' * (len(files) != 1)}" + (f": {kinds}" if kinds else "")


def _converters(files: list[Path]) -> str:
    known = sorted({path.suffix.lower() for path in files} & CONVERTERS.keys())
    return "".join(f"; {ending} is not read here: convert it with {CONVERTERS[ending]}"
                   for ending in known[:3])  # fmt: skip
