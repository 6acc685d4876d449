"""`python -m unet_lib check`: what is wrong with folders, checkpoints and runs, and the cure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tyro.conf import Positional

from unet_lib.cli.options import MaskOptions, shell_words
from unet_lib.data.arrays import size_text
from unet_lib.data.files import Mode
from unet_lib.data.findings import Finding
from unet_lib.data.folder import PairedFolder
from unet_lib.data.layouts import find_folders, holds_folders
from unet_lib.data.normalize import Normalization
from unet_lib.doctor.examine import check_dataset
from unet_lib.doctor.files import check_folder
from unet_lib.doctor.finding import paragraph
from unet_lib.doctor.parts import check_leak, check_series
from unet_lib.doctor.run import check_run, checkpoint_of, stored_task
from unet_lib.training.checkpoint import CheckpointError, load_checkpoint
from unet_lib.training.task import Target, Task


@dataclass(frozen=True)
class Check(MaskOptions):
    """Say what is wrong with data, a checkpoint or a run, and what to do; nothing is changed.

    Where nothing is wrong with a folder, say what is in it: sizes, shares of labels, or objects.
    Exit status 0: nothing found; 1: findings; 2: the command itself could not be followed.

    >>> Check(folders=(Path("cells"),)).images is None
    True
    """

    folders: Positional[tuple[Path, ...]] = ()
    """Folders with images and masks in them, a run's folder, a checkpoint; or one of each."""
    images: Path | None = None
    """Folder of the images, if it is not called images (or JPEGImages)."""
    masks: Path | None = None
    """Folder of their masks, if it is not called masks (or labels, or SegmentationClass)."""
    target: Target | None = None
    """What is to be predicted; a checkpoint's own, or foreground, if it is not given."""
    mode: Mode | None = None
    """Gray images or color; a checkpoint's own, or L, if it is not given."""
    normalize: Normalization | None = None
    """How the images are prepared; a checkpoint's own, or percentiles, if it is not given."""
    num_classes: int | None = None
    """Masks hold classes 0 to this minus one."""
    ignore_index: int | None = None
    """One further value in the masks, for pixels that do not count; often 255."""

    def __call__(self) -> int:
        """Examine everything, and print the findings."""
        pairs: dict[str, tuple[Path, Path]] = {}
        if self.images is not None and self.masks is not None:
            pairs[""] = self.images, self.masks
        elif self.images or self.masks:
            raise ValueError("images and masks belong together: pass both folders, or none")
        runs = [path for path in self.folders if _is_run(path)]
        for folder in self.folders:
            if folder not in runs or holds_folders(folder):
                pairs |= {f"{folder} {part}".strip(): p for part, p in find_folders(folder).items()}
        if not runs and not pairs:
            raise ValueError("nothing to examine: name a folder, or pass --images and --masks")
        task, findings = self._task(runs), []
        datasets: dict[str, PairedFolder] = {}
        for name, (images, masks) in pairs.items():
            found, dataset = self._folder(images, masks, task)
            findings += found
            datasets |= {} if dataset is None else {name: dataset}
        if task.target == "classes" and task.num_classes is None and datasets:
            classes = max(dataset.num_classes or 0 for dataset in datasets.values())
            task = replace(task, num_classes=classes)
        if not findings:
            findings = _examine(list(datasets.values()), runs, task)
        numbered = self.instance_masks or self.connected or task.numbers_objects
        return _report(findings, [*pairs, *map(str, runs)], datasets, numbered)

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
        options["instances"] = options["instances"] or task.numbers_objects
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
    parts = [dataset.with_(target=task.encode) for dataset in datasets]
    findings = [finding for part in parts for finding in check_dataset(part, task)]
    if len(parts) == 1 and not findings:
        findings += check_series(parts[0])
    for other in parts[1:]:
        findings += check_leak(parts[0], other) or check_dataset(parts[0], task, other)
    first = parts[0] if parts and not findings else None
    for run in runs:
        findings += check_run(run, first, task)
    return findings


def _report(
    findings: list[Finding],
    examined: list[str],
    datasets: Mapping[str, PairedFolder],
    numbered: bool,
) -> int:
    """Prints the findings, each once, or what is in the folders; 1 if there are findings."""
    count = sum(map(len, datasets.values()))
    what = ", ".join(filter(None, dict.fromkeys(examined))) or "the folders"
    if not findings:
        print(f"{what}: nothing found ({count} image{'s' * (count != 1)})")
        for name, dataset in datasets.items():
            _describe(name if len(datasets) > 1 else "", dataset, numbered)
        return 0
    findings = list(dict.fromkeys(findings))
    print(f"{what}: {len(findings)} finding{'s' * (len(findings) > 1)}")
    for finding in findings:
        print(f"\n{paragraph(replace(finding, cure=finding.cure + shell_words(finding)))}")
    return 1


def _describe(name: str, dataset: PairedFolder, numbered: bool) -> None:
    """Prints the sizes of the images, and how many objects or which share of each label."""
    sizes, pixels, objects = Counter(), Counter(), []
    for index in range(len(dataset)):
        image, labels = dataset.load(index)
        sizes[size_text(image)] += 1
        values, counts = np.unique(labels, return_counts=True)
        pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        objects.append(np.count_nonzero(values))
    if name:
        print(f"{name}: {len(dataset)} images")
    common = ", ".join(f"{size} ({times})" for size, times in sizes.most_common(5))
    print(f"height x width: {common}{', ...' if len(sizes) > 5 else ''}")
    if numbered:
        print(f"objects in an image: {min(objects)} to {max(objects)}, {sum(objects)} in all")
        return
    for value, count in sorted(pixels.items()):
        ignored = " (ignored)" if value == dataset.ignore_index else ""
        print(f"label {value}: {count / pixels.total():.1%} of the pixels{ignored}")
