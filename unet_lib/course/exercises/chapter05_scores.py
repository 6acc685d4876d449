"""Checks for the scores of chapter 5: four kinds of pixel, recall, a paired interval, patients."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, kind, say
from unet_lib.course.exercises.values import close, judge, number, numbers
from unet_lib.evaluation.comparison import compare

Mask = np.ndarray


def _rows(text: str) -> Mask:
    """A mask whose rows are parted by spaces; "#" is nucleus."""
    return np.array([[letter == "#" for letter in row] for row in text.split()])


COUNT_CASES = (
    ("the grid of the figure", ".##. .### .... ....", "###. ###. .#.. ...."),
    ("an empty prediction", "....", ".##."),
    ("a row of five pixels", "####.", "#...."),
)
"""Name, found, truth."""


@check
def check_counts(answer: object) -> None:
    """Checks a function (found, truth) -> the counts TP, FP, FN and TN of two Boolean masks.

    >>> check_counts(lambda found, truth: (4, 3, 1, 8))
    Not yet: the grid of the figure: FP and FN have changed places. FP was found but is not true.
    """
    for name, *rows in COUNT_CASES:
        found, truth = map(_rows, rows)
        with about(f"{name}: "):
            told = "return four numbers: TP, FP, FN, TN."
            counts = numbers(ask(answer, found, truth), told, 4)
            right = [tp, fp, fn, tn] = _counted(found, truth)
            mistakes = [
                ([tp, fn, fp, tn], "FP and FN have changed places. FP was found but is not true."),
                ([tn, fn, fp, tp], "this counts the background as what is looked for."),
                ([n / truth.size for n in right], "these are shares. Add up, do not average."),
                ([tp, tp + fp, tp + fn, tn], "FP and FN leave out what is both found and true."),
            ]
            given = ", ".join(f"{count:g}" for count in counts)
            judge(counts, right, mistakes, f"expected {tp}, {fp}, {fn}, {tn}; you return {given}.")
    say(True, "4 TP, 1 FP, 3 FN and 8 TN in the grid, and each pixel is counted once.")


def _counted(found: Mask, truth: Mask) -> list[int]:
    pairs = ((True, True), (True, False), (False, True), (False, False))
    return [int(((found == f) & (truth == t)).sum()) for f, t in pairs]


INTERVAL_CASES = (
    ("three", [0.92, 0.90, 0.93], [0.91, 0.90, 0.90]),
    ("five", [0.91, 0.90, 0.92, 0.89, 0.93], [0.89, 0.90, 0.90, 0.88, 0.92]),
    ("eight", [0.8, 0.6, 0.9, 0.7, 0.5, 0.8, 0.9, 0.6], [0.7, 0.6, 0.8, 0.8, 0.4, 0.8, 0.7, 0.6]),
)
"""How many pairs, scores of A, scores of B."""


@check
def check_interval(answer: object) -> None:
    """Checks a function (a, b) -> mean of the paired differences, low and high end.

    >>> check_interval(lambda a, b: (0.0, 0.0, 0.0))
    Not yet: three pairs: the mean of A - B is 0.0133, you return 0.0000.
    """
    for pairs, *scores in INTERVAL_CASES:
        a, b = map(np.array, scores)
        with about(f"{pairs} pairs: "):
            told = "return three numbers: the mean difference, the low and the high end."
            found = numbers(ask(answer, a, b), told, 3)
            right = _interval(a, b)
            judge(found, right, _interval_mistakes(a, b), _why_interval(found, right))
    say(True, "the same as compare, also where A is never behind and 0 lies inside.")


def _interval(
    a: Mask, b: Mask, ddof: int = 1, t: float | None = None, paired: bool = True, root: bool = True
) -> list[float]:
    """Mean, low and high end; the arguments make the usual mistakes."""
    d, n = a - b, len(a)
    s = d.std(ddof=ddof) if paired else math.sqrt(a.var(ddof=1) + b.var(ddof=1))
    times = student.ppf(0.975, n - 1) if t is None else t
    half = times * s / (math.sqrt(n) if root else 1)
    return [float(x) for x in (d.mean(), d.mean() - half, d.mean() + half)]


def _interval_mistakes(a: Mask, b: Mask) -> list[tuple[list[float], str]]:
    n = len(a)
    mean, low, high = _interval(a, b)
    t = f"with {n} pairs t is {student.ppf(0.975, n - 1):.2f}, student.ppf(0.975, n - 1)."
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"ddof": 0}, "the deviation is a guess from n differences: divide by n - 1, ddof=1."),
        ({"root": False}, "the mean moves by s / sqrt(n). You have left out the root of n."),
        ({"t": 1.96}, f"1.96 is for many pairs; {t}"),
        ({"t": student.ppf(0.975, n)}, f"this is the t of one pair more; {t}"),
        ({"t": student.ppf(0.95, n - 1)}, f"2.5 % are left out at each end; {t}"),
        ({"t": 1.0}, f"t is missing; {t}"),
        ({"paired": False}, "subtract pair by pair first, then take the deviation of these."),
    ]
    known = [(_interval(a, b, **how), text) for how, text in wrong]
    turned = ([-mean, -high, -low], "this is B - A; the difference is A - B.")
    return [*known, turned, ([low, mean, high], "the mean comes first, then the two ends.")]


def _why_interval(found: Sequence[float], right: Sequence[float]) -> str:
    if not close(found[0], right[0]):
        return f"the mean of A - B is {right[0]:.4f}, you return {found[0]:.4f}."
    ends = f"{right[1]:+.4f} to {right[2]:+.4f}, you return {found[1]:+.4f} to {found[2]:+.4f}."
    return f"the mean is right; the interval is {ends}"


P = [np.array([row]) for row in ([0.92, 0.72, 0.52, 0.97, 0.03], [0.82, 0.12, 0.66, 0.04, 0.07])]
Y = [_rows("###.."), _rows("##...")]
FAINT = [np.array([[0.92, 0.02]])], [_rows("##")]
"""Probabilities and masks; in `FAINT` no threshold finds all."""


@check
def check_recall(answer: object) -> None:
    """Checks a function (p, y, least) -> the highest threshold with a pooled recall of `least`.

    >>> check_recall(lambda p, y, least: 0.05)
    Not yet: for a recall of 0.8 you choose 0.05. That reaches it, but so does 0.50, with ...
    """
    for least, right, per_image in ((0.8, 0.5, 0.1), (0.6, 0.7, 0.5), (1.0, 0.1, 0.1)):
        found = ask(answer, P, Y, least)
        told = f"for a recall of {least} return one threshold; you return {kind(found)}."
        _judge_recall(number(found, told), least, right, per_image)
    found = ask(answer, *FAINT, 1.0)
    told = "a nucleus pixel with a probability of 0.02 is found at none of the thresholds: return"
    expect(found is None, f"{told} None; you return {kind(found)}.")
    say(True, "the highest threshold that still finds enough, or None.")


def _judge_recall(found: float, least: float, right: float, per_image: float) -> None:
    if close(found, right):
        return
    told = f"for a recall of {least} you choose {found:.2f}."
    pooled = sum((p[y] > found).sum() for p, y in zip(P, Y, strict=True)) / 5
    if pooled < least:
        raise NotYet(f"{told} Above it lie {pooled:.0%} of the nucleus pixels of all images.")
    if close(found, per_image) and not close(per_image, right):
        raise NotYet(f"{told} That is right for the recall per image; pool the pixels of all.")
    raise NotYet(f"{told} That reaches it, but so does {right:.2f}, with fewer false alarms.")


SLIDES = (
    ("Ada", 0.86, 0.80), ("Bo", 0.75, 0.70), ("Ada", 0.91, 0.86), ("Cy", 0.93, 0.94),
    ("Ada", 0.88, 0.81), ("Dee", 0.79, 0.79), ("Bo", 0.70, 0.65), ("Cy", 0.95, 0.96),
    ("Ada", 0.83, 0.77), ("Bo", 0.72, 0.67),
)  # fmt: skip
"""Patient, score of A, score of B: every slide says that A is better, the patients do not."""


@check
def check_patients(answer: object) -> None:
    """Checks a function (a, b, patients) -> what `compare` says with patients as pairs.

    >>> check_patients(lambda a, b, patients: compare(a, b))
    Not yet: these are 10 pairs, the slides. A patient is one pair, whose two scores are ...
    """
    patients, a, b = ([slide[i] for slide in SLIDES] for i in range(3))
    told = "return what compare returns, for one mean score of A and one of B a patient."
    found = numbers(ask(answer, a, b, patients), told, 4)
    one = "A patient is one pair, whose two scores are the means over the patient's slides."
    expect(found[3] == 4, f"these are {found[3]:g} pairs, {_which(found[3])}. {one}")
    means, sums = (_of_patients(SLIDES, how) for how in (np.mean, np.sum))
    mistakes = [
        (list(compare(*sums)), f"these are the sums over the slides. {one}"),
        (list(compare(*means[::-1])), "this is B - A: pass the scores of A first."),
    ]
    otherwise = f"expected {compare(*means)}; you have a difference of {found[0]:+.3f}. {one}"
    judge(found, list(compare(*means)), mistakes, otherwise)
    say(True, "ten slides seem to say that A is better; four patients do not tell them apart.")


def _which(pairs: float) -> str:
    return "the slides" if pairs == len(SLIDES) else "there are four patients"


def _of_patients(slides: Any, how: Any) -> list[list[float]]:
    """One score of A and one of B for every patient."""
    names = sorted({name for name, _, _ in slides})
    return [[float(how([s[i] for s in slides if s[0] == name])) for name in names] for i in (1, 2)]
