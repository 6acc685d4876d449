"""`python -m unet_lib train`: a network, from simulated or own images."""

import math
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from tyro.conf import Fixed, Suppress

from unet_lib.cli.budget import Budget
from unet_lib.cli.material import Material, deal
from unet_lib.cli.network import NetworkSettings
from unet_lib.cli.options import FLAT, Source
from unet_lib.cli.result import Result
from unet_lib.data.base import with_
from unet_lib.data.crops import Crops
from unet_lib.data.folder import PairedFolder
from unet_lib.memory.estimates import advice_for
from unet_lib.model.base import SegmentationModel
from unet_lib.training.checkpoint import CheckpointError
from unet_lib.training.epoch import OutOfMemoryError, TrainingError
from unet_lib.training.lock import locked
from unet_lib.training.loop import fit
from unet_lib.training.precision import process_state
from unet_lib.training.run_folder import require_free
from unet_lib.training.settings import History, TrainingSettings
from unet_lib.training.task import Task
from unet_lib.training.trained import Trained
from unet_lib.training.whole import WholeImages
from unet_lib.transforms.recipes import views

KEPT = 2**30  # bytes of images that stay in memory, read and normalized
EASY = 360  # steps, for simulated nuclei: a minute and a half on two cores
MINUTES = 8.0  # that a run may take, where nothing is said
FOR_TRAINING = 0.85  # of the minutes; the rest is for the scores and the pages about them


@dataclass(frozen=True)
class Course(TrainingSettings):
    """How to train; the number of epochs follows from the budget."""

    epochs: Suppress[Fixed[int]] = 1


@dataclass(frozen=True)
class Train:
    """Train a U-Net; write last.pt, best.pt, history.json and report.html into a folder.

    It learns from crops, as many of each image as its area holds, for a number of steps that
    grows with the area of all images, within bounds, and ends within --minutes. It is judged on
    whole images that it did not learn from.
    Without options: on simulated nuclei, in about a minute and a half on two cores.

    >>> Train(folder=Path("runs/nuclei")).crop
    128
    """

    source: Annotated[Source, FLAT] = field(default_factory=Source)
    """Where the images come from: simulated, unless folders or a data set are named."""
    task: Annotated[Task, FLAT] = field(default_factory=Task)
    """What the network is to predict, from which images."""
    network: Annotated[NetworkSettings, FLAT] = field(default_factory=NetworkSettings)
    """The network."""
    steps: int | None = None
    """Steps of the optimizer; if not given, 15 times the area of the images, 600 to 1500, or 360
    for simulated ones, which are easy."""
    epochs: int | None = None
    """Passes through the training set. In place of steps: each shows every crop once."""
    minutes: float | None = None
    """End within that time, with fewer steps where they are slow; 0 sets no limit. If not given,
    8, or no limit where steps or epochs are given. A run that goes on has what it left of them."""
    training: Annotated[Course, FLAT] = field(default_factory=Course)
    """How to train it."""
    crop: int = 128
    """Height and width of the parts that are cut out, so that images of any size make a batch."""
    objects: float = 0.0
    """Share of the crops that are cut around an object, the classes drawn alike: for rare ones."""
    augment: Literal["all", "flip", "none"] = "all"
    """Flips and quarter turns; left to right alone, for photographs; or neither."""
    validation: float = 0.2
    """Share of the images that is kept for validation, drawn at random by the seed."""
    folder: Path = Path("runs/unet")
    """Where the result goes."""
    resume: bool = False
    """Go on from last.pt, with the same options and images."""

    def _check(self) -> None:
        """Raises ValueError for options that do not fit together."""
        if self.steps is not None and self.epochs is not None:
            raise ValueError("steps and epochs both say how long to train: pass one of them")
        replace(self.training, epochs=1 if self.epochs is None else self.epochs)  # checks it
        for name, least in (("crop", 1), ("steps", 1), ("minutes", 0)):
            value = getattr(self, name)
            if value is not None and not least <= value < math.inf:
                raise ValueError(f"{name} must be at least {least}, and finite, got {value}")
        if self.task.target == "classes" and self.task.threshold != Task.threshold:
            raise ValueError(
                'threshold is not used with target "classes": the likeliest class is taken; leave '
                "it out"
            )

    def __call__(self) -> None:
        """Train, and say where the result is: once, however many processes train together."""
        self._check()
        begin, process = time.perf_counter(), process_state()
        seconds = 60 * self._limit or math.inf
        with locked(self.folder if process.is_main_process else None):
            self._require_free()
            task, material = self._task_and_material()
            torch.manual_seed(self.training.seed)
            model = self.network.build(task.in_channels, task.out_channels)
            budget = self._budget(material)
            for line in (material.told(task), budget.told()):
                process.print(line)
            rest = FOR_TRAINING * seconds - (time.perf_counter() - begin)
            history = self._fit(model, task, material, budget, max(0.0, rest / 60))
            if process.is_main_process:
                kept = self.training.keep == "best" and history.best() is not None
                file = self.folder / ("best.pt" if kept else "last.pt")
                trained = Trained(model, task, precision="float32")
                result = Result(file, trained, material, history)
                result.write(self._shown(task, budget), begin + seconds)

    @property
    def _limit(self) -> float:
        """The minutes that a run may take; 0 for no limit."""
        if self.minutes is not None:
            return self.minutes
        return MINUTES if self.steps is self.epochs is None else 0.0

    def _require_free(self) -> None:
        """Raises CheckpointError where files of another run would be replaced."""
        require_free(self.folder, self.resume, "pass --resume", "another --folder")
        if self.resume and (self.folder / "last.pt").exists():
            return
        for file in (self.folder / "history.json", self.folder / "report.html"):
            if file.exists():
                raise CheckpointError(
                    f"{file} is there, without a run to go on with, and would be replaced: move it "
                    "away, or pass another --folder"
                )

    def _task_and_material(self) -> tuple[Task, Material]:
        """What is to be learned, and from what."""
        dataset, task = self.source.open(self.task), self.task
        if task.target == "classes" and isinstance(dataset, PairedFolder):
            task = replace(task, num_classes=dataset.num_classes)
        last = self.folder / "last.pt" if self.resume else None
        last = last if last is not None and last.exists() else None
        material = deal(dataset, task.void, self.validation, self.training.seed, last)
        material.require_something_to_learn(task)
        return task, material

    def _budget(self, material: Material) -> Budget:
        areas = [picture.pixels for picture in material.of("training")]
        size = self.training.batch_size * process_state().num_processes
        simulated = self.source.images is None and self.source.dataset == "simulated"
        steps = EASY if simulated and self.steps is None else self.steps
        return Budget(areas, self.crop, size, steps, self.epochs)

    def _fit(
        self, model: SegmentationModel, task: Task, material: Material, budget: Budget, rest: float
    ) -> History:
        """Trains; where memory runs out, the error says what would fit."""
        images = with_(task.apply(material.images("training")), target=None)
        view, _ = views(self.crop, self.augment, task.void, self.objects)
        crops = Crops(images, view, task.encode, task.void, 12 * sum(budget.areas) < KEPT)
        checks = WholeImages(material.some("validation", budget.checked_pixels))
        options: dict[str, Any] = {
            "settings": replace(self.training, epochs=budget.epochs),
            "about": self._about() | {"split": material.split()},
            "sampler": budget.sampler(self.training.seed),
            "folder": self.folder,
            "resume": self.resume,
            "minutes": rest,
        }
        steps = [budget.steps]
        options["on_step"] = lambda step, _: steps.append(step)
        try:
            history = fit(model, crops, checks, task=task, **options)
        except OutOfMemoryError as error:
            if not error.shape:
                raise
            advice = advice_for(model, error.shape, error.precision)
            raise TrainingError(f"{error}; {advice}") from error
        if steps[-1] < budget.steps and not self.training.patience:
            told = f"time was over after {steps[-1]} of {budget.steps} steps"
            process_state().print(f"{told}: more --minutes may give a better network")
        return history

    def _about(self) -> dict[str, Any]:
        """What has to be the same where a run goes on; which images is in its split."""
        places = ("images", "masks", "root", "download")
        source = {k: v for k, v in asdict(self.source).items() if k not in places}
        own = ("crop", "augment", "objects", "validation", "steps")
        return source | {name: getattr(self, name) for name in own}

    def _shown(self, task: Task, budget: Budget) -> dict[str, Any]:
        """All settings that are used, for the page about the run."""
        parts = self.source, task, self.network, replace(self.training, epochs=budget.epochs)
        settings = {k: v for part in parts for k, v in asdict(part).items()}
        settings |= self._about() | {"steps": budget.steps, "minutes": self._limit}
        unused = {"in_channels", "out_channels"}
        unused |= set() if self.network.encoder else {"weights", "decoder_width"}
        if self.source.images is not None:
            unused |= {"dataset", "download", "count", "size", "simulation_seed"}
        return {k: v for k, v in settings.items() if v not in (None, (), "") and k not in unused}
