"""`python -m unet_lib predict`: a mask for every image, whatever is wrong with some of them."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from tyro.conf import Positional

from unet_lib.cli.overlap import overlapped
from unet_lib.data.files import pages_of
from unet_lib.data.layouts import find_images
from unet_lib.data.outlines import ENDINGS, Outlines, write_outlines
from unet_lib.data.write import new_files, save_gray, save_labels, save_stack
from unet_lib.evaluation.fast import Precision
from unet_lib.training.task import Task
from unet_lib.training.trained import Trained, Views, naming


class Job(NamedTuple):
    """An image, or pages of a stack, and what is to be written: mask and perhaps instances."""

    image: Path
    pages: tuple[int | None, ...]
    """Of a stack those to predict; (None,) of an image."""
    written: tuple[Path, ...]


class Found(NamedTuple):
    """What is computed of an image, or of a page."""

    maps: np.ndarray
    """The mask, or logits where objects are asked for."""
    labels: np.ndarray | None
    """Objects, where they are not those of the logits."""


@dataclass(frozen=True)
class Predict:
    """Write the mask of every image as PNG, of 0 and 255 or of class indices.

    Of a TIFF stack, all masks as one. An image that cannot be predicted is named at the end, and
    the others are done.
    Exit status 0: all predicted; 1: some not; 2: the command itself could not be followed.
    """

    checkpoint: Positional[Path]
    """What train wrote, for example runs/unet/best.pt."""
    images: Positional[tuple[Path, ...]]
    """Images, or folders of images, and of folders inside them."""
    output: Path = Path("predictions")
    """Gets masks/NAME.png and instances/NAME.png; no file is ever overwritten."""
    instances: bool = False
    """Number the objects, too: 16-bit PNG, 0 is background."""
    outlines: Outlines = "none"
    """Write the outlines of the objects, too: outlines/NAME.zip, a set of ImageJ's ROIs, or
    NAME.geojson, which QuPath opens."""
    threshold: float | None = None
    """Probability from which on a pixel is foreground; the checkpoint's if it is not given."""
    pages: str = ""
    """Of stacks those to predict, counted from 0, as in 0,4-9; all if it is not given."""
    channel: int | None = None
    """Of images with several channels the one to read, counted from 0; that of the training if it
    is not given."""
    suffix: str | None = None
    """Leave out files whose names end so, as masks beside images; that of the training's masks if
    it is not given."""
    tile: int | None = None
    """Side of the parts in which an image is predicted, the largest that fit into 1 GB if it is not
    given; smaller needs less memory."""
    halo: int | None = None
    """Pixels of context around each part; those that the network looks at, if it is not given. A
    network with GroupNorm looks at the whole image: name a number to predict it in parts."""
    precision: Precision = "auto"
    """Numbers to compute in: what is fastest here and changes next to nothing, which is told; or
    float32, to have the network exactly as it was trained."""
    views: Views = 1
    """Predict each image once, or turned and mirrored in all eight ways and take the mean, which
    takes eight times as long."""
    diameter: float | None = None
    """Find objects in two passes, the second of the image at the size at which the median object
    is so many pixels wide, as a network trained on objects of a common size wants them."""
    resume: bool = False
    """Leave out the images whose files exist, as after an interruption."""

    def __call__(self) -> int:
        """Predict every image."""
        names = ("threshold", "halo", "precision", "channel", "views", "diameter")
        how = {name: getattr(self, name) for name in names}
        trained = Trained.load(self.checkpoint, **how)
        self._require_finite(trained)
        jobs = self._jobs(trained)
        todo = [job for job in jobs if not all(path.exists() for path in job.written)]
        outcomes = overlapped(
            todo,
            read=lambda job: [trained.prepare(job.image, page) for page in job.pages],
            compute=lambda job, images: self._compute(trained, job, images),
            write=lambda job, found: self._write(trained.task, job, found),
        )
        shown = tqdm(outcomes, total=len(todo), unit="image", disable=None)  # on a terminal
        failed = [str(error) for error in shown if error]  # an OSError concerns all the others
        self._report(len(todo) - len(failed), len(jobs) - len(todo), failed)
        if self.precision != "float32" and trained.way:
            print(f"computed in {trained.way}")
        return 1 if failed else 0

    @property
    def _objects(self) -> bool:
        """Whether anything is asked for that numbers objects."""
        return self.instances or self.outlines != "none"

    def _report(self, done: int, there: int, failed: list[str]) -> None:
        known = f", {there} {'was' if there == 1 else 'were'} there already" if there else ""
        print(f"{_images(done)} predicted{known}, masks in {self.output / 'masks'}")
        if failed:
            print(f"error: {_images(len(failed))} could not be predicted", file=sys.stderr)
            print(*(f"- {message}" for message in failed), sep="\n", file=sys.stderr)

    def _jobs(self, trained: Trained) -> list[Job]:
        """What is to be read, and written, for each image."""
        if self.images and not any(path.exists() for path in self.images):
            raise ValueError(f"{self.images[0]}: no such file or folder; check the path")
        suffix = self.suffix if self.suffix is not None else getattr(trained.images, "suffix", "")
        images = find_images(self.images, suffix)
        if not images:
            raise ValueError("no images: name them, or a folder of them, after the checkpoint")
        pages = [self._pages(path) for path in images]
        names = [
            name.with_name(f"{name.stem}.{'png' if numbers == (None,) else 'tif'}")
            for name, numbers in zip(images.values(), pages, strict=True)
        ]
        kinds = {"masks": names} | ({"instances": names} if self.instances else {})
        if self.outlines != "none":
            ending = ENDINGS[self.outlines]
            kinds["outlines"] = [name.with_name(f"{name.stem}{ending}") for name in names]
        written = [new_files(self.output / kind, of, self.resume) for kind, of in kinds.items()]
        return list(map(Job, images, pages, zip(*written, strict=True)))

    def _pages(self, path: Path) -> tuple[int | None, ...]:
        """The pages of a stack to predict; (None,) for an image."""
        count = pages_of(path)
        if count == 1:
            return (None,)
        numbers: list[int] = []
        for part in self.pages.replace(" ", "").split(",") if self.pages else [f"0-{count - 1}"]:
            first, _, last = part.partition("-")
            if not first.isdecimal() or not (last or first).isdecimal():
                raise ValueError(f"--pages {self.pages}: numbers and ranges, as in 0,4-9")
            numbers += range(int(first), int(last or first) + 1)
        if not numbers or max(numbers) >= count:
            raise ValueError(f"--pages {self.pages}: {path} has pages 0 to {count - 1}")
        return tuple(numbers)

    def _compute(self, trained: Trained, job: Job, images: list[Tensor]) -> list[Found]:
        """Masks (H, W), or logits (K, H, W) where instances are asked for."""
        maps = trained.logits if self._objects else trained.mask
        zoomed = self._objects and self.diameter is not None
        with naming(job.image):
            return [
                Found(maps(x, self.tile), trained.instances(x, self.tile) if zoomed else None)
                for x in images
            ]

    def _write(self, task: Task, job: Job, every: list[Found]) -> None:
        """What is there already stays, as the mask when instances are asked for later."""
        mask, *others = job.written
        found, labels = [one.maps for one in every], [one.labels for one in every]
        logits, classes = [torch.from_numpy(one) for one in found], task.target == "classes"
        stack = job.pages != (None,)
        if others and self.diameter is None:
            labels = [task.instances(one) for one in logits]
        for path in (path for path in others if not path.exists()):
            if path.suffix in ENDINGS.values():
                write_outlines(path, labels)
            else:
                save_stack(path, labels) if stack else save_labels(path, labels[0])
        if mask.exists():
            return
        masks = [task.mask(one) for one in logits] if others else found
        masks = masks if classes else [np.where(one, 255, 0).astype(np.uint8) for one in masks]
        if stack:
            save_stack(mask, masks)
        elif classes:
            save_labels(mask, masks[0], as_classes=True)
        else:
            save_gray(mask, masks[0])

    def _require_finite(self, trained: Trained) -> None:
        """What is wrong with network or options, found on a black image before any is read."""
        trained = Trained(trained.model, trained.task, self.halo, "float32")
        side = trained.context.smallest
        black = np.zeros((side, side, 3)[: 3 if trained.task.mode == "RGB" else 2], np.uint8)
        if self._objects:
            trained.instances(black)
        if not np.isfinite(trained.logits(black, self.tile)).all():
            raise ValueError(
                f"{self.checkpoint}: the network gives NaN or infinite logits, so every mask would "
                "be wrong; take an older checkpoint, or train again at a lower learning rate"
            )


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"
