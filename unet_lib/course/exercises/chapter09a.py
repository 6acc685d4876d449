"""Checks for the exercises of chapter 9a, out of memory: bytes, a leak, a search, a plan."""

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from unet_lib.course.exercises.harness import NotYet, ask, check, expect, say
from unet_lib.course.exercises.values import close, judge, number, whole
from unet_lib.memory.estimates import estimate
from unet_lib.memory.simulation import MemoryCounter
from unet_lib.model.unet import UNetSettings
from unet_lib.training.losses import bce_loss

MAP = 4 * 64 * 64 * 2  # bytes of one channel in the first exercise: batch, height, width, bf16
KEPT = (16 + 4 * 32) * MAP
ONE_MAP = "the output of the first ReLU is the input of the second convolution: one map, not two."
WRONG = (
    (2 * KEPT, "this is right for float32; a bf16 has 2 bytes."),
    (KEPT // 2, "a bf16 has 2 bytes, not one."),
    (KEPT // 4, "this is for one image; the batch has 4."),
    (
        80 * MAP,
        "right without normalization; GroupNorm keeps its input, one more map in each half.",
    ),
    (128 * MAP, "and the input of the first convolution, with 16 channels?"),
    (208 * MAP, ONE_MAP),
    (
        176 * MAP,
        "one map too many: the output of a ReLU is the input of what follows, and kept once.",
    ),
    (160 * MAP, "the input of the block has 16 channels, not 32."),
)
CALLS = 30
LIMIT = 1e9
NUMBERS = ("width", "batch_size", "accumulation_steps")
KEYS = ("width", "norm", "batch_size", "accumulation_steps", "precision", "checkpointing")


@check
def check_kept_bytes(answer: object) -> None:
    """Judges the bytes that a block of 16 to 32 channels keeps, on 4 x 64 x 64 pixels, in bf16.

    >>> check_kept_bytes(4718592)
    Right: one map of 16 channels and four of 32, each of 4 x 64 x 64 numbers of 2 bytes.
    """
    answer = number(answer, "expected one number, the bytes; got {short}.")
    maps = f"expected {KEPT // MAP} maps of one channel, {MAP:,} bytes each;"
    cure = "Go through the block layer by layer: who has to remember what?"
    judge(answer, KEPT, WRONG, f"{maps} {answer:,} bytes are {answer / MAP:.2f}. {cure}")
    say(True, "one map of 16 channels and four of 32, each of 4 x 64 x 64 numbers of 2 bytes.")


@check
def check_mean_loss(mean_loss: object) -> None:
    """Judges mean_loss(model, batches, loss): the mean over the images, in constant memory.

    >>> check_mean_loss(lambda model, batches, loss: 0.5)
    Not yet: the mean loss over the images should be ...
    """
    batches = _batches()
    expected = sum(bce_loss(_network()(i), m).item() * len(i) for i, m in batches) / 10
    result = ask(mean_loss, _network(), batches, bce_loss)
    value = number(result, "expected one number, the mean loss; got {got}.")
    told = f"the mean loss over the images should be {expected:.4f} and is {value:.4f}:"
    right = close(value, expected, within=1e-4)
    expect(right, f"{told} the last batch is smaller than the others.")
    holds = isinstance(result, Tensor) and result.requires_grad
    told = "the result still holds the graph, and with it the activations of every batch:"
    expect(not holds, f"{told} take .item() of each loss.")
    few = _peak(mean_loss, 2)
    grows = _peak(mean_loss, 8) > 1.5 * few
    expect(not grows, "memory still grows with the number of batches. What is being collected?")
    told = "memory no longer grows, but each batch still keeps its activations for a backward pass"
    expect(few <= 1.2 * _peak(_lean, 2), f"{told} that never comes: torch.no_grad().")
    say(True, "the same mean, memory that does not grow, and no activations kept.")


@torch.no_grad()
def _lean(model: nn.Module, batches: list, loss: Callable) -> float:
    return sum(loss(model(images), mask).item() for images, mask in batches)


def _peak(mean_loss: Any, count: int) -> int:
    """Bytes of the tensors held at most for that many batches."""
    memory = MemoryCounter()

    def measured(*arguments: object) -> None:
        with memory:
            mean_loss(*arguments)

    ask(measured, _network(), _batches() * (count // 2), bce_loss)
    return memory.peak_of_tensors


def _batches() -> list[tuple[Tensor, Tensor]]:
    """Batches of six and four images."""
    images = torch.randn(10, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    masks = (images > 0.5).float()
    masks[6:] = 1  # so that the two batches have different losses
    return list(zip(images.split(6), masks.split(6), strict=True))


def _network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [(nn.Conv2d(into, 4, 3, padding=1), nn.GELU()) for into in (1, 4, 4, 4)]
        return nn.Sequential(*chain(*layers), nn.Conv2d(4, 1, 1))


@check
def check_largest_batch(search: object) -> None:
    """Judges search(peak, limit): the largest batch that fits, found with few calls of peak.

    >>> check_largest_batch(lambda peak, limit: 1)
    Not yet: with 100 bytes and 7 more for each image, 1000 bytes are enough for 128, not for 1.
    """
    lines = ((100, 7, 1000, 0), (100, 7, 106, 0), (50, 1, 51, 0), (0, 3, 20_000, 0))
    for fixed, each, limit, jump in (*lines, (100, 7, 1000, 500)):
        fits = max(0, (limit - fixed) // each)
        fits = min(fits, 63) if jump else fits
        peak = _Peak(fixed, each, jump)
        found = whole(ask(search, peak, limit), "expected a whole number, got {short}.")
        more = f", and {jump} more from 64 images on" if jump else ""
        told = f"with {fixed} bytes and {each} more for each image{more}, {limit} bytes are"
        expect(found == fits, f"{told} enough for {fits}, not for {found}.")
        told = f"{found} is right, after {peak.calls} calls; {CALLS} have to do."
        expect(peak.calls <= CALLS, told)
    say(True, "found in a few calls each time, also where nothing fits.")


class _Peak:
    """Bytes that a batch needs: a line that jumps at 64 images."""

    def __init__(self, fixed: int, each: int, jump: int) -> None:
        self.fixed, self.each, self.jump, self.calls = fixed, each, jump, 0

    def __call__(self, batch: int) -> int:
        self.calls += 1
        if self.calls > 20 * CALLS:
            raise RuntimeError(f"stopped after {self.calls} calls of peak")
        return self.fixed + self.each * batch + (self.jump if batch >= 64 else 0)


@check
def check_plan(plan: object) -> None:
    """Judges a plan for 512 x 512 pixels within 1 GB: width 32 or more, 8 images an update.

    >>> check_plan({"width": 32})
    Not yet: the plan lacks norm, batch_size, accumulation_steps, precision, checkpointing.
    """
    if not isinstance(plan, Mapping):
        raise NotYet(f"expected a dictionary, got {type(plan).__name__}.")
    missing = [key for key in KEYS if key not in plan]
    expect(not missing, f"the plan lacks {', '.join(missing)}.")
    who, no_number = "the plan does not work: it", "the plan does not work: {} is no whole number."
    width, batch, steps = (whole(plan[key], no_number.format(key)) for key in NUMBERS)
    settings = ask(lambda: UNetSettings(3, 1, width=width, depth=4, norm=plan["norm"]), who=who)
    expect(width >= 32, f"{width} channels in the first stage; 32 are the least.")
    told = f"an update sees {batch * steps} images; it should see 8 or more."
    expect(batch * steps >= 8, told)
    told = f"BatchNorm on batches of {batch}: accumulation adds up gradients, not statistics."
    expect(plan["norm"] != "batch" or batch >= 4, f'{told} Batches of 4, or norm="group".')
    kept = {key: plan[key] for key in ("precision", "checkpointing")}
    budget = ask(lambda: estimate(settings, 512, batch, **kept), who=who)
    needed = f"a step needs {budget.peak_bytes / 1e9:.2f} GB"
    part = f"{budget.activation_bytes / 1e9:.2f} GB of it are activations"
    told = f"{needed}, and there is 1 GB; {part}. What shrinks them?"
    expect(budget.peak_bytes <= LIMIT, told)
    say(True, f"{needed}, and an update sees {batch * steps} images.")
