"""A folder of images and a folder of masks as a data set, examined before it is used."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
from scipy import ndimage

from unet_lib.data.arrays import ImageArray, LabelArray, check_pair
from unet_lib.data.base import Options, SegmentationDataset
from unet_lib.data.contents import Contents, judge_images, judge_instances, judge_values
from unet_lib.data.files import Mode, open_raster, read_image
from unet_lib.data.findings import DataError, Finding
from unet_lib.data.masks import Color, labels_of
from unet_lib.data.normalize import scale_by_dtype
from unet_lib.data.pairing import Pair, pair_files


class PairedFolder(SegmentationDataset):
    """Images in one folder, masks of the same names in another, one class a pixel.

    On construction every file is read once, and all that is wrong is reported together: files
    that are corrupt or without a partner, sizes that differ, values that are no class. This takes
    about as long as loading one epoch. Folders inside the two are read, too, TIFF stacks page by
    page; hidden files are skipped, and a warning counts files with endings that are not read.

    Args:
        images, masks: two folders, or one and the same, with a `suffix`.
        mode: "L" for gray images, "RGB" for color.
        mask_values: which stored value stands for which class, `{0: 0, 255: 1}`.
        palette: the same for masks stored as RGB, `{(0, 0, 0): 0, (255, 0, 0): 1}`.
        num_classes: K; masks may hold 0 to K-1. Without it the values that occur must be
            0 to K-1 without a gap.
        ignore_index: one further value, for pixels that do not count, often 255.
        suffix: what the name of a mask has at its end beside its image's, `"_mask"`.
        image_suffix: what the name of an image has at its end, `"_leftImg8bit"`.
        channel: of images with several, counted from 0.
        instances: the values, or the colors of RGB masks, number objects and are no classes;
            "connected" numbers the connected parts of masks of two values.
        options: `normalize`, `transform`, `target`, as in `SegmentationDataset`.

    Raises DataError with every finding of both folders.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in "image", "mask":
    ...     (folder / name).mkdir()
    ...     Image.fromarray(np.array([[0, 255]], np.uint8)).save(folder / name / "1.png")
    >>> pairs = PairedFolder(folder / "image", folder / "mask", mask_values={0: 0, 255: 1})
    >>> pairs[0]
    (tensor([[[0., 1.]]]), tensor([[0, 1]]))
    """

    def __init__(
        self,
        images: str | Path,
        masks: str | Path,
        *,
        mode: Mode = "L",
        mask_values: Mapping[int, int] | None = None,
        palette: Mapping[Color, int] | None = None,
        num_classes: int | None = None,
        ignore_index: int | None = None,
        suffix: str = "",
        image_suffix: str = "",
        channel: int | None = None,
        instances: bool | Literal["connected"] = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        if num_classes is not None and num_classes < 2:
            raise ValueError(f"num_classes={num_classes}; background counts, so 2 is the smallest")
        self.mode = mode
        self.mask_values = mask_values
        self.palette = palette
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.suffix, self.image_suffix, self.channel = suffix, image_suffix, channel
        self.instances = instances
        self.pairs, findings = pair_files(Path(images), Path(masks), suffix, image_suffix)
        with ThreadPoolExecutor() as pool:  # every pair is read once, several at a time
            examined = list(pool.map(self._examine, self.pairs))
        findings += [problem for problems, _ in examined for problem in problems]
        contents = [content for _, content in examined if content is not None]
        if self.normalize is scale_by_dtype:
            findings += judge_images(contents)
        if instances is True:
            findings += judge_instances(contents)
        elif not instances:
            self.num_classes, odd = judge_values(contents, num_classes, ignore_index)
            findings += odd
        if findings:
            raise DataError(*findings, where=f"images {images} and masks {masks}")

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, index: int) -> tuple[ImageArray, LabelArray]:
        """The pixels and the labels of one pair, as stored (masks after their mapping)."""
        pair = self.pairs[index]
        return self._read_image(pair), self._read_mask(pair)

    def name(self, index: int) -> str:
        """The image's file and, of a stack, its page."""
        return self.pairs[index].name

    def _read_image(self, pair: Pair) -> ImageArray:
        return read_image(pair.image, self.mode, pair.page, self.channel)

    def _read_mask(self, pair: Pair) -> LabelArray:
        return self._read_labels(pair)[0]

    def _read_labels(self, pair: Pair) -> tuple[LabelArray, dict[int, Color]]:
        """The labels, and the colors that a palette shows them in."""
        raster, drawn = open_raster(pair.mask, pair.page), self.instances is True
        labels = labels_of(pair.mask, raster, self.mask_values, self.palette, drawn)
        if self.instances == "connected" and len(np.unique(labels)) <= 2:
            labels = ndimage.label(labels, np.ones((3, 3)))[0].astype(np.int32)
        if raster.palette is None or self.palette is not None or self.mask_values is not None:
            return labels, {}
        return labels, {v: tuple(raster.palette[v].tolist()) for v in np.unique(labels).tolist()}

    def _examine(self, pair: Pair) -> tuple[list[Finding], Contents | None]:
        """What is wrong with one pair, and what it holds."""
        problems, arrays = [], []
        for read in (self._read_image, self._read_labels):
            try:
                arrays.append(read(pair))
            except DataError as error:
                unreadable = error.cause == "unreadable-file"
                kind = "unreadable file" if unreadable else "file that cannot be used as it is"
                problems += [replace(finding, kind=kind) for finding in error.findings]
        if problems:
            return problems, None
        image, (labels, colors) = arrays
        try:
            check_pair(image, labels)
            if image.dtype.kind == "f":  # of other types every value suits
                self.normalize(image)
        except DataError as error:
            files, kind = (f"{pair.image} and {pair.mask}",), "pair that cannot be used"
            problems = [replace(finding, files=files, kind=kind) for finding in error.findings]
        return problems, Contents.of(pair, str(image.dtype), labels, colors)
