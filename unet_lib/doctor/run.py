"""A finished run: its checkpoint, its settings, its history, and the network on images."""

from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from unet_lib.data.findings import Finding
from unet_lib.doctor.examine import examine
from unet_lib.doctor.finding import diagnosis
from unet_lib.doctor.setup import SetUp
from unet_lib.training.checkpoint import CheckpointError, load_checkpoint, load_model, stored_object
from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task


def check_run(
    path: Path | str, dataset: Dataset | None = None, task: Task | None = None
) -> list[Finding]:
    """What is wrong with a run: a folder that `fit` wrote, or one of its checkpoints.

    The history says whether the loss fell and the network overfits; with a `dataset` its
    predictions and its learning rate are examined as well. The `task` is the stored one unless it
    is given. Raises CheckpointError for a folder without any checkpoint.

    >>> import tempfile
    >>> from unet_lib.training import save_checkpoint
    >>> from unet_lib.model import UNet
    >>> file = Path(tempfile.mkdtemp()) / "model.pt"
    >>> save_checkpoint(file, UNet(1, width=2, depth=1))
    >>> check_run(file)
    []
    """
    file = checkpoint_of(Path(path))
    try:
        setup = _set_up(file, dataset, task)
    except CheckpointError as error:
        return [diagnosis("unreadable-checkpoint", str(error), [str(file)])]
    return examine(setup)


def checkpoint_of(path: Path) -> Path:
    """The checkpoint of a run's folder, best.pt before last.pt before any other; or the file."""
    if path.suffix == ".pt":
        return path
    files = sorted(path.glob("*.pt"), key=lambda p: (p.name != "best.pt", p.name != "last.pt"))
    if not files:
        raise CheckpointError(f"no checkpoint in {path}; train writes best.pt and last.pt there")
    return files[0]


def _set_up(file: Path, dataset: Dataset | None, task: Task | None) -> SetUp:
    """What is stored in a checkpoint; CheckpointError for one that is cut short, or not ours."""
    contents = load_checkpoint(file)
    stored = stored_task(contents, file)  # also where another one is given: it must be readable
    training = contents.get("training")
    settings = None if training is None else stored_object(TrainingSettings, training, file)
    return SetUp(
        train=dataset,
        task=task or stored,
        model=load_model(file),
        settings=settings,
        history=_longest_history(file, contents),
    )


def stored_task(contents: dict[str, Any], source: Path | str = "the checkpoint") -> Task:
    """The task that is stored in a checkpoint, else one made of the network's channels.

    Raises CheckpointError for one that this version does not know.
    """
    if "task" in contents:
        return stored_object(Task, contents["task"], source)
    channels = stored_object(dict, contents["model"], source)
    if not {"in_channels", "out_channels"} <= channels.keys():
        raise CheckpointError(
            f"{source} holds a {channels.get('kind')} that does not say its channels, and no task; "
            "train with fit(..., task=Task(...))"
        )
    mode = "L" if channels["in_channels"] == 1 else "RGB"
    if channels["out_channels"] == 1:
        return Task(mode=mode)
    return Task("classes", mode, num_classes=channels["out_channels"])


def _longest_history(file: Path, contents: dict[str, Any]) -> list[dict[str, float]]:
    """The rows of last.pt, if it is there: best.pt knows nothing of the epochs after it."""
    last = file.with_name("last.pt")
    if file.name == "best.pt" and last.exists():
        contents = load_checkpoint(last)
    text = contents.get("history", "[]")
    return stored_object(dict, f'{{"rows": {text}}}', file)["rows"]
