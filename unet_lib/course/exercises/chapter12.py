"""Checks for the exercises of chapter 12: mIoU by hand and by code, films, milder weights."""

import math
from collections.abc import Callable
from numbers import Real

import numpy as np

from unet_lib.course.exercises import say

PENCIL = (6 / 9, 3 / 6, None, (6 / 9 + 3 / 6) / 2)
"""IoU of road, tree and bus, and the mIoU over the classes that occur."""


def check_pencil(answer: object) -> None:
    """Checks the IoU of road, tree and bus, and the mIoU, of the table in the exercise.

    >>> check_pencil([6 / 8, 3 / 4, None, 5 / 8])
    Not yet: road: you have 0.75, that is the recall. What was wrongly called road counts, too.
    """
    if not isinstance(answer, list | tuple) or len(answer) != 4:
        return say(False, "give a list of four: the IoU of road, tree and bus, and the mIoU.")
    for name, value, right, recall, precision, dice in (
        ("road", answer[0], PENCIL[0], 6 / 8, 6 / 7, 12 / 15),
        ("tree", answer[1], PENCIL[1], 3 / 4, 3 / 5, 6 / 9),
    ):
        known = {
            recall: f"the recall. What was wrongly called {name} counts, too",
            precision: f"the precision. What of {name} was missed counts, too",
            dice: "the Dice. In the IoU every pixel counts once",
        }
        if not _close(value, right):
            why = next((text for wrong, text in known.items() if _close(value, wrong)), None)
            told = f"that is {why}." if why else "divide the diagonal by row + column - diagonal."
            return say(False, f"{name}: you have {_shown(value)}, {told}")
    if answer[2] is not None and not _close(answer[2], math.nan):
        return say(False, f"bus: you have {_shown(answer[2])}; 0/0 is not defined. Give None.")
    if not _close(answer[3], PENCIL[3]):
        thirds = {(6 / 9 + 3 / 6) / 3: "0", (6 / 9 + 3 / 6 + 1) / 3: "1"}
        counted = next((text for wrong, text in thirds.items() if _close(answer[3], wrong)), None)
        told = f"the bus counts {counted} in it" if counted else "it is the mean of two numbers"
        return say(False, f"mIoU: you have {_shown(answer[3])}; {told}. It did not occur.")
    say(True, "road 0.667, tree 0.500, bus not defined, mIoU 0.583.")


TABLES = {
    "one picture, two classes": [[[6, 2], [1, 2]]],
    "a large and a small picture": [[[90, 10], [0, 20]], [[0, 0], [5, 5]]],
    "a class that does not occur": [[[6, 2, 0], [1, 3, 0], [0, 0, 0]]],
    "a class that is found and does not occur": [[[6, 1, 1], [1, 3, 0], [0, 0, 0]]],
    "a class that is never found": [[[6, 0, 0], [0, 3, 0], [0, 2, 0]]],
}
"""Confusion matrices of several pictures, by what is special about them."""


def check_miou(answer: object) -> None:
    """Checks a function: list of confusion matrices (K, K) -> pooled mIoU.

    >>> check_miou(lambda tables: 0.5)
    Not yet: one picture, two classes: expected 0.533, you return 0.5. Follow it by hand.
    """
    if not callable(answer):
        return say(False, "pass the function itself, without calling it.")
    for name, tables in TABLES.items():
        tables = [np.array(table) for table in tables]
        value, failure = _result(answer, [table.copy() for table in tables])
        if failure:
            return say(False, f"{name}: {failure}")
        right = _miou(sum(tables))
        if not _close(value, right):
            told = f"{name}: expected {right:.3f}, you return {_shown(value)}. "
            return say(False, told + _why_miou(value, tables))
    say(True, "pooled over the pictures, averaged over the classes that occur.")


def _miou(table: np.ndarray, absent: float = math.nan, found_counts: bool = False) -> float:
    """The mean IoU; a class without a true pixel counts `absent`, or is scored if it is found."""
    hits, rows, columns = np.diag(table), table.sum(1), table.sum(0)
    scored = rows + columns > 0 if found_counts else rows > 0
    scores = np.where(scored, hits / np.maximum(rows + columns - hits, 1), absent)
    return float(np.nanmean(scores))


def _why_miou(value: object, tables: list[np.ndarray]) -> str:
    """What is behind a wrong mIoU."""
    table = sum(tables)
    if _close(value, math.nan):
        return "0/0 is nan, and nan in a mean makes it nan. Leave such classes out first."
    if _close(value, np.trace(table) / table.sum()):
        return "That is the pixel accuracy: a mean over pixels, not over classes."
    if len(tables) > 1 and _close(value, float(np.mean([_miou(one) for one in tables]))):
        return "That is the mean of the pictures' scores. Add the tables first, divide once."
    rows = table.sum(1)
    if _close(value, float(np.mean(np.diag(table)[rows > 0] / rows[rows > 0]))):
        return "That is the mean recall: the columns count in the IoU, too."
    if _close(value, _miou(table, found_counts=True)):
        return "The class without a true pixel is in your mean. Its row is empty: leave it out."
    for absent in (0.0, 1.0):
        if _close(value, _miou(table, absent)):
            return f"The class that does not occur counts {absent:g} in your mean; leave it out."
    return "Follow it by hand."


NAMES = [
    f"{film}_{number:05}.png"
    for film, count in (("0001TP", 19), ("0006R0", 17), ("0016E5", 51), ("Seq05VD", 22))
    for number in range(count)
]
"""As many files a film as in our copy of CamVid."""


def check_split(answer: object) -> None:
    """Checks a function: names of files -> (training names, validation names).

    >>> check_split(lambda names: (names[:80], names[80:]))
    Not yet: the film 0016E5 is in both parts: its frames look alike, so the score would say what
    the network remembers.
    """
    if not callable(answer):
        return say(False, "pass the function itself, without calling it.")
    for names in (NAMES, [name for name in NAMES if not name.startswith("0006R0")]):
        parts, failure = _result(answer, list(names))
        if not failure:
            failure = _why_split(parts, names)
        if failure:
            return say(False, failure)
    say(True, "no film is divided, and validation is as near to a fifth as the films allow.")


def _why_split(parts: object, names: list[str]) -> str:
    """What is wrong with a split; nothing if it is right."""
    if not isinstance(parts, tuple | list) or len(parts) != 2:
        return "return two lists of names: (training, validation)."
    training, validation = (list(part) for part in parts)
    if not training or not validation:
        return (
            f"{len(training)} names in training and {len(validation)} in validation; neither may "
            "be empty."
        )
    if sorted(training + validation) != sorted(names):
        return "every name has to be in exactly one of the two parts, once."
    films = [{name.split("_")[0] for name in part} for part in (training, validation)]
    if shared := sorted(films[0] & films[1]):
        return (
            f"the film {shared[0]} is in both parts: its frames look alike, so the score would say "
            "what the network remembers."
        )
    share, best = len(validation) / len(names), _best_share(names)
    if abs(share - 0.2) > abs(best - 0.2) + 1e-9:
        return (
            f"validation has {share:.0%} of the pictures; whole films can come as near to 20 % as "
            f"{best:.0%}. Try other films, or several of them."
        )
    return ""


def _best_share(names: list[str]) -> float:
    """The share of the pictures nearest to a fifth that whole films can make up."""
    counts = np.unique([name.split("_")[0] for name in names], return_counts=True)[1]
    choices = [[bit >> k & 1 for k in range(len(counts))] for bit in range(1, 2 ** len(counts) - 1)]
    shares = [float(np.dot(choice, counts)) / len(names) for choice in choices]
    return min(shares, key=lambda share: abs(share - 0.2))


WEIGHTS = np.array([0.1, 1.0, 4.0, 0.0])
SHARES = np.array([0.8, 0.15, 0.05, 0.0])


def check_milder(answer: object) -> None:
    """Checks a function (weights, shares, exponent) -> milder weights whose mean pixel has 1.

    >>> check_milder(lambda weights, shares, exponent: weights**exponent)
    Not yet: exponent 0.5: a mean pixel has a weight of 0.503 with yours; divide by that.
    """
    if not callable(answer):
        return say(False, "pass the function itself, without calling it.")
    for exponent in (0.5, 1.0, 0.0):
        value, failure = _result(answer, WEIGHTS.copy(), SHARES.copy(), exponent)
        if failure or (failure := _why_milder(value, exponent)):
            return say(False, f"exponent {exponent:g}: {failure}")
    say(True, "the rare classes keep a louder voice, and the losses stay comparable.")


def _why_milder(value: object, exponent: float) -> str:
    """What is wrong with milder weights; nothing if they are right."""
    try:
        found = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return f"return four weights, one a class, got a {type(value).__name__}."
    if found.shape != WEIGHTS.shape:
        return f"return four weights, one a class, got an array of shape {found.shape}."
    if not np.isfinite(found).all():
        return "a weight is not finite. The absent class has the weight 0; keep it."
    if found[3] != 0:
        return f"the class that does not occur has the weight {found[3]:.3g}; keep it 0."
    powered = np.where(WEIGHTS > 0, WEIGHTS**exponent, 0.0)
    right = powered / (powered @ SHARES)
    if np.allclose(found, right):
        return ""
    if np.allclose(found, powered):
        return f"a mean pixel has a weight of {powered @ SHARES:.3f} with yours; divide by that."
    if np.allclose(found, powered / powered[:3].mean()):
        return "that is scaled to a mean of 1 over the classes. A mean over pixels uses the shares."
    return f"expected {right.round(3).tolist()}, got {found.round(3).tolist()}."


def _result(function: Callable, *arguments: object) -> tuple[object, str]:
    """What the reader's function returns, or what is wrong with it."""
    try:
        with np.errstate(all="ignore"):
            value = function(*arguments)
    except Exception as error:  # whatever the reader wrote: the page goes on
        return None, f"your function fails: {type(error).__name__}: {error}."
    return value, "" if value is not None else "your function returns nothing yet."


def _close(value: object, right: float) -> bool:
    if not isinstance(value, Real):
        return False
    return math.isclose(value, right, abs_tol=2e-3) or (math.isnan(value) and math.isnan(right))


def _shown(value: object) -> str:
    return f"{value:.3f}".rstrip("0") if isinstance(value, float) else repr(value)
