"""Checks for the exercises of chapter 13: bytes of weights, folding, comparing two programs."""

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from unet_lib.course.exercises import say

PARAMETERS = 31_031_745
BITS = {"float32": 32, "float16": 16, "int8": 8}


def check_bytes(answer: object) -> None:
    """Checks the bytes that 31,031,745 parameters take in float32, float16 and int8.

    >>> check_bytes([31_031_745 * bits for bits in (32, 16, 8)])
    Not yet: float32: you have 993,015,840, those are bits. A byte has eight.
    """
    if not isinstance(answer, list | tuple) or len(answer) != 3:
        return say(False, "give a list of three numbers: for float32, float16 and int8.")
    for (name, bits), value in zip(BITS.items(), answer, strict=True):
        right = PARAMETERS * bits // 8
        if not isinstance(value, Real):
            return say(False, f"{name}: give a whole number, not {value!r}.")
        if value == right:
            continue
        known = {
            PARAMETERS * bits: "those are bits. A byte has eight",
            PARAMETERS: "that is one byte for each parameter. How many bits has this type?",
        }
        if value in known:
            why = known[value]
        elif any(math.isclose(value, right / unit, rel_tol=0.05) for unit in (1e3, 1e6)):
            why = "the right size in another unit. Give bytes, all of them"
        else:
            why = "multiply the parameters by the bytes of one"
        return say(False, f"{name}: you have {value:,}, {why}.".replace("?.", "?"))
    say(True, "124 MB, 62 MB and 31 MB, and the graph is a few kilobytes more.")


Fold = Callable[..., Any]


def check_fold(answer: object) -> None:
    """Checks a function: weight, bias, mean, variance, gamma, beta, epsilon -> weight, bias.

    >>> check_fold(lambda weight, bias, mean, variance, gamma, beta, epsilon: (weight, bias))
    Not yet: the weights are as they were; BatchNorm multiplies each channel by s.
    """
    if not callable(answer):
        return say(False, "pass the function itself, without calling it.")
    random = np.random.default_rng(0)
    weight = random.normal(size=(3, 2, 3, 3))
    bias, mean, gamma, beta = random.normal(size=(4, 3))
    variance, epsilon = np.array([0.02, 0.5, 2.0]), 0.1
    parts = (weight, bias, mean, variance, gamma, beta, epsilon)
    value, failure = _result(answer, *(np.copy(part) for part in parts))
    if failure:
        return say(False, failure)
    if not isinstance(value, list | tuple) or len(value) != 2:
        return say(False, "return two arrays: the new weight and the new bias.")
    found_weight, found_bias = (_array(part) for part in value)
    s = gamma / np.sqrt(variance + epsilon)
    if not _same(found_weight, s[:, None, None, None] * weight):
        return say(False, _why_weight(found_weight, weight, variance, gamma, epsilon))
    if not _same(found_bias, s * (bias - mean) + beta):
        why = _why_bias(found_bias, s, bias, mean, beta)
        return say(False, f"the weights are right, the bias is not: {why}.")
    say(True, "one convolution does the work of both.")


def _why_weight(
    found: np.ndarray,
    weight: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    epsilon: float,
) -> str:
    """What is behind wrong weights."""
    if found.shape != weight.shape:
        return f"the weights have shape {found.shape}, expected {weight.shape}."
    wrong = {
        "the weights are as they were; BatchNorm multiplies each channel by s": np.ones(3),
        "epsilon is missing below the root": gamma / np.sqrt(variance),
        "epsilon belongs below the root, beside the variance": gamma / (variance**0.5 + epsilon),
        "BatchNorm divides by the root of the variance": gamma / (variance + epsilon),
        "gamma is missing in the scale": 1 / np.sqrt(variance + epsilon),
    }
    for text, scale in wrong.items():
        if _same(found, scale[:, None, None, None] * weight):
            return f"{text}."
    s = gamma / np.sqrt(variance + epsilon)
    if _same(found, s * weight) or _same(found, s[:, None] * weight):
        return (
            "s was laid along another axis, since NumPy begins with the last one. The output "
            "channel is the first: give s the shape (K, 1, 1, 1)."
        )
    return "the weights are wrong: each output channel is multiplied by its own s."


def _why_bias(
    found: np.ndarray, s: np.ndarray, bias: np.ndarray, mean: np.ndarray, beta: np.ndarray
) -> str:
    """What is behind a wrong bias."""
    if found.shape != beta.shape:
        return f"it has shape {found.shape}, expected {beta.shape}, one number a channel"
    wrong = {
        "the convolution's own bias is missing": beta - s * mean,
        "the convolution's own bias has to be scaled, too": bias + beta - s * mean,
        "the mean is subtracted before the scaling, so scale it": s * bias - mean + beta,
        "the mean is subtracted, not added": s * (bias + mean) + beta,
        "beta is added at the end, unscaled": s * (bias - mean + beta),
    }
    for text, value in wrong.items():
        if _same(found, value):
            return text
    return "put w * x = 0 into the formula and see what is left"


CASES = {
    "two equal programs": [[[0.5, -2.0]]],
    "a difference below zero": [[[0.5, -2.0]]],
    "pixels that flip, in batches of two sizes": [[[0.01, 0.015, 3.0]], [[0.005, 1.0]]],
    "logits of another shape": [[[1.0, 1.0]]],
}
"""The logits of the reference, a list of batches of one row of pixels."""
CHANGES = {
    "a difference below zero": [[-0.25, 0.0]],
    "pixels that flip, in batches of two sizes": [[-0.02, -0.02, 0.0], [-0.01, 0.0]],
}
"""What the other program adds to the logits of each batch."""
RIGHT = {
    "two equal programs": (0.0, 0),
    "a difference below zero": (0.25, 0),
    "pixels that flip, in batches of two sizes": (0.02, 3),
    "logits of another shape": (math.inf, 0),
}


def check_compare(answer: object) -> None:
    """Checks a function: run, reference, batches -> (largest difference, pixels that flip).

    >>> check_compare(lambda run, reference, batches: (0.0, 0))
    Not yet: a difference below zero: expected 0.25, you return 0. Take the absolute value.
    """
    if not callable(answer):
        return say(False, "pass the function itself, without calling it.")
    for name, logits in CASES.items():
        value, failure = _result(answer, *_programs(name, logits))
        if failure:
            return say(False, f"{name}: {failure}")
        if not isinstance(value, list | tuple) or len(value) != 2:
            return say(False, f"{name}: return two numbers, the difference and the flips.")
        largest, flips = RIGHT[name]
        if not _close(value[0], largest):
            told = f"{name}: expected {largest:g}, you return {_shown(value[0])}. "
            return say(False, told + _why_difference(name, value[0]))
        if math.isfinite(largest) and value[1] != flips:
            told = f"{name}: flips: expected {flips}, you return {_shown(value[1])}. "
            why = "A probability of 0.5 is a logit of 0; count the pixels of all batches."
            return say(False, told + why)
    say(True, "shapes first, absolute differences, all batches, flips at logit 0.")


def _programs(name: str, logits: list) -> tuple[Callable, Callable, list[np.ndarray]]:
    """Two programs and their batches; each picture carries its number, to find its logits by."""
    batches = [np.full((1, 1, *np.shape(x)), i, np.float32) for i, x in enumerate(logits)]

    def reference(batch: np.ndarray) -> np.ndarray:
        return np.array(logits[int(batch.flat[0])], np.float32)[None, None]

    def run(batch: np.ndarray) -> np.ndarray:
        found = reference(batch)
        if name == "logits of another shape":
            return found[..., :1]
        if name in CHANGES:
            found += np.array(CHANGES[name][int(batch.flat[0])], np.float32)
        return found

    return run, reference, batches


def _why_difference(name: str, value: object) -> str:
    """What is behind a wrong largest difference."""
    if name == "logits of another shape":
        return "NumPy stretches a shape of 1 in silence: compare the shapes first."
    if name == "a difference below zero":
        if _close(value, 0.0) or _close(value, -0.25):
            return "Take the absolute value."
        if _close(value, 0.125):
            return "That is the mean. One wrong pixel drowns in it: take the largest."
    if name.startswith("pixels that flip") and _close(value, 0.01):
        return "That is the last batch alone. Keep the largest of all."
    return "Compare the logits, pixel by pixel, and take the largest distance."


def _result(answer: Callable, *arguments: object) -> tuple[Any, str]:
    """What the reader's function returns, or what is wrong with calling it."""
    try:
        value = answer(*arguments)
    except Exception as error:  # whatever the reader's function does wrong
        told = f"your function stopped with {type(error).__name__}: {error}."
        if isinstance(error, TypeError | AttributeError):
            told += " (The arrays are NumPy's, not tensors.)"
        return None, told
    return value, "your function returns None." if value is None else ""


def _array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return np.array(math.nan)


def _same(found: np.ndarray, right: np.ndarray) -> bool:
    return found.shape == right.shape and bool(np.allclose(found, right, atol=1e-6))


def _close(value: object, right: float) -> bool:
    if not hasattr(value, "__float__") or np.ndim(value):  # a tensor of one number is welcome
        return False
    return math.isclose(float(value), right, rel_tol=1e-4, abs_tol=1e-6)


def _shown(value: object) -> str:
    return f"{float(value):.3g}" if hasattr(value, "__float__") else repr(value)
