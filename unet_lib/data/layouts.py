"""Where the images and masks of a folder are, by the names of the folders in it.

`images` and `masks`, VOC's `JPEGImages` and `SegmentationClass`, or parts such as `train/images`
and `test/images`.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

from unet_lib.data.findings import DataError
from unet_lib.data.listing import LeftOutWarning, list_images, require_folder

LAYOUTS = (("images", "masks"), ("images", "labels"), ("JPEGImages", "SegmentationClass"))
PARTS = ("train", "training", "val", "validation", "test")


def find_folders(folder: Path) -> dict[str, tuple[Path, Path]]:
    """The folders of images and of masks in a folder, by the name of the part they belong to.

    Raises DataError, with what was looked for, where there are none.
    """
    require_folder(folder)
    if pair := _pair(folder):
        return {"": pair}
    if parts := {part: pair for part in PARTS if (pair := _pair(folder / part))}:
        return parts
    inside = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))[:6]
    names = ", ".join(f"{images} and {masks}" for images, masks in LAYOUTS)
    raise DataError(
        f"{folder}: no folders of images and masks in it, and no checkpoint; it holds "
        f"{', '.join(inside) or 'nothing'}. Looked for {names}, also inside {', '.join(PARTS)}, "
        "and for *.pt: rename the folders, or pass --images and --masks"
    )


def holds_folders(folder: Path) -> bool:
    """Whether `find_folders` would find any."""
    return any(_pair(base) for base in (folder, *(folder / part for part in PARTS)))


def find_images(paths: Sequence[Path], suffix: str = "") -> dict[Path, Path]:
    """The images that are named, or lie in folders, with their names inside their folder.

    A folder that holds images and masks gives its images alone, and files whose names end with
    `suffix` are left out, which is said (LeftOutWarning).
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            found[path] = Path(path.name)
            continue
        folders = (
            [images for images, _ in find_folders(path).values()] if holds_folders(path) else []
        )
        for folder in folders or [path]:
            found |= {file: file.relative_to(folder) for file in list_images(folder)}
        if folders:
            text = (
                f"{path} holds masks, too: only the images in {', '.join(f.name for f in folders)}"
            )
            warnings.warn(text, LeftOutWarning, stacklevel=2)
    masks = [file for file in found if suffix and file.stem.endswith(suffix)]
    if masks and len(masks) < len(found):
        text = f"{len(masks)} files left out, their names end with {suffix!r} as masks do"
        warnings.warn(text, LeftOutWarning, stacklevel=2)
        found = {file: name for file, name in found.items() if file not in masks}
    return found


def _pair(base: Path) -> tuple[Path, Path] | None:
    for images, masks in LAYOUTS:
        if (base / images).is_dir() and (base / masks).is_dir():
            return base / images, base / masks
    beside = base.with_name(f"{base.name}annot")  # SegNet's CamVid: train and trainannot
    return (base, beside) if base.is_dir() and beside.is_dir() else None
