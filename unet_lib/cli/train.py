"""`python -m unet_lib train`: a network, from simulated or own images."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch.utils.data import Subset
from torchvision.transforms import v2
from tyro.conf import Fixed, Suppress

from unet_lib.cli.options import FLAT, Source
from unet_lib.data.base import SegmentationDataset
from unet_lib.data.splits import require_disjoint, split
from unet_lib.data.write import write_atomically
from unet_lib.model.unet import UNet, UNetSettings
from unet_lib.training.checkpoint import CheckpointError
from unet_lib.training.devices import process_state
from unet_lib.training.loop import fit
from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task, load_task
from unet_lib.transforms import Joint, RandomRightAngle, compose, random_crop, random_flips


@dataclass(frozen=True)
class NetworkSettings(UNetSettings):
    """The U-Net to train; its channels follow from the task.

    >>> NetworkSettings().width
    16
    """

    in_channels: Suppress[Fixed[int]] = 1
    out_channels: Suppress[Fixed[int]] = 1
    width: int = 16
    padding: Suppress[Fixed[Literal["same", "valid"]]] = "same"
    norm: Literal["none", "batch", "group"] = "batch"


@dataclass(frozen=True)
class Train:
    """Train a U-Net; write last.pt, best.pt and history.json into a folder.

    Without options: on simulated nuclei, in about a minute on two cores.

    >>> Train(folder=Path("runs/nuclei")).training.epochs
    15
    """

    source: Annotated[Source, FLAT] = field(default_factory=Source)
    """Where the pictures come from: simulated, unless folders or a data set are named."""
    task: Annotated[Task, FLAT] = field(default_factory=Task)
    """What the network is to predict, from which pictures."""
    network: Annotated[NetworkSettings, FLAT] = field(default_factory=NetworkSettings)
    """The U-Net."""
    training: Annotated[TrainingSettings, FLAT] = field(
        default_factory=lambda: TrainingSettings(epochs=15)
    )
    """How to train it."""
    crop: int = 128
    """Height and width of the parts that are cut out, so that pictures of any size make a batch.
    Validation sees one and the same part of each picture."""
    augment: Literal["all", "flip", "none"] = "all"
    """Flips and quarter turns; left to right alone, for photographs; or neither."""
    validation: float = 0.2
    """Share of the pictures that is kept for validation, drawn at random by the seed."""
    folder: Path = Path("runs/unet")
    """Where the checkpoints go."""
    resume: bool = False
    """Go on from last.pt, with the same options."""

    def __call__(self) -> None:
        """Train, and say where the result is: once, however many processes train together."""
        process = process_state()
        dataset = self.source.open(self.task)
        task = self.task
        if task.target == "classes":
            task = replace(task, num_classes=dataset.num_classes)
        self._check_folder(task)
        torch.manual_seed(self.training.seed)
        channels = {"in_channels": task.in_channels, "out_channels": task.out_channels}
        model = UNet(**asdict(self.network) | channels)
        parts = self._split(dataset, task)
        process.print("{} pictures for training, {} for validation".format(*map(len, parts)))
        history = fit(
            model,
            *parts,
            loss=task.loss,
            settings=self.training,
            scores=task.scores,
            folder=self.folder,
            resume=self.resume,
            extra=task.stored(),
        )
        text = json.dumps(history.rows, indent=1)
        if process.is_main_process:
            write_atomically(self.folder / "history.json", lambda file: file.write(text.encode()))
        best = max(history.rows, key=lambda row: row["dice_per_image"])
        process.print(
            f"{self.folder / 'best.pt'}: epoch {best['epoch']}, mean Dice of the validation "
            f"pictures {best['dice_per_image']:.3f} (trained in {history.mode})"
        )

    def _check_folder(self, task: Task) -> None:
        last = self.folder / "last.pt"
        if last.exists() and not self.resume:
            raise CheckpointError(
                f"{last} holds another run: pass --resume to go on with it, or another --folder"
            )
        if last.exists() and (stored := load_task(last)) != task:
            raise CheckpointError(
                f"{last} was trained for {stored}, not for {task}; resume with the same options, "
                "or train into another folder"
            )

    def _split(self, dataset: SegmentationDataset, task: Task) -> tuple[Subset, Subset]:
        """The training part, transformed at random, and the validation part."""
        cut = random_crop((self.crop, self.crop), fill_labels=task.ignore_index or 0)
        turns = {
            "all": [random_flips(), RandomRightAngle()],
            "flip": [v2.RandomHorizontalFlip()],
            "none": [],
        }
        shares = (1 - self.validation, self.validation)
        train, validation = split(len(dataset), shares, self.training.seed)
        parts = (
            Subset(
                dataset.with_(transform=compose(cut, *turns[self.augment]), target=task.encode),
                train.tolist(),
            ),
            Subset(
                dataset.with_(transform=_Repeatable(cut), target=task.encode), validation.tolist()
            ),
        )
        require_disjoint(*parts)
        return parts


class _Repeatable:
    """A transform with the same random numbers for every picture, in every epoch."""

    def __init__(self, transform: Joint) -> None:
        self.transform = transform

    def __call__(self, *pair: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.transform(*pair)
