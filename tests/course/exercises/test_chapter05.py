"""The checks of chapter 5: right answers, and each typical wrong one with what it is told."""

import math
from functools import partial

import numpy as np
import pytest
from scipy import ndimage

from unet_lib.course.exercises import chapter05, chapter05_scores
from unet_lib.evaluation import average_precision, compare


def mean_dice(found, truth, empty, alarm=0.0):
    """The right answer, or one that scores a false alarm on an empty image otherwise."""
    scores = []
    for a, b in zip(found, truth, strict=True):
        nothing = alarm if a.any() else empty
        scores.append(2 * (a & b).sum() / (a.sum() + b.sum()) if b.any() else nothing)
    return float(np.nanmean(scores))


def divided(found, truth):
    """Dice of each image, nan for 0/0, as NumPy divides."""
    pairs = zip(found, truth, strict=True)
    return [2 * (a & b).sum() / np.float64(a.sum() + b.sum()) for a, b in pairs]


def plain_mean(found, truth, empty):
    return np.mean([empty if math.isnan(x) else x for x in divided(found, truth)])


def pooled(found, truth, empty):
    a, b = np.array(found), np.array(truth)
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def mean_iou(found, truth, empty):
    pairs = list(zip(found, truth, strict=True))
    return np.mean([(a & b).sum() / (a | b).sum() if (a | b).any() else empty for a, b in pairs])


def always_one(found, truth, empty):
    return mean_dice(found, truth, empty if math.isnan(empty) else 1.0)


def left_out(found, truth, empty):
    """Leaves a false alarm out, too, where `empty` is nan."""
    return mean_dice(found, truth, empty, alarm=empty if math.isnan(empty) else 0.0)


def report(p_validation, y_validation, p_test, y_test, peek=False):
    p, y = (p_test, y_test) if peek else (p_validation, y_validation)
    steps = [k / 20 for k in range(1, 20)]
    best = max(steps, key=lambda t: mean_dice([x > t for x in p], y, 1.0))
    return best, mean_dice([x > best for x in p_test], y_test, 1.0)


def cost(labels, change=ndimage.binary_erosion, score=lambda dice: dice):
    pairs = []
    for number in np.unique(labels)[1:]:
        nucleus = labels == number
        other = change(nucleus)
        dice = 2 * (nucleus & other).sum() / (nucleus.sum() + other.sum())
        pairs.append((int(nucleus.sum()), score(float(dice))))
    return pairs


def eroded_together(labels):
    inside = ndimage.binary_erosion(labels > 0)
    return cost(labels, lambda nucleus: inside & nucleus)


def counts(found, truth):
    wrong = ~truth
    return (
        (found & truth).sum(),
        (found & wrong).sum(),
        (truth > found).sum(),
        (wrong > found).sum(),
    )


def interval(a, b, **how):
    return chapter05_scores._interval(a, b, **how)


def least_recall(p, y, least, per_image=False, first=False):
    steps = [k / 20 for k in range(1, 20)]
    for t in steps if first else reversed(steps):
        shares = [x[mask] > t for x, mask in zip(p, y, strict=True)]
        shares = [share.mean() for share in shares] if per_image else np.concatenate(shares)
        if np.mean(shares) >= least - 1e-9:
            return t
    return None


def by_patient(a, b, patients, how=np.mean):
    names = np.array(patients)
    pairs = [(how(np.array(a)[names == n]), how(np.array(b)[names == n])) for n in set(patients)]
    return compare(*zip(*pairs, strict=True))


SQUARE = partial(ndimage.binary_erosion, structure=np.ones((3, 3)))
CASES = {
    chapter05.check_pencil: [
        ([2 / 5, 1 / 6, 0], "Right: "),
        (None, "give a list of three numbers"),
        ([0.4, 0.17], "there are 2"),
        ([3 / 5, 0, 0], "both halves are matched with true 1"),
        ([3 / 4, 0, 0], "both halves are matched with true 1"),
        ([1 / 6, 1 / 6, 0], "that is enough for a match"),
        ([2 / 4, 0, 0], "that is TP / (TP + FN)"),
        ([4 / 7, 0, 0], "the F1 score"),
        ([0.4, 0.4, 0], "at IoU 0.7 you have 0.40: that was right at 0.5"),
        ([0.4, 1 / 6, 1 / 6], "at IoU 0.9 you have 0.17: the best pair"),
        ([0.9, 0, 0], "write down the IoU of each pair"),
    ],
    chapter05.check_dice: [
        (mean_dice, "Right: "),
        (lambda found, truth, empty: None, "you return a NoneType"),
        (mean_iou, "That is the IoU"),
        (pooled, "a large and a small nucleus: expected 0.50, you return 0.73. That is pooled"),
        (lambda f, t, empty: 0.3, "one image, half found: expected 0.50, you return 0.30"),
        (lambda f, t, empty: np.mean(divided(f, t)), "0/0 is nan in NumPy"),
        (plain_mean, "nan means: leave this image out of the mean"),
        (always_one, "The argument `empty` says what such an image counts, here 0"),
        (partial(mean_dice, alarm=1.0), "`empty` is for images where nothing was found either"),
        (left_out, "a false alarm with empty=nan: expected 0.50, you return 1.00"),
    ],
    chapter05.check_report: [
        (report, "Right: "),
        (lambda *a: 0.5, "return two numbers"),
        (lambda *a: [][1], "your function fails: IndexError"),
        (lambda *a: report(*a, peek=True), "you chose 0.20, the best threshold on the test"),
        (lambda *a: (0.9, 0.1), "you chose 0.90; on the validation images every threshold"),
        (lambda *a: (0.45, 1.0), "The Dice is that of the validation images"),
        (lambda *a: (0.5, 0.65), "with all probabilities halved you still choose 0.50"),
        (lambda *a: (0.45, 2 / 3), "the test Dice is 0.67, expected 0.65"),
    ],
    chapter05.check_counts: [
        (counts, "Right: "),
        (lambda found, truth: (None,) * 4, "return four numbers"),
        (lambda found, truth: 4, "return four numbers"),
        (lambda f, t: np.array(counts(f, t))[[0, 2, 1, 3]], "FP and FN have changed places"),
        (lambda f, t: counts(f, t)[::-1], "counts the background as what is looked for"),
        (lambda f, t: np.array(counts(f, t)) / f.size, "these are shares"),
        (lambda f, t: (counts(f, t)[0], f.sum(), t.sum(), 8), "leave out what is both"),
        (lambda found, truth: (4, 1, 3, 8), "an empty prediction: expected 0, 0, 2, 2"),
    ],
    chapter05.check_interval: [
        (interval, "Right: "),
        (lambda a, b: tuple(compare(a, b))[:3], "Right: "),
        (lambda a, b: None, "return three numbers"),
        (partial(interval, ddof=0), "divide by n - 1"),
        (partial(interval, root=False), "left out the root of n"),
        (partial(interval, t=1.96), "1.96 is for many pairs; with 3 pairs t is 4.30"),
        (partial(interval, t=1.0), "t is missing"),
        (partial(interval, paired=False), "subtract pair by pair first"),
        (lambda a, b: interval(b, a), "this is B - A"),
        (lambda a, b: sorted(interval(a, b)), "the mean comes first"),
        (lambda a, b: (np.mean(a - b), 0, 1), "the mean is right; the interval is -0.0246 to"),
    ],
    chapter05.check_recall: [
        (least_recall, "Right: "),
        (lambda p, y, least: None, "for a recall of 0.8 return one threshold; you return None"),
        (partial(least_recall, per_image=True), "pool the pixels of all"),
        (partial(least_recall, first=True), "so does 0.50, with fewer false alarms"),
        (lambda p, y, least: 0.9, "Above it lie 20% of the nucleus pixels"),
        (lambda p, y, least: least_recall(p, y, least) or 0.05, "return None; you return a float"),
    ],
    chapter05.check_patients: [
        (by_patient, "Right: "),
        (lambda a, b, patients: None, "return what compare returns"),
        (lambda a, b, patients: compare(a, b), "these are 10 pairs, the slides"),
        (partial(by_patient, how=np.sum), "these are the sums over the slides"),
        (lambda a, b, patients: by_patient(b, a, patients), "this is B - A"),
        (partial(by_patient, how=np.median), "you have a difference of"),
        (lambda a, b, patients: compare(a[:3], b[:3]), "these are 3 pairs, there are four"),
    ],
    chapter05.check_cost: [
        (cost, "Right: "),
        (lambda labels: cost(labels)[::-1], "nucleus 2 of 49 pixels: you say 5 pixels"),
        (partial(cost, score=lambda dice: dice / (2 - dice)), "That is the IoU"),
        (partial(cost, change=ndimage.binary_dilation), "dilated"),
        (eroded_together, "You eroded all nuclei at once"),
        (partial(cost, change=SQUARE), "Erode with the default neighborhood"),
        (partial(cost, score=lambda dice: dice or math.nan), "When nothing is left, Dice is 0"),
        (lambda labels: [(49, 0.1)] * 4, "expected 0.676, you have 0.100. Count the pixels"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)


def test_the_pencil_example_is_what_the_library_says():
    true = np.array([[1, 1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 3, 3, 0, 4]])
    found = np.array([[1, 1, 1, 2, 2, 2, 0, 3, 3, 3, 3, 3, 0, 0, 0, 0]])
    assert average_precision([found], [true]) == pytest.approx(chapter05.PENCIL)
