"""Checks for the exercises of chapter 10: uncertainty, paired comparison, counting."""

import numpy as np

from unet_lib.course.exercises.harness import ask, check, expect, say
from unet_lib.course.exercises.values import close, numbers, shown


@check
def check_interval(answer: object) -> None:
    """Checks a function (scores of the images) -> (low, high), a 95 % interval of their mean.

    >>> check_interval(lambda scores: (min(scores), max(scores)))
    Not yet: that is where single images lie (2.5 to 97.5 % of them or more), not where the mean ...
    """
    rng = np.random.default_rng(0)
    for size, center, spread in ((50, 0.9, 0.05), (200, 0.7, 0.1)):
        scores = rng.normal(center, spread, size)
        found = ask(answer, scores.tolist())
        low, high = numbers(found, "expected two numbers (low, high), got {short}.", 2)
        told = f"[{low:.3f}, {high:.3f}] does not hold the mean {scores.mean():.3f}."
        expect(low <= scores.mean() <= high, told)
        width, expected = high - low, 2 * 1.96 * scores.std() / np.sqrt(size)
        told = "that is where single images lie (2.5 to 97.5 % of them or more), not where the mean"
        cure = "Draw as many images as there are, with replacement, take their mean, and repeat."
        single = width > 0.9 * np.subtract(*np.percentile(scores, [97.5, 2.5]))
        expect(not single, f"{told} lies. {cure}")
        told = f"for {size} scores with standard deviation {scores.std():.3f} a width of about"
        values = f"{expected:.4f} was expected, yours is {width:.4f}. Is it the 2.5 and the 97.5"
        cure = "percentile of at least 1,000 means, each over all the images?"
        expect(0.8 < width / expected < 1.2, f"{told} {values} {cure}")
    say(True, "the interval shrinks with the square root of the number of images.")


@check
def check_paired(answer: object) -> None:
    """Checks a function (scores A, scores B) -> share of images on which B is better.

    >>> check_paired(lambda a, b: sum(b) / len(b) - sum(a) / len(a))
    Not yet: [0.9, 0.8, 0.7, 0.5] against [0.92, 0.82, 0.6, 0.5]: you say -0.015, expected 0.5. ...
    """
    cases = (
        ([0.9, 0.8, 0.7, 0.5], [0.92, 0.82, 0.6, 0.5], "Two of the four images are better; a tie"),
        ([0.1, 0.2], [0.3, 0.4], "Every image is better; a tie"),
        ([0.5] * 5, [0.5] * 5, "Nothing has changed; a tie"),
    )
    for a, b, why in cases:
        found, expected = ask(answer, a, b), float(np.mean(np.array(b) > np.array(a)))
        told = f"{a} against {b}: you say {shown(found)}, expected {expected:.3g}."
        expect(close(found, expected), f"{told} {why} is not better.")
    say(True, "image by image is a fairer comparison than mean against mean.")


@check
def check_count_error(answer: object) -> None:
    """Checks a function (predicted labels, true labels) -> relative error of the count.

    >>> check_count_error(lambda predicted, true: int(predicted.max()) - int(true.max()))
    Not yet: 3 found where 2 are: you say 1, expected 0.5. Divide by the number that is there.
    """
    cases = (
        ([[1, 2, 3, 0]], [[1, 1, 2, 0]], 0.5, "Divide by the number that is there."),
        ([[4, 4, 9, 0]], [[1, 2, 3, 4]], -0.5, "Labels may have gaps: count the different ones."),
        ([[0, 0]], [[5, 0]], -1.0, "Background, 0, is no nucleus."),
    )
    for *pair, expected, why in cases:
        predicted, true = map(np.array, pair)
        found = ask(answer, predicted, true)
        counted, there = (len(np.unique(x[x > 0])) for x in (predicted, true))
        told = f"{counted} found where {there} are: you say {shown(found)}, expected {expected:g}."
        expect(close(found, expected), f"{told} {why}")
    say(True, "minus half means that half of the nuclei were merged or missed.")
