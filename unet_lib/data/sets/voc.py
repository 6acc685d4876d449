"""Pascal VOC: scenes of our own in its layout, and a data set that reads them or the real one.

The real photographs (2 GB) may not be at hand, so chapter 3 writes simple drawn scenes in exactly
the layout of VOC 2012: JPEG images, masks as palette PNG whose indices are the classes, a border
of 255 ("void", not to be counted) around every object, and lists of names. What is learned about
the files here holds for the real set.
"""

from pathlib import Path
from typing import Literal, Unpack

import numpy as np
from PIL import Image
from torchvision.datasets import VOCSegmentation

from unet_lib.data.arrays import ImageArray, LabelArray
from unet_lib.data.base import Options, SegmentationDataset
from unet_lib.data.files import read_image
from unet_lib.data.findings import DataError
from unet_lib.data.masks import read_mask
from unet_lib.data.sets.scenes import VOID, draw_scene
from unet_lib.data.write import voc_palette

# fmt: off
VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus",
    "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on


class VOC(SegmentationDataset):
    """Color images with one class index a pixel, 0 to 20, and 255 where none is to be counted.

    Reads VOC 2012, or scenes by `write_voc_scenes`, through `torchvision.datasets.VOCSegmentation`.

    Args:
        root: the folder that holds `VOCdevkit/VOC2012`.
        image_set: which list of names: "train", "val" or "trainval".
        download: let torchvision fetch the real VOC 2012 (2 GB) to `root`.
        options: `normalize`, `transform`, `target`, as in `SegmentationDataset`.

    Raises DataError where the data is not there, or the list is empty.

    >>> import tempfile
    >>> root = write_voc_scenes(tempfile.mkdtemp(), count=4)
    >>> scenes = VOC(root, "train")
    >>> image, labels = scenes[0]
    >>> len(scenes), image.shape[0], image.shape[1:] == labels.shape, labels.max()
    (3, 3, True, tensor(255))
    """

    num_classes = len(VOC_CLASSES)
    ignore_index = VOID

    def __init__(
        self,
        root: str | Path,
        image_set: Literal["train", "val", "trainval"] = "train",
        download: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        try:
            self.files = VOCSegmentation(root, image_set=image_set, download=download)
        except (RuntimeError, FileNotFoundError) as error:
            raise DataError(
                f"{root}: no VOCdevkit/VOC2012 with a list {image_set}.txt in it; pass "
                "download=True for the real set (2 GB), or write small scenes with "
                "write_voc_scenes(root)"
            ) from error
        if not len(self.files):
            raise DataError(f"{root}: the list {image_set}.txt is empty; write the scenes again")

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int) -> tuple[ImageArray, LabelArray]:
        """The photograph, uint8 (H, W, 3), and the indices of its palette mask, uint8 (H, W)."""
        return read_image(self.files.images[index], "RGB"), read_mask(self.files.masks[index])

    def name(self, index: int) -> str:
        """The image's file."""
        return self.files.images[index]


def write_voc_scenes(
    root: str | Path, count: int = 40, seed: int = 0, size: tuple[int, int] = (120, 160)
) -> Path:
    """Write drawn scenes in VOC's layout, VOCdevkit/VOC2012 in `root`, which is returned.

    Every scene shows one to three objects of six classes (aeroplane, boat, bottle, car, person,
    pottedplant) before a sky and a ground. Three of four names go to the list "train", the fourth
    to "val". Height and width differ from `size` by up to 12 pixels. The same seed writes the same
    files. Raises ValueError for fewer than four scenes, or sides below 48 pixels.

    >>> import tempfile
    >>> root = write_voc_scenes(tempfile.mkdtemp(), count=4)
    >>> len(VOCSegmentation(root, image_set="val", download=False))
    1
    """
    if count < 4 or min(size) < 48:
        raise ValueError(
            f"count={count} and size={size}: at least 4 scenes and 48 pixels a side were expected"
        )
    base = Path(root) / "VOCdevkit" / "VOC2012"
    images, masks, lists = (
        base / name for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")
    )
    for folder in (images, masks, lists):
        folder.mkdir(parents=True, exist_ok=True)
    names = [f"scene_{number:04}" for number in range(count)]
    for number, name in enumerate(names):
        image, labels = draw_scene(np.random.default_rng((seed, number)), size)
        Image.fromarray(image).save(images / f"{name}.jpg", quality=90)
        mask = Image.fromarray(labels)
        mask.putpalette(voc_palette().tobytes())  # from now on a palette image, mode "P"
        mask.save(masks / f"{name}.png")
    validation = names[3::4]
    training = [name for name in names if name not in validation]
    for which, listed in (("train", training), ("val", validation), ("trainval", names)):
        (lists / f"{which}.txt").write_text("".join(f"{name}\n" for name in listed))
    return Path(root)
