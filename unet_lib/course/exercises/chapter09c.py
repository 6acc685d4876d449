"""Checks for the exercises of chapter 9c, wrong results: folds, calibration, temperature."""

import math

import numpy as np
from scipy.optimize import minimize_scalar

from unet_lib.course.exercises import say

GROUPS: tuple[tuple[str, int], ...] = (
    ("AABBCCDD", 4),
    ("AAAAAABC", 3),
    ("ABCABCABCABC", 3),
    ("ABCDEFGHIJ", 5),
)
"""For each check the group of every picture, and the number of folds."""


def check_folds(answer: object) -> None:
    """Checks a function (groups, k) -> k pairs (training indices, validation indices).

    >>> check_folds(lambda groups, k: [])
    Not yet: AABBCCDD in 4 folds: there are 0 folds.
    """
    for names, k in GROUPS:
        what = f"{names} in {k} folds"
        try:
            folds = [
                (sorted(map(int, train)), sorted(map(int, validation)))
                for train, validation in answer(list(names), k)  # type: ignore[operator]
            ]
        except Exception as error:  # any mistake of the reader's is told
            return say(False, f"{what}: {type(error).__name__}: {error}.")
        if problem := _fold_problem(names, k, folds):
            return say(False, f"{what}: {problem}")
    say(True, "every picture is validated once, and no group is on both sides.")


def _fold_problem(names: str, k: int, folds: list[tuple[list[int], list[int]]]) -> str:
    if len(folds) != k:
        return f"there are {len(folds)} folds."
    for number, (train, validation) in enumerate(folds, start=1):
        if not validation:
            return f"fold {number} validates nothing."
        if both := {names[i] for i in train} & {names[i] for i in validation}:
            return f"in fold {number} group {min(both)} is on both sides."
        if sorted(train + validation) != list(range(len(names))):
            return f"in fold {number} a picture is missing, or there twice."
    validated = sorted(i for _, validation in folds for i in validation)
    if validated != list(range(len(names))):
        return "some pictures are validated several times and others never."
    return ""


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
        (
            "probabilities of exactly 1 and 0, both wrong",
            np.array([1.0, 0.0]),
            np.array([0, 1]),
            10,
        ),
        ("too high in one bin, too low in another", *_opposite(), 10),
    )
    for what, p, y, bins in cases:
        right = expected_calibration_error(p, y, bins)
        try:
            value = float(answer(p, y, bins))  # type: ignore[operator]
        except Exception as error:  # any mistake of the reader's is told
            return say(False, f"{what}: {type(error).__name__}: {error}.")
        if not math.isclose(value, right, abs_tol=1e-6):
            hint = _why_ece(value, p, y, bins)
            return say(False, f"{what}: expected {right:.3f}, you return {value:.3f}.{hint}")
    say(True, "each bin counts by its pixels, and too high and too low do not cancel.")


def _opposite() -> tuple[np.ndarray, np.ndarray]:
    return np.repeat([0.35, 0.65], 100), np.repeat([0, 1], 100)


def _why_ece(value: float, p: np.ndarray, y: np.ndarray, bins: int) -> str:
    if math.isnan(value):
        return " An empty bin has no mean: leave it out."
    place = np.minimum((p * bins).astype(int), bins - 1)
    used = np.unique(place)
    gaps = np.array([p[place == b].mean() - y[place == b].mean() for b in used])
    shares = np.array([np.mean(place == b) for b in used])
    known = {
        float(np.abs(gaps).mean()): " Weigh each bin by its share of the pixels.",
        float(abs((gaps * shares).sum())): " Take the absolute value in each bin, then the mean.",
        float(np.abs(gaps).max()): " That is the largest gap; take the mean, weighted by pixels.",
    }
    for wrong, hint in known.items():
        if math.isclose(value, wrong, abs_tol=1e-6):
            return hint
    return ""


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
        try:
            value = float(answer(logits, y))  # type: ignore[operator]
        except Exception as error:  # any mistake of the reader's is told
            return say(False, f"{what}: {type(error).__name__}: {error}.")
        if not math.isclose(value, right, rel_tol=0.05):
            return say(False, f"{what}: {_why_temperature(value, right, logits, y)}")
    say(True, "one number makes the probabilities honest, and no pixel changes sides.")


def _why_temperature(value: float, right: float, logits: np.ndarray, y: np.ndarray) -> str:
    told = f"expected about {right:.1f}, you return {value:.2f}."
    if not value > 0:
        return f"{told} A temperature is positive."
    if math.isclose(value, 1 / right, rel_tol=0.05):
        return f"{told} That is 1/T: logits are divided by T."
    losses = [float(np.mean(np.logaddexp(0, z) - y * z)) for z in (logits / value, logits / right)]
    return (
        f"{told} The cross-entropy of sigmoid(logits / T) is {losses[0]:.2f} at your T; it can "
        f"be {losses[1]:.2f}."
    )
