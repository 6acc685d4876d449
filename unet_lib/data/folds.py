"""Divide a stack of slices into folds: neighbors stay together, and apart from others (chapter 3).

Neighboring slices of a volume, like neighboring frames of a film, show almost the same. A slice
whose neighbor was trained on is half known.
"""

from typing import NamedTuple

import numpy as np


class Fold(NamedTuple):
    """The indices of the slices to train on, to choose by, and to test on.

    >>> Fold(train=(4, 5), choice=(7,), test=(0, 1, 2)).test
    (0, 1, 2)
    """

    train: tuple[int, ...]
    choice: tuple[int, ...]
    """Settings, such as the threshold, are chosen by these: they belong to training."""
    test: tuple[int, ...]


def blocks(length: int, folds: int = 5, gap: int = 1, choice: int = 3) -> list[Fold]:
    """Folds of a stack of `length` slices: each tests a block of neighbors, and all are tested.

    `choice` slices at the end of the stack that is farther from the test block are set aside to
    choose by. Between any two of the three parts `gap` slices are left out: a threshold chosen
    beside slices that the network knows would expect too sure answers. At the end of the stack
    this takes one gap, not two.

    Raises ValueError for numbers out of range, and where no slice would be left to train on.

    >>> blocks(10, choice=2)[0]
    Fold(train=(3, 4, 5, 6), choice=(8, 9), test=(0, 1))
    """
    if not (2 <= folds <= length and gap >= 0 and choice >= 1):
        raise ValueError(
            f"folds={folds}, gap={gap}, choice={choice}: expected 2 to {length} folds, a gap of 0 "
            "or more, and 1 slice or more to choose by"
        )
    found = []
    for block in np.array_split(np.arange(length), folds):
        test, whole = block.tolist(), range(length)
        behind = length - 1 - test[-1] >= test[0]  # there are as many slices after it as before
        chosen = whole[length - choice :] if behind else whole[:choice]
        kept = {index for index in whole if _apart(index, test, gap)}
        train = [index for index in sorted(kept) if _apart(index, chosen, gap)]
        if not (train and kept.issuperset(chosen)):
            raise ValueError(
                f"{length} slices in {folds} folds with a gap of {gap} leave none to train on "
                f"beside {choice} to choose by; take fewer folds, a smaller gap or fewer to choose"
            )
        found.append(Fold(tuple(train), tuple(chosen), tuple(test)))
    return found


def shuffled_blocks(
    length: int, seed: int, folds: int = 5, gap: int = 1, choice: int = 3
) -> list[Fold]:
    """The folds of `blocks` in a stack whose slices were shuffled first: each part is as large.

    So neighbors of the tested slices are trained on. The difference between the scores of the two
    says how much such a leak flatters; nothing else should be divided like this.

    >>> [len(part) for part in shuffled_blocks(10, seed=0, choice=2)[0]]
    [4, 2, 2]
    """
    order = np.random.default_rng(seed).permutation(length)
    return [
        Fold(*(tuple(sorted(order[list(part)].tolist())) for part in fold))
        for fold in blocks(length, folds, gap, choice)
    ]


def _apart(index: int, others: range | list[int], gap: int) -> bool:
    return all(abs(index - other) > gap for other in others)
