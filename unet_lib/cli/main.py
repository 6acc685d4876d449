"""The library from a shell: `python -m unet_lib train | predict | evaluate | export | ...`.

Every command is a frozen dataclass: tyro makes its options of the fields, their help of the
texts below them. What a command does is done by the library; here it is only put together.
"""

import copy
import inspect
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import torch
import tyro
from torch.utils.data import Subset
from torchvision.transforms import v2
from tyro.conf import Fixed, Positional, Suppress, subcommand

from unet_lib.cli.check import Doctor
from unet_lib.cli.data import Check, Scenes, Simulate
from unet_lib.cli.export import Export
from unet_lib.cli.options import Source, for_shells
from unet_lib.cli.predict import Predict, load_trained
from unet_lib.data.base import SegmentationDataset, Transform
from unet_lib.data.splits import require_disjoint, split
from unet_lib.data.write import write_atomically
from unet_lib.model.unet import UNet, UNetSettings
from unet_lib.training.checkpoint import CheckpointError
from unet_lib.training.devices import process_state
from unet_lib.training.epoch import TrainingError
from unet_lib.training.loop import fit
from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task, load_task, score_pictures
from unet_lib.transforms import Joint, RandomRightAngle, compose, random_crop, random_flips

FLAT = tyro.conf.arg(name="")  # options without a prefix, and errors that reach `main`


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
            Subset(_with(dataset, task, compose(cut, *turns[self.augment])), train.tolist()),
            Subset(_with(dataset, task, _Repeatable(cut)), validation.tolist()),
        )
        require_disjoint(*parts)
        return parts


@dataclass(frozen=True)
class Evaluate:
    """Score a checkpoint on simulated nuclei, on folders of your own, or on dsb2018's test part.

    >>> Evaluate(Path("runs/unet/best.pt")).source.simulation_seed
    1
    """

    checkpoint: Positional[Path]
    """What train wrote, for example runs/unet/best.pt."""
    source: Annotated[Source, FLAT] = field(
        default_factory=lambda: Source(count=48, simulation_seed=1)
    )
    """Where the pictures come from: simulated (not those of training), unless named."""
    threshold: float | None = None
    """Probability from which on a pixel is foreground; the checkpoint's if it is not given."""
    json: bool = False
    """Print JSON instead of a table."""

    def __call__(self) -> None:
        """Score, and print the result."""
        model, task = load_trained(self.checkpoint, self.threshold)
        dataset = self.source.open(task, split="test")
        scores = score_pictures(model, task, dataset, self.source.numbers_objects(task))
        if self.json:
            about = {"pictures": len(dataset), "task": asdict(task), "scores": scores}
            print(json.dumps(about, indent=1))
            return
        print(f"{len(dataset)} pictures, {task.target}, threshold {task.threshold}")
        for name, value in scores.items():
            print(f"  {name:20} {value:.4f}")
        if task.target == "classes":
            print("means over the classes, background included")
        print("per_image: mean of the pictures' scores (1 where there is nothing, and nothing was")
        print("found); pooled: pixels, or for ap objects, of all pictures added up first")


def _named(command: type, name: str) -> Any:
    """The command under its name; its help is its docstring without the example."""
    text = inspect.getdoc(command).partition(">>>")[0].strip()
    return Annotated[command, subcommand(name, description=text)]


@dataclass(frozen=True)
class Data:
    """Write or examine pictures and masks.

    >>> Data(Simulate(Path("cells"))).action.count
    20
    """

    action: _named(Simulate, "simulate") | _named(Check, "check") | _named(Scenes, "voc")

    def __call__(self) -> None:
        """Do it."""
        self.action()


COMMANDS = {
    "train": Train,
    "predict": Predict,
    "evaluate": Evaluate,
    "export": Export,
    "check": Doctor,
    "data": Data,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 0, or 2 after an error that the user can mend, told on one line or list.

    `check` ends with 1 where it finds something, `predict` where a picture could not be read.

    >>> main(["data", "check", "--images", "no/images", "--masks", "no/masks"])  # on stderr: ...
    2
    """
    options = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)
    command = Union[tuple(_named(kind, name) for name, kind in COMMANDS.items())]  # noqa: UP007
    try:
        status = tyro.cli(command, args=arguments, prog="python -m unet_lib", config=options)()
    except (ValueError, OSError, TrainingError) as error:  # ours: data, checkpoints, settings
        lines = (line + for_shells(line) for line in str(error).splitlines())
        print("error:", "\n".join(lines), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status or 0


def _with(dataset: SegmentationDataset, task: Task, transform: Transform) -> SegmentationDataset:
    """The same pictures, transformed, with the targets of the task."""
    dataset = copy.copy(dataset)
    dataset.transform, dataset.target = transform, task.encode
    return dataset


class _Repeatable:
    """A transform with the same random numbers for every picture, in every epoch."""

    def __init__(self, transform: Joint) -> None:
        self.transform = transform

    def __call__(self, *pair: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.transform(*pair)
