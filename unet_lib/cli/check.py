"""`python -m unet_lib check`: what is wrong with folders, checkpoints and runs, and the cure."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from torch.utils.data import Dataset
from tyro.conf import Positional

from unet_lib.cli.options import MaskOptions
from unet_lib.data.folder import PairedFolder
from unet_lib.doctor import Finding, check_dataset, check_folder, check_run
from unet_lib.doctor.files import find_folders
from unet_lib.doctor.parts import check_leak, check_series
from unet_lib.doctor.run import checkpoint_of, stored_task
from unet_lib.training.checkpoint import CheckpointError, load_checkpoint
from unet_lib.training.task import Task


@dataclass(frozen=True)
class Doctor(MaskOptions):
    """Say what is wrong with data, a checkpoint or a run, and what to do; nothing is changed.

    Exit status 0: nothing found; 1: findings; 2: the command itself could not be followed.

    >>> Doctor(folders=(Path("cells"),)).images is None
    True
    """

    folders: Positional[tuple[Path, ...]] = ()
    """Folders with images and masks in them, a run's folder, a checkpoint; or one of each."""
    images: Path | None = None
    """Folder of the pictures, if it is not called images (or JPEGImages)."""
    masks: Path | None = None
    """Folder of their masks, if it is not called masks (or labels, or SegmentationClass)."""
    target: Literal["foreground", "classes", "instances"] | None = None
    """What is to be predicted; a checkpoint's own, or foreground, if it is not given."""
    mode: Literal["L", "RGB"] | None = None
    """Gray pictures or color; a checkpoint's own, or L, if it is not given."""
    normalize: Literal["percentiles", "type"] | None = None
    """How the pictures are prepared; a checkpoint's own, or percentiles, if it is not given."""
    num_classes: int | None = None
    """Masks hold classes 0 to this minus one."""
    ignore_index: int | None = None
    """One further value in the masks, for pixels that do not count; often 255."""

    def __call__(self) -> int:
        """Examine everything, and print the findings."""
        if (self.images is None) != (self.masks is None):
            raise ValueError("images and masks belong together: pass both folders, or none")
        runs = [path for path in self.folders if _is_run(path)]
        pairs = {} if self.images is None else {"": (self.images, self.masks)}
        for folder in self.folders:
            if folder not in runs:
                pairs |= {f"{folder} {part}".strip(): p for part, p in find_folders(folder).items()}
        if not runs and not pairs:
            raise ValueError("nothing to examine: name a folder, or pass --images and --masks")
        task, findings = self._task(runs), []
        datasets: list[PairedFolder] = []
        for images, masks in pairs.values():
            found, dataset = self._folder(images, masks, task)
            findings += found
            datasets += [dataset] if dataset is not None else []
        if task.target == "classes" and task.num_classes is None and datasets:
            task = replace(task, num_classes=max(dataset.num_classes for dataset in datasets))
        if not findings:
            findings = _examine(datasets, runs, task)
        return _report(findings, [*pairs, *map(str, runs)], datasets)

    def _task(self, runs: Sequence[Path]) -> Task:
        """The task of the first readable checkpoint, with what the options say instead."""
        stored = Task()
        for run in runs:
            try:
                file = checkpoint_of(run)
                stored = stored_task(load_checkpoint(file), file)
            except CheckpointError:  # check_run reports it
                continue
            break
        names = ("target", "mode", "normalize", "num_classes", "ignore_index")
        values = {name: getattr(stored, name) for name in (*names, "threshold")}
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if given.get("target", values["target"]) != values["target"]:
            values |= {"num_classes": None, "ignore_index": None}
        return Task(**values | given)

    def _folder(
        self, images: Path, masks: Path, task: Task
    ) -> tuple[list[Finding], PairedFolder | None]:
        options = self.folder_options()
        options["instances"] = options["instances"] or task.target == "instances"
        return check_folder(
            images,
            masks,
            mode=task.mode,
            num_classes=task.num_classes,
            ignore_index=task.ignore_index,
            normalize=task.normalization,
            **options,
        )


def _is_run(path: Path) -> bool:
    return path.suffix == ".pt" or (path.is_dir() and any(path.glob("*.pt")))


def _examine(datasets: list[PairedFolder], runs: list[Path], task: Task) -> list[Finding]:
    """The findings of the data, then of the parts beside the first, then of the runs."""
    parts = [_targets(dataset, task) for dataset in datasets]
    findings = [finding for part in parts for finding in check_dataset(part, task)]
    if len(parts) == 1 and not findings:
        findings += check_series(parts[0])
    for other in parts[1:]:
        findings += check_leak(parts[0], other) or check_dataset(parts[0], task, other)
    first = parts[0] if parts and not findings else None
    for run in runs:
        findings += check_run(run, first, task)
    return findings


def _targets(dataset: PairedFolder, task: Task) -> Dataset:
    dataset = copy.copy(dataset)
    dataset.target = task.encode
    return dataset


def _report(findings: list[Finding], examined: list[str], datasets: list[PairedFolder]) -> int:
    """Prints the findings, each once; 1 if there are any."""
    pictures = sum(map(len, datasets))
    what = ", ".join(filter(None, examined)) or "the folders"
    if not findings:
        print(f"{what}: nothing found ({pictures} picture{'s' * (pictures != 1)})")
        return 0
    findings = list(dict.fromkeys(findings))
    print(f"{what}: {len(findings)} finding{'s' * (len(findings) > 1)}")
    for finding in findings:
        print(f"\n{finding}")
    return 1
