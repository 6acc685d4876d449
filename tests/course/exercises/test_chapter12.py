"""The checks of chapter 12: right answers, and each typical wrong one with what it is told."""

import math

import numpy as np

from unet_lib.course.exercises import chapter12


def miou(tables):
    table = np.sum(tables, axis=0)
    hits, rows, columns = np.diag(table), table.sum(1), table.sum(0)
    return float(np.mean(hits[rows > 0] / (rows + columns - hits)[rows > 0]))


def by_film(film):
    return lambda names: (
        [name for name in names if not name.startswith(film)],
        [name for name in names if name.startswith(film)],
    )


def split_films(names):
    """One film is enough here: the best alone is as near as any several."""
    films = {name.split("_")[0] for name in names}
    share = {film: sum(name.startswith(film) for name in names) / len(names) for film in films}
    return by_film(min(films, key=lambda film: abs(share[film] - 0.2)))(names)


def power(weights, exponent):
    return np.where(weights > 0, weights**exponent, 0)


def milder(weights, shares, exponent):
    return power(weights, exponent) / (power(weights, exponent) @ shares)


def mean_over_classes(weights, shares, exponent):
    powered = power(weights, exponent)
    return powered / powered[powered > 0].mean()


CASES = {
    chapter12.check_pencil: [
        ([0.667, 0.5, math.nan, 0.583], "Right: "),
        (None, "give a list of four"),
        ([None] * 4, "road: you have None, divide the diagonal by row + column"),
        ([6 / 7, 0.5, None, 0.5], "that is the precision. What of road was missed"),
        ([12 / 15, 0.5, None, 0.5], "that is the Dice"),
        ([6 / 9, 0.75, None, 0.5], "tree: you have 0.75, that is the recall"),
        ([6 / 9, 0.5, 0, 0.5], "bus: you have 0; 0/0 is not defined"),
        ([6 / 9, 0.5, None, 7 / 18], "the bus counts 0 in it"),
        ([6 / 9, 0.5, None, 13 / 18], "the bus counts 1 in it"),
        ([6 / 9, 0.5, None, None], "mIoU: you have None; it is the mean of two numbers"),
    ],
    chapter12.check_miou: [
        (miou, "Right: "),
        (lambda tables: None, "one image, two classes: your function returns nothing yet"),
        (lambda tables: [][1], "your function fails: IndexError"),
        (lambda tables: "0.5", "you return '0.5'. Follow it by hand"),
        *chapter12.MIOU_MISTAKES,
        (
            lambda t: miou(t) if np.sum(t, (0, 2)).all() else np.nan,
            "not occur: expected 0.583, you",
        ),
    ],
    chapter12.check_split: [
        (split_films, "Right: "),
        (lambda names: names, "return two lists of names"),
        (lambda names: (names, []), "109 names in training and 0 in validation"),
        (lambda names: (names[1:], names[:1] * 2), "exactly one of the two parts, once"),
        (lambda names: (names[::2], names[1::2]), "the film 0001TP is in both parts"),
        (by_film("0016E5"), "validation has 47% of the images; whole films can come"),
    ],
    chapter12.check_milder: [
        (milder, "Right: "),
        (lambda w, s, e: None, "exponent 0.5: your function returns nothing yet"),
        (lambda w, s, e: "mild", "got a str"),
        (lambda w, s, e: 0.5, "got an array of shape ()"),
        (lambda w, s, e: w**-e, "a weight is not finite"),
        (mean_over_classes, "scaled to a mean of 1 over the classes"),
        (lambda w, s, e: w, "expected [0.629"),
        (lambda w, s, e: w**e / (w**e @ s), "exponent 0: the class that does not occur has"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
