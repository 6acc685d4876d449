"""Checks for the exercises of chapter 5: AP, Dice of empty masks, thresholds, the boundary."""

import math
from collections.abc import Callable
from numbers import Real

import numpy as np
from scipy import ndimage

from unet_lib.course.exercises import say

PENCIL = {0.5: 2 / 5, 0.7: 1 / 6, 0.9: 0.0}
"""AP at each IoU threshold, of four true and three predicted nuclei."""
BOTH = (
    "both halves are matched with true 1. Each nucleus may be used once: one half is a TP, the "
    "other an FP."
)
AT_HALF = {
    3 / 5: BOTH,
    3 / 4: BOTH,
    1 / 6: "a half has an IoU of 3/6, and at a threshold of 0.5 that is enough for a match.",
}


def check_pencil(answer: object) -> None:
    """Checks the three AP of the label images with four nuclei, at IoU 0.5, 0.7 and 0.9.

    >>> check_pencil([2 / 3, 1 / 3, 0])
    Not yet: at IoU 0.5 you have 0.67: that is TP / (TP + FP), where a missed nucleus costs nothing.
    AP divides by TP + FP + FN.
    """
    try:
        found = [float(value) for value in answer]  # type: ignore[union-attr]
    except (TypeError, ValueError):
        return say(False, "give a list of three numbers, for IoU 0.5, 0.7 and 0.9.")
    if len(found) != 3:
        return say(False, f"give three numbers, for IoU 0.5, 0.7 and 0.9; there are {len(found)}.")
    for (threshold, right), value in zip(PENCIL.items(), found, strict=True):
        if not _same_fraction(value, right):
            why = _why_ap(threshold, value)
            return say(False, f"at IoU {threshold} you have {value:.2f}: {why}")
    say(True, "only one half of the divided nucleus counts, and at IoU 0.9 nothing is a match.")


def _why_ap(threshold: float, value: float) -> str:
    """What is behind a wrong AP, as the rest of a sentence."""
    tp = {0.5: 2, 0.7: 1, 0.9: 0}[threshold]
    known = {
        tp / 3: "that is TP / (TP + FP), where a missed nucleus costs nothing. "
        "AP divides by TP + FP + FN.",
        tp / 4: "that is TP / (TP + FN), where a wrong nucleus costs nothing. "
        "AP divides by TP + FP + FN.",
        2 * tp / 7: "that is 2 TP / (2 TP + FP + FN), the F1 score. AP is TP / (TP + FP + FN).",
    }
    if threshold == 0.5:
        known |= AT_HALF
    else:
        known |= {
            PENCIL[0.5]: "that was right at 0.5. Which pairs still reach the higher IoU?",
            PENCIL[0.7]: "the best pair, predicted 3 with true 2, has an IoU of 4/5.",
        }
    for wrong, why in known.items():
        if _same_fraction(value, wrong):
            return why
    return "write down the IoU of each pair, match each nucleus once, count TP, FP and FN."


def _same_fraction(value: float, right: float) -> bool:
    return math.isclose(value, right, abs_tol=0.006)  # two digits are enough


def _masks(rows: str) -> list[np.ndarray]:
    """Masks of one row each, parted by "|": "#" is nucleus."""
    return [np.array([[letter == "#" for letter in row]]) for row in rows.split("|")]


DICE_CASES = (
    ("one picture, half found", "##..", "#.#.", 1.0, 0.5),
    ("a large and a small nucleus", "####|#...", "####|..##", 1.0, 0.5),
    ("a missed nucleus", "....", "##..", 1.0, 0.0),
    ("nothing to find and nothing found, empty=1", "....", "....", 1.0, 1.0),
    ("the same and a found nucleus, empty=0", "....|##..", "....|##..", 0.0, 0.5),
    ("a false alarm on an empty picture", "#...|##..", "....|##..", 1.0, 0.5),
    ("an empty picture with empty=nan", "....|##..", "....|#.#.", math.nan, 0.5),
    ("a false alarm with empty=nan", "#...|##..", "....|##..", math.nan, 0.5),
)
"""Name, found, truth (pictures parted by "|"), empty, and the mean Dice per image."""


def check_dice(answer: object) -> None:
    """Checks a function (found, truth, empty) -> mean Dice per image of lists of masks.

    >>> check_dice(lambda found, truth, empty: 0.5)
    Not yet: a missed nucleus: expected 0.00, you return 0.50. Follow it through your function by
    hand.
    """
    for name, found, truth, empty, right in DICE_CASES:
        found, truth = _masks(found), _masks(truth)
        value, problem = _number(answer, found, truth, empty)
        if problem or not _close(value, right):
            return say(False, f"{name}: {problem or _why_dice(value, right, found, truth, empty)}")
    say(True, "0/0 counts what `empty` says, a false alarm 0, and every picture counts the same.")


def _why_dice(
    value: float, right: float, found: list[np.ndarray], truth: list[np.ndarray], empty: float
) -> str:
    """What is behind a wrong mean Dice."""
    told = f"expected {right:.2f}, you return {value:.2f}. "
    tp = [int((a & b).sum()) for a, b in zip(found, truth, strict=True)]
    union = [int((a | b).sum()) for a, b in zip(found, truth, strict=True)]
    defined = [t / u if u else empty for t, u in zip(tp, union, strict=True)]
    pooled = 2 * sum(tp) / max(sum(union) + sum(tp), 1)
    if not any(union) or (math.isnan(value) and not math.isnan(empty)):
        return told + "0/0 is nan in NumPy. Ask for the empty case before you divide."
    if math.isnan(value):
        return told + "nan means: leave this picture out of the mean. np.nanmean does that."
    if empty == 0:
        return told + "The argument `empty` says what such a picture counts, here 0."
    if len(found) > 1 and _close(value, pooled):
        return (
            told + "That is pooled: it adds up the pixels first. Score each picture, then average."
        )
    if _close(value, float(np.nanmean(defined))):
        return told + "That is the IoU: Dice counts TP twice, above and below."
    if any(f.any() and not t.any() for f, t in zip(found, truth, strict=True)):
        return told + "`empty` is for pictures where nothing was found either."
    return told + "Follow it through your function by hand."


VALIDATION = (
    [np.array([[0.9, 0.62, 0.4, 0.1]]), np.array([[0.8, 0.7, 0.45, 0.2]])],
    _masks("##..|##.."),
)
TEST = (
    [np.array([[0.9, 0.35, 0.33, 0.1]]), np.array([[0.9, 0.8, 0.35, 0.2]])],
    _masks("###.|###."),
)
"""Probabilities and masks: on validation 0.45 to 0.6 is best, on the test pictures 0.2 to 0.3."""
CHOSEN, HONEST, PEEKED = 0.45, (0.5 + 0.8) / 2, 1.0


def check_report(answer: object) -> None:
    """Checks a function (p_validation, y_validation, p_test, y_test) -> (threshold, test Dice).

    >>> check_report(lambda p_validation, y_validation, p_test, y_test: (0.5, 0.65))
    Not yet: with all probabilities halved you still choose 0.50, where the mean Dice on the
    validation pictures is 0.00. Choose by the first two arguments.
    """
    if not callable(answer):
        return say(False, "pass the function itself, without calling it.")
    try:
        threshold, score = (float(x) for x in answer(*VALIDATION, *TEST))
    except (TypeError, ValueError):
        return say(False, "return two numbers: the threshold, and the mean Dice on the test set.")
    except Exception as error:  # whatever the reader wrote: the page goes on
        return say(False, f"your function fails: {type(error).__name__}: {error}")
    problem = _why_report(threshold, score) or _why_fixed(answer)
    say(
        not problem,
        problem
        or "the threshold comes from the validation pictures, the score from the test pictures.",
    )


def _why_fixed(answer: Callable) -> str:
    """What is wrong with a threshold that was not chosen on the pictures given; maybe nothing."""
    (p_validation, y_validation), (p_test, y_test) = VALIDATION, TEST
    halved = [p / 2 for p in p_validation]
    try:
        threshold, score = map(float, answer(halved, y_validation, [p / 2 for p in p_test], y_test))
    except Exception as error:  # whatever the reader wrote: the page goes on
        return f"your function fails for other pictures: {type(error).__name__}: {error}"
    if CHOSEN / 2 - 1e-6 < threshold < 0.31 and _close(score, HONEST):
        return ""
    found = [p > threshold for p in halved]
    dice = np.mean(
        [2 * (f & y).sum() / (f.sum() + y.sum()) for f, y in zip(found, y_validation, strict=True)]
    )
    return (
        f"with all probabilities halved you still choose {threshold:.2f}, where the mean Dice on "
        f"the validation pictures is {dice:.2f}. Choose by the first two arguments."
    )


def _why_report(threshold: float, score: float) -> str:
    """What is wrong with a threshold and its score; nothing if they are right."""
    if not CHOSEN - 1e-6 < threshold < 0.6 + 1e-6:
        if _close(score, PEEKED) and threshold < 0.35:
            return (
                f"you chose {threshold:.2f}, the best threshold on the test pictures. It may "
                "depend on the first two arguments only."
            )
        return (
            f"you chose {threshold:.2f}; on the validation pictures every threshold from 0.45 to "
            "0.6 gives a mean Dice of 1. Print the Dice for each of the 19."
        )
    if _close(score, 1.0):
        return (
            "the threshold is right. The Dice is that of the validation pictures, and of the "
            "threshold chosen on them: too good to be reported."
        )
    if not _close(score, HONEST):
        return (
            f"the threshold is right, the test Dice is {score:.2f}, expected {HONEST:.2f}: the "
            "mean of 1/2 and 4/5, one Dice per test picture."
        )
    return ""


def _nuclei() -> np.ndarray:
    """A square of 7, one of 4 that touches it, a bar of 2 pixels, and a plus; numbered 2 to 5."""
    labels = np.zeros((16, 24), dtype=int)
    labels[2:9, 2:9], labels[2:6, 9:13], labels[11:13, 3:10] = 2, 3, 4
    labels[9:12, 17], labels[10, 16:19] = 5, 5
    return labels


def check_cost(answer: object) -> None:
    """Checks a function labels -> list of (area, Dice of each nucleus with itself eroded).

    >>> check_cost(lambda labels: [])
    Not yet: there are 4 nuclei in the picture, you return 0 pairs.
    """
    if not callable(answer):
        return say(False, "pass the function itself, without calling it.")
    labels = _nuclei()
    try:
        pairs = [(float(area), float(score)) for area, score in answer(labels.copy())]
    except Exception as error:  # whatever the reader wrote: the page goes on
        said = f"{type(error).__name__}: {error}"
        return say(False, f"return a list of pairs (area, Dice); what came back fails: {said}")
    if len(pairs) != 4:
        return say(False, f"there are 4 nuclei in the picture, you return {len(pairs)} pairs.")
    for number, (area, score) in zip((2, 3, 4, 5), pairs, strict=True):
        if problem := _why_cost(labels, number, area, score):
            return say(False, problem)
    say(True, "the square of 7 keeps a Dice of 0.68, the bar of 2 pixels vanishes.")


def _why_cost(labels: np.ndarray, number: int, area: float, score: float) -> str:
    """What is wrong with the pair of one nucleus; nothing if it is right."""
    nucleus, name = labels == number, f"nucleus {number} of {(labels == number).sum()} pixels"
    inner = ndimage.binary_erosion(nucleus)
    if area != nucleus.sum():
        return f"{name}: you say {area:g} pixels. The order is that of the numbers, 2 first."
    right = _dice(inner, nucleus)
    if _close(score, right):
        return ""
    told = f"{name}: expected {right:.3f}, you have {score:.3f}. "
    together = ndimage.binary_erosion(labels > 0) & nucleus
    around = ndimage.binary_erosion(nucleus, np.ones((3, 3)))
    for wrong, why in (
        (math.nan, "When nothing is left, Dice is 0, not 0/0: the nucleus itself is there."),
        (_dice(ndimage.binary_dilation(nucleus), nucleus), "That is one pixel larger: dilated."),
        (inner.sum() / nucleus.sum(), "That is the IoU: the inner area counts twice in Dice."),
        (_dice(together, nucleus), "You eroded all nuclei at once; where two touch, no rim goes."),
        (_dice(around, nucleus), "Erode with the default neighborhood, a plus of five pixels."),
    ):
        if _close(score, wrong):
            return told + why
    return told + "Count the pixels that are left, and divide by hand."


def _dice(found: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, abs_tol=1e-3) or (math.isnan(a) and math.isnan(b))


def _number(function: object, *arguments: object) -> tuple[float, str]:
    """What the reader's function returns, and what is wrong if that is no number."""
    if not callable(function):
        return math.nan, "pass the function itself, without calling it."
    try:
        with np.errstate(all="ignore"):
            value = function(*arguments)
    except ZeroDivisionError:
        return math.nan, "your function divides by zero. Ask for the empty case first."
    except Exception as error:  # whatever the reader wrote: the page goes on
        return math.nan, f"your function fails: {type(error).__name__}: {error}"
    if isinstance(value, Real):
        return float(value), ""
    return math.nan, f"you return a {type(value).__name__}. Return one plain number."
