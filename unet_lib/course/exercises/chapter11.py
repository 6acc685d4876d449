"""Checks for the tasks and exercises of chapter 11: nearness, votes, mistakes, contact, areas."""

import numpy as np
from scipy import ndimage

from unet_lib.course.exercises.harness import ask, check, expect, say
from unet_lib.course.exercises.values import array, close, judge, numbers, whole

ELLIPSE = np.hypot(*(np.indices((9, 13)) - np.array([4, 6])[:, None, None]) / [[[4.5]], [[6]]]) < 1
BEAN = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]], bool)
NONE = "your function gives None: is there a return?"
PENCIL = [2, 1, 1]  # found, merged, missed


def _nearness(own: np.ndarray, straight: bool = True, scaled: bool = True) -> np.ndarray:
    places = np.argwhere(own)
    middle = places.mean(0)
    center = places[((places - middle) ** 2).sum(1).argmin()]
    away = np.hypot(*(places - center).T) if straight else np.abs(places - center).sum(1)
    result = np.zeros(own.shape)
    result[own] = 1 - away / away.max() if scaled else away
    return result


@check
def check_nearness(answer: object) -> None:
    """Checks a function (mask of one object) -> nearness to its center, 0 outside.

    >>> check_nearness(lambda own: own * 1.0)
    Not yet: the object's farthest pixel has nearness 1, expected 0: divide by the largest distance.
    """
    for own in (ELLIPSE, BEAN):
        told = "expected an array of the mask's shape, got {got}."
        found = array(ask(answer, own, none=NONE), told)
        expect(found.shape == own.shape, f"the mask has shape {own.shape}, yours {found.shape}.")
        expect(not found[~own].any(), "outside of the object the nearness is 0.")
        right, lowest = _nearness(own), found[own].min()
        told = f"the object's farthest pixel has nearness {lowest:.3g}, expected 0:"
        mistakes = [
            (_nearness(own, scaled=False), "this is the distance: divide by the largest, 1 minus."),
            ((1 - right) * own, "this is 0 at the center and 1 far away: 1 minus it."),
            (_nearness(own, straight=False), "rows plus columns is no straight line: np.hypot."),
        ]
        other = "is the center the object's pixel that is nearest to the mean of its pixels?"
        missing = f"{told} divide by the largest distance."
        judge(found, right, mistakes, missing if abs(lowest) > 1e-6 else other)
    say(True, "1 at the center, 0 at the farthest pixel, whatever the object's size.")


@check
def check_votes(answer: object) -> None:
    """Checks a function (places (P, 2), offsets (P, 2), shape) -> votes of that shape.

    >>> check_votes(lambda places, offsets, shape: np.zeros(shape))
    Not yet: your votes add up to 0, there are 5 pixels, and each has one vote.
    """
    places = np.array([[0, 0], [0, 1], [1, 1], [2, 3], [2, 4]])
    offsets = np.array([[1.2, 1.0], [0.9, -0.2], [0.0, 0.4], [0.0, 0.0], [-0.3, -1.1]])
    shape, right = (3, 5), np.zeros((3, 5))
    for row, column in ((1, 1), (1, 1), (1, 1), (2, 3), (2, 3)):
        right[row, column] += 1
    found = array(
        ask(answer, places, offsets, shape, none=NONE), "expected an array (H, W), got {got}."
    )
    expect(found.shape == shape, f"expected votes of shape {shape}, got {found.shape}.")
    total = f"your votes add up to {found.sum():g}, there are 5 pixels, and each has one vote."
    once = "two votes for one pixel counted once: += with an index forgets; np.add.at adds them up."
    home = np.zeros(shape)
    home[tuple(places.T)] = 1
    down = np.zeros(shape)
    np.add.at(down, tuple((places + offsets).astype(int).T), 1)
    mistakes = [
        ((right > 0) * 1.0, once),
        (home, "these are the pixels themselves: add the offsets to their places."),
        (down, "a place of 0.9 belongs to pixel 1: round, as np.rint does."),
    ]
    judge(found, right, mistakes, total if found.sum() != 5 else "is it places + offsets?")
    say(True, "five pixels, two heaps: of three votes and of two.")


@check
def check_mistakes(answer: object) -> None:
    """Checks three numbers: how many nuclei of the row are found, merged, missed, at IoU 0.5.

    >>> check_mistakes([4, 0, 0])
    Not yet: found: you say 4, expected 2. ...
    """
    found = numbers(answer, "expected three whole numbers, got {short}.", 3, whole)
    reasons = (
        "The object over the first two shares 5 of 8 pixels with the first.",
        "The second lies in that object, too, which is spent on the first.",
        "On the last one lies nothing.",
    )
    names = ("found", "merged", "missed")
    for name, own, right, why in zip(names, found, PENCIL, reasons, strict=True):
        expect(own == right, f"{name}: you say {own}, expected {right}. {why}")
    say(True, "AP at 0.5 is 2 / (2 + 2 lost) = 0.5.")


@check
def check_contact(answer: object) -> None:
    """Checks a function (labels, radius) -> mask of the nucleus pixels close to another nucleus.

    >>> check_contact(lambda labels, radius: labels > 0)
    Not yet: these are all nucleus pixels; contact is where another nucleus is near.
    """
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 4, (4, 5)), np.ones((3, 4), int))
    for radius in (1, 2):
        right = _contact(labels, radius)
        found = array(ask(answer, labels, radius, none=NONE), "expected a mask (H, W), got {got}.")
        expect(found.shape == labels.shape, f"expected {labels.shape}, got {found.shape}.")
        background = "background is no contact: only pixels of a nucleus."
        mistakes = [
            (labels > 0, "these are all nucleus pixels; contact is where another nucleus is near."),
            (_rim(labels, radius), "background counts as another nucleus: it has the number 0."),
            (_contact(labels, 1), f"this is radius 1, asked was {radius}."),
        ]
        told = background if (found[labels == 0] > 0).any() else f"not so for radius {radius}."
        judge(found.astype(float), right.astype(float), _as_numbers(mistakes), told)
    say(True, "where two nuclei meet, and nowhere else.")


def _as_numbers(mistakes: list) -> list:
    return [(np.asarray(mask, float), text) for mask, text in mistakes]


def _extremes(labels: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest and the smallest number of a nucleus within the radius, in a square."""
    size, none = 2 * radius + 1, labels.max() + 1
    lowest = ndimage.minimum_filter(np.where(labels > 0, labels, none), size)
    return ndimage.maximum_filter(labels, size), lowest


def _contact(labels: np.ndarray, radius: int) -> np.ndarray:
    highest, lowest = _extremes(labels, radius)
    return (labels > 0) & (highest != lowest)


def _rim(labels: np.ndarray, radius: int) -> np.ndarray:
    size = 2 * radius + 1
    return (labels > 0) & (
        ndimage.maximum_filter(labels, size) != ndimage.minimum_filter(labels, size)
    )


@check
def check_areas(answer: object) -> None:
    """Checks a function (labels) -> areas of the objects that the edge does not cut, sorted.

    >>> check_areas(lambda labels: sorted(np.bincount(labels.ravel())[1:]))
    Not yet: object 1 lies at the edge of the image, and nobody knows how much of it lies outside.
    """
    labels = np.zeros((8, 10), int)
    labels[0:3, 0:4], labels[3:5, 4:7], labels[6:8, 8:10], labels[4:7, 1:3] = 1, 4, 5, 9
    found = numbers(ask(answer, labels), "expected a list of areas, got {got}.", one=whole)
    told = "object 1 lies at the edge of the image, and nobody knows how much of it lies outside."
    expect(12 not in found and 4 not in found, told)
    expect(80 - 28 not in found and 0 not in found, "0 is background, and numbers may have gaps.")
    right = [6, 6]
    expect(close(sorted(found), right), f"expected {right}, you return {found}.")
    say(True, "two objects of 6 pixels; the two at the edge have no area that one could know.")
