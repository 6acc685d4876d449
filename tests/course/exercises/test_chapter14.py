"""The checks of chapter 14 accept right answers and name what is wrong with others."""

import numpy as np

from unet_lib.course.exercises import chapter14


def side(length):
    return 572 + 16 * -(-(length + 184 - 572) // 16)


def weight(d1, d2, w_c, w0=10, twice=50):
    return w_c + w0 * np.exp(-((d1 + d2) ** 2) / twice)


def mirrored(mode):
    return lambda image, border: np.pad(image, border, mode=mode)


def gaps(length, test, gap):
    return [i for i in range(length) if all(abs(i - j) > gap for j in test)]


def all_cells(share):
    cell = 2 * (1 - share) / (2 - share)
    return share, cell, cell / 2


CASES = {
    chapter14.check_side: [
        (side, "Right: "),
        (lambda length: None, "is there a return?"),
        (lambda length: length, "92 pixels less on each side"),
        (lambda length: length + 92, "on each of two sides"),
        (lambda length: length + 184, "round up"),
        (lambda length: side(length) + 16, "700 is enough, and gives 516"),
        (lambda length: side(length) - 16, "smaller than the slice"),
    ],
    chapter14.check_weight: [
        (weight, "Right: "),
        (lambda d1, d2, w_c: None, "is there a return?"),
        (lambda d1, d2, w_c: weight(d1, d2, w_c)[1:], "your weights (5,)"),
        (lambda d1, d2, w_c: w_c + 10 * np.exp(-(d1**2 + d2**2) / 50), "squares their sum"),
        (lambda d1, d2, w_c: weight(d1, d2, 0), "w_c is missing"),
        (lambda d1, d2, w_c: weight(d1, d2, w_c, 1), "w0 = 10 is missing"),
        (lambda d1, d2, w_c: weight(d1, d2, w_c, twice=25), "divide by 2 sigma^2"),
        (lambda d1, d2, w_c: weight(d1, d2, w_c, twice=10), "not 10"),
        (lambda d1, d2, w_c: w_c * weight(d1, d2, 0), "not multiplied"),
        (lambda d1, d2, w_c: weight(d1, d2, w_c, twice=-50), "is it w_c + w0 exp"),
    ],
    chapter14.check_average: [
        (lambda momentum: (1 + momentum) / (1 - momentum), "Right: "),
        (lambda momentum: None, "is there a return?"),
        (lambda momentum: 1 / (1 - momentum), "the sum of all weights"),
        (lambda momentum: (1 - momentum) / (1 + momentum), "the variance itself"),
        (lambda momentum: 1 / (1 - momentum**2), "the sum of the squares"),
        (lambda momentum: 3, "expected 19"),
    ],
    chapter14.check_mirror: [
        (mirrored("reflect"), "Right: "),
        (lambda image, border: None, "is there a return?"),
        (lambda image, border: image, "expected shape (10, 11)"),
        (mirrored("symmetric"), "occurs twice"),
        (mirrored("constant"), "zeros"),
        (mirrored("edge"), "repeats the last pixel"),
        (mirrored("wrap"), "the opposite side"),
        (lambda image, border: np.pad(image, border, mode="mean"), "the corners too"),
        (lambda image, border: np.pad(image, ((0, 2 * border),) * 2), "not in the middle"),
    ],
    chapter14.check_gaps: [
        (gaps, "Right: "),
        (lambda length, test, gap: None, "is there a return?"),
        (lambda length, test, gap: 3, "expected a list of slices"),
        (lambda length, test, gap: [*gaps(length, test, gap), 30], "slices 0 to 29 only"),
        (lambda length, test, gap: range(length), "trained on and tested"),
        (lambda length, test, gap: gaps(length, test, 0), "slice 5 is trained on and slice 6"),
        (lambda length, test, gap: gaps(length, test, min(gap, 1)), "within the gap of 2"),
        (lambda length, test, gap: gaps(length, test, gap)[1:], "slice 0 is far enough"),
    ],
    chapter14.check_all_cells: [
        (all_cells, "Right: "),
        (lambda share: None, "is there a return?"),
        (lambda share: (share, 1 - share, 0), "cell Dice: you say 0.78, expected 0.876"),
        (lambda share: (1 - share, 0, 0), "pixel error: you say 0.78"),
        (lambda share: (share, all_cells(share)[1], 0.5 + all_cells(share)[2]), "is 0, not 1"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
