"""One run of `fit`: all that Accelerate prepared, the history, the pace (chapter 4)."""

import itertools
import json
import math
import time
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from accelerate.utils import set_seed
from torch import nn
from torch.utils.data import DataLoader, SequentialSampler
from tqdm import tqdm

from unet_lib.data.base import PADDING, image_name
from unet_lib.evaluation.metrics import SegmentationScores
from unet_lib.training.checkpoint import CheckpointError, load_weights
from unet_lib.training.epoch import LossFunction, OnStep, TrainingError, evaluate, train_epoch
from unet_lib.training.monitor import Direction, Metric, OneClassWarning, one_class
from unet_lib.training.pace import Pace
from unet_lib.training.parts import new_optimizer, new_schedule
from unet_lib.training.precision import EPOCHS_PER_SEED, Mode, new_accelerator, on_several_gpus
from unet_lib.training.run_folder import RunFolder
from unet_lib.training.settings import History, TrainingSettings
from unet_lib.training.shared_norm import shared_norm
from unet_lib.training.task import Task
from unet_lib.training.whole import WholeImages

LINES = 10  # printed in a run, about


class Run:
    """What `fit` works with: everything that Accelerate prepared, and the history."""

    def __init__(
        self,
        model: nn.Module,
        loader: DataLoader,
        checks: DataLoader | WholeImages | None,
        loss: LossFunction,
        settings: TrainingSettings,
        groups: list[dict[str, Any]],
        mode: Sequence[Any],
        seconds: float = math.inf,
    ) -> None:
        self.settings, self.loss, self.unwrapped = settings, loss, model
        self.mode = mode = Mode(*mode)
        self.accelerator = new_accelerator(mode.precision, settings)
        self.shared = ExitStack()
        self.shared.enter_context(shared_norm(model, on_several_gpus()))
        if mode.channels_last:
            model.to(memory_format=torch.channels_last)
        fused = self.accelerator.device.type in ("cpu", "cuda")
        optimizer = new_optimizer(groups, settings, fused)
        self.model, self.optimizer, self.train = self.accelerator.prepare(model, optimizer, loader)
        own = isinstance(checks, DataLoader)
        self.checks = self.accelerator.prepare(checks) if own else checks
        a_round = math.ceil(len(self.train) / settings.accumulation_steps)
        self.schedule = new_schedule(optimizer, settings, settings.epochs * a_round)
        self.pace = Pace(self.schedule, settings.epochs * a_round, a_round, seconds)
        self.history = History(mode=str(mode))
        self.one_class_epochs, self.warned = 0, False
        self.bar, self.tells = tqdm(disable=True), False

    @contextmanager
    def open(self, tell: bool) -> Generator[None, None, None]:
        """Gives the model back as it was handed in, also after an error: no wrapper, no autocast.

        With `tell` the course is printed, on a terminal with a bar for the whole run, whose time
        left counts the validations, too.
        """
        self.tells = tell and self.accelerator.is_main_process
        hide = None if self.tells else True
        self.bar = tqdm(unit="batch", leave=False, smoothing=0, disable=hide)
        try:
            yield
        finally:
            self.bar.close()
            self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
            self.accelerator.free_memory()
            self.shared.close()

    def goes_on(self, monitor: str, mode: Direction) -> bool:
        """Whether another epoch is due: there are more, and patience is not at its end."""
        rows, best = self.history.rows, self.history.best(monitor, mode)
        patience = self.settings.patience
        waited = 0 if best is None else len(rows) - best["epoch"]
        return (
            self.pace.left > 0 and len(rows) < self.settings.epochs and not 0 < patience <= waited
        )

    def epoch(
        self, task: Task | None, metrics: Mapping[str, Metric], on_step: OnStep | None
    ) -> dict[str, float]:
        """Trains and evaluates once."""
        epoch, start = len(self.history.rows) + 1, time.perf_counter()
        rate = max(group["lr"] for group in self.optimizer.param_groups)
        loss = self._train(epoch, on_step)
        row = {"epoch": epoch, "learning_rate": rate, "loss": loss}
        if self.checks is not None:
            row |= self._validate(epoch, task, metrics)
        row["seconds"] = time.perf_counter() - start
        self.history.rows.append(row)
        epochs = self.settings.epochs
        last = epoch == epochs or not self.pace.left
        if self.tells and (epoch == 1 or last or epoch % max(1, epochs // LINES) == 0):
            shown = ("loss", "validation_loss", "dice_per_image", *metrics)
            numbers = "  ".join(f"{name} {row[name]:.3f}" for name in shown if name in row)
            tqdm.write(f"epoch {epoch:3d}/{epochs}  {numbers}  {row['seconds']:.1f} s")
        return row

    def _validate(
        self, epoch: int, task: Task | None, metrics: Mapping[str, Metric]
    ) -> dict[str, float]:
        """The scores of the validation set; its loss, too."""
        start = time.perf_counter()
        scores = SegmentationScores(ignore_index=PADDING) if task is None else task.scores()
        if isinstance(self.checks, WholeImages):
            result = self.checks.evaluate(self.unwrapped, self.loss, scores, metrics)
        else:
            batches = self.checks or ()
            result = evaluate(self.model, batches, self.loss, scores, self.accelerator, metrics)
        if math.isnan(result["pixel_accuracy"]) and self.accelerator.is_main_process:
            warnings.warn(
                "no pixel of the validation set counts (all are void), so there is no score, and "
                "no best epoch: give it masks with classes in them",
                stacklevel=4,
            )
        self._warn_of_one_class(epoch, scores)
        self.pace.check_seconds = time.perf_counter() - start
        return {"validation_loss": result.pop("loss")} | result

    def _train(self, epoch: int, on_step: OnStep | None) -> float:
        """One epoch; every random number follows from the seed and the epoch."""
        s, before = self.settings, (epoch - 1) * len(self.train)
        seed = s.seed * EPOCHS_PER_SEED + epoch
        set_seed(seed, device_specific=True)
        self.train.set_epoch(epoch)
        if (generator := getattr(self._sampler, "generator", None)) is not None:
            generator.manual_seed(seed)

        def counted(step: int, loss: float) -> None:
            self.bar.total = self.bar.n + 1 + s.accumulation_steps * self.pace.steps_to_come
            self.bar.update()
            if on_step is not None:
                on_step(before + step, loss)

        parts = self.optimizer, self.accelerator, self.pace, s.clip_norm, counted
        self.pace.start_round()
        try:
            return train_epoch(self.model, self._batches(), self.loss, *parts)
        except TrainingError as error:
            error.epoch, error.images = epoch, self._images(epoch, error.step)
            raise

    def _batches(self) -> Iterator[Any]:
        """Those of one epoch, or of what is left of the schedule where time is short."""
        for batch in self.train:
            if not self.pace.left:
                return
            yield batch

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
                stacklevel=5,
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside the model, so that the run can go on from it."""
        scaler = self.accelerator.scaler
        return {
            "history": json.dumps(self.history.rows),
            "mode": list(self.mode),
            "steps": self.pace.steps,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
        }

    def restore(self, contents: Mapping[str, Any], files: RunFolder) -> dict[str, Any] | None:
        """Goes back to where the contents were saved; returns the best weights until then."""
        last = f"{files.folder}/last.pt"
        if (there := contents.get("steps", self.pace.steps)) != (here := self.pace.steps):
            raise CheckpointError(
                f"{last} is a run of {there} steps, here it would be {here}: the training images "
                "or their batches are others; resume with the same, or train into another folder"
            )
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
        self.pace.seconds -= sum(self.history.column("seconds"))
        return files.read("best.pt").get("weights")
