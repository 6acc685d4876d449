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
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from unet_lib.data.base import picture_name
from unet_lib.evaluation.metrics import Counts, SegmentationScores
from unet_lib.model.unet import SegmentationModel
from unet_lib.training.checkpoint import (
    CheckpointError,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from unet_lib.training.devices import (
    EPOCHS_PER_SEED,
    check_processes,
    choose_together,
    new_accelerator,
)
from unet_lib.training.epoch import (
    LossFunction,
    OneClassWarning,
    TrainingError,
    evaluate,
    train_epoch,
)
from unet_lib.training.losses import bce_dice_loss
from unet_lib.training.settings import History, TrainingSettings

ParameterGroups = Callable[[nn.Module], list[dict[str, Any]]]

LINES = 10  # printed in a run, about


def fit(
    model: SegmentationModel,
    train_set: Dataset,
    validation_set: Dataset | None = None,
    *,
    loss: LossFunction = bce_dice_loss,
    settings: TrainingSettings | None = None,
    scores: Callable[[], SegmentationScores] = SegmentationScores,
    monitor: str = "dice_per_image",
    folder: Path | str | None = None,
    resume: bool = False,
    extra: dict[str, Any] | None = None,
    parameter_groups: ParameterGroups | None = None,
    on_epoch: Callable[[dict[str, float]], Any] | None = None,
    verbose: bool = True,
) -> History:
    """Trains the model in place and returns the history, one row an epoch.

    The best epoch is the one with the highest `monitor` on the validation set. With a `folder`
    every epoch writes `last.pt` there, and the best one `best.pt`; `resume=True` goes on from
    `last.pt`, to the same result as an uninterrupted run. `extra` is stored in both, beside
    what fit itself needs. `parameter_groups` is called with the model and returns groups as
    optimizers take them, `{"params": [...], "lr": largest rate}`; without it all parameters have
    the rate of the settings. `on_epoch` is called with each row.
    Warns (OneClassWarning), once, when the last epoch, or some (2 to 5) in a row, predict one
    and the same class for every pixel of the validation set.
    Raises ValueError for an empty data set, TrainingError for a loss that is not finite and
    CheckpointError where `last.pt` comes from other settings.

    >>> from unet_lib.data import SimulatedNuclei, foreground
    >>> from unet_lib.model import UNet
    >>> nuclei = SimulatedNuclei(4, size=(32, 32), target=foreground)
    >>> model = UNet(1, 1, width=2, depth=1)
    >>> settings = TrainingSettings(epochs=2, precision="float32")
    >>> len(fit(model, nuclei, settings=settings, verbose=False).rows)
    2
    """
    settings = settings or TrainingSettings()
    run = _Run(model, train_set, validation_set, loss, settings, parameter_groups, verbose)
    s, folder = run.settings, None if folder is None else Path(folder)
    best, best_weights = -math.inf, None
    if folder is not None and resume and (folder / "last.pt").exists():
        best = run.restore(folder / "last.pt")
        if (folder / "best.pt").exists():
            best_weights = load_checkpoint(folder / "best.pt")["weights"]
    try:
        for epoch in range(len(run.history.rows) + 1, s.epochs + 1):
            if s.patience and _epochs_since_best(run.history, monitor) >= s.patience:
                break
            row = run.epoch(epoch, scores(), verbose)
            if better := row.get(monitor, -math.inf) > best:
                best, best_weights = row[monitor], copy.deepcopy(model.state_dict())
            if folder is not None:
                run.save(folder / "last.pt", best, extra or {})
                if better:
                    run.save(folder / "best.pt", best, extra or {})
            if on_epoch is not None:
                on_epoch(row)
    finally:  # also when the reader interrupts the kernel: the model is usable
        run.close()
    if s.keep == "best" and best_weights is not None:
        load_weights(model, best_weights)
    return run.history


class _Run:
    """What `fit` works with: everything that Accelerate prepared, and how to store it."""

    def __init__(
        self,
        model: SegmentationModel,
        train_set: Dataset,
        validation_set: Dataset | None,
        loss: LossFunction,
        settings: TrainingSettings,
        parameter_groups: ParameterGroups | None,
        verbose: bool,
    ) -> None:
        for name, dataset in (("training", train_set), ("validation", validation_set)):
            if dataset is not None and not len(dataset):  # type: ignore[arg-type]
                raise ValueError(f"the {name} set is empty; check its folder, or how it was split")
        s = self.settings = settings
        self.loss, self.unwrapped = loss, model
        mode = choose_together(model, train_set, loss, s, verbose)
        self.accelerator = new_accelerator(mode.precision, s)
        check_processes(self.accelerator)
        if mode.channels_last:
            model.to(memory_format=torch.channels_last)
        groups = _groups(model, parameter_groups)
        optimizer = _optimizer(groups, s, fused=self.accelerator.device.type in ("cpu", "cuda"))
        train = DataLoader(train_set, s.batch_size, shuffle=True, num_workers=s.num_workers)
        self.model, self.optimizer, self.train = self.accelerator.prepare(model, optimizer, train)
        self.validation = None
        if validation_set is not None:
            loader = DataLoader(validation_set, s.batch_size, num_workers=s.num_workers)
            self.validation = self.accelerator.prepare(loader)
        steps = s.epochs * math.ceil(len(self.train) / s.accumulation_steps)
        self.schedule = _schedule(optimizer, s, steps)
        self.history = History(mode=str(mode))
        self.one_class_epochs, self.warned = 0, False

    def epoch(self, epoch: int, scores: SegmentationScores, verbose: bool) -> dict[str, float]:
        """Trains and evaluates once; every random number follows from the seed and the epoch."""
        s, start = self.settings, time.perf_counter()
        set_seed(s.seed * EPOCHS_PER_SEED + epoch, device_specific=True)
        self.train.set_epoch(epoch)
        verbose = verbose and self.accelerator.is_main_process
        bar = tqdm(
            self.train, f"epoch {epoch}", leave=False, disable=not verbose or None, unit="batch"
        )
        rate = max(group["lr"] for group in self.optimizer.param_groups)
        parts = (self.model, bar, self.loss, self.optimizer, self.accelerator, self.schedule)
        with bar:
            try:
                loss = train_epoch(*parts, clip_norm=s.clip_norm)
            except TrainingError as error:
                raise TrainingError(
                    f"epoch {epoch}, {error}{self._files(epoch, error.step)}"
                ) from (error.__cause__)
        row = {"epoch": epoch, "learning_rate": rate, "loss": loss}
        if self.validation is not None:
            result = evaluate(self.model, self.validation, self.loss, scores, self.accelerator)
            row |= {"validation_loss": result.pop("loss")} | result
            self._warn_of_one_class(epoch, scores)
        row["seconds"] = time.perf_counter() - start
        self.history.rows.append(row)
        if verbose and (epoch in (1, s.epochs) or epoch % max(1, s.epochs // LINES) == 0):
            shown = ("loss", "validation_loss", "dice_per_image")
            numbers = "  ".join(f"{name} {row[name]:.3f}" for name in shown if name in row)
            tqdm.write(f"epoch {epoch:3d}/{s.epochs}  {numbers}  {row['seconds']:.1f} s")
        return row

    def _files(self, epoch: int, step: int | None) -> str:
        """Names the pictures of a step: the sampler repeats its order from the epoch."""
        if not step:
            return ""
        self.train.set_epoch(epoch)
        indices = next(itertools.islice(iter(self.train.batch_sampler), step - 1, None), [])
        names = [picture_name(self.train.dataset, index) for index in indices]
        return f"; pictures of this batch: {', '.join(names)}" if names else ""

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

    def save(self, path: Path, best: float, extra: dict[str, Any]) -> None:
        if not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        save_checkpoint(
            path,
            self.unwrapped,
            training=json.dumps(asdict(self.settings)),
            history=self.history.to_json(),
            best=best,
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
            scaler=scaler.state_dict() if scaler is not None else {},
            **extra,
        )

    def restore(self, path: Path) -> float:
        """Goes back to where `path` was saved; returns the best score until then."""
        contents = load_checkpoint(path)
        needed = {"training", "history", "best", "optimizer", "schedule", "scaler"}
        if missing := sorted(needed - set(contents)):
            raise CheckpointError(
                f"{path} holds a model but no run to go on with (it lacks {', '.join(missing)}); "
                "load it with load_model and train on, into another folder"
            )
        own = asdict(self.settings)
        stored = asdict(TrainingSettings()) | json.loads(contents["training"])
        if differ := [f"{k}: {stored[k]} there, {own[k]} here" for k in own if stored[k] != own[k]]:
            raise CheckpointError(
                f"{path} was trained with other settings ({'; '.join(differ)}); resume with the "
                "same, or train into another folder"
            )
        load_weights(self.unwrapped, contents["weights"], path)
        try:
            self.optimizer.load_state_dict(contents["optimizer"])
        except ValueError as error:
            raise CheckpointError(
                f"{path} was trained with other parameter groups ({error}); resume with the same "
                "parameter_groups, or train into another folder"
            ) from error
        self.schedule.load_state_dict(contents["schedule"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(contents["scaler"])
        self.history.rows = json.loads(contents["history"])
        return contents["best"]

    def close(self) -> None:
        """Gives the model back as it was handed in: no wrapper, no autocast."""
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        self.accelerator.free_memory()


def one_class(counts: Counts) -> str:
    """Says which class every pixel was given though the truth has several; else nothing.

    `counts` as `SegmentationScores.counts` holds them: of one channel, or of K classes.

    >>> one, none = torch.tensor([[1]]), torch.tensor([[0]])
    >>> one_class(Counts(tp=none, fp=none, fn=one, tn=3 * one))
    'every pixel of the validation set is predicted as background, though 25 % are not'
    """
    tp, fp, fn, tn = (c.sum(0).double() for c in (counts.tp, counts.fp, counts.fn, counts.tn))
    predicted, true = tp + fp, tp + fn
    names = [f"class {k}" for k in range(len(true))]
    if len(true) == 1:  # make two classes of it
        predicted = torch.cat([fn + tn, predicted])
        true = torch.cat([fp + tn, true])
        names = ["background", "foreground"]
    if (predicted > 0).sum() != 1 or (true > 0).sum() < 2:
        return ""
    only = int(predicted.argmax())
    other = 100 * float(1 - true[only] / true.sum())
    return (
        f"every pixel of the validation set is predicted as {names[only]}, though "
        f"{other:.2g} % are not"
    )


def _groups(model: nn.Module, chosen: ParameterGroups | None) -> list[dict[str, Any]]:
    """What the optimizer gets: all parameters, or the chosen ones if they are the model's."""
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("every parameter of the model is frozen; let some learn: requires_grad_()")
    if chosen is None:
        return [{"params": model.parameters()}]
    groups = [g if isinstance(g, dict) else {"params": [g]} for g in chosen(model)]
    groups = [group | {"params": list(group["params"])} for group in groups]
    own, given = set(model.parameters()), {p for group in groups for p in group["params"]}
    if not given or given - own:
        raise ValueError(
            f"parameter_groups gave {len(given)} parameters, {len(given - own)} of them not of "
            "this model; make them from the model that it is called with"
        )
    if wrong := [group["lr"] for group in groups if not group.get("lr", 0) >= 0]:
        raise ValueError(f"parameter_groups: a rate must be 0 or more, got {wrong[0]}")
    return groups


def _optimizer(groups: list[dict[str, Any]], settings: TrainingSettings, fused: bool) -> Optimizer:
    common = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay, "fused": fused}
    if settings.optimizer == "sgd":
        return SGD(groups, momentum=0.9, **common)
    return {"adam": Adam, "adamw": AdamW}[settings.optimizer](groups, **common)


def _schedule(optimizer: Optimizer, settings: TrainingSettings, steps: int) -> LRScheduler:
    if settings.schedule == "one-cycle":  # Smith and Topin (2018)
        largest = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, largest, total_steps=max(steps, 2) + 1)
    if settings.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    return ConstantLR(optimizer, factor=1.0)


def _epochs_since_best(history: History, monitor: str) -> int:
    if not history.rows or monitor not in history.rows[0]:
        return 0
    values = history.column(monitor)
    return len(values) - 1 - values.index(max(values))
