"""The checks of chapter 11 accept right answers and name what is wrong with others."""

import numpy as np
from scipy import ndimage

from unet_lib.course.exercises import chapter11


def nearness(own):
    places = np.argwhere(own)
    center = places[((places - places.mean(0)) ** 2).sum(1).argmin()]
    away = np.hypot(*(places - center).T)
    result = np.zeros(own.shape)
    result[own] = 1 - away / away.max()
    return result


def distance(own):
    places = np.argwhere(own)
    center = places[((places - places.mean(0)) ** 2).sum(1).argmin()]
    result = np.zeros(own.shape)
    result[own] = np.hypot(*(places - center).T)
    return result


def steps(own):
    places = np.argwhere(own)
    center = places[((places - places.mean(0)) ** 2).sum(1).argmin()]
    away = np.abs(places - center).sum(1)
    result = np.zeros(own.shape)
    result[own] = 1 - away / away.max()
    return result


def votes(places, offsets, shape):
    result = np.zeros(shape)
    np.add.at(result, tuple(np.rint(places + offsets).astype(int).T), 1)
    return result


def forgetful(places, offsets, shape):
    result = np.zeros(shape)
    result[tuple(np.rint(places + offsets).astype(int).T)] += 1
    return result


def contact(labels, radius):
    high = ndimage.maximum_filter(labels, 2 * radius + 1)
    low = ndimage.minimum_filter(np.where(labels > 0, labels, 99), 2 * radius + 1)
    return (labels > 0) & (high != low)


def areas(labels):
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    names, counts = np.unique(labels[labels > 0], return_counts=True)
    return [int(n) for name, n in zip(names, counts, strict=True) if name not in edge]


CASES = {
    chapter11.check_nearness: [
        (nearness, "Right: "),
        (lambda own: None, "is there a return?"),
        (lambda own: "none", "expected an array of the mask's shape"),
        (lambda own: nearness(own)[1:], "yours (8, 13)"),
        (lambda own: nearness(own) + 1, "outside of the object"),
        (distance, "this is the distance"),
        (lambda own: (1 - nearness(own)) * own, "0 at the center and 1 far away"),
        (steps, "no straight line"),
        (lambda own: nearness(own) ** 2, "nearest to the mean"),
    ],
    chapter11.check_votes: [
        (votes, "Right: "),
        (lambda p, o, s: None, "is there a return?"),
        (lambda p, o, s: votes(p, o, (4, 5)), "got (4, 5)"),
        (forgetful, "np.add.at"),
        (lambda p, o, s: votes(p, 0 * o, s), "add the offsets"),
        (lambda p, o, s: votes((p + o).astype(int), 0 * o, s), "round"),
        (lambda p, o, s: votes(p, 0.45 * o, s), "is it places + offsets?"),
    ],
    chapter11.check_mistakes: [
        ([2, 1, 1], "Right: "),
        ([2, 2, 1], "merged: you say 2"),
        ([2, 1, 0], "missed: you say 0"),
        (None, "expected three whole numbers"),
    ],
    chapter11.check_contact: [
        (contact, "Right: "),
        (lambda labels, r: None, "is there a return?"),
        (lambda labels, r: labels[1:], "got (11, 20)"),
        (lambda labels, r: chapter11._rim(labels, r), "background counts as another"),
        (lambda labels, r: contact(labels, 1), "this is radius 1"),
        (lambda labels, r: contact(labels, r) | (labels == 0), "background is no contact"),
        (lambda labels, r: contact(labels, r + 1), "not so for radius 1"),
    ],
    chapter11.check_areas: [
        (areas, "Right: "),
        (lambda labels: None, "expected a list of areas"),
        (lambda labels: areas(labels)[:1], "expected [6, 6]"),
        (lambda labels: [6, 6, 52], "0 is background"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
