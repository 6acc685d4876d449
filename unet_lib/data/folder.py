"""A folder of images and a folder of masks as a data set, examined before it is used."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np

from unet_lib.data.arrays import ImageArray, LabelArray, check_pair
from unet_lib.data.base import Options, SegmentationDataset
from unet_lib.data.files import Mode, read_image
from unet_lib.data.findings import DataError, Finding, as_keywords, listed
from unet_lib.data.masks import BLENDED, MANY, Color, read_mask
from unet_lib.data.pairing import Pair, pair_files

_COMPRESSED = (".jpg", ".jpeg")


class PairedFolder(SegmentationDataset):
    """Images in one folder, masks of the same names in another, one class a pixel.

    On construction every file is read once, and all that is wrong is reported together: files
    that are corrupt or without a partner, sizes that differ, values that are no class. This takes
    about as long as loading one epoch. Hidden files and endings that are no image's are skipped.

    Args:
        images, masks: two folders, or one and the same, with a `suffix`.
        mode: "L" for gray images, "RGB" for color.
        mask_values: which stored value stands for which class, `{0: 0, 255: 1}`.
        palette: the same for masks stored as RGB, `{(0, 0, 0): 0, (255, 0, 0): 1}`.
        num_classes: K; masks may hold 0 to K-1. Without it the values that occur must be
            0 to K-1 without a gap.
        ignore_index: one further value, for pixels that do not count, often 255.
        suffix: what the name of a mask has at its end beside its image's, `"_mask"`.
        instances: the values number objects, 1 to n, and are no classes.
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
        instances: bool = False,
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
        self.pairs, findings = pair_files(Path(images), Path(masks), suffix)
        with ThreadPoolExecutor() as pool:  # every pair is read once, several at a time
            examined = list(pool.map(self._examine, self.pairs))
        findings += [problem for problems, _ in examined for problem in problems]
        values = {pair.mask: found for pair, (_, found) in zip(self.pairs, examined, strict=True)}
        if not instances:
            self.num_classes, odd = _judge(values, num_classes, ignore_index)
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
        """The image's file."""
        return str(self.pairs[index].image)

    def _read_image(self, pair: Pair) -> ImageArray:
        return read_image(pair.image, self.mode)

    def _read_mask(self, pair: Pair) -> LabelArray:
        return read_mask(pair.mask, self.mask_values, self.palette)

    def _examine(self, pair: Pair) -> tuple[list[Finding], list[int]]:
        """What is wrong with one pair, and the values of its mask."""
        problems, arrays = [], []
        for read in (self._read_image, self._read_mask):
            try:
                arrays.append(read(pair))
            except DataError as error:
                unreadable = error.cause == "unreadable-file"
                kind = "unreadable file" if unreadable else "file that cannot be used as it is"
                problems += [replace(finding, kind=kind) for finding in error.findings]
        if problems:
            return problems, []
        image, labels = arrays
        try:
            check_pair(image, labels)
            if image.dtype.kind == "f":  # of other types every value suits
                self.normalize(image)
        except DataError as error:
            files, kind = (f"{pair.image} and {pair.mask}",), "pair that cannot be used"
            problems = [replace(finding, files=files, kind=kind) for finding in error.findings]
        return problems, np.unique(labels).tolist()


def _judge(
    values: Mapping[Path, list[int]], num_classes: int | None, ignore_index: int | None
) -> tuple[int, list[Finding]]:
    """The number of classes K of these masks, and their values that are no class.

    K is `num_classes` if it is known; else it is the number of values that occur, and these must
    be 0 to K-1, at least two.
    """
    shown = {mask: set(inside) - {ignore_index} for mask, inside in values.items()}
    blended = {mask for mask, inside in shown.items() if len(inside) > MANY}
    if num_classes is not None or len(blended) == len(shown):
        blended = set()  # every value is judged by num_classes, or nothing else is left to judge
    found = sorted(set().union(*(shown[mask] for mask in shown if mask not in blended)))
    classes = max(2, len(found)) if num_classes is None else num_classes
    unclear = num_classes is None and len(found) > MANY
    many = _many_values(sorted(set().union(*shown.values())))
    few = _few_values(found, classes, num_classes or 0)
    findings = []
    for mask, inside in shown.items():
        outside = sorted(v for v in inside if unclear or not 0 <= v < classes)
        compressed = mask.suffix.lower() in _COMPRESSED
        odd = unclear or compressed or mask in blended or len(outside) > MANY
        if outside:
            findings.append(replace(many if odd else few, files=(f"{mask}: {listed(outside)}",)))
    if num_classes is None and any(values.values()) and set(found) <= {0}:
        nothing = "mask without any object: there is nothing to learn (if meant: num_classes=2)"
        empty = Finding("empty-masks", nothing, arguments=({"num_classes": 2},))
        findings += [replace(empty, files=(str(mask),)) for mask in values]
    return classes, findings


def _many_values(found: list[int]) -> Finding:
    """Values that nobody has drawn, or that number objects."""
    cure = (
        f"{BLENDED}. If they number objects, pass instances=True; if they are classes, "
        f"num_classes={max(found, default=0) + 1}"
    )
    ways = {"instances": True}, {"num_classes": max(found, default=0) + 1}
    text = f"many values, {len(found)} different ones"
    return Finding("mask-blended", text, cure=cure, arguments=ways)


def _few_values(found: list[int], classes: int, at_least: int) -> Finding:
    """Values that become classes, with what to pass."""
    values = found if len(found) > 1 else [0, *found]
    mapping = {"mask_values": {value: index for index, value in enumerate(values)}}
    regular = [value for value in values if 0 <= value < 255]
    special = [value for value in values if value not in regular]
    ways, cure = [mapping], as_keywords(mapping)
    if len(regular) > 1 and len(special) <= 1:
        numbers = {"num_classes": max(at_least, regular[-1] + 1)}
        ways, cure = [mapping, numbers], f"{cure} or, if they are classes already, "
        cure += as_keywords(numbers)
        if special:  # a void border, most likely: it must not become a class
            numbers["ignore_index"] = special[0]
            ways, cure = [numbers, mapping], as_keywords(numbers)
            cure += f" if they are classes with a void border, else {as_keywords(mapping)}"
    expected, cure = f"0 to {classes - 1}", f"pass {cure}"
    text = f"mask values {listed(found)}"
    return Finding("mask-values", text, expected, cure, arguments=tuple(ways))
