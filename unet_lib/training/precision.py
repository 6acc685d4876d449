"""Which number format trains fastest here: a short probe decides (chapter 4).

bf16 keeps float32's range with 8 bits of precision. CPUs with instructions for it, and GPUs, run
convolutions in it two to four times as fast; others are slower with it than without.
"""

import copy
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

MARGIN = 1.1  # another mode than plain float32 has to be at least that much faster


class Mode(NamedTuple):
    """A number format and a memory layout to train in.

    >>> str(Mode("bf16", channels_last=True))
    'bf16, channels_last'
    """

    precision: str = "float32"
    channels_last: bool = False

    def __str__(self) -> str:
        return self.precision + (", channels_last" if self.channels_last else "")


def step_seconds(
    model: nn.Module, images: Tensor, target: Tensor, loss: Callable, mode: Mode, repeats: int = 3
) -> float:
    """Seconds of one forward and backward pass in that mode, the fastest of `repeats`.

    Works on a copy: the model, its statistics and the random numbers stay as they were.

    >>> from unet_lib.training import bce_loss
    >>> images, target = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    >>> step_seconds(nn.Conv2d(1, 1, 1), images, target, bce_loss, Mode()) > 0
    True
    """
    device = images.device
    probe = copy.deepcopy(model).to(device).train()
    if mode.channels_last:
        probe.to(memory_format=torch.channels_last)
    seconds = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for _ in range(repeats + 1):  # the first one warms up
            start = time.perf_counter()
            bf16 = mode.precision == "bf16"
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                logits = probe(images)
            loss(logits.float(), target).backward()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def choose_mode(model: nn.Module, images: Tensor, target: Tensor, loss: Callable) -> Mode:
    """The fastest of float32 and bf16, in both memory layouts, on two of these images.

    Plain float32 wins unless another mode is `MARGIN` times as fast, so a CPU without fast bf16
    stays where it was. Takes about ten steps on two images.

    >>> from unet_lib.training import bce_loss
    >>> images, target = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    >>> choose_mode(nn.Conv2d(1, 1, 1), images, target, bce_loss).precision in ("float32", "bf16")
    True
    """
    images, target = images[:2], target[:2]
    modes = [Mode(), Mode("float32", True), Mode("bf16", True)]
    seconds = {mode: step_seconds(model, images, target, loss, mode) for mode in modes}
    fastest = min(modes, key=seconds.__getitem__)
    return fastest if seconds[fastest] * MARGIN < seconds[Mode()] else Mode()


def bf16_cost(model: nn.Module, images: Tensor, target: Tensor, loss: Callable) -> float:
    """How many times as long a step in bf16 takes as one in float32, on two of these images.

    Below 1 where bf16 is the faster one.

    >>> from unet_lib.training import bce_loss
    >>> images, target = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    >>> bf16_cost(nn.Conv2d(1, 1, 1), images, target, bce_loss) > 0
    True
    """
    images, target = images[:2], target[:2]
    bf16, float32 = (
        step_seconds(model, images, target, loss, Mode(precision))
        for precision in ("bf16", "float32")
    )
    return bf16 / float32
