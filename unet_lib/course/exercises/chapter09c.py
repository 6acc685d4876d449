"""Checks for the exercises of chapter 9c, wrong results: folds, calibration, temperature."""

import math

import numpy as np
from scipy.optimize import minimize_scalar

from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, kind, say
from unet_lib.course.exercises.values import close, items, judge, number, whole

GROUPS: tuple[tuple[str, int], ...] = (
    ("AABBCCDD", 4),
    ("AAAAAABC", 3),
    ("ABCABCABCABC", 3),
    ("ABCDEFGHIJ", 5),
)
"""For each check the group of every picture, and the number of folds."""


@check
def check_folds(answer: object) -> None:
    """Checks a function (groups, k) -> k pairs (training indices, validation indices).

    >>> check_folds(lambda groups, k: [])
    Not yet: AABBCCDD in 4 folds: there are 0 folds.
    """
    for names, k in GROUPS:
        with about(f"{names} in {k} folds: "):
            told = "return pairs (training indices, validation indices)."
            folds = [items(fold, told, 2) for fold in items(ask(answer, list(names), k), told)]
            parts = [[[whole(i, told) for i in items(part, told)] for part in f] for f in folds]
            _judge_folds(names, k, parts)
    say(True, "every picture is validated once, and no group is on both sides.")


def _judge_folds(names: str, k: int, folds: list[list[list[int]]]) -> None:
    expect(len(folds) == k, f"there are {len(folds)} folds.")
    everything = list(range(len(names)))
    for fold, (train, validation) in enumerate(folds, start=1):
        expect(validation, f"fold {fold} validates nothing.")
        strange = {*train, *validation} - {*everything}
        expect(not strange, f"in fold {fold} there are indices of no picture: {sorted(strange)}.")
        for group in sorted({names[i] for i in train} & {names[i] for i in validation}):
            raise NotYet(f"in fold {fold} group {group} is on both sides.")
        once = sorted(train + validation) == everything
        expect(once, f"in fold {fold} a picture is missing, or there twice.")
    validated = sorted(i for _, validation in folds for i in validation)
    told = "some pictures are validated several times and others never."
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

    def cross_entropy(log_t: float) -> float:
        z = logits / math.exp(log_t)
        return float(np.mean(np.logaddexp(0, z) - y * z))

    return float(math.exp(minimize_scalar(cross_entropy, bounds=(-3, 4), method="bounded").x))


def _pixels(seed: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels; the labels follow sigmoid(logits / sharpness)."""
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.normal(-1, 2, 4000)
    return logits, (rng.random(4000) < 1 / (1 + np.exp(-logits / sharpness))).astype(int)


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
            value = _number(answer, p, y, bins)
            with about(f"expected {right:.3f}, you return {value:.3f}."):
                _judge_ece(value, right, p, y, bins)
    say(True, "each bin counts by its pixels, and too high and too low do not cancel.")


def _number(answer: object, *arguments: object) -> float:
    """The number that the reader's function returns."""
    found = ask(answer, *arguments)
    return number(found, f"you return {kind(found)}. Return one number.")


def _judge_ece(value: float, right: float, p: np.ndarray, y: np.ndarray, bins: int) -> None:
    place = np.minimum((p * bins).astype(int), bins - 1)
    used = np.unique(place)
    gaps = np.array([p[place == b].mean() - y[place == b].mean() for b in used])
    shares = np.array([np.mean(place == b) for b in used])
    wrong = (
        (math.nan, " An empty bin has no mean: leave it out."),
        (np.abs(gaps).mean(), " Weigh each bin by its share of the pixels."),
        (abs((gaps * shares).sum()), " Take the absolute value in each bin, then the mean."),
        (np.abs(gaps).max(), " That is the largest gap; take the mean, weighted by pixels."),
    )
    judge(value, right, wrong, "")


@check
def check_temperature(answer: object) -> None:
    """Checks a function (logits, y) -> temperature.

    >>> check_temperature(lambda logits, y: 1.0)
    Not yet: logits three times too large: expected about 2.9, you return 1.00. The cross-entropy
    of sigmoid(logits / T) is ... at your T; it can be ....
    """
    for what, sharpness in (
        ("logits three times too large", 3.0),
        ("logits that are right already", 1.0),
        ("logits half as large as they should be", 0.5),
    ):
        logits, y = _pixels(1, sharpness)
        right = best_temperature(logits, y)
        with about(f"{what}: "):
            value = _number(answer, logits, y)
            if not close(value, right, within=0, relative=0.05):
                raise NotYet(_why_temperature(value, right, logits, y))
    say(True, "one number makes the probabilities honest, and no pixel changes sides.")


def _why_temperature(value: float, right: float, logits: np.ndarray, y: np.ndarray) -> str:
    told = f"expected about {right:.1f}, you return {value:.2f}."
    if not value > 0:
        return f"{told} A temperature is positive."
    if close(value, 1 / right, within=0, relative=0.05):
        return f"{told} That is 1/T: logits are divided by T."
    losses = [float(np.mean(np.logaddexp(0, z) - y * z)) for z in (logits / value, logits / right)]
    return (
        f"{told} The cross-entropy of sigmoid(logits / T) is {losses[0]:.2f} at your T; it can "
        f"be {losses[1]:.2f}."
    )
