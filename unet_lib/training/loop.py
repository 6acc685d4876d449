"""The loop around `train_epoch` and `evaluate`: schedule, checkpoints, resume (chapter 4).

Hugging Face Accelerate carries the devices: the same `fit` runs on a laptop's CPU, on a GPU, and
under `accelerate launch` or `torchrun` in several processes.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from unet_lib.data.base import PADDING
from unet_lib.data.facts import ImageFacts
from unet_lib.model.base import unwrapped
from unet_lib.training.checkpoint import load_weights
from unet_lib.training.epoch import LossFunction, OnStep
from unet_lib.training.losses import segmentation_loss
from unet_lib.training.monitor import Direction, Metric, check_monitor
from unet_lib.training.parts import (
    Collate,
    Data,
    ParameterGroups,
    groups_of,
    new_checks,
    new_loader,
)
from unet_lib.training.precision import agree_on_mode
from unet_lib.training.run import Run
from unet_lib.training.run_folder import RunFolder
from unet_lib.training.settings import History, TrainingSettings
from unet_lib.training.task import Task
from unet_lib.training.whole import WholeImages


def fit(
    model: nn.Module,
    train: Data,
    validation: Data | WholeImages | None = None,
    *,
    task: Task | None = None,
    loss: LossFunction | None = None,
    settings: TrainingSettings | None = None,
    metrics: Mapping[str, Metric] | None = None,
    monitor: str = "dice_per_image",
    mode: Direction = "max",
    folder: Path | str | None = None,
    resume: bool = False,
    sampler: Iterable[int] | None = None,
    collate: Collate | None = None,
    parameter_groups: ParameterGroups | None = None,
    on_step: OnStep | None = None,
    on_epoch: Callable[[dict[str, float]], Any] | None = None,
    minutes: float = math.inf,
    about: Mapping[str, Any] | None = None,
    verbose: bool = True,
) -> History:
    """Trains the model in place; returns the history, one row an epoch.

    Args:
        model: Any network that takes images and gives logits; of a compiled or wrapped one what
            is inside is trained, and saved.
        train: Images with their targets: a data set, or a DataLoader of your own.
        validation: The same, for scores of images that are not trained on; or `WholeImages`.
        task: What the network predicts: prepares data sets, gives loss and scores, and is stored
            in the checkpoints.
        loss: Called with logits and target; without it the task's, or cross-entropy + Dice.
        settings: How to train; `TrainingSettings()` if none are given.
        metrics: More scores by name: functions of the logits and the target of one image, (1, K,
            H, W), averaged over the images for which they are a number, or torchmetrics metrics.
        monitor: The score that finds the best epoch, or "loss", or "validation_loss".
        mode: "max" where the best is the largest, "min" where it is the smallest.
        folder: Every epoch writes `last.pt` there, the best one `best.pt`. Another run there is
            neither replaced nor disturbed.
        resume: Go on from `last.pt`, to the same result as an uninterrupted run.
        sampler: Draws the images of a training set, in place of their order by chance.
        collate: Makes a batch of a list of items.
        parameter_groups: Called with the model; returns groups as optimizers take them,
            `{"params": [...], "lr": largest rate}`, in place of one rate for all.
        on_step: Called with the number of each step, from 1 on, and its loss.
        on_epoch: Called with each row.
        minutes: End within that time: where steps are slow, there are fewer, and the schedule
            comes to its end all the same. How many is then up to the machine.
        about: What else the run is made of, as JSON can hold it; stored in the checkpoints, and
            `resume` wants the same again.
        verbose: Print the course of the training.

    Raises:
        ValueError: Data that gives no batch, a monitor that no epoch will have.
        TrainingError: A loss that is not finite; too little memory.
        CheckpointError: The folder holds a run that would be replaced, or another program is at
            work there; `last.pt` comes from other settings; a network that cannot be saved.
        OSError: The folder cannot be written, or the disk is full.

    Warns (OneClassWarning), once, when the last epoch, or some (2 to 5) in a row, predict one
    and the same class for every pixel of the validation set.

    >>> from unet_lib.data import SimulatedNuclei, foreground
    >>> from unet_lib.model import UNet
    >>> nuclei = SimulatedNuclei(4, size=(32, 32), target=foreground)
    >>> model = UNet(1, 1, width=2, depth=1)
    >>> settings = TrainingSettings(epochs=2, precision="float32")
    >>> len(fit(model, nuclei, settings=settings, verbose=False).rows)
    2
    """
    s, metrics, model = settings or TrainingSettings(), metrics or {}, unwrapped(model)
    check_monitor(monitor, mode, metrics, validation is not None)
    loader = new_loader("training", train, s, task, collate, sampler)
    checks = new_checks(validation, s, task, collate)
    loss = loss or (partial(segmentation_loss, ignore_index=PADDING) if task is None else task.loss)
    facts = None if folder is None else ImageFacts.of(loader.dataset)
    with RunFolder(folder, s, task, about or {}, facts, monitor=monitor, mode=mode) as files:
        stored = files.stored(resume)
        chosen = stored.get("mode") or agree_on_mode(model, loader, loss, s.precision, verbose)
        groups = groups_of(model, parameter_groups)
        run = Run(model, loader, checks, loss, s, groups, chosen, 60 * minutes)
        with run.open(verbose):  # also when the reader interrupts the kernel the model is usable
            best_weights = run.restore(stored, files) if stored else None
            files.try_out(model, run.state())
            while run.goes_on(monitor, mode):
                row = run.epoch(task, metrics, on_step)
                if row is run.history.best(monitor, mode):
                    best_weights = copy.deepcopy(model.state_dict())
                    files.save("best.pt", model, run.state())
                files.save("last.pt", model, run.state())
                if on_epoch is not None:
                    on_epoch(row)
    if s.keep == "best" and best_weights is not None:
        load_weights(model, best_weights)
    return run.history
