"""The checks of chapter 7: a right answer, and each typical wrong one with its message."""

import numpy as np
from scipy.stats import t as student

from unet_lib.course.exercises import chapter07


def frozen(model, mode=True, decoder=True, averages=False):
    model.encoder.requires_grad_(False)
    model.decoder.requires_grad_(decoder)
    model.train(mode)
    model.encoder.train(averages)


def rates(stages, rate, decay):
    return [rate * decay ** (stages - i) for i in range(stages + 1)]


def verdict(a, b, factor=None, ddof=1):
    if len(a) < 3:
        return "open"
    differences = np.subtract(a, b)
    error = differences.std(ddof=ddof) / np.sqrt(len(a))
    half = (factor or student.ppf(0.975, len(a) - 1)) * error
    mean = differences.mean()
    return "a" if mean > half else "b" if mean < -half else "open"


CASES = {
    chapter07.check_scaling: [
        (lambda x: (x * 255 - 127) / 128, "Right: 0 becomes -0.992"),
        (lambda x: None, "returned None"),
        (lambda x: x[0], "a tensor of the shape of the images"),
        *chapter07.SCALINGS,
        (lambda x: 3 * x + 1, "1 became 4.000, expected 1; 0 became 1.000"),
    ],
    chapter07.check_frozen_training: [
        (frozen, "Right: gradients for the decoder alone"),
        (lambda model: frozen(model, decoder=False), "the decoder is frozen as well"),
        (lambda model: frozen(model, mode=False), "the decoder is in evaluation mode"),
        (lambda model: frozen(model, averages=True), "goes on averaging"),
    ],
    chapter07.check_rates: [
        (rates, "Right: the decoder learns fast"),
        (lambda n, rate, decay: rate, "expected a list of numbers"),
        (lambda n, rate, decay: rates(n, rate, decay)[1:], "one for the decoder; got 2"),
        (lambda n, rate, decay: [rate], "expected 3 rates, got 1"),
        (lambda n, rate, decay: rates(n, rate, decay)[::-1], "the order is reversed"),
        (lambda n, rate, decay: [*rates(n, rate, decay)[1:], rate], "the deepest stage has"),
        (lambda n, rate, decay: rates(n, 2 * rate, decay), "the decoder comes last and learns"),
        (lambda n, rate, decay: [0.0] * n + [rate], "expected [0.0025, 0.005, 0.01]"),
    ],
    chapter07.check_verdict: [
        (verdict, "Right: a winner where the pairs agree"),
        (lambda a, b: None, "returned None"),
        (lambda a, b: "b", "far from 0"),
        (lambda a, b: "a", "b is ahead in every seed"),
        (lambda a, b: "a" if min(a) > max(b) else "b" if min(b) > max(a) else "open", "by seed a"),
        (lambda a, b: verdict(a, b, factor=1.96), "is your factor 4.303"),
        (lambda a, b: "a" if sum(a) > sum(b) else "b", "is your factor 4.303"),
        (lambda a, b: "a" if len(a) < 3 else verdict(a, b), "one pair is one observation"),
        (lambda a, b: "a" if len(a) == 2 else verdict(a, b), "two pairs are fewer"),
        (lambda a, b: verdict(a, b, factor=4.303), "the factor for them is 2.776"),
        (lambda a, b: "b" if a == b else verdict(a, b), "no difference at all"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
