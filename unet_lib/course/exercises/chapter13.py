"""Checks for the exercises of chapter 13: bytes of weights, folding, comparing two programs."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from unet_lib.course.exercises.harness import about, ask, check, expect, say
from unet_lib.course.exercises.values import array, close, items, judge, number, shown

PARAMETERS = 31_031_745
NUMPY: dict[str, Any] = {
    "none": "your function returns None.",
    "hint": "(The arrays are NumPy's, not tensors.)",
    "on": (TypeError, AttributeError),
}
BITS = {"float32": 32, "float16": 16, "int8": 8}


@check
def check_bytes(answer: object) -> None:
    """Checks the bytes that 31,031,745 parameters take in float32, float16 and int8.

    >>> check_bytes([31_031_745 * bits for bits in (32, 16, 8)])
    Not yet: float32: you have 993,015,840, those are bits. A byte has eight.
    """
    values = items(answer, "give a list of three numbers: for float32, float16 and int8.", 3)
    for (name, bits), value in zip(BITS.items(), values, strict=True):
        right = PARAMETERS * bits // 8
        value = number(value, f"{name}: give a whole number, not {{short}}.")
        other = "multiply the parameters by the bytes of one."
        if any(close(value, right / factor, relative=0.05) for factor in (1e3, 1e6)):
            other = "the right size in another unit. Give bytes, all of them."
        wrong = (
            (PARAMETERS * bits, "those are bits. A byte has eight."),
            (PARAMETERS, "that is one byte for each parameter. How many bits has this type?"),
        )
        with about(f"{name}: you have {value:,}, "):
            judge(value, right, wrong, other)
    say(True, "124 MB, 62 MB and 31 MB, and the graph is a few kilobytes more.")


@check
def check_fold(answer: object) -> None:
    """Checks a function: weight, bias, mean, variance, gamma, beta, epsilon -> weight, bias.

    >>> check_fold(lambda weight, bias, mean, variance, gamma, beta, epsilon: (weight, bias))
    Not yet: the weights are as they were; BatchNorm multiplies each channel by s.
    """
    random = np.random.default_rng(0)
    weight = random.normal(size=(3, 2, 3, 3))
    bias, mean, gamma, beta = random.normal(size=(4, 3))
    variance, epsilon = np.array([0.02, 0.5, 2.0]), 0.1
    parts = (weight, bias, mean, variance, gamma, beta, epsilon)
    value = ask(answer, *parts, **NUMPY)
    told = "return two arrays: the new weight and the new bias."
    found_weight, found_bias = (array(part, told) for part in items(value, told, 2))
    s = gamma / np.sqrt(variance + epsilon)
    _judge_weight(found_weight, weight, s, (variance, gamma, epsilon))
    with about("the weights are right, the bias is not: "):
        told = f"it has shape {found_bias.shape}, expected {beta.shape}, one number a channel."
        expect(found_bias.shape == beta.shape, told)
        other = "put w * x = 0 into the formula and see what is left."
        right, given = s * (bias - mean) + beta, (s, bias, mean, beta)
        judge(found_bias, right, BIASES, other, given=given)
    say(True, "one convolution does the work of both.")


SCALES = (
    (lambda v, g, e: 1, "the weights are as they were; BatchNorm multiplies each channel by s."),
    (lambda v, g, e: g / v**0.5, "epsilon is missing below the root."),
    (lambda v, g, e: g / (v**0.5 + e), "epsilon belongs below the root, beside the variance."),
    (lambda v, g, e: g / (v + e), "BatchNorm divides by the root of the variance."),
    (lambda v, g, e: 1 / (v + e) ** 0.5, "gamma is missing in the scale."),
)
"""Wrong scales of the weights, from variance, gamma and epsilon."""
BIASES = (
    (lambda s, b, m, be: be - s * m, "the convolution's own bias is missing."),
    (lambda s, b, m, be: b + be - s * m, "the convolution's own bias has to be scaled, too."),
    (lambda s, b, m, be: s * b - m + be, "the mean is subtracted before the scaling, so scale it."),
    (lambda s, b, m, be: s * (b + m) + be, "the mean is subtracted, not added."),
    (lambda s, b, m, be: s * (b - m + be), "beta is added at the end, unscaled."),
)
"""Wrong biases, from scale, bias, mean and beta."""


def _judge_weight(found: np.ndarray, weight: np.ndarray, s: np.ndarray, given: tuple) -> None:
    told = f"the weights have shape {found.shape}, expected {weight.shape}."
    expect(found.shape == weight.shape, told)
    along = "s was laid along another axis, since NumPy begins with the last one."
    axis = f"{along} The output channel is the first: give s the shape (K, 1, 1, 1)."
    wrong = [((scale(*given) * weight.T).T, text) for scale, text in SCALES]
    wrong += [(s * weight, axis), (s[:, None] * weight, axis)]
    other = "the weights are wrong: each output channel is multiplied by its own s."
    judge(found, (s * weight.T).T, wrong, other)


FLIPPED, FLIPS = [[[0.01, 0.015, 3.0]], [[0.005, 1.0]]], [[-0.02, -0.02, 0.0], [-0.01, 0.0]]
CASES = {
    "two equal programs": ([[[0.5, -2.0]]], [[0.0, 0.0]], 0.0, 0),
    "a difference below zero": ([[[0.5, -2.0]]], [[-0.25, 0.0]], 0.25, 0),
    "pixels that flip, in batches of two sizes": (FLIPPED, FLIPS, 0.02, 3),
    "logits of another shape": ([[[1.0, 1.0]]], None, math.inf, 0),
}
"""The logits of the reference, a list of batches of one row of pixels; what the other program adds
to each batch (if None, it gives one pixel only); the largest difference, and the flips."""


@check
def check_compare(answer: object) -> None:
    """Checks a function: run, reference, batches -> (largest difference, pixels that flip).

    >>> check_compare(lambda run, reference, batches: (0.0, 0))
    Not yet: a difference below zero: expected 0.25, you return 0. Take the absolute value.
    """
    for name, (logits, changes, largest, flips) in CASES.items():
        with about(f"{name}: "):
            value = ask(answer, *_programs(logits, changes), **NUMPY)
            told = "return two numbers, the difference and the flips."
            found, found_flips = items(value, told, 2)
            with about(f"expected {largest:g}, you return {shown(found)}. "):
                _judge_difference(name, found, largest)
            told = f"flips: expected {flips}, you return {shown(found_flips)}."
            cure = "A probability of 0.5 is a logit of 0; count the pixels of all batches."
            expect(math.isinf(largest) or close(found_flips, flips), f"{told} {cure}")
    say(True, "shapes first, absolute differences, all batches, flips at logit 0.")


def _programs(logits: list, changes: list | None) -> tuple[Callable, Callable, list[np.ndarray]]:
    """Two programs and their batches; each image carries its number, to find its logits by."""
    batches = [np.full((1, 1, *np.shape(x)), i, np.float32) for i, x in enumerate(logits)]

    def reference(batch: np.ndarray) -> np.ndarray:
        return np.array(logits[int(batch.flat[0])], np.float32)[None, None]

    def run(batch: np.ndarray) -> np.ndarray:
        if changes is None:
            return reference(batch)[..., :1]
        return reference(batch) + np.array(changes[int(batch.flat[0])], np.float32)

    return run, reference, batches


def _judge_difference(name: str, value: object, right: float) -> None:
    below, flips = list(CASES)[1:3]
    wrong = {
        below: (
            *((wrong, "Take the absolute value.") for wrong in (0.0, -0.25)),
            (0.125, "That is the mean. One wrong pixel drowns in it: take the largest."),
        ),
        flips: ((0.01, "That is the last batch alone. Keep the largest of all."),),
    }.get(name, ())
    shape = "NumPy stretches a shape of 1 in silence: compare the shapes first."
    other = "Compare the logits, pixel by pixel, and take the largest distance."
    judge(value, right, wrong, shape if math.isinf(right) else other, relative=1e-4)
