"""The checks of the chapter on wrong results: right answers, and what wrong ones are told."""

import numpy as np
from sklearn.model_selection import GroupKFold, KFold

from unet_lib.course.exercises import chapter09c


def by_group(groups, k):
    return GroupKFold(k).split(groups, groups=groups)


def ece(p, y, bins):
    place = np.minimum((p * bins).astype(int), bins - 1)
    return sum(abs((p - y)[place == b].sum()) for b in range(bins)) / len(p)


CASES = {
    chapter09c.check_folds: [
        (by_group, "Right: every image is validated once"),
        (lambda groups, k: KFold(k).split(groups), "AAAAAABC in 3 folds: in fold 1 group A is on"),
        (lambda groups, k: [(range(len(groups)), [])] * k, "fold 1 validates nothing"),
        (lambda groups, k: [(t[1:], v) for t, v in by_group(groups, k)], "an image is missing"),
        (lambda groups, k: [next(by_group(groups, k))] * k, "several times and others never"),
    ],
    chapter09c.check_ece: [
        (ece, "Right: each bin counts"),
        *chapter09c.ECE_MISTAKES,
        (
            lambda p, y, bins: ece(p[p < 1], y[p < 1], bins) * (p < 1).mean(),
            "probabilities of exactly 1 and 0, both wrong: expected 1.000, you return 0.500",
        ),
    ],
    chapter09c.check_temperature: [
        (chapter09c.best_temperature, "Right: one number"),
        (
            lambda logits, y: 1.0,
            "The cross-entropy of sigmoid(logits / T) is 0.61 at your T; it can",
        ),
        (lambda logits, y: 1 / chapter09c.best_temperature(logits, y), "That is 1/T"),
        (lambda logits, y: -2.0, "A temperature is positive"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
