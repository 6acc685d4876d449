"""`python -m unet_lib predict`: a mask for every image, whatever is wrong with some of them."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from tyro.conf import Positional

from unet_lib.cli.overlap import overlapped
from unet_lib.data.listing import list_images
from unet_lib.data.write import new_files, save_gray, save_labels
from unet_lib.evaluation.fast import Precision
from unet_lib.training.task import Task
from unet_lib.training.trained import Trained, naming


@dataclass(frozen=True)
class Predict:
    """Write the mask of every image as PNG, of 0 and 255 or of class indices.

    An image that cannot be predicted is named at the end, and the others are done.
    Exit status 0: all predicted; 1: some not; 2: the command itself could not be followed.
    """

    checkpoint: Positional[Path]
    """What train wrote, for example runs/unet/best.pt."""
    images: Positional[tuple[Path, ...]]
    """Images, or folders of images."""
    output: Path = Path("predictions")
    """Gets masks/NAME.png and instances/NAME.png; no file is ever overwritten."""
    instances: bool = False
    """Number the objects, too: 16-bit PNG, 0 is background."""
    threshold: float | None = None
    """Probability from which on a pixel is foreground; the checkpoint's if it is not given."""
    tile: int | None = None
    """Side of the parts in which an image is predicted, the largest that fit into 1 GB if it is not
    given; smaller needs less memory."""
    halo: int | None = None
    """Pixels of context around each part; those that the network looks at, if it is not given. A
    network with GroupNorm looks at the whole image: name a number to predict it in parts."""
    precision: Precision = "auto"
    """Numbers to compute in: what is fastest here and changes next to nothing, which is told; or
    float32, to have the network exactly as it was trained."""
    resume: bool = False
    """Leave out the images whose files exist, as after an interruption."""

    def __call__(self) -> int:
        """Predict every image."""
        trained = Trained.load(
            self.checkpoint, threshold=self.threshold, halo=self.halo, precision=self.precision
        )
        self._require_finite(trained)
        files = self._files()
        todo = {f: paths for f, paths in files.items() if not all(map(Path.exists, paths))}
        outcomes = overlapped(
            todo,
            read=trained.prepare,
            compute=lambda file, image: self._compute(trained, file, image),
            write=lambda file, found: self._write(trained.task, found, *todo[file]),
        )
        shown = tqdm(outcomes, total=len(todo), unit="image", disable=None)  # on a terminal
        failed = [str(error) for error in shown if error]  # an OSError concerns all the others
        self._report(len(todo) - len(failed), len(files) - len(todo), failed)
        if self.precision != "float32" and trained.way:
            print(f"computed in {trained.way}")
        return 1 if failed else 0

    def _report(self, done: int, there: int, failed: list[str]) -> None:
        known = f", {there} {'was' if there == 1 else 'were'} there already" if there else ""
        print(f"{_images(done)} predicted{known}, masks in {self.output / 'masks'}")
        if failed:
            print(f"error: {_images(len(failed))} could not be predicted", file=sys.stderr)
            print(*(f"- {message}" for message in failed), sep="\n", file=sys.stderr)

    def _files(self) -> dict[Path, tuple[Path, ...]]:
        """What is to be written for each image: its mask and, if asked for, its instances."""
        if self.images and not any(path.exists() for path in self.images):
            raise ValueError(f"{self.images[0]}: no such file or folder; check the path")
        images = [
            file
            for path in self.images
            for file in (list_images(path) if path.is_dir() else [path])
        ]
        if not images:
            raise ValueError("no images: name them, or a folder of them, after the checkpoint")
        kinds = ("masks", "instances") if self.instances else ("masks",)
        written = [new_files(self.output / kind, images, self.resume) for kind in kinds]
        return dict(zip(images, zip(*written, strict=True), strict=True))

    def _compute(self, trained: Trained, file: Path, image: Tensor) -> np.ndarray:
        """The mask (H, W) of one image, or its logits (K, H, W) where instances are asked for."""
        with naming(file):
            found = trained.logits if self.instances else trained.mask
            return found(image, self.tile)

    def _write(self, task: Task, found: np.ndarray, mask: Path, *instances: Path) -> None:
        """What is there already stays, as the mask when instances are asked for later."""
        logits = torch.from_numpy(found)
        for path in instances:
            if not path.exists():
                save_labels(path, task.instances(logits))
        if mask.exists():
            return
        classes = task.mask(logits) if instances else found
        if task.target == "classes":
            save_labels(mask, classes, as_classes=True)
        else:
            save_gray(mask, 255 * classes)

    def _require_finite(self, trained: Trained) -> None:
        """What is wrong with network or options, found on a black image before any is read."""
        trained = Trained(trained.model, trained.task, self.halo, "float32")
        side = trained.context.smallest
        black = np.zeros((side, side, 3)[: 3 if trained.task.mode == "RGB" else 2], np.uint8)
        if self.instances:
            trained.instances(black)
        if not np.isfinite(trained.logits(black, self.tile)).all():
            raise ValueError(
                f"{self.checkpoint}: the network gives NaN or infinite logits, so every mask would "
                "be wrong; take an older checkpoint, or train again at a lower learning rate"
            )


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"
