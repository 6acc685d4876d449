"""The checks of chapter 10 accept right answers and name what is wrong with others."""

import numpy as np

from unet_lib.course.exercises import chapter10


def bootstrap(scores, repeats=2000):
    rng = np.random.default_rng(1)
    means = rng.choice(scores, (repeats, len(scores))).mean(1)
    return tuple(np.percentile(means, [2.5, 97.5]))


def better(a, b):
    return sum(y > x for x, y in zip(a, b, strict=True)) / len(a)


def count_error(predicted, true):
    found, there = (len(np.unique(x[x > 0])) for x in (predicted, true))
    return (found - there) / there


CASES = {
    chapter10.check_interval: [
        (bootstrap, "Right: "),
        (lambda s: None, "expected two numbers (low, high), got None"),
        (lambda s: (0, 0.1), "does not hold the mean"),
        (lambda s: np.mean(s) + np.array([-0.001, 0.001]), "for 50 scores with standard deviation"),
    ],
    chapter10.check_paired: [
        (better, "Right: "),
        (lambda a, b: None, "you say None, expected 0.5"),
        (lambda a, b: np.mean(np.array(b) >= a), "you say 0.75"),
    ],
    chapter10.check_count_error: [
        (count_error, "Right: "),
        (lambda p, t: None, "you say None, expected 0.5"),
        (lambda p, t: (p.max() - t.max()) / t.max(), "count the different ones"),
        (lambda p, t: len(np.unique(p)) / len(np.unique(t)) - 1, "you say"),
        (lambda p, t: len(np.unique(p)) - len(np.unique(t)), "Divide by the number that is there"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
