"""`python -m unet_lib predict`: a mask for every picture, whatever is wrong with some of them."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tqdm import tqdm
from tyro.conf import Positional

from unet_lib.checkpoint import load_model
from unet_lib.data.files import read_image
from unet_lib.data.pairing import list_pictures
from unet_lib.model import SegmentationModel
from unet_lib.outputs import new_files, save_gray, save_labels
from unet_lib.predict import label_instances, predict
from unet_lib.task import Task, load_task


@dataclass(frozen=True)
class Predict:
    """Write the mask of every picture as PNG, of 0 and 255 or of class indices.

    A picture that cannot be predicted is named at the end, and the others are done.
    Exit status 0: all predicted; 1: some not; 2: the command itself could not be followed.

    >>> Predict(Path("runs/unet/best.pt"), (Path("cells"),)).output
    PosixPath('predictions')
    """

    checkpoint: Positional[Path]
    """What train wrote, for example runs/unet/best.pt."""
    pictures: Positional[tuple[Path, ...]]
    """Pictures, or folders of pictures."""
    output: Path = Path("predictions")
    """Gets masks/NAME.png and instances/NAME.png; no file is ever overwritten."""
    instances: bool = False
    """Number the objects, too: 16-bit PNG, 0 is background."""
    threshold: float | None = None
    """Probability from which on a pixel is foreground; the checkpoint's if it is not given."""
    tile: int = 256
    """Side of the parts in which a picture is predicted; smaller needs less memory."""
    resume: bool = False
    """Leave out the pictures whose files exist, as after an interruption."""

    def __call__(self) -> int:
        """Predict every picture."""
        model, task = load_trained(self.checkpoint, self.threshold)
        if self.instances and task.target == "classes":
            raise ValueError(
                f"{self.checkpoint} tells classes apart, not objects; instances need a network "
                'trained with target "foreground" or "instances"'
            )
        files = self._files()
        done, failed = 0, []
        for file, written in tqdm(files.items(), unit="picture", disable=None):  # on a terminal
            if all(path.exists() for path in written):
                continue
            try:
                self._predict(model, task, file, *written)
                done += 1
            except (ValueError, OSError) as error:
                failed.append(str(error) if str(file) in str(error) else f"{file}: {error}")
        there = len(files) - done - len(failed)
        known = f", {there} were there already" if there else ""
        print(f"{done} pictures predicted{known}, masks in {self.output / 'masks'}")
        if failed:
            print(f"error: {len(failed)} pictures could not be predicted", file=sys.stderr)
            print(*(f"- {message}" for message in failed), sep="\n", file=sys.stderr)
        return 1 if failed else 0

    def _files(self) -> dict[Path, tuple[Path, ...]]:
        """What is to be written for each picture: its mask and, if asked for, its instances."""
        pictures = [
            file
            for path in self.pictures
            for file in (list_pictures(path) if path.is_dir() else [path])
        ]
        if not pictures:
            raise ValueError("no pictures: name them, or a folder of them, after the checkpoint")
        kinds = ("masks", "instances") if self.instances else ("masks",)
        written = [new_files(self.output / kind, pictures, self.resume) for kind in kinds]
        return dict(zip(pictures, zip(*written, strict=True), strict=True))

    def _predict(
        self, model: SegmentationModel, task: Task, file: Path, mask: Path, *instances: Path
    ) -> None:
        """One picture; the mask is written last, so that its existence says that all is done."""
        logits = predict(model, task.prepare(read_image(file, task.mode)), self.tile)
        for path in instances:
            save_labels(path, label_instances(logits, task.threshold))
        if task.target == "classes":
            save_labels(mask, task.mask(logits), as_classes=True)
        else:
            save_gray(mask, 255 * task.mask(logits))


def load_trained(
    checkpoint: Path, threshold: float | None = None
) -> tuple[SegmentationModel, Task]:
    """The network of a checkpoint, on the GPU if there is one, and its task.

    >>> load_trained(Path("runs/none/best.pt"))
    Traceback (most recent call last):
    ...
    unet_lib.checkpoint.CheckpointError: no checkpoint runs/none/best.pt; runs/none holds none
    """
    task = load_task(checkpoint)
    model = load_model(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu")
    return model, task if threshold is None else replace(task, threshold=threshold)
