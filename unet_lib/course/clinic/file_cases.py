"""Cases that lie in the files: what is stored is not what a mask should be."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from unet_lib.course.clinic.case import Cases, Folders
from unet_lib.course.clinic.materials import binary, nuclei
from unet_lib.data.sets.voc import write_voc_scenes
from unet_lib.training.task import Task

FILE_CASES = Cases()
MAPPED = {"mask_values": {0: 0, 255: 1}}


def _write(folder: Path, images: Sequence[np.ndarray], masks: Sequence[Image.Image]) -> Folders:
    """Writes pictures and masks under the same names."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        Image.fromarray(image).save(folder / "images" / f"cell_{number:02}.png")
        mask.save(folder / "masks" / f"cell_{number:02}.png")
    return Folders(folder / "images", folder / "masks")


def _black_and_white(count: int = 8, size: tuple[int, int] = (64, 64)) -> tuple[list, list]:
    images, labels = nuclei(count, size=size)
    return list(images), [Image.fromarray(255 * mask) for mask in binary(labels)]


@FILE_CASES.named("Masks of 0 and 255", "mask-values")
def white_masks(folder: Path) -> Folders:
    """Drawing programs store white as 255; a loss that takes it asks for a probability of 255."""
    return _write(folder, *_black_and_white())


def dark_masks(folder: Path) -> Folders:
    """Masks of 0 and 1: right for training, and black in every viewer of images."""
    images, labels = nuclei(8)
    return _write(folder, images, [Image.fromarray(mask) for mask in binary(labels)])


@FILE_CASES.named("Palette masks turned to gray", "palette-as-gray")
def gray_palette(folder: Path) -> Folders:
    """The palette shows class 1 in red; `convert("L")` keeps only the brightness of the red."""
    root = write_voc_scenes(folder / "voc", count=8) / "VOCdevkit" / "VOC2012"
    (folder / "masks").mkdir()
    for path in sorted((root / "SegmentationClass").glob("*.png")):
        Image.open(path).convert("L").save(folder / "masks" / path.name)
    options = {"mode": "RGB", "ignore_index": 255}
    task = Task("classes", "RGB", num_classes=21, ignore_index=255)
    return Folders(root / "JPEGImages", folder / "masks", options, task)


@FILE_CASES.named("Masks in color", "color-mask")
def color_masks(folder: Path) -> Folders:
    """An annotation tool exports the colors that it shows."""
    images, labels = nuclei(6)
    paint = [np.stack([255 * mask, 0 * mask, 0 * mask], axis=-1) for mask in binary(labels)]
    return _write(folder, images, [Image.fromarray(mask) for mask in paint])


@FILE_CASES.named("Masks resized smoothly", "mask-blended")
def smooth_masks(folder: Path) -> Folders:
    """Half of class 0 and half of class 255 makes 127, which is no class at all."""
    images, masks = _black_and_white()
    small = [mask.resize((32, 32), Image.Resampling.BILINEAR) for mask in masks]
    return _write(folder, images, [m.resize((64, 64), Image.Resampling.BICUBIC) for m in small])


@FILE_CASES.named("One mask saved as JPEG", "mask-blended")
def one_jpeg(folder: Path) -> Folders:
    """JPEG stores waves, not pixels: around every outline the values ripple."""
    built = _write(folder, *_black_and_white())
    file = built.masks / "cell_03.png"
    Image.open(file).save(file.with_suffix(".jpg"), quality=80)
    file.unlink()
    return built._replace(options=MAPPED)


@FILE_CASES.named("Photographs with a note to turn them", "mask-transposed")
def turned_photograph(folder: Path) -> Folders:
    """A phone adds a note to turn the photograph; one program turns it, the other does not."""
    images, masks = _black_and_white(size=(64, 96))
    built = _write(folder, images, masks)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    for file in sorted(built.images.glob("*.png")):
        Image.open(file).save(file, exif=exif)
    return built._replace(options=MAPPED)


@FILE_CASES.named("Names that do not match", "pairing")
def missing_mask(folder: Path) -> Folders:
    """Two masks were never exported, and one name has a slip."""
    built = _write(folder, *_black_and_white())
    for number in (2, 5):
        (built.masks / f"cell_{number:02}.png").unlink()
    (built.masks / "cell_06.png").rename(built.masks / "cel_06.png")
    return built._replace(options=MAPPED)


@FILE_CASES.named("Files cut short", "unreadable-file")
def cut_short(folder: Path) -> Folders:
    """A copy was interrupted; the file is there, its end is not."""
    built = _write(folder, *_black_and_white())
    for name in ("cell_01.png", "cell_04.png"):
        file = built.images / name
        file.write_bytes(file.read_bytes()[:900])
    return built._replace(options=MAPPED)
