"""Checks for the exercises of chapter 9c, wrong results: folds, calibration, temperature."""

import math

import numpy as np
from scipy.optimize import minimize_scalar

from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, say
from unet_lib.course.exercises.values import items, judge, number, numbers, whole

GROUPS = {"AABBCCDD": 4, "AAAAAABC": 3, "ABCABCABCABC": 3, "ABCDEFGHIJ": 5}
"""The group of every image, a letter each, and the number of folds."""


@check
def check_folds(answer: object) -> None:
    """Checks a function (groups, k) -> k pairs (training indices, validation indices).

    >>> check_folds(lambda groups, k: [])
    Not yet: AABBCCDD in 4 folds: there are 0 folds.
    """
    for names, k in GROUPS.items():
        with about(f"{names} in {k} folds: "):
            told = "return pairs (training indices, validation indices)."
            folds = [items(fold, told, 2) for fold in items(ask(answer, list(names), k), told)]
            _judge_folds(names, k, [[numbers(part, told, one=whole) for part in f] for f in folds])
    say(True, "every image is validated once, and no group is on both sides.")


def _judge_folds(names: str, k: int, folds: list[list[list[int]]]) -> None:
    expect(len(folds) == k, f"there are {len(folds)} folds.")
    everything = list(range(len(names)))
    for fold, (train, validation) in enumerate(folds, start=1):
        expect(validation, f"fold {fold} validates nothing.")
        strange = {*train, *validation} - {*everything}
        expect(not strange, f"in fold {fold} there are indices of no image: {sorted(strange)}.")
        for group in sorted({names[i] for i in train} & {names[i] for i in validation}):
            raise NotYet(f"in fold {fold} group {group} is on both sides.")
        once = sorted(train + validation) == everything
        expect(once, f"in fold {fold} an image is missing, or there twice.")
    validated = sorted(i for _, validation in folds for i in validation)
    told = "some images are validated several times and others never."
    expect(validated == everything, told)


def expected_calibration_error(p: np.ndarray, y: np.ndarray, bins: int = 10) -> float:
    """Mean distance between probability and frequency in bins of equal width, by pixels.

    p: probabilities of foreground; y: 0 or 1. As in Guo et al. (2017), of the foreground.

    >>> round(expected_calibration_error(np.array([0.8, 0.8]), np.array([1, 0])), 3)
    0.3
    """
    p, y = p.ravel(), y.ravel()
    place = np.minimum((p * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    distance = np.abs(np.bincount(place, p, bins) - np.bincount(place, y, bins))
    return float(distance.sum() / counts.sum())


def best_temperature(logits: np.ndarray, y: np.ndarray) -> float:
    """The temperature T at which sigmoid(logits / T) has the smallest cross-entropy.

    >>> logits = np.array([8.0, 8.0, 8.0, 8.0])
    >>> round(best_temperature(logits, np.array([1, 1, 1, 0])), 1)  # 8 / log 3
    7.3
    """
    logits, y = logits.ravel().astype(float), y.ravel()

    def at(log_t: float) -> float:
        return _cross_entropy(logits / math.exp(log_t), y)

    return math.exp(minimize_scalar(at, bounds=(-3, 4), method="bounded").x)


def _cross_entropy(z: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, z) - y * z))


def _pixels(seed: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels; the labels follow sigmoid(logits / sharpness)."""
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.normal(-1, 2, 4000)
    return logits, (rng.random(4000) < 1 / (1 + np.exp(-logits / sharpness))).astype(int)


NO_NUMBER = "you return {kind}. Return one number."
SIGNS = " Take the absolute value in each bin, then the mean."
LARGEST = " That is the largest gap; take the mean, weighted by pixels."
OPPOSITE = np.repeat([0.35, 0.65], 100), np.repeat([0, 1], 100)


@check
def check_ece(answer: object) -> None:
    """Checks a function (p, y, bins) -> expected calibration error.

    >>> check_ece(lambda p, y, bins: 0.0)
    Not yet: two pixels of 0.8, one of them foreground: expected 0.300, you return 0.000.
    """
    sharp, y = _pixels(0, 3.0)
    p = 1 / (1 + np.exp(-sharp))
    cases = (
        ("two pixels of 0.8, one of them foreground", np.array([0.8, 0.8]), np.array([1, 0]), 10),
        ("a network that is too sure", p, y, 10),
        ("the same with five bins", p, y, 5),
        ("probabilities of exactly 1 and 0, both wrong", np.array([1.0, 0]), np.array([0, 1]), 10),
        ("too high in one bin, too low in another", *OPPOSITE, 10),
    )
    for what, p, y, bins in cases:
        right = expected_calibration_error(p, y, bins)
        with about(f"{what}: "):
            value = number(ask(answer, p, y, bins), NO_NUMBER)
            with about(f"expected {right:.3f}, you return {value:.3f}."):
                judge(value, right, ECE_MISTAKES, "", given=(p, y, bins))
    say(True, "each bin counts by its pixels, and too high and too low do not cancel.")


def _gaps(p: np.ndarray, y: np.ndarray, bins: int) -> np.ndarray:
    """For every bin that is not empty probability minus frequency, and the share of its pixels."""
    place = np.minimum((p * bins).astype(int), bins - 1)
    used = [place == b for b in np.unique(place)]
    return np.array([[p[one].mean() - y[one].mean(), one.mean()] for one in used]).T


ECE_MISTAKES = (
    (lambda *given: math.nan, " An empty bin has no mean: leave it out."),
    (lambda *given: np.abs(_gaps(*given)[0]).mean(), " Weigh each bin by its share of the pixels."),
    (lambda *given: abs(_gaps(*given).prod(0).sum()), SIGNS),
    (lambda *given: np.abs(_gaps(*given)[0]).max(), LARGEST),
)


@check
def check_temperature(answer: object) -> None:
    """Checks a function (logits, y) -> temperature.

    >>> check_temperature(lambda logits, y: 1.0)
    Not yet: logits three times too large: expected about 2.9, you return 1.00. The ...
    """
    for what, sharpness in (
        ("logits three times too large", 3.0),
        ("logits that are right already", 1.0),
        ("logits half as large as they should be", 0.5),
    ):
        logits, y = _pixels(1, sharpness)
        right = best_temperature(logits, y)
        with about(f"{what}: "):
            value = number(ask(answer, logits, y), NO_NUMBER)
            with about(f"expected about {right:.1f}, you return {value:.2f}. "):
                _judge_temperature(value, right, logits, y)
    say(True, "one number makes the probabilities honest, and no pixel changes sides.")


def _judge_temperature(value: float, right: float, logits: np.ndarray, y: np.ndarray) -> None:
    expect(value > 0, "A temperature is positive.")
    yours, best = (_cross_entropy(logits / t, y) for t in (value, right))
    told = f"The cross-entropy of sigmoid(logits / T) is {yours:.2f} at your T"
    told = f"{told}; it can be {best:.2f}."
    wrong = [(1 / right, "That is 1/T: logits are divided by T.")]
    judge(value, right, wrong, told, within=0, relative=0.05)
