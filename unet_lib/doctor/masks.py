"""What the labels and targets of a data set look like: classes, numbers of objects, outlines?"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from torch import Tensor

from unet_lib.data.findings import Finding, listed
from unet_lib.doctor.finding import diagnosis
from unet_lib.doctor.setup import Sample, has_transform, judged
from unet_lib.training.task import Task

DIRECT = 0.05  # share of class borders without void between them, below which void is a ring
THIN = 0.1  # share of a class's pixels more than 2 from its edge, below which it is an outline
HALF = 0.5  # share of image, frame and one region, from which on foreground may be background
MORE = 1.5  # islands of background for each region of foreground
EMPTY = 0.1  # share of parts with an object, below which crops are empty
HOLD = 0.5  # share of whole images with an object, from which on crops should hold some
DRAWS = 4
FULL = 200  # numbers in a mask, from which on their type may have been full
SHARED = 0.1  # share of numbers in several places, from which on they were given twice


def check_masks(sample: Sample, task: Task) -> list[Finding]:
    """Findings about labels as they are stored, and targets as the loss gets them.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.doctor.setup import draw_sample
    >>> check_masks(draw_sample(SimulatedNuclei(8, size=(64, 64))), Task())
    []
    """
    checks = (_divided, _instances, _wrapped, _void, _range, _blended, _empty, _inverted, _crops)
    return next((findings for check in checks if (findings := check(sample, task))), [])


def _values(arrays: Sequence[np.ndarray | Tensor], task: Task) -> np.ndarray:
    """The values that occur, without the ignored one."""
    values = np.unique(np.concatenate([np.unique(array) for array in arrays]))
    return values[values != task.void]


def _divided(sample: Sample, task: Task) -> list[Finding]:
    """Class numbers that were taken for brightness: k / 255."""
    values = _values(list(map(judged, sample.targets)), task)
    steps = values * 255
    fractions = (values > 0) & (values < 1)
    if not fractions.any() or not np.allclose(steps, np.round(steps), atol=1e-3):
        return []
    if len(values) > 64 and not (steps[fractions] <= 21).all():  # blended, then divided
        return []
    shown = ", ".join(f"{value:.4f}" for value in values[fractions][:4])
    found = f"targets of {shown}, which are whole numbers divided by 255"
    return [diagnosis("mask-divided", found)]


def _instances(sample: Sample, task: Task) -> list[Finding]:
    """Labels that number the objects of each image, in a task of classes."""
    if task.target != "classes":
        return []
    highest, numbered = [], 0
    for labels in sample.labels:
        values = np.unique(labels[labels != task.ignore_index])
        values = values[values > 0]
        highest.append(len(values))
        whole = np.array_equal(values, np.arange(1, len(values) + 1))
        numbered += whole and all(ndimage.label(labels == value)[1] == 1 for value in values)
    if numbered < 0.9 * len(sample) or len(set(highest)) < 3 or max(highest) < 4:
        return []
    found = (
        f"in each image the labels are 1 to n, every one a single region, with n from "
        f"{min(highest)} to {max(highest)}"
    )
    return [diagnosis("instances-as-classes", found)]


def _wrapped(sample: Sample, task: Task) -> list[Finding]:
    """Numbers of objects that began again at 1 when their type was full."""
    wrapped = []
    for labels in sample.labels:
        values = np.unique(labels[labels > 0])
        full = task.target != "classes" and len(values) > FULL and values[-1] in (255, 65535)
        some = values[:: len(values) // 50 or 1] if full else []
        pieces = np.array([ndimage.label(labels == value)[1] for value in some])
        wrapped.append(bool(full and np.mean(pieces > 1) > SHARED))
    if not any(wrapped):
        return []
    found = (
        f"numbers up to the largest of their type in {sum(wrapped)} masks, many in several places"
    )
    return [diagnosis("instances-wrapped", found, sample.where(wrapped))]


def _void(sample: Sample, task: Task) -> list[Finding]:
    """A class that is nothing but the outline between all the others."""
    if task.target != "classes":
        return []
    values = np.unique(np.concatenate([np.unique(labels) for labels in sample.labels]))
    if len(values) < 3:
        return []
    for value in values[(values != 0) & (values != task.ignore_index)]:
        pixels = kept = direct = through = 0
        for labels in sample.labels:
            void = labels == value
            pixels += void.sum()
            kept += ndimage.binary_erosion(void, iterations=2).sum()
            for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
                differ = one != other
                with_void = differ & ((one == value) | (other == value))
                through, direct = through + with_void.sum(), direct + (differ & ~with_void).sum()
        if kept < THIN * pixels and direct < DIRECT * through:
            found = (
                f"label {value} is an outline: {1 - direct / max(through, 1):.0%} of the borders "
                "between other labels run through it, and it is few pixels wide"
            )
            cure = f"pass ignore_index={value}, and count classes without it"
            return [diagnosis("void-as-class", found, cure=cure)]
    return []


def _range(sample: Sample, task: Task) -> list[Finding]:
    if task.target != "classes" or task.num_classes is None:
        return []
    values = _values(sample.labels, task)
    bad = values[(values < 0) | (values >= task.num_classes)].tolist()
    if not bad:
        return []
    found = f"labels {listed(bad)}, and num_classes={task.num_classes}"
    where = sample.where(np.array([np.isin(labels, bad).any() for labels in sample.labels]))
    return [diagnosis("class-out-of-range", found, where)]


def _blended(sample: Sample, task: Task) -> list[Finding]:
    """Values in the targets that no mask holds: fractions, or labels between two labels."""
    values = _values(list(map(judged, sample.targets)), task)
    new = values[values != np.round(values)].tolist()
    what = "fractions such as"
    if not new and task.target == "classes" and has_transform(sample.dataset):
        stored = _values(sample.labels, task).tolist()
        new = sorted(set(values.tolist()) - {0, *stored})
        what = "values that no stored mask holds, such as"
    if not new:
        return []
    found = f"{len(new)} values that are no class in the targets: {what} "
    return [diagnosis("mask-blended", found + ", ".join(f"{value:.3g}" for value in new[:4]))]


def _empty(sample: Sample, task: Task) -> list[Finding]:
    if any(_objects(labels, task).any() for labels in sample.labels):
        return []
    return [diagnosis("empty-masks", f"no object in the masks of {len(sample)} images")]


def _objects(labels: np.ndarray, task: Task) -> np.ndarray:
    return (labels != 0) & (labels != task.void)


def _inverted(sample: Sample, task: Task) -> list[Finding]:
    """Foreground that is one large region around many holes."""
    if task.target != "foreground":
        return []
    shares, frames, largest, pieces, holes = [], [], [], 0, 0
    for labels in sample.labels:
        inside = _objects(labels, task)
        if len(np.unique(labels)) > 2:  # objects are numbered
            return []
        regions, count = ndimage.label(inside)
        edge = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
        shares.append(inside.mean())
        frames.append(edge.mean())
        largest.append(np.bincount(regions[inside], minlength=1).max() / max(inside.sum(), 1))
        pieces, holes = pieces + count, holes + ndimage.label(~inside)[1]
    typical = min(np.median(shares), np.median(frames), np.median(largest))
    if typical < HALF or holes < MORE * pieces:
        return []
    found = (
        f"the foreground covers {np.median(shares):.0%} of a typical image and "
        f"{np.median(frames):.0%} of its edge; the background lies in it as islands, "
        f"{holes / len(shares):.0f} in an image"
    )
    return [diagnosis("inverted-masks", found)]


def _crops(sample: Sample, task: Task) -> list[Finding]:
    """Whole images that hold objects, and transformed ones that do not."""
    whole = np.mean([_objects(labels, task).any() for labels in sample.labels])
    if whole < HOLD or not has_transform(sample.dataset):
        return []
    drawn = [judged(sample.dataset[i][1]) for i in range(sample.row) for _ in range(DRAWS)]
    share = np.mean([_objects(target.numpy(), task).any() for target in drawn])
    if share >= EMPTY:
        return []
    found = f"an object in {whole:.0%} of the images, but in {share:.0%} of the parts cut out"
    return [diagnosis("empty-crops", found)]
