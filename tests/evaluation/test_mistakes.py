"""Mistakes of each kind, drawn by hand, and their sums."""

import numpy as np
import pytest

from unet_lib.evaluation import Mistakes, average_precision, find_mistakes

TRUE = np.zeros((20, 40), int)
TRUE[2:8, 2:8], TRUE[2:8, 8:14], TRUE[2:8, 20:26], TRUE[12:18, 2:8] = 1, 2, 3, 4


def predicted(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    labels = np.zeros_like(TRUE)
    for number, (top, bottom, left, right) in enumerate(boxes, start=1):
        labels[top:bottom, left:right] = number
    return labels


WHOLE = (2, 8, 2, 8), (2, 8, 8, 14), (2, 8, 20, 26), (12, 18, 2, 8)
NONE = Mistakes(*[0] * 8)
CASES = {
    "all right": (WHOLE, {"found": 4}),
    "two in one": (
        ((2, 8, 2, 14), *WHOLE[2:]),
        {"found": 3, "merged": 1},  # an IoU of half is a match with one of them
    ),
    "one in two halves": (
        (*WHOLE[:3], (12, 14, 2, 8), (14, 16, 2, 8), (16, 18, 2, 8)),
        {"found": 3, "split": 1, "pieces": 3},
    ),
    "one not seen": (WHOLE[:3], {"found": 3, "missed": 1}),
    "a wide outline": (
        (*WHOLE[:3], (10, 20, 0, 12)),
        {"found": 3, "outline": 1, "on_background": 1},
    ),
    "litter": ((*WHOLE, (15, 18, 30, 34)), {"found": 4, "on_background": 1}),
    "two in one, and more": (
        ((1, 10, 1, 15), *WHOLE[2:]),
        {"found": 2, "merged": 2, "over_several": 1},
    ),
    "nothing": ((), {"missed": 4}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind(case) -> None:
    boxes, expected = CASES[case]
    assert find_mistakes(predicted(*boxes), TRUE) == NONE._replace(**expected)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_the_sums_are_those_of_the_average_precision(seed, threshold) -> None:
    rng = np.random.default_rng(seed)
    found, true = (np.kron(rng.integers(0, 9, (6, 7)), np.ones((3, 3), int)) for _ in range(2))
    true[::2] = found[::2]
    m = find_mistakes(found, true, threshold)
    assert sum(m[:5]) == len(np.unique(true[true > 0]))
    assert m.found + sum(m[5:]) == len(np.unique(found[found > 0]))
    ap = average_precision([found], [true], (threshold,))[threshold]
    assert ap == pytest.approx(m.found / sum(m), abs=1e-6)


def test_sums_over_images_and_other_shapes() -> None:
    twice = find_mistakes(TRUE, TRUE) + find_mistakes(predicted(), TRUE)
    assert twice == NONE._replace(found=4, missed=4)
    with pytest.raises(ValueError, match="label images of one shape"):
        find_mistakes(TRUE, TRUE.T)
