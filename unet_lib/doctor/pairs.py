"""Does each mask belong to its image? Compared with the other masks, and with itself turned."""

from collections.abc import Callable

import numpy as np

from unet_lib.data.findings import Finding
from unet_lib.doctor.agreement import agreement, agreement_table, comparable, thinned
from unet_lib.doctor.finding import diagnosis
from unet_lib.doctor.setup import Sample, has_transform
from unet_lib.training.task import Task

ENOUGH = 6  # images of one size, below which nothing is said about shifts and mix-ups
CLEARLY = 1.5, 0.1  # another mask fits better: that many times as well, and by at least that much
USUAL = 0.75  # share of the images in which it has to
SHIFTS = (-3, -2, -1, 1, 2, 3)
FITS = 0.2  # agreement from which on a mask belongs to an image
BELONGS = 0.35  # agreement from which on another mask looks like the right one
ALONE = 0.5  # agreement left after a transform that moves the image alone
DRAWS = 3

TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored left to right": np.fliplr,
    "mirrored top to bottom": np.flipud,
    "turned by 180 degrees": lambda mask: np.rot90(mask, 2),
    "transposed (rows and columns exchanged)": lambda mask: mask.T,
    "turned by 90 degrees": np.rot90,
    "turned by 270 degrees": lambda mask: np.rot90(mask, 3),
    "mirrored on the other diagonal": lambda mask: np.rot90(mask, 2).T,
}


def check_pairs(sample: Sample, task: Task) -> list[Finding]:
    """Findings about masks that lie beside their objects, or belong to other images.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.doctor.setup import draw_sample
    >>> check_pairs(draw_sample(SimulatedNuclei(8, size=(64, 64))), Task())
    []
    """
    images = [comparable(image) for image in sample.images]
    labels = [thinned(_classes(mask, task)) for mask in sample.labels]
    table = agreement_table(images, labels, task.ignore_index)
    return (
        _shifted(sample, table)
        or _turned(images, labels, table, task)
        or _unrelated(table)
        or _mispaired(sample, table)
        or _moved_alone(sample, task)
    )


def _classes(labels: np.ndarray, task: Task) -> np.ndarray:
    """Labels as classes; objects that are only numbered become one class."""
    if task.target == "classes":
        return labels
    return np.where(labels == task.ignore_index, labels, labels > 0)


def _better(others: np.ndarray, own: np.ndarray) -> bool:
    """Whether other masks fit clearly better than the images' own, in nearly every image."""
    known = np.isfinite(others) & np.isfinite(own)
    others, own = others[known], own[known]
    if len(own) < ENOUGH:
        return False
    factor, step = CLEARLY
    return bool(
        others.mean() > max(factor * own.mean(), own.mean() + step)
        and (others > own).mean() >= USUAL
    )


def _shifted(sample: Sample, table: np.ndarray) -> list[Finding]:
    row = table[: sample.row, : sample.row]
    own = np.diagonal(row)
    for shift in SHIFTS:
        others = np.diagonal(row, shift)
        mine = own[: len(row) - shift] if shift > 0 else own[-shift:]
        if len(others) and _better(others, mine):
            order = "after" if shift > 0 else "before"
            found = (
                f"the mask {abs(shift)} {order} fits each image better than its own: agreement "
                f"{np.nanmean(others):.2f} against {np.nanmean(mine):.2f}"
            )
            return [diagnosis("shifted-pairs", found)]
    return []


def _unrelated(table: np.ndarray) -> list[Finding]:
    own = np.diagonal(table)
    known = np.isfinite(table).sum(1) > ENOUGH
    if known.sum() < ENOUGH:
        return []
    others = (np.nansum(table, 1) - own)[known] / (np.isfinite(table).sum(1)[known] - 1)
    best = np.nanmax(table, 1)[known]
    if (own[known] >= 0.9 * best).mean() > 0.25 or best.mean() < FITS / 2:
        return []
    if own[known].mean() > max(1.2 * others.mean(), others.mean() + 0.05):
        return []
    found = (
        f"the masks fit their own images no better than others: mean agreement "
        f"{own[known].mean():.2f} with its own, {others.mean():.2f} with the rest"
    )
    return [diagnosis("unrelated-pairs", found)]


def _mispaired(sample: Sample, table: np.ndarray) -> list[Finding]:
    own, best = np.diagonal(table), np.nanmax(np.nan_to_num(table), 1)
    wrong = (own < 0.3 * best) & (best > BELONGS)
    if len(sample) < ENOUGH or not wrong.any():
        return []
    found = (
        f"{wrong.sum()} of {len(sample)} images, whose own mask explains {own[wrong].mean():.0%} "
        f"of their variance and another's {best[wrong].mean():.0%}"
    )
    return [diagnosis("mispaired-files", found, sample.where(wrong))]


def _turned(
    images: list[np.ndarray], labels: list[np.ndarray], table: np.ndarray, task: Task
) -> list[Finding]:
    own = np.diagonal(table)
    for how, turn in TURNS.items():
        turned = [turn(mask) for mask in labels]
        others = np.array([
            agreement(image, mask, task.ignore_index) if image.shape[:2] == mask.shape else np.nan
            for image, mask in zip(images, turned, strict=True)
        ])  # fmt: skip
        if _better(others, own):
            found = (
                f"the masks fit better when {how}: agreement {np.nanmean(others):.2f} "
                f"instead of {own.mean():.2f}"
            )
            return [diagnosis("mask-turned", found)]
    return []


def _moved_alone(sample: Sample, task: Task) -> list[Finding]:
    """Compares the agreement of stored pairs with that of transformed ones."""
    if not has_transform(sample.dataset):
        return []
    stored, drawn = [], []
    for index in range(sample.row):
        own = agreement(
            comparable(sample.images[index]),
            thinned(_classes(sample.labels[index], task)),
            task.ignore_index,
        )
        for _ in range(DRAWS):
            image, target = sample.dataset[index]
            pixels = comparable(np.moveaxis(image.numpy(), 0, -1))
            mask = thinned((target[0] if target.ndim == 3 else target).round().long().numpy())
            if pixels.shape[:2] == mask.shape and len(np.unique(mask)) > 1:
                stored.append(own)
                drawn.append(agreement(pixels, mask, task.ignore_index))
    if not drawn or np.mean(stored) < FITS / 2 or np.mean(drawn) > ALONE * np.mean(stored):
        return []
    found = (
        f"the masks explain {np.mean(stored):.0%} of the stored images' variance, and "
        f"{np.mean(drawn):.0%} after the transform"
    )
    return [diagnosis("image-moved-alone", found)]
