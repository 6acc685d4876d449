"""The checks of chapter 13: right answers, and each typical wrong one with what it is told."""

import numpy as np
import torch

from unet_lib.course.exercises import chapter13

P = 31_031_745


def fold(weight, bias, mean, variance, gamma, beta, epsilon):
    s = gamma / (variance + epsilon) ** 0.5
    return s.reshape(-1, 1, 1, 1) * weight, s * (bias - mean) + beta


def weights(scale):
    """A fold with another scale of the weights."""
    return lambda w, b, m, v, g, be, e: (scale(v, g, e).reshape(-1, 1, 1, 1) * w, b)


def biases(bias):
    """A fold with right weights and another bias."""

    def wrong(w, b, m, v, g, be, e):
        s = g / (v + e) ** 0.5
        return fold(w, b, m, v, g, be, e)[0], bias(s, b, m, be)

    return wrong


def compare(
    run,
    reference,
    batches,
    distance=abs,
    summary=np.max,
    at=0.0,
    shapes=True,
    last=False,
    flipped=np.sum,
):
    largest, flips = 0.0, 0
    for batch in batches:
        found, expected = run(batch), reference(batch)
        if shapes and found.shape != expected.shape:
            return float("inf"), flips
        now = float(summary(distance(found - expected)))
        largest = now if last else max(largest, now)
        flips += int(flipped((found > at) != (expected > at)))
    return largest, flips


def varied(**options):
    return lambda *arguments: compare(*arguments, **options)


def first_batch_flips(run, reference, batches):
    return compare(run, reference, batches)[0], compare(run, reference, batches[:1])[1]


CASES = {
    chapter13.check_bytes: [
        ([4 * P, 2 * P, P], "Right: 124 MB, 62 MB and 31 MB"),
        (5, "give a list of three numbers"),
        ([None, None, None], "float32: give a whole number, not None."),
        ([32 * P, 16 * P, 8 * P], "those are bits. A byte has eight."),
        ([P, P, P], "one byte for each parameter. How many bits has this type?\n"),
        ([124.1, 62, 31], "float32: you have 124.1, the right size in another unit."),
        ([4 * P, 3 * P, P], "float16: you have 93,095,235, multiply the parameters"),
    ],
    chapter13.check_fold: [
        (fold, "Right: one convolution does the work of both."),
        (lambda *_: None, "your function returns None."),
        (lambda *_: 1, "return two arrays"),
        (lambda w, *_: (w[0], w), "the weights have shape (2, 3, 3), expected (3, 2, 3, 3)."),
        (lambda w, *_: ("a", "b"), "return two arrays"),
        (lambda w, b, *_: (w, b), "the weights are as they were"),
        (weights(lambda v, g, e: g / v**0.5), "epsilon is missing"),
        (weights(lambda v, g, e: g / (v**0.5 + e)), "epsilon belongs below the root"),
        (weights(lambda v, g, e: g / (v + e)), "divides by the root of the variance"),
        (weights(lambda v, g, e: 1 / (v + e) ** 0.5), "gamma is missing"),
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
        (biases(lambda s, b, m, be: be - s * m), "own bias is missing"),
        (biases(lambda s, b, m, be: b + be - s * m), "has to be scaled, too"),
        (biases(lambda s, b, m, be: s * b - m + be), "so scale it"),
        (biases(lambda s, b, m, be: s * (b + m) + be), "subtracted, not added"),
        (biases(lambda s, b, m, be: s * (b - m + be)), "beta is added at the end"),
        (biases(lambda s, b, m, be: s), "put w * x = 0 into the formula"),
        (
            biases(lambda s, b, m, be: (s * (b - m) + be)[:, None]),
            "it has shape (3, 1), expected (3,), one number a channel.",
        ),
    ],
    chapter13.check_compare: [
        (compare, "Right: shapes first"),
        (lambda *given: map(torch.tensor, compare(*given)), "Right: "),
        (lambda *_: None, "two equal programs: your function returns None."),
        (lambda *_: 0.0, "return two numbers"),
        (lambda *_: ("a", 0), "two equal programs: expected 0, you return 'a'. Compare the logits"),
        (varied(distance=lambda x: x), "expected 0.25, you return 0. Take the absolute value."),
        (varied(summary=np.mean), "That is the mean."),
        (varied(distance=np.square), "expected 0.25, you return 0.0625. Compare the logits"),
        (varied(last=True), "That is the last batch alone."),
        (varied(shapes=False), "NumPy stretches a shape of 1 in silence"),
        (varied(at=0.5), "flips: expected 3, you return 0. A probability of 0.5 is a logit of 0"),
        (varied(flipped=np.any), "flips: expected 3, you return 2."),
        (first_batch_flips, "flips: expected 3, you return 2."),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
