"""`python -m unet_lib predict`: a mask for every picture, whatever is wrong with some of them."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm
from tyro.conf import Positional

from unet_lib.data.base import DataError
from unet_lib.data.files import read_image
from unet_lib.data.pairing import list_pictures
from unet_lib.data.write import new_files, save_gray, save_labels
from unet_lib.evaluation.instances import label_instances
from unet_lib.evaluation.tiles import predict
from unet_lib.model.unet import SegmentationModel
from unet_lib.training.checkpoint import CheckpointError, load_model
from unet_lib.training.task import Task, load_task


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
        self._require_finite(model, task)
        files = self._files()
        done, failed = 0, []
        for file, written in tqdm(files.items(), unit="picture", disable=None):  # on a terminal
            if all(path.exists() for path in written):
                continue
            try:
                self._predict(model, task, file, *written)
                done += 1
            except ValueError as error:  # an OSError, as of a full disk, concerns all the others
                failed.append(str(error) if str(file) in str(error) else f"{file}: {error}")
        there = len(files) - done - len(failed)
        known = f", {there} {'was' if there == 1 else 'were'} there already" if there else ""
        print(f"{_pictures(done)} predicted{known}, masks in {self.output / 'masks'}")
        if failed:
            print(f"error: {_pictures(len(failed))} could not be predicted", file=sys.stderr)
            print(*(f"- {message}" for message in failed), sep="\n", file=sys.stderr)
        return 1 if failed else 0

    def _files(self) -> dict[Path, tuple[Path, ...]]:
        """What is to be written for each picture: its mask and, if asked for, its instances."""
        if self.pictures and not any(path.exists() for path in self.pictures):
            raise ValueError(f"{self.pictures[0]}: no such file or folder; check the path")
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
        """One picture; what is there already stays, as the mask when instances are asked later."""
        logits = predict(model, prepared(file, task), self.tile)
        for path in instances:
            if not path.exists():
                save_labels(path, label_instances(logits, task.threshold))
        if mask.exists():
            return
        if task.target == "classes":
            save_labels(mask, task.mask(logits), as_classes=True)
        else:
            save_gray(mask, 255 * task.mask(logits))

    def _require_finite(self, model: SegmentationModel, task: Task) -> None:
        """What is wrong with network or tile, found on a black picture before any is read."""
        smallest = torch.zeros(task.in_channels, model.minimum_size, model.minimum_size)
        if not predict(model, smallest, self.tile).isfinite().all():
            raise ValueError(
                f"{self.checkpoint}: the network gives NaN or infinite logits, so every mask would "
                "be wrong; take an older checkpoint, or train again at a lower learning rate"
            )


def prepared(file: Path, task: Task) -> Float[Tensor, "C H W"]:
    """A picture file as the network has learned to see it.

    Raises DataError, naming the file, where it cannot be read, or holds NaN or infinity.

    >>> prepared(Path("none.png"), Task())
    Traceback (most recent call last):
    ...
    unet_lib.data.files.UnreadableError: none.png: no such file
    """
    image = read_image(file, task.mode)
    if bad := np.count_nonzero(~np.isfinite(image)):
        raise DataError(
            f"{file}: {bad} of {image.size} values are NaN or infinite; replace them, or leave the "
            "picture out",
            cause="not-finite",
        )
    return task.prepare(image)


def load_trained(
    checkpoint: Path, threshold: float | None = None
) -> tuple[SegmentationModel, Task]:
    """The network of a checkpoint, on the GPU if there is one, and its task.

    Raises CheckpointError where it cannot be loaded, or where the two differ in their channels.

    >>> load_trained(Path("runs/none/best.pt"))
    Traceback (most recent call last):
    ...
    unet_lib.training.checkpoint.CheckpointError: no checkpoint runs/none/best.pt; ...
    """
    task = load_task(checkpoint)
    model = load_model(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu")
    channels = model.settings.in_channels, model.settings.out_channels
    if channels != (task.in_channels, task.out_channels):
        raise CheckpointError(
            f"{checkpoint}: its task takes {task.in_channels} and gives {task.out_channels} "
            f"channels, its network {channels[0]} and {channels[1]}; save it with the task of its "
            "training"
        )
    return model, task if threshold is None else replace(task, threshold=threshold)


def _pictures(number: int) -> str:
    return f"{number} picture{'' if number == 1 else 's'}"
