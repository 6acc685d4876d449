"""Checks for the tasks of chapter 5: AP, Dice of empty masks, thresholds, the boundary.

Those of counts, recall and intervals have a module of their own, and are found here too.
"""

import math

import numpy as np
from scipy import ndimage

from unet_lib.course.exercises.chapter05_scores import (
    check_counts,
    check_interval,
    check_patients,
    check_recall,
)
from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, say, short
from unet_lib.course.exercises.values import close, items, judge, number, numbers

__all__ = [
    "check_cost",
    "check_counts",
    "check_dice",
    "check_interval",
    "check_patients",
    "check_pencil",
    "check_recall",
    "check_report",
]

PENCIL = {0.5: 2 / 5, 0.7: 1 / 6, 0.9: 0.0}
"""AP at each IoU threshold, of four true and three predicted nuclei."""
TWO_DIGITS = 0.006  # are enough


@check
def check_pencil(answer: object) -> None:
    """Checks the three AP of the label images with four nuclei, at IoU 0.5, 0.7 and 0.9.

    >>> check_pencil([2 / 3, 1 / 3, 0])
    Not yet: at IoU 0.5 you have 0.67: that is TP / (TP + FP), where a missed nucleus costs ...
    """
    found = numbers(answer, "give a list of three numbers, for IoU 0.5, 0.7 and 0.9.")
    told = f"give three numbers, for IoU 0.5, 0.7 and 0.9; there are {len(found)}."
    expect(len(found) == 3, told)
    for (threshold, right), value in zip(PENCIL.items(), found, strict=True):
        with about(f"at IoU {threshold} you have {value:.2f}: "):
            _judge_ap(threshold, right, value)
    say(True, "only one half of the divided nucleus counts, and at IoU 0.9 nothing is a match.")


def _judge_ap(threshold: float, right: float, value: float) -> None:
    tp, divisor = {0.5: 2, 0.7: 1, 0.9: 0}[threshold], "AP divides by TP + FP + FN."
    half = "a half has an IoU of 3/6, and at a threshold of 0.5 that is enough for a match."
    twice = "both halves are matched with true 1. Each nucleus may be used once: one half is a TP, "
    at_half = [(wrong, f"{twice}the other an FP.") for wrong in (3 / 5, 3 / 4)] + [(1 / 6, half)]
    higher = [
        (PENCIL[0.5], "that was right at 0.5. Which pairs still reach the higher IoU?"),
        (PENCIL[0.7], "the best pair, predicted 3 with true 2, has an IoU of 4/5."),
    ]
    known = [
        (tp / 3, f"that is TP / (TP + FP), where a missed nucleus costs nothing. {divisor}"),
        (tp / 4, f"that is TP / (TP + FN), where a wrong nucleus costs nothing. {divisor}"),
        (2 * tp / 7, "that is 2 TP / (2 TP + FP + FN), the F1 score. AP is TP / (TP + FP + FN)."),
        *(at_half if threshold == 0.5 else higher),
    ]
    other = "write down the IoU of each pair, match each nucleus once, count TP, FP and FN."
    judge(value, right, known, other, within=TWO_DIGITS)


Masks = list[np.ndarray]


def _masks(rows: str) -> Masks:
    """Masks of one row each, parted by "|": "#" is nucleus."""
    return [np.array([[letter == "#" for letter in row]]) for row in rows.split("|")]


DICE_CASES = (
    ("one image, half found", "##..", "#.#.", 1.0, 0.5),
    ("a large and a small nucleus", "####|#...", "####|..##", 1.0, 0.5),
    ("a missed nucleus", "....", "##..", 1.0, 0.0),
    ("nothing to find and nothing found, empty=1", "....", "....", 1.0, 1.0),
    ("the same and a found nucleus, empty=0", "....|##..", "....|##..", 0.0, 0.5),
    ("a false alarm on an empty image", "#...|##..", "....|##..", 1.0, 0.5),
    ("an empty image with empty=nan", "....|##..", "....|#.#.", math.nan, 0.5),
    ("a false alarm with empty=nan", "#...|##..", "....|##..", math.nan, 0.5),
)
"""Name, found, truth (images parted by "|"), empty, and the mean Dice per image."""


@check
def check_dice(answer: object) -> None:
    """Checks a function (found, truth, empty) -> mean Dice per image of lists of masks.

    >>> check_dice(lambda found, truth, empty: 0.5)
    Not yet: a missed nucleus: expected 0.00, you return 0.50. Follow it through your ...
    """
    for name, found, truth, empty, right in DICE_CASES:
        found, truth = _masks(found), _masks(truth)
        with about(f"{name}: "):
            hint = "Ask for the empty case first."
            value = ask(answer, found, truth, empty, hint=hint, on=ZeroDivisionError)
            told = f"you return a {type(value).__name__}. Return one plain number."
            value = number(value, told)
            told = f"expected {right:.2f}, you return {value:.2f}."
            why = _why_dice(value, found, truth, empty)
            expect(close(value, right, within=1e-3), f"{told} {why}")
    say(True, "0/0 counts what `empty` says, a false alarm 0, and every image counts the same.")


def _why_dice(value: float, found: Masks, truth: Masks, empty: float) -> str:
    """What is behind a wrong mean Dice."""
    tp = [int((a & b).sum()) for a, b in zip(found, truth, strict=True)]
    union = [int((a | b).sum()) for a, b in zip(found, truth, strict=True)]
    defined = [t / u if u else empty for t, u in zip(tp, union, strict=True)]
    pooled = 2 * sum(tp) / max(sum(union) + sum(tp), 1)
    false_alarm = any(f.any() and not t.any() for f, t in zip(found, truth, strict=True))
    divided = "0/0 is nan in NumPy. Ask for the empty case before you divide."
    leave_out = "nan means: leave this image out of the mean. np.nanmean does that."
    pool = "That is pooled: it adds up the pixels first. Score each image, then average."
    iou = "That is the IoU: Dice counts TP twice, above and below."
    reasons = (
        (not any(union) or (math.isnan(value) and not math.isnan(empty)), divided),
        (math.isnan(value), leave_out),
        (empty == 0, "The argument `empty` says what such an image counts, here 0."),
        (len(found) > 1 and close(value, pooled, within=1e-3), pool),
        (close(value, np.nanmean(defined), within=1e-3), iou),
        (false_alarm, "`empty` is for images where nothing was found either."),
        (True, "Follow it through your function by hand."),
    )
    return next(text for holds, text in reasons if holds)


P_VALIDATION = list(np.array([[[0.9, 0.62, 0.4, 0.1]], [[0.8, 0.7, 0.45, 0.2]]]))
P_TEST = list(np.array([[[0.9, 0.35, 0.33, 0.1]], [[0.9, 0.8, 0.35, 0.2]]]))
Y_VALIDATION, Y_TEST = _masks("##..|##.."), _masks("###.|###.")
"""Probabilities and masks: on validation 0.45 to 0.6 is best, on the test images 0.2 to 0.3."""
CHOSEN, HONEST, PEEKED = 0.45, (0.5 + 0.8) / 2, 1.0


@check
def check_report(answer: object) -> None:
    """Checks a function (p_validation, y_validation, p_test, y_test) -> (threshold, test Dice).

    >>> check_report(lambda p_validation, y_validation, p_test, y_test: (0.5, 0.65))
    Not yet: with all probabilities halved you still choose 0.50, where the mean Dice on the ...
    """
    _judge_report(*_reported(answer, P_VALIDATION, Y_VALIDATION, P_TEST, Y_TEST))
    _judge_choice(answer)
    say(True, "the threshold comes from the validation images, the score from the test images.")


def _reported(answer: object, *images: object, who: str = "your function") -> list[float]:
    """The threshold and the score that the reader's function returns."""
    told = "return two numbers: the threshold, and the mean Dice on the test set."
    return numbers(ask(answer, *images, who=who), told, 2)


def _judge_choice(answer: object) -> None:
    """Tells if a threshold was not chosen on the images that were given."""
    halved, tested = ([p / 2 for p in images] for images in (P_VALIDATION, P_TEST))
    who = "for other images your function"
    threshold, score = _reported(answer, halved, Y_VALIDATION, tested, Y_TEST, who=who)
    dice = np.mean([_dice(p > threshold, y) for p, y in zip(halved, Y_VALIDATION, strict=True)])
    told = f"with all probabilities halved you still choose {threshold:.2f}, where the mean Dice on"
    cure = "Choose by the first two arguments."
    chosen = CHOSEN / 2 - 1e-6 < threshold < 0.31 and close(score, HONEST, within=1e-3)
    expect(chosen, f"{told} the validation images is {dice:.2f}. {cure}")


def _judge_report(threshold: float, score: float) -> None:
    chosen = CHOSEN - 1e-6 < threshold < 0.6 + 1e-6
    if not chosen and threshold < 0.35 and close(score, PEEKED, within=1e-3):
        told = f"you chose {threshold:.2f}, the best threshold on the test images."
        raise NotYet(f"{told} It may depend on the first two arguments only.")
    told = f"you chose {threshold:.2f}; on the validation images every threshold from 0.45 to 0.6"
    expect(chosen, f"{told} gives a mean Dice of 1. Print the Dice for each of the 19.")
    validated = "The Dice is that of the validation images, and of the threshold chosen on them:"
    expected = f"expected {HONEST:.2f}: the mean of 1/2 and 4/5, one Dice per test image."
    wrong = [(1.0, f"the threshold is right. {validated} too good to be reported.")]
    other = f"the threshold is right, the test Dice is {score:.2f}, {expected}"
    judge(score, HONEST, wrong, other, within=1e-3)


def _nuclei() -> np.ndarray:
    """A square of 7, one of 4 that touches it, a bar of 2 pixels, and a plus; numbered 2 to 5."""
    labels = np.zeros((16, 24), dtype=int)
    labels[2:9, 2:9], labels[2:6, 9:13], labels[11:13, 3:10] = 2, 3, 4
    labels[9:12, 17], labels[10, 16:19] = 5, 5
    return labels


@check
def check_cost(answer: object) -> None:
    """Checks a function labels -> list of (area, Dice of each nucleus with itself eroded).

    >>> check_cost(lambda labels: [])
    Not yet: there are 4 nuclei in the image, you return 0 pairs.
    """
    labels = _nuclei()
    found = ask(answer, labels)
    told = f"return a list of pairs (area, Dice); what came back is {short(found)}."
    pairs = [numbers(pair, told, 2) for pair in items(found, told)]
    told = f"there are 4 nuclei in the image, you return {len(pairs)} pairs."
    expect(len(pairs) == 4, told)
    for name, (area, score) in zip((2, 3, 4, 5), pairs, strict=True):
        _judge_cost(labels, name, area, score)
    say(True, "the square of 7 keeps a Dice of 0.68, the bar of 2 pixels vanishes.")


def _judge_cost(labels: np.ndarray, name: int, area: float, score: float) -> None:
    nucleus = labels == name
    said = f"nucleus {name} of {nucleus.sum()} pixels"
    order = f"{said}: you say {area:g} pixels. The order is that of the numbers, 2 first."
    expect(area == nucleus.sum(), order)
    inner = ndimage.binary_erosion(nucleus)
    right = _dice(inner, nucleus)
    together = ndimage.binary_erosion(labels > 0) & nucleus
    around = ndimage.binary_erosion(nucleus, np.ones((3, 3)))
    wrong = (
        (math.nan, "When nothing is left, Dice is 0, not 0/0: the nucleus itself is there."),
        (_dice(ndimage.binary_dilation(nucleus), nucleus), "That is one pixel larger: dilated."),
        (inner.sum() / nucleus.sum(), "That is the IoU: the inner area counts twice in Dice."),
        (_dice(together, nucleus), "You eroded all nuclei at once; where two touch, no rim goes."),
        (_dice(around, nucleus), "Erode with the default neighborhood, a plus of five pixels."),
    )
    other = "Count the pixels that are left, and divide by hand."
    with about(f"{said}: expected {right:.3f}, you have {score:.3f}. "):
        judge(score, right, wrong, other, within=1e-3)


def _dice(found: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))
