"""The mistakes of a segmentation into objects, taken apart (chapter 11)."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from unet_lib.evaluation.instances import Labels, overlaps


class Mistakes(NamedTuple):
    """How many true objects were found, or why not; how many predicted ones are extra, and why.

    The first five add up to the true objects; `found` and the last three to the predicted ones.

    >>> (Mistakes(9, 1, 0, 0, 0, 0, 0, 0) + Mistakes(3, 0, 0, 2, 0, 0, 0, 1)).found
    12
    """

    found: int
    """Matched with a predicted object."""
    merged: int
    """Lost in a predicted object that covers at least half of another true one, too."""
    split: int
    """Covered by several predicted objects, and by none of them for the most part."""
    missed: int
    """Covered by predicted objects on less than half of its pixels."""
    outline: int
    """Covered by one predicted object, whose outline is too far off."""
    over_several: int
    """Extra predicted objects that cover at least half of two or more true ones."""
    pieces: int
    """Extra predicted objects that lie, for the most part, in one true object."""
    on_background: int
    """All other extra ones: they lie on background, or between objects."""

    def __add__(self, other: "Mistakes") -> "Mistakes":  # type: ignore[override]  # not a longer tuple
        """The sums, for several images."""
        return Mistakes(*(a + b for a, b in zip(self, other, strict=True)))


def find_mistakes(predicted: Labels, true: Labels, threshold: float = 0.5) -> Mistakes:
    """Counts the mistakes of one label image (H, W); 0 is background.

    Objects are matched one to one where their IoU is at least `threshold`, as in
    `average_precision`, so that AP = found / (found + lost true ones + extra predicted ones).
    Raises ValueError for shapes that differ.

    >>> true, predicted = np.array([[1, 1, 1, 2, 2, 0, 0, 3]]), np.array([[1, 1, 1, 1, 1, 0, 2, 0]])
    >>> mistakes = find_mistakes(predicted, true, threshold=0.7)
    >>> {name: number for name, number in mistakes._asdict().items() if number}
    {'merged': 2, 'missed': 1, 'over_several': 1, 'on_background': 1}
    """
    shared, pixels, true_pixels = overlaps(predicted, true)
    union = pixels[:, None] + true_pixels[None] - shared
    good = shared / union >= threshold
    rows, columns = linear_sum_assignment(good, maximize=True)
    pairs = [(row, column) for row, column in zip(rows, columns, strict=True) if good[row, column]]
    extra = np.setdiff1d(np.arange(len(pixels)), [row for row, _ in pairs])
    lost = np.setdiff1d(np.arange(len(true_pixels)), [column for _, column in pairs])

    owns = 2 * shared >= true_pixels  # P T: covers at least half of it
    covered, owner = 2 * shared.sum(0) >= true_pixels, owns.any(0)
    merged = (owns & (owns.sum(1, keepdims=True) > 1)).any(0)
    of_lost = [merged, covered & ~owner, ~covered & ~merged, owner & ~merged]
    several, inside = owns.sum(1) > 1, 2 * shared.max(1, initial=0) >= pixels
    of_extra = [several, inside & ~several, ~inside & ~several]
    counts = [int(kind[lost].sum()) for kind in of_lost]
    return Mistakes(len(pairs), *counts, *(int(kind[extra].sum()) for kind in of_extra))
