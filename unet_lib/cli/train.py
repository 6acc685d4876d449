"""`python -m unet_lib train`: a network, from simulated or own images."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch.utils.data import Subset
from tyro.conf import Fixed, Suppress

from unet_lib.cli.options import FLAT, Source
from unet_lib.data.folder import PairedFolder
from unet_lib.data.write import write_atomically
from unet_lib.memory.estimates import advice_for
from unet_lib.model.base import SegmentationModel
from unet_lib.model.norms import Norm
from unet_lib.model.unet import UNet, UNetSettings
from unet_lib.training.checkpoint import CheckpointError
from unet_lib.training.epoch import OutOfMemoryError, TrainingError
from unet_lib.training.loop import fit
from unet_lib.training.precision import process_state
from unet_lib.training.settings import History, TrainingSettings
from unet_lib.training.task import Task
from unet_lib.transfer.encoders import EncoderUNet, pretrained_unet


@dataclass(frozen=True)
class NetworkSettings(UNetSettings):
    """The network to train, a U-Net or one on an encoder of timm; its channels follow the task."""

    in_channels: Suppress[Fixed[int]] = 1
    out_channels: Suppress[Fixed[int]] = 1
    width: int = 16
    padding: Suppress[Fixed[Literal["same", "valid"]]] = "same"
    norm: Norm = "batch"
    encoder: str | None = None
    """A network of timm in place of the U-Net's own encoder, for example resnet34."""
    weights: str = "imagenet"
    """What that encoder has learned: none, imagenet, or a file of its weights."""
    decoder_width: int = 16
    """Channels of the decoder on such an encoder, at full size."""

    def build(self, in_channels: int, out_channels: int) -> SegmentationModel:
        """The network, for so many channels of the images and of the logits.

        Raises ValueError for options that belong to the other kind of network.
        """
        values = asdict(self) | {"in_channels": in_channels, "out_channels": out_channels}
        own = {"in_channels", "out_channels", "norm"}
        encoder, plain = {"encoder", "decoder_width"}, {f.name for f in fields(UNetSettings)}
        own |= encoder if self.encoder else plain
        options: dict[str, Any] = {name: values[name] for name in own}
        given = {name for name in values if getattr(self, name) != getattr(NetworkSettings, name)}
        if wrong := given - own - ({"weights"} if self.encoder else set()):
            names = ", ".join("--" + name.replace("_", "-") for name in sorted(wrong))
            raise ValueError(f"{names}: not with{'' if self.encoder else 'out'} an --encoder")
        if self.encoder is None:
            return UNet(**options)
        if self.weights == "none":
            return EncoderUNet(**options)
        weights = None if self.weights == "imagenet" else self.weights
        return pretrained_unet(weights=weights, **options)


@dataclass(frozen=True)
class Train:
    """Train a U-Net; write last.pt, best.pt and history.json into a folder.

    Without options: on simulated nuclei, in about a minute on two cores.

    >>> Train(folder=Path("runs/nuclei")).training.epochs
    15
    """

    source: Annotated[Source, FLAT] = field(default_factory=Source)
    """Where the images come from: simulated, unless folders or a data set are named."""
    task: Annotated[Task, FLAT] = field(default_factory=Task)
    """What the network is to predict, from which images."""
    network: Annotated[NetworkSettings, FLAT] = field(default_factory=NetworkSettings)
    """The network."""
    training: Annotated[TrainingSettings, FLAT] = field(
        default_factory=lambda: TrainingSettings(epochs=15)
    )
    """How to train it."""
    crop: int = 128
    """Height and width of the parts that are cut out, so that images of any size make a batch.
    Validation sees one and the same part of each image."""
    augment: Literal["all", "flip", "none"] = "all"
    """Flips and quarter turns; left to right alone, for photographs; or neither."""
    validation: float = 0.2
    """Share of the images that is kept for validation, drawn at random by the seed."""
    folder: Path = Path("runs/unet")
    """Where the checkpoints go."""
    resume: bool = False
    """Go on from last.pt, with the same options."""

    def __call__(self) -> None:
        """Train, and say where the result is: once, however many processes train together."""
        process, last = process_state(), self.folder / "last.pt"
        dataset, task = self.source.open(self.task), self.task
        if task.target == "classes" and isinstance(dataset, PairedFolder):
            task = replace(task, num_classes=dataset.num_classes)
        if last.exists() and not self.resume:
            raise CheckpointError(
                f"{last} holds another run: pass --resume to go on with it, or another --folder"
            )
        torch.manual_seed(self.training.seed)
        model = self.network.build(task.in_channels, task.out_channels)
        view = {"crop": self.crop, "augment": self.augment, "seed": self.training.seed}
        parts = dataset.split(1 - self.validation, **view)
        process.print("{} images for training, {} for validation".format(*map(len, parts)))
        history = self._fit(model, parts, task)
        text = json.dumps(history.rows, indent=1)
        if process.is_main_process:
            write_atomically(self.folder / "history.json", lambda file: file.write(text.encode()))
        best = history.best() or history.rows[-1]
        process.print(
            f"{self.folder / 'best.pt'}: epoch {best['epoch']}, mean Dice of the validation "
            f"images {best['dice_per_image']:.3f} (trained in {history.mode})"
        )

    def _fit(self, model: SegmentationModel, parts: tuple[Subset, Subset], task: Task) -> History:
        """Trains; where memory runs out, the error says what would fit."""
        options: dict[str, Any] = {"folder": self.folder, "resume": self.resume}
        try:
            return fit(model, *parts, task=task, settings=self.training, **options)
        except OutOfMemoryError as error:
            if not error.shape:
                raise
            advice = advice_for(model, error.shape, error.precision)
            raise TrainingError(f"{error}; {advice}") from error
