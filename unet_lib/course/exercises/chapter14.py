"""Checks for the tasks and exercises of chapter 14: sizes, weights, momentum, mirrors, gaps."""

import math

import numpy as np

from unet_lib.course.exercises.harness import about, ask, check, expect, say
from unet_lib.course.exercises.values import array, close, items, judge, number, numbers, whole

NONE = "your function gives None: is there a return?"
LOST = 184  # pixels that the paper's network takes off each side length
SIZES = {512: 700, 388: 572, 1000: 1196}  # of a slice: of the smallest input that covers it


@check
def check_side(answer: object) -> None:
    """Checks a function side of a slice -> side of the smallest input that covers it.

    >>> check_side(lambda side: side + 184)
    Not yet: for 512 pixels you say 696, and the network takes 572 + 16 n only: round up.
    """
    for side, right in SIZES.items():
        found = number(ask(answer, side), "expected a number of pixels, got {got}.")
        told = f"for {side} pixels you say {found:g}"
        needless = f"{told}; {right} is enough, and gives {right - LOST}."
        mistakes = [
            (side, f"{told}: the output would be {side - LOST}, 92 pixels less on each side."),
            (side + LOST // 2, f"{told}: 92 pixels are lost on each of two sides."),
        ]
        allowed = f"{told}, and the network takes 572 + 16 n only: round up."
        small = f"{told}, whose output is {found - LOST:g}: smaller than the slice."
        other = needless if found > right else small
        judge(found, right, mistakes, allowed if (found - 572) % 16 else other)
    say(True, "512 needs 700, whose output is 516: four pixels to spare.")


@check
def check_weight(answer: object) -> None:
    """Checks a function (d1, d2, w_c) -> weight, with w0 = 10 and sigma = 5.

    >>> check_weight(lambda d1, d2, w_c: w_c + 10 * np.exp(-(d1**2 + d2**2) / 50))
    Not yet: these are the squares of d1 and d2, added; the formula squares their sum.
    """
    d1, d2 = np.array([0.0, 1, 2, 5, 9, 40]), np.array([1.0, 1, 6, 5, 30, 60])
    balance = np.array([0.6, 2.3, 2.3, 0.6, 0.6, 2.3])
    found = array(ask(answer, d1, d2, balance, none=NONE), "expected an array like d1, got {got}.")
    expect(found.shape == d1.shape, f"d1 has shape {d1.shape}, your weights {found.shape}.")
    away = (d1 + d2) ** 2
    squares = d1**2 + d2**2
    mistakes = [
        (balance + 10 * np.exp(-squares / 50), "these are the squares of d1 and d2, added; "
         "the formula squares their sum."),
        (10 * np.exp(-away / 50), "w_c is missing: the weight that balances the classes."),
        (balance + np.exp(-away / 50), "w0 = 10 is missing before the exponential."),
        (balance + 10 * np.exp(-away / 25), "divide by 2 sigma^2, which is 50."),
        (balance + 10 * np.exp(-away / 10), "sigma is squared: 2 sigma^2 is 50, not 10."),
        (balance * 10 * np.exp(-away / 50), "w_c is added, not multiplied."),
    ]  # fmt: skip
    judge(found, balance + 10 * np.exp(-away / 50), mistakes, "is it w_c + w0 exp(-...)?")
    say(True, f"{found[1]:.1f} in a gap of two pixels, {found[-1]:.1f} far from two cells.")


@check
def check_average(answer: object) -> None:
    """Checks a function momentum -> how many gradients, weighted alike, scatter as little.

    >>> check_average(lambda momentum: 1 / (1 - momentum))
    Not yet: for momentum 0.9 you say 10: that is the sum of all weights, ...
    """
    for momentum in (0.9, 0.99, 0.0):
        found = number(ask(answer, momentum), "expected a number, got {got}.")
        right = (1 + momentum) / (1 - momentum)
        told = f"for momentum {momentum:g} you say {found:.4g}"
        longer = f"{told}: that is the sum of all weights, by which the steps become longer."
        variance = f"{told}: that is the variance itself; of an equal mean it would be 1 / n."
        squares = f"{told}: that is the sum of the squares; divide the square of the sum by it."
        mistakes = [
            (1 / (1 - momentum), longer),
            (1 / right, variance),
            (1 / (1 - momentum**2), squares),
        ]
        judge(found, right, mistakes, f"{told}, expected {right:.4g}.", within=1e-4)
    say(True, "19 for 0.9, and 199 for 0.99: a batch of one is none of one.")


@check
def check_mirror(answer: object) -> None:
    """Checks a function (image (H, W), border) -> the image with a mirrored border.

    >>> check_mirror(lambda image, border: np.pad(image, border, mode="symmetric"))
    Not yet: the last pixel occurs twice: the mirror stands on it, not behind it.
    """
    image = np.arange(20.0).reshape(4, 5) ** 1.5
    for border in (3, 1):
        found = array(ask(answer, image, border, none=NONE), "expected an array (H, W), got {got}.")
        shape = 4 + 2 * border, 5 + 2 * border
        expect(found.shape == shape, f"expected shape {shape}, got {found.shape}.")
        wrong = {
            "symmetric": "the last pixel occurs twice: the mirror stands on it, not behind it.",
            "constant": "these are zeros, which no tissue shows.",
            "edge": "this repeats the last pixel; a mirror shows what lies before it.",
            "wrap": "this goes on with the opposite side.",
        }
        mistakes = [(np.pad(image, border, mode=mode), text) for mode, text in wrong.items()]  # type: ignore[call-overload]
        right = np.pad(image, border, mode="reflect")
        inside = close(found[border:-border, border:-border], image)
        other = "the corners too: first the rows, then the columns."
        judge(found, right, mistakes, other if inside else "the image is not in the middle.")
    say(True, "as the overlap-tile strategy continues a slice.")


@check
def check_gaps(answer: object) -> None:
    """Checks a function (length, test, gap) -> slices to train on.

    >>> check_gaps(lambda length, test, gap: [i for i in range(length) if i not in test])
    Not yet: slice 5 is trained on and slice 6 tested: they are neighbors.
    """
    for length, test, gap in ((30, range(6, 12), 1), (20, range(4), 2), (9, range(3, 6), 0)):
        given = ask(answer, length, list(test), gap, none=NONE)
        found = numbers(given, "expected a list of slices, got {got}.", one=whole)
        far = [i for i in range(length) if min(abs(i - j) for j in test) > gap]
        with about(f"{length} slices, gap {gap}: "):
            expect(set(found) <= set(range(length)), f"there are slices 0 to {length - 1} only.")
            expect(not set(found) & set(test), "a slice is trained on and tested.")
        near = sorted(set(found) - set(far))
        pair = near and (near[0], min(test, key=lambda j: abs(near[0] - j)))
        words = "they are neighbors." if gap == 1 else f"their distance is within the gap of {gap}."
        expect(not near, f"slice {pair and pair[0]} is trained on and slice {pair and pair[1]} "
                         f"tested: {words}")  # fmt: skip
        missing = sorted(set(far) - set(found))
        expect(not missing, f"slice {missing and missing[0]} is far enough, and left out.")
    say(True, "on each side of the block, slices are missing, but none at the end of the stack.")


@check
def check_all_cells(answer: object) -> None:
    """Checks a function share of membrane -> (pixel error, cell Dice, mean Dice of both classes).

    >>> check_all_cells(lambda share: (share, 1 - share, (1 - share) / 2))
    Not yet: cell Dice: you say 0.78, expected 0.876 for a share of 0.22.
    """
    for share in (0.22, 0.5):
        given = items(ask(answer, share), "expected three numbers, got {got}.", 3)
        found = [number(value, "expected numbers, got {got}.") for value in given]
        cell = 2 * (1 - share) / (2 - share)
        right = {"pixel error": share, "cell Dice": cell, "mean Dice": cell / 2}
        for (name, value), own in zip(right.items(), found, strict=True):
            told = f"{name}: you say {own:.3g}, expected {value:.3g}"
            told += f" for a share of {share}."
            if name == "mean Dice" and math.isclose(own, (cell + 1) / 2):
                told += " No membrane is found, so its Dice is 0, not 1."
            expect(close(own, value), told)
    say(True, "0.876 for finding nothing: a Dice of cells alone says little.")
