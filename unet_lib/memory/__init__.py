"""What a training step will cost, what it did cost, and how to make it fit (chapter 9a)."""

from unet_lib.memory.estimates import (
    Advice,
    Estimate,
    advice,
    advice_for,
    estimate,
    estimate_seconds,
    largest_batch,
)
from unet_lib.memory.measure import checkpoint_activations, measure_peak, measure_step

__all__ = [
    "Advice",
    "Estimate",
    "advice",
    "advice_for",
    "checkpoint_activations",
    "estimate",
    "estimate_seconds",
    "largest_batch",
    "measure_peak",
    "measure_step",
]
