"""The loop around `train_epoch` and `evaluate`: schedule, checkpoints, resume (chapter 4).

Hugging Face Accelerate carries the devices: the same `fit` runs on a laptop's CPU, on a GPU, and
under `accelerate launch` or `torchrun` in several processes.
"""

import copy
import itertools
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from torch import nn
from torch.utils.data import DataLoader, SequentialSampler
from tqdm import tqdm

from unet_lib.data.base import image_name
from unet_lib.evaluation.metrics import SegmentationScores
from unet_lib.training.checkpoint import CheckpointError, load_weights
from unet_lib.training.epoch import LossFunction, OnStep, TrainingError, evaluate, train_epoch
from unet_lib.training.losses import segmentation_loss
from unet_lib.training.monitor import Direction, Metric, OneClassWarning, check_monitor, one_class
from unet_lib.training.parts import (
    Collate,
    Data,
    ParameterGroups,
    groups_of,
    new_loader,
    new_optimizer,
    new_schedule,
)
from unet_lib.training.precision import EPOCHS_PER_SEED, Mode, agree_on_mode, new_accelerator
from unet_lib.training.run_folder import RunFolder
from unet_lib.training.settings import History, TrainingSettings
from unet_lib.training.task import Task

LINES = 10  # printed in a run, about


def fit(
    model: nn.Module,
    train: Data,
    validation: Data | None = None,
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
    verbose: bool = True,
) -> History:
    """Trains the model in place; returns the history, one row an epoch.

    Args:
        model: Any network that takes images and gives logits.
        train: Images with their targets: a data set, or a DataLoader of your own.
        validation: The same, for scores of images that are not trained on.
        task: What the network predicts: prepares data sets, gives loss and scores, and is stored
            in the checkpoints.
        loss: Called with logits and target; without it the task's, or cross-entropy + Dice.
        settings: How to train; `TrainingSettings()` if none are given.
        metrics: More scores by name: functions of the logits and the target of one image, (1, K,
            H, W), averaged over the images for which they are a number, or torchmetrics metrics.
        monitor: The score that finds the best epoch, or "loss", or "validation_loss".
        mode: "max" where the best is the largest, "min" where it is the smallest.
        folder: Every epoch writes `last.pt` there, the best one `best.pt`.
        resume: Go on from `last.pt`, to the same result as an uninterrupted run.
        sampler: Draws the images of a training set, in place of their order by chance.
        collate: Makes a batch of a list of items.
        parameter_groups: Called with the model; returns groups as optimizers take them,
            `{"params": [...], "lr": largest rate}`, in place of one rate for all.
        on_step: Called with the number of each step, from 1 on, and its loss.
        on_epoch: Called with each row.
        verbose: Print the course of the training.

    Raises:
        ValueError: Data that gives no batch, a monitor that no epoch will have.
        TrainingError: A loss that is not finite; too little memory.
        CheckpointError: `last.pt` comes from other settings; a network that cannot be saved.

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
    s, metrics = settings or TrainingSettings(), metrics or {}
    check_monitor(monitor, mode, metrics, validation is not None)
    loader = new_loader("training", train, s, task, collate, sampler)
    checks = None if validation is None else new_loader("validation", validation, s, task, collate)
    loss = loss or (segmentation_loss if task is None else task.loss)
    files = RunFolder(folder, s, task, monitor=monitor, mode=mode)
    stored = files.stored() if resume else {}
    chosen = stored.get("mode") or agree_on_mode(model, loader, loss, s.precision, verbose)
    run = _Run(model, loader, checks, loss, s, groups_of(model, parameter_groups), chosen)
    try:
        best_weights = run.restore(stored, files) if stored else None
        files.try_out(model, run.state())
        while run.goes_on(monitor, mode):
            row = run.epoch(task, metrics, on_step, verbose)
            if row is run.history.best(monitor, mode):
                best_weights = copy.deepcopy(model.state_dict())
                files.save("best.pt", model, run.state())
            files.save("last.pt", model, run.state())
            if on_epoch is not None:
                on_epoch(row)
    finally:  # also when the reader interrupts the kernel: the model is usable
        run.close()
    if s.keep == "best" and best_weights is not None:
        load_weights(model, best_weights)
    return run.history


class _Run:
    """What `fit` works with: everything that Accelerate prepared, and the history."""

    def __init__(
        self,
        model: nn.Module,
        loader: DataLoader,
        checks: DataLoader | None,
        loss: LossFunction,
        settings: TrainingSettings,
        groups: list[dict[str, Any]],
        mode: Sequence[Any],
    ) -> None:
        self.settings, self.loss, self.unwrapped = settings, loss, model
        self.mode = mode = Mode(*mode)
        self.accelerator = new_accelerator(mode.precision, settings)
        if mode.channels_last:
            model.to(memory_format=torch.channels_last)
        fused = self.accelerator.device.type in ("cpu", "cuda")
        optimizer = new_optimizer(groups, settings, fused)
        self.model, self.optimizer, self.train = self.accelerator.prepare(model, optimizer, loader)
        self.checks = None if checks is None else self.accelerator.prepare(checks)
        steps = settings.epochs * math.ceil(len(self.train) / settings.accumulation_steps)
        self.schedule = new_schedule(optimizer, settings, steps)
        self.history = History(mode=str(mode))
        self.one_class_epochs, self.warned = 0, False

    def goes_on(self, monitor: str, mode: Direction) -> bool:
        """Whether another epoch is due: there are more, and patience is not at its end."""
        rows, best = self.history.rows, self.history.best(monitor, mode)
        patience = self.settings.patience
        waited = 0 if best is None else len(rows) - best["epoch"]
        return len(rows) < self.settings.epochs and not 0 < patience <= waited

    def epoch(
        self, task: Task | None, metrics: Mapping[str, Metric], on_step: OnStep | None, tell: bool
    ) -> dict[str, float]:
        """Trains and evaluates once."""
        epoch, start = len(self.history.rows) + 1, time.perf_counter()
        tell = tell and self.accelerator.is_main_process
        rate = max(group["lr"] for group in self.optimizer.param_groups)
        loss = self._train(epoch, on_step, tell)
        row = {"epoch": epoch, "learning_rate": rate, "loss": loss}
        if self.checks is not None:
            scores = SegmentationScores() if task is None else task.scores()
            result = evaluate(self.model, self.checks, self.loss, scores, self.accelerator, metrics)
            row |= {"validation_loss": result.pop("loss")} | result
            self._warn_of_one_class(epoch, scores)
        row["seconds"] = time.perf_counter() - start
        self.history.rows.append(row)
        epochs = self.settings.epochs
        if tell and (epoch in (1, epochs) or epoch % max(1, epochs // LINES) == 0):
            shown = ("loss", "validation_loss", "dice_per_image", *metrics)
            numbers = "  ".join(f"{name} {row[name]:.3f}" for name in shown if name in row)
            tqdm.write(f"epoch {epoch:3d}/{epochs}  {numbers}  {row['seconds']:.1f} s")
        return row

    def _train(self, epoch: int, on_step: OnStep | None, tell: bool) -> float:
        """One epoch; every random number follows from the seed and the epoch."""
        s, before = self.settings, (epoch - 1) * len(self.train)
        seed = s.seed * EPOCHS_PER_SEED + epoch
        set_seed(seed, device_specific=True)
        self.train.set_epoch(epoch)
        if (generator := getattr(self._sampler, "generator", None)) is not None:
            generator.manual_seed(seed)

        def counted(step: int, loss: float) -> None:
            if on_step is not None:
                on_step(before + step, loss)

        hide = not tell or None
        parts = self.optimizer, self.accelerator, self.schedule, s.clip_norm, counted
        with tqdm(self.train, f"epoch {epoch}", leave=False, disable=hide, unit="batch") as bar:
            try:
                return train_epoch(self.model, bar, self.loss, *parts)
            except TrainingError as error:
                error.epoch, error.images = epoch, self._images(epoch, error.step)
                raise

    @property
    def _sampler(self) -> Any:
        batches = self.train.batch_sampler
        return getattr(getattr(batches, "batch_sampler", batches), "sampler", None)

    def _images(self, epoch: int, step: int | None) -> str:
        """The names of a step's images, where the sampler repeats its order from the epoch."""
        repeats = hasattr(self._sampler, "epoch") or isinstance(self._sampler, SequentialSampler)
        if not step or not repeats:
            return ""
        self.train.set_epoch(epoch)
        indices = next(itertools.islice(iter(self.train.batch_sampler), step - 1, None), [])
        return ", ".join(image_name(self.train.dataset, index) for index in indices)

    def _warn_of_one_class(self, epoch: int, scores: SegmentationScores) -> None:
        """Once, and not while a slow start may still explain it."""
        found = one_class(scores.counts)
        self.one_class_epochs = self.one_class_epochs + 1 if found else 0
        enough = max(2, min(5, self.settings.epochs // 2))
        due = self.one_class_epochs == enough or (found and epoch == self.settings.epochs)
        if due and not self.warned and self.accelerator.is_main_process:
            self.warned = True
            warnings.warn(
                f"after epoch {epoch} {found}; `python -m unet_lib check` looks for the cause, and "
                'the chapter "My mask is black" shows what it may be',
                OneClassWarning,
                stacklevel=4,
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside the model, so that the run can go on from it."""
        scaler = self.accelerator.scaler
        return {
            "history": json.dumps(self.history.rows),
            "mode": list(self.mode),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
        }

    def restore(self, contents: Mapping[str, Any], files: RunFolder) -> dict[str, Any] | None:
        """Goes back to where the contents were saved; returns the best weights until then."""
        last = f"{files.folder}/last.pt"
        load_weights(self.unwrapped, contents["weights"], last)
        try:
            self.optimizer.load_state_dict(contents["optimizer"])
        except ValueError as error:
            raise CheckpointError(
                f"{last} was trained with other parameter groups ({error}); resume with the "
                "same parameter_groups, or train into another folder"
            ) from error
        self.schedule.load_state_dict(contents["schedule"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(contents["scaler"])
        self.history.rows = json.loads(contents["history"])
        return files.read("best.pt").get("weights")

    def close(self) -> None:
        """Gives the model back as it was handed in: no wrapper, no autocast."""
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        self.accelerator.free_memory()
