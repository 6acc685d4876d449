"""The checks of chapter 9, out of memory: right answers, and typical wrong ones."""

import itertools

import torch

from unet_lib.course.exercises import chapter09a


def mean_loss(number, weigh=True, collect=False):
    def function(model, batches, loss):
        total, seen, kept = 0.0, 0, []
        for images, mask in batches:
            value = loss(model(images), mask)
            kept += [value] if collect else []
            value = value.item() if number else value
            total = total + value * (len(images) if weigh else 1)
            seen += len(images) if weigh else 1
        return total / seen

    return function


def doubling(peak, limit):
    low, high = 0, 1
    while peak(high) <= limit:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if peak(middle) <= limit else (low, middle)
    return low


def straight(peak, limit):
    """Two measurements, and a line through them."""
    each = peak(2) - peak(1)
    return max(0, (limit - (peak(1) - each)) // each)


def one_by_one(peak, limit):
    return next(batch for batch in itertools.count() if peak(batch + 1) > limit)


GOOD = dict(zip(chapter09a.KEYS, (32, "group", 1, 8, "bf16", False), strict=True))
CASES = {
    chapter09a.check_kept_bytes: [
        (None, "expected one number"),
        *chapter09a.WRONG,
        (1000, "expected 144 maps of one channel, 32,768 bytes each; 1,000 bytes are 0.03"),
    ],
    chapter09a.check_mean_loss: [
        (torch.no_grad()(mean_loss(True)), "Right: the same mean"),
        (torch.no_grad()(mean_loss(False)), "Right: the same mean"),
        (mean_loss(True, weigh=False), "the last batch is smaller"),
        (mean_loss(False), "still holds the graph"),
        (mean_loss(True, collect=True), "still grows with the number of batches"),
        (mean_loss(True), "still keeps its activations"),
    ],
    chapter09a.check_largest_batch: [
        (doubling, "Right: found in a few calls"),
        (lambda peak, limit: 1.5, "expected a whole number, got 1.5"),
        (lambda peak, limit: max(1, doubling(peak, limit)), "enough for 0, not for 1"),
        (one_by_one, "128 is right, after 129 calls; 30 have to do"),
        (lambda peak, limit: [peak(1) for _ in range(10**6)], "stopped after 601 calls"),
        (straight, "and 500 more from 64 images on, 1000 bytes are enough for 63, not for 128"),
    ],
    chapter09a.check_plan: [
        (GOOD, "Right: a step needs 0."),
        (None, "expected a dictionary, got NoneType"),
        (GOOD | {"width": 16}, "32 are the least"),
        (GOOD | {"width": "32"}, "the plan does not work: width"),
        (GOOD | {"precision": "int8"}, "the plan does not work: it raised ValueError: precision"),
        (GOOD | {"accumulation_steps": 4}, "an update sees 4 images"),
        (GOOD | {"norm": "batch"}, "BatchNorm on batches of 1"),
        (GOOD | {"batch_size": 8}, "and there is 1 GB"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
