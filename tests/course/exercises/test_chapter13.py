"""The checks of chapter 13: right answers, and each typical wrong one with what it is told."""

from functools import partial

import numpy as np
import torch

from unet_lib.course.exercises import chapter13

P = 31_031_745


def fold(weight, bias, mean, variance, gamma, beta, epsilon):
    s = gamma / (variance + epsilon) ** 0.5
    return s.reshape(-1, 1, 1, 1) * weight, s * (bias - mean) + beta


def weights(scale):
    """A fold with another scale of the weights."""
    return lambda w, b, m, v, g, be, e: ((scale(v, g, e) * w.T).T, b)


def biases(bias):
    """A fold with right weights and another bias."""
    return lambda w, b, m, v, g, be, e: (
        fold(w, b, m, v, g, be, e)[0],
        bias(g / (v + e) ** 0.5, b, m, be),
    )


def compare(run, other, batches, distance=abs, summary=np.max, at=0, shapes=1, last=0, few=0):
    largest, flips = 0.0, 0
    for batch in batches:
        found, expected = run(batch), other(batch)
        if shapes and found.shape != expected.shape:
            return float("inf"), flips
        now = float(summary(distance(found - expected)))
        largest = now if last else max(largest, now)
        flips = flips * (not few) + int(((found > at) != (expected > at)).sum())
    return largest, flips


CASES = {
    chapter13.check_bytes: [
        ([4 * P, 2 * P, P], "Right: 124 MB, 62 MB and 31 MB"),
        (5, "give a list of three numbers"),
        ([None, None, None], "float32: give a whole number, not None."),
        ([P, P, P], "one byte for each parameter. How many bits has this type?\n"),
        ([124.1, 62, 31], "float32: you have 124.1, the right size in another unit."),
        ([4 * P, 3 * P, P], "float16: you have 93,095,235, multiply the parameters"),
    ],
    chapter13.check_fold: [
        (fold, "Right: one convolution does the work of both."),
        (lambda *_: None, "your function returns None."),
        (lambda *_: 1, "return two arrays"),
        (lambda w, *_: (w[0], w), "the weights have shape (2, 3, 3), expected (3, 2, 3, 3)."),
        *((weights(scale), told) for scale, told in chapter13.SCALES),
        (
            lambda w, b, m, v, g, be, e: ((g / (v + e) ** 0.5)[:, None] * w, b),
            "s was laid along another axis",
        ),
        (
            lambda w, b, m, v, g, be, e: (g / (v + e) ** 0.5 * w, b),
            "The output channel is the first: give s the shape (K, 1, 1, 1).",
        ),
        (lambda w, *_: w.view(-1, 1, 1, 1), "(The arrays are NumPy's, not tensors.)"),
        (weights(lambda v, g, e: v), "each output channel is multiplied by its own s"),
        *((biases(bias), told) for bias, told in chapter13.BIASES),
        (biases(lambda s, b, m, be: s), "put w * x = 0 into the formula"),
        (
            biases(lambda s, *_: s[:, None]),
            "it has shape (3, 1), expected (3,), one number a channel.",
        ),
    ],
    chapter13.check_compare: [
        (compare, "Right: shapes first"),
        (lambda *given: map(torch.tensor, compare(*given)), "Right: "),
        (lambda *_: None, "two equal programs: your function returns None."),
        (lambda *_: 0.0, "return two numbers"),
        (lambda *_: ("a", 0), "two equal programs: expected 0, you return 'a'. Compare the logits"),
        (partial(compare, distance=np.copy), "expected 0.25, you return 0. Take the absolute"),
        (partial(compare, summary=np.mean), "That is the mean."),
        (
            partial(compare, distance=np.square),
            "expected 0.25, you return 0.0625. Compare the logits",
        ),
        (partial(compare, last=True), "That is the last batch alone."),
        (partial(compare, shapes=False), "NumPy stretches a shape of 1 in silence"),
        (partial(compare, at=0.5), "flips: expected 3, you return 0. A probability of 0.5 is a"),
        (partial(compare, few=True), "flips: expected 3, you return 1."),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
