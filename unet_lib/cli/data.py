"""`python -m unet_lib data`: write pictures with masks, or examine those of a folder."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from unet_lib.cli.options import MaskOptions
from unet_lib.data import simulate_nuclei
from unet_lib.data.base import DataError, size_text
from unet_lib.data.folder import PairedFolder
from unet_lib.data.sets.voc import write_voc_scenes
from unet_lib.data.write import new_files, save_gray, save_labels


@dataclass(frozen=True)
class Simulate:
    """Write simulated nuclei: images, masks of 0 and 255, and instances with an object a number.

    >>> import tempfile
    >>> Simulate(Path(tempfile.mkdtemp()), count=2, size=32)()
    2 pictures in ...: images, masks, instances
    """

    output: Path
    """Gets the folders images, masks and instances; no file is ever overwritten."""
    count: int = 20
    """How many pictures."""
    size: int = 128
    """Their height and width, in pixels."""
    simulation_seed: int = 0
    """Another seed gives other pictures."""

    def __call__(self) -> None:
        """Write them."""
        names = [f"{index:04}" for index in range(self.count)]
        files = [new_files(self.output / kind, names) for kind in ("images", "masks", "instances")]
        for index, (image_file, mask_file, instance_file) in enumerate(zip(*files, strict=True)):
            image, labels = simulate_nuclei(self.simulation_seed, index, (self.size, self.size))
            save_gray(image_file, image)
            save_gray(mask_file, np.where(labels > 0, 255, 0).astype(np.uint8))
            save_labels(instance_file, labels)
        print(f"{self.count} pictures in {self.output}: images, masks, instances")


@dataclass(frozen=True, kw_only=True)
class Check(MaskOptions):
    """Examine a folder of pictures and a folder of masks; tell all that is wrong, or what is there.

    >>> Check(images=Path("no"), masks=Path("where"))()
    Traceback (most recent call last):
    ...
    unet_lib.data.base.DataError: no: no such folder; check the path
    """

    images: Path
    """Folder of the pictures."""
    masks: Path
    """Folder of their masks, with the same names."""
    mode: Literal["L", "RGB"] = "L"
    """Gray pictures or color."""
    num_classes: int | None = None
    """Masks hold classes 0 to this minus one."""
    ignore_index: int | None = None
    """One further value in the masks, for pixels that do not count; often 255."""

    def __call__(self) -> None:
        """Read everything, and print a summary."""
        dataset = PairedFolder(
            self.images,
            self.masks,
            mode=self.mode,
            num_classes=self.num_classes,
            ignore_index=self.ignore_index,
            **self.folder_options(),
        )
        print(f"{len(dataset)} pairs of pictures and masks, nothing wrong with them")
        sizes, pixels, objects = Counter(), Counter(), []
        for index in range(len(dataset)):
            image, labels = dataset.load(index)
            sizes[size_text(image)] += 1
            values, counts = np.unique(labels, return_counts=True)
            pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
            objects.append(np.count_nonzero(values))
        common = ", ".join(f"{size} ({times})" for size, times in sizes.most_common(5))
        print(f"height x width: {common}{', ...' if len(sizes) > 5 else ''}")
        if self.instance_masks:
            print(f"objects in a picture: {min(objects)} to {max(objects)}, {sum(objects)} in all")
            return
        for value, count in sorted(pixels.items()):
            ignored = " (ignored)" if value == self.ignore_index else ""
            print(f"label {value}: {count / pixels.total():.1%} of the pixels{ignored}")


@dataclass(frozen=True)
class Scenes:
    """Write drawn scenes in the layout of Pascal VOC 2012, with palette masks and a void border.

    >>> import tempfile
    >>> Scenes(Path(tempfile.mkdtemp()), count=4)()
    4 scenes in ...VOCdevkit/VOC2012
    """

    output: Path
    """Gets the folder VOCdevkit/VOC2012."""
    count: int = 40
    """How many scenes, at least 4."""
    seed: int = 0
    """Another seed gives other scenes."""

    def __call__(self) -> None:
        """Write them."""
        folder = self.output / "VOCdevkit" / "VOC2012"
        if folder.exists():
            raise DataError(f"{folder} exists already; choose another output folder, or remove it")
        write_voc_scenes(self.output, self.count, self.seed)
        print(f"{self.count} scenes in {folder}")
