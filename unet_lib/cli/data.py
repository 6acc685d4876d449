"""`python -m unet_lib data`: write images with masks, to try things on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unet_lib.data.findings import DataError
from unet_lib.data.sets.voc import write_voc_scenes
from unet_lib.data.simulate import simulate_nuclei
from unet_lib.data.write import new_files, save_gray, save_labels


@dataclass(frozen=True)
class Simulate:
    """Write simulated nuclei: images, masks of 0 and 255, and instances with an object a number."""

    output: Path
    """Gets the folders images, masks and instances; no file is ever overwritten."""
    count: int = 20
    """How many images."""
    size: int = 128
    """Their height and width, in pixels."""
    simulation_seed: int = 0
    """Another seed gives other images."""

    def __call__(self) -> None:
        """Write them."""
        names = [f"{index:04}.png" for index in range(self.count)]
        files = [new_files(self.output / kind, names) for kind in ("images", "masks", "instances")]
        for index, (image_file, mask_file, instance_file) in enumerate(zip(*files, strict=True)):
            image, labels = simulate_nuclei(self.simulation_seed, index, (self.size, self.size))
            save_gray(image_file, image)
            save_gray(mask_file, np.where(labels > 0, 255, 0).astype(np.uint8))
            save_labels(instance_file, labels)
        print(f"{self.count} images in {self.output}: images, masks, instances")


@dataclass(frozen=True)
class Scenes:
    """Write drawn scenes in the layout of Pascal VOC 2012, with palette masks and a void border."""

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
