"""A folder of images and a folder of masks as a data set, examined before it is used."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from unet_lib.data.base import (
    DataError,
    ImageArray,
    LabelArray,
    Normalize,
    SegmentationDataset,
    Target,
    Transform,
    check_pair,
)
from unet_lib.data.files import Color, Mode, UnreadableError, read_image, read_mask
from unet_lib.data.normalize import scale_by_dtype
from unet_lib.data.pairing import Findings, Pair, pair_files
from unet_lib.data.values import check_values

UNREADABLE = "unreadable file"


class PairedFolder(SegmentationDataset):
    """Images in one folder, masks of the same names in another, one class a pixel.

    On construction every file is read once, and all that is wrong is reported together: files
    that are corrupt or without a partner, sizes that differ, values that are no class. This takes
    about as long as loading one epoch. Hidden files and endings that are no picture's are skipped.

    Args:
        images: folder of the images.
        masks: folder of the masks; may be the same, with a `suffix`.
        mode: "L" for gray images, "RGB" for color.
        mask_values: which stored value stands for which class, `{0: 0, 255: 1}`.
        palette: the same for masks stored as RGB, `{(0, 0, 0): 0, (255, 0, 0): 1}`.
        num_classes: K; masks may hold 0 to K-1. Without it the values that occur must be
            0 to K-1 without a gap.
        ignore_index: one further value, for pixels that do not count, often 255.
        suffix: what the name of a mask has at its end beside its image's, `"_mask"`.
        instances: the values number objects, 1 to n, and are no classes.
        normalize: see `SegmentationDataset`, also for `transform` and `target`.
        transform: changes image and labels together.
        target: makes of the labels what the loss wants.

    Raises:
        DataError: with every finding of both folders.
        ValueError: fewer than two classes.

    Example:
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
        instances: bool = False,
        normalize: Normalize = scale_by_dtype,
        transform: Transform | None = None,
        target: Target | None = None,
    ) -> None:
        super().__init__(normalize=normalize, transform=transform, target=target)
        if num_classes is not None and num_classes < 2:
            raise ValueError(f"num_classes={num_classes}; background counts, so 2 is the smallest")
        self.mode = mode
        self.mask_values = mask_values
        self.palette = palette
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        findings = Findings()
        self.pairs = pair_files(Path(images), Path(masks), suffix, findings)
        values = self._scan(findings)
        if not instances:
            self.num_classes = check_values(values, num_classes, ignore_index, findings)
        findings.report(f"images {images} and masks {masks}", in_full=UNREADABLE)

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, index: int) -> tuple[ImageArray, LabelArray]:
        """The pixels and the labels of one pair, as stored (masks after their mapping)."""
        pair = self.pairs[index]
        return self._read_image(pair), self._read_mask(pair)

    def name(self, index: int) -> str:
        """The image's file."""
        return str(self.pairs[index].image)

    def _read_image(self, pair: Pair) -> ImageArray:
        return read_image(pair.image, self.mode)

    def _read_mask(self, pair: Pair) -> LabelArray:
        return read_mask(pair.mask, self.mask_values, self.palette)

    def _scan(self, findings: Findings) -> dict[Path, list[int]]:
        """Read every pair once, several at a time; the values of each mask that can be read."""
        with ThreadPoolExecutor() as pool:
            examined = list(pool.map(self._examine, self.pairs))
        values = {}
        for pair, (problems, found) in zip(self.pairs, examined, strict=True):
            values[pair.mask] = found
            for problem in problems:
                findings.add(*problem)
        return values

    def _examine(self, pair: Pair) -> tuple[list[tuple[str, str, str]], list[int]]:
        """What is wrong with one pair, as (kind, example, cause), and the values of its mask."""
        problems, arrays = [], []
        for read in (self._read_image, self._read_mask):
            try:
                arrays.append(read(pair))
            except UnreadableError as error:
                problems.append((UNREADABLE, str(error), error.cause))
            except DataError as error:
                kind = "file that cannot be used as it is"
                problems.append((kind, str(error), error.cause))
        if problems:
            return problems, []
        image, labels = arrays
        try:
            check_pair(image, labels)
            if image.dtype.kind == "f":  # of other types every value suits
                self.normalize(image)
        except DataError as error:
            example = f"{pair.image} and {pair.mask}: {error}"
            problems.append(("pair that cannot be used", example, error.cause))
        return problems, np.unique(labels).tolist()
