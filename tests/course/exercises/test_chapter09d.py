"""The checks of the page "My mask is black": right answers, and what wrong ones are told."""

import numpy as np

from unet_lib.course.exercises import chapter09d
from unet_lib.data import InMemory, normalize_percentiles


def explained(image, mask):
    total = ((image - image.mean()) ** 2).sum()
    parts = [image[mask == k] for k in np.unique(mask)]
    between = sum(len(p) * (p.mean() - image.mean()) ** 2 for p in parts)
    return between / total if total > 0 else 0.0


def healed(skip=0):
    sick = chapter09d.patient()
    pairs = [(sick.images[i], 1 - sick.labels[i - 1]) for i in range(1 + skip, 16)]
    return InMemory(*zip(*pairs, strict=True), normalize=normalize_percentiles)


SICK = chapter09d.patient()
INVERTED = [1 - mask for mask in SICK.labels]
RIGHT, NEAR = chapter09d.CAUSES_OF, chapter09d.NEAR
CASES = {
    chapter09d.check_causes: [
        (RIGHT, "Right: and each was told"),
        (["leak"], "Not yet: give a dict"),
        ({}, "Not yet: A has no answer: training Dice 0.95"),
        (RIGHT | {"C": "leak"}, "C: read it again: good while training"),
        *((RIGHT | {key: cause}, f"{key}: {hint}") for (key, cause), hint in NEAR.items()),
    ],
    chapter09d.check_healed: [
        (healed(), "Right: three findings, three cures"),
        (InMemory(SICK.images, SICK.labels), "the doctor says inverted-masks"),
        (InMemory(SICK.images, INVERTED), "the doctor says shifted-pairs"),
        (healed(skip=6), "9 images of (1, 64, 64) are left; 15 can be saved"),
        (None, "give a data set"),
        (InMemory([], []), "the data set raised"),
    ],
    chapter09d.check_agreement: [
        (explained, "Right: 0 says"),
        *chapter09d.AGREEMENT_MISTAKES,
        (lambda x, mask: explained(x, mask) if x.std() else np.nan, "a constant image has no"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
