"""The folder of a run: `last.pt` to go on from, `best.pt` to use (chapter 4)."""

import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from unet_lib.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from unet_lib.training.precision import Mode, process_state
from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task, load_task

STATE = {"history", "optimizer", "schedule", "scaler"}  # without which no run goes on


class RunFolder:
    """What a run stores, and whether another one may go on from there; None stores nothing.

    >>> RunFolder(None, TrainingSettings(), None, ("dice_per_image", "max")).stored()
    {}
    """

    def __init__(
        self,
        folder: Path | str | None,
        settings: TrainingSettings,
        task: Task | None,
        monitor: tuple[str, str],
    ) -> None:
        self.folder, self.task = None if folder is None else Path(folder), task
        self.choices = asdict(settings) | dict(zip(("monitor", "mode"), monitor, strict=True))

    @property
    def last(self) -> Path | None:
        """Where the latest epoch is stored."""
        return None if self.folder is None else self.folder / "last.pt"

    def save(self, name: str, model: nn.Module, state: Mapping[str, Any]) -> None:
        """Writes the model, the settings of the run and its state, in the first process alone."""
        if self.folder is not None and process_state().is_main_process:
            task = {} if self.task is None else self.task.stored()
            training = json.dumps(self.choices)
            save_checkpoint(self.folder / name, model, training=training, **task, **state)

    def try_out(self, model: nn.Module, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError, before any training, where a checkpoint could not be read."""
        if self.folder is None or not process_state().is_main_process:
            return
        trial = f"trial.{id(self)}.pt"
        try:
            self.save(trial, model, state)
            load_checkpoint(self.folder / trial)
        except (CheckpointError, pickle.PicklingError, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"a {type(model).__name__} cannot be saved and read back: its state_dict may hold "
                "tensors, numbers, strings, lists and dicts; mend it (get_extra_state?), or train "
                "without a folder"
            ) from error
        finally:
            (self.folder / trial).unlink(missing_ok=True)

    def stored(self) -> dict[str, Any]:
        """The contents of `last.pt`, or nothing where there is none.

        Raises CheckpointError where it holds no run, or one of other settings or another task.
        """
        if (path := self.last) is None or not path.exists():
            return {}
        contents = load_checkpoint(path)
        if missing := sorted((STATE | {"training"}) - set(contents)):
            raise CheckpointError(
                f"{path} holds a model but no run to go on with (it lacks {', '.join(missing)}); "
                "load it with load_model and train on, into another folder"
            )
        older = asdict(TrainingSettings()) | {"monitor": "dice_per_image", "mode": "max"}
        there = older | json.loads(contents["training"])
        here = self.choices
        if other := [f"{k}: {there[k]} there, {here[k]} here" for k in here if there[k] != here[k]]:
            raise CheckpointError(
                f"{path} was trained with other settings ({'; '.join(other)}); resume with the "
                "same, or train into another folder"
            )
        if self.task is not None and (task := load_task(path)) != self.task:
            raise CheckpointError(
                f"{path} was trained for {task}, not for {self.task}; resume with the same "
                "options, or train into another folder"
            )
        return contents

    def best_weights(self) -> dict[str, Any] | None:
        """The weights of `best.pt`, if there is one."""
        path = None if self.folder is None else self.folder / "best.pt"
        return load_checkpoint(path)["weights"] if path is not None and path.exists() else None


def stored_mode(contents: Mapping[str, Any]) -> Mode | None:
    """The mode in which a stored run has trained; None where there is no run, or an old one.

    >>> str(stored_mode({"mode": ["bf16", True]}))
    'bf16, channels_last'
    """
    return Mode(*contents["mode"]) if "mode" in contents else None
