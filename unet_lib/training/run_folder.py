"""The folder of a run: `last.pt` to go on from, `best.pt` to use (chapter 4)."""

import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from unet_lib.data.facts import ImageFacts
from unet_lib.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from unet_lib.training.lock import locked
from unet_lib.training.precision import process_state
from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task, load_task

NEEDED = {"history", "optimizer", "schedule", "scaler", "training"}  # to go on with a run


class RunFolder:
    """What a run stores, and whether another one may go on from there; None stores nothing."""

    def __init__(
        self,
        folder: Path | str | None,
        settings: TrainingSettings,
        task: Task | None,
        about: Mapping[str, Any],
        images: ImageFacts | None = None,
        **judged_by: str,
    ) -> None:
        self.folder, self.task = None if folder is None else Path(folder), task
        self.settings, self.about = asdict(settings), json.loads(json.dumps(about))
        self.judged_by, self.images = judged_by, images

    def __enter__(self) -> "RunFolder":
        """Keeps other programs out: the first process holds the lock for all."""
        self.lock = locked(self.folder if process_state().is_main_process else None)
        self.lock.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Lets others in."""
        self.lock.__exit__(*error)

    def save(self, name: str, model: nn.Module, state: Mapping[str, Any]) -> None:
        """Writes the model, the settings of the run and its state, in the first process alone."""
        if self.folder is not None and process_state().is_main_process:
            task = {} if self.task is None else self.task.stored()
            about = {"training": self.settings, "judged_by": self.judged_by, "about": self.about}
            texts = {key: json.dumps(value) for key, value in about.items()}
            texts |= {} if self.images is None else {"images": self.images.stored()}
            save_checkpoint(self.folder / name, model, **texts, **task, **state)

    def read(self, name: str) -> dict[str, Any]:
        """The contents of a checkpoint; nothing where there is none."""
        if self.folder is None or not (self.folder / name).exists():
            return {}
        return load_checkpoint(self.folder / name)

    def try_out(self, model: nn.Module, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError, before any training, where a checkpoint could not be read."""
        trial = f"trial.{id(self)}.pt"
        try:
            self.save(trial, model, state)
            self.read(trial)
        except (CheckpointError, pickle.PicklingError, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"a {type(model).__name__} cannot be saved and read back: its state_dict may hold "
                "tensors, numbers, strings, lists and dicts; mend it (get_extra_state?), or train "
                "without a folder"
            ) from error
        finally:
            if self.folder is not None:
                (self.folder / trial).unlink(missing_ok=True)

    def stored(self, resume: bool) -> dict[str, Any]:
        """The contents of `last.pt` to go on with, or nothing in a folder without a run.

        Raises CheckpointError where it holds no run, or one of other settings or another task, and
        where a new run would replace another one.
        """
        require_free(self.folder, resume, "pass resume=True", "another folder")
        contents = self.read("last.pt")
        if self.folder is None or not contents:
            return {}
        path = self.folder / "last.pt"
        if missing := sorted(NEEDED - set(contents)):
            raise CheckpointError(
                f"{path} holds a model but no run to go on with (it lacks {', '.join(missing)}); "
                "load it with load_model and train on, into another folder"
            )
        self._require_same(contents, path)
        return contents

    def _require_same(self, contents: Mapping[str, Any], path: Path) -> None:
        """Raises CheckpointError for a run of other settings, or of another task."""
        there = asdict(TrainingSettings()) | {"monitor": "dice_per_image", "mode": "max"}
        for name in ("training", "judged_by", "about"):  # older ones lack the last two
            there |= json.loads(contents.get(name, "{}"))
        here = self.settings | self.judged_by
        here |= {name: value for name, value in self.about.items() if name in there}
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


def require_free(folder: Path | None, resume: bool, go_on: str, elsewhere: str) -> None:
    """Raises CheckpointError where a new run would replace checkpoints.

    `go_on` and `elsewhere` are the words for the two ways out.
    """
    last, best = (Path(folder or "", name) for name in ("last.pt", "best.pt"))
    if folder is None or (resume and last.exists()):
        return
    if last.exists():
        raise CheckpointError(f"{last} holds another run: {go_on} to go on with it, or {elsewhere}")
    if best.exists():
        raise CheckpointError(
            f"{best} is there, and would be replaced by a network that has just begun to learn: "
            f"without a last.pt there is no run to go on with; move it away, or {elsewhere}"
        )
