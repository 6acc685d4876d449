"""Checks for the exercises of chapter 9a, out of memory: bytes, a leak, a search, a plan.

Each takes the reader's answer, prints one line that teaches, and never raises.
"""

from collections.abc import Callable, Mapping
from numbers import Integral, Real

import torch
from torch import Tensor, nn

from unet_lib.course.exercises import say
from unet_lib.memory.estimates import estimate
from unet_lib.memory.simulation import MemoryCounter
from unet_lib.model.unet import UNetSettings
from unet_lib.training.losses import bce_loss

MAP = 4 * 64 * 64 * 2  # bytes of one channel in the first exercise: batch, height, width, bf16
KEPT = (16 + 4 * 32) * MAP
CALLS = 30
LIMIT = 1e9
KEYS = ("width", "norm", "batch_size", "accumulation_steps", "precision", "checkpointing")


def check_kept_bytes(answer: object) -> None:
    """Judges the bytes that a block of 16 to 32 channels keeps, on 4 x 64 x 64 pixels, in bf16.

    >>> check_kept_bytes(4718592)
    Right: one map of 16 channels and four of 32, each of 4 x 64 x 64 numbers of 2 bytes.
    """
    if isinstance(answer, bool) or not isinstance(answer, Real):
        return say(False, f"expected one number, the bytes; got {answer!r}.")
    wrong = {
        2 * KEPT: "this is right for float32; a bf16 has 2 bytes.",
        KEPT // 2: "a bf16 has 2 bytes, not one.",
        KEPT // 4: "this is for one picture; the batch has 4.",
        (16 + 2 * 32) * MAP: (
            "right without normalization; GroupNorm keeps its input, one more map in each half."
        ),
        4 * 32 * MAP: "and the input of the first convolution, with 16 channels?",
        (16 + 6 * 32) * MAP: (
            "the output of the first ReLU is the input of the second convolution: one map, not two."
        ),
        (16 + 5 * 32) * MAP: (
            "one map too many: the output of a ReLU is the input of what follows, and kept once."
        ),
        5 * 32 * MAP: "the input of the block has 16 channels, not 32.",
    }
    if answer == KEPT:
        text = "one map of 16 channels and four of 32, each of 4 x 64 x 64 numbers of 2 bytes."
        return say(True, text)
    say(
        False,
        wrong.get(
            answer,
            f"expected {KEPT // MAP} maps of one channel, {MAP:,} bytes each; {answer:,} bytes are "
            f"{answer / MAP:.2f}. Go through the block layer by layer: who has to remember what?",
        ),
    )


def check_mean_loss(mean_loss: object) -> None:
    """Judges mean_loss(model, batches, loss): the mean over the pictures, in constant memory.

    >>> check_mean_loss(lambda model, batches, loss: 0.5)
    Not yet: the mean loss over the pictures should be ...
    """
    batches = _batches()
    expected = sum(bce_loss(_network()(i), m).item() * len(i) for i, m in batches) / 10
    try:
        result = mean_loss(_network(), batches, bce_loss)  # type: ignore[operator]
        value = float(torch.as_tensor(result).detach())
    except Exception as error:
        return say(False, f"your function raised {type(error).__name__}: {error}")
    if abs(value - expected) > 1e-4:
        return say(
            False,
            f"the mean loss over the pictures should be {expected:.4f} and is {value:.4f}: the "
            "last batch is smaller than the others.",
        )
    if isinstance(result, Tensor) and result.requires_grad:
        return say(
            False,
            "the result still holds the graph, and with it the activations of every batch: take "
            ".item() of each loss.",
        )
    if _peak(mean_loss, 8) > 1.5 * _peak(mean_loss, 2):
        return say(False, "memory still grows with the number of batches. What is being collected?")
    if _peak(mean_loss, 2) > 1.2 * _peak(_lean, 2):
        return say(
            False,
            "memory no longer grows, but each batch still keeps its activations for a backward "
            "pass that never comes: torch.no_grad().",
        )
    say(True, "the same mean, memory that does not grow, and no activations kept.")


@torch.no_grad()
def _lean(model: nn.Module, batches: list, loss: Callable) -> float:
    return sum(loss(model(images), mask).item() for images, mask in batches)


def _peak(mean_loss: Callable, count: int) -> int:
    """Bytes of the tensors held at most for that many batches."""
    model, batches = _network(), _batches() * (count // 2)
    with MemoryCounter() as memory:
        mean_loss(model, batches, bce_loss)
    return memory.peak_of_tensors


def _batches() -> list[tuple[Tensor, Tensor]]:
    """Batches of six and four pictures."""
    images = torch.randn(10, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    masks = (images > 0.5).float()
    masks[6:] = 1  # so that the two batches have different losses
    return list(zip(images.split(6), masks.split(6), strict=True))


def _network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 4, 3, padding=1), nn.GELU()]
        for _ in range(3):
            layers += [nn.Conv2d(4, 4, 3, padding=1), nn.GELU()]
        return nn.Sequential(*layers, nn.Conv2d(4, 1, 1))


def check_largest_batch(search: object) -> None:
    """Judges search(peak, limit): the largest batch that fits, found with few calls of peak.

    >>> check_largest_batch(lambda peak, limit: 1)
    Not yet: with 100 bytes and 7 more for each picture, 1000 bytes are enough for 128, not for 1.
    """
    for fixed, each, limit, jump in (
        (100, 7, 1000, 0),
        (100, 7, 106, 0),
        (50, 1, 51, 0),
        (0, 3, 20_000, 0),
        (100, 7, 1000, 500),
    ):
        fits = max(0, (limit - fixed) // each)
        fits = min(fits, 63) if jump else fits
        calls: list[int] = []

        def peak(batch: int, calls: list[int] = calls, line: tuple = (fixed, each, jump)) -> int:
            calls.append(batch)
            if len(calls) > 20 * CALLS:
                raise RuntimeError(f"stopped after {len(calls)} calls of peak")
            return line[0] + line[1] * batch + (line[2] if batch >= 64 else 0)

        try:
            found = search(peak, limit)  # type: ignore[operator]
        except Exception as error:
            return say(False, f"your function raised {type(error).__name__}: {error}")
        if isinstance(found, bool) or not isinstance(found, Integral):
            return say(False, f"expected a whole number, got {found!r}.")
        if found != fits:
            return say(
                False,
                f"with {fixed} bytes and {each} more for each picture"
                + (f", and {jump} more from 64 pictures on" if jump else "")
                + f", {limit} bytes are enough for {fits}, not for {found}.",
            )
        if len(calls) > CALLS:
            return say(False, f"{found} is right, after {len(calls)} calls; {CALLS} have to do.")
    say(True, "found in a few calls each time, also where nothing fits.")


def check_plan(plan: object) -> None:
    """Judges a plan for 512 x 512 pixels within 1 GB: width 32 or more, 8 pictures an update.

    >>> check_plan({"width": 32})
    Not yet: the plan lacks norm, batch_size, accumulation_steps, precision, checkpointing.
    """
    if not isinstance(plan, Mapping):
        return say(False, f"expected a dictionary, got {type(plan).__name__}.")
    if missing := [key for key in KEYS if key not in plan]:
        return say(False, f"the plan lacks {', '.join(missing)}.")
    width, norm, batch, steps, precision, checkpointing = (plan[key] for key in KEYS)
    try:
        settings = UNetSettings(3, 1, width=width, depth=4, norm=norm)
        if width < 32:
            return say(False, f"{width} channels in the first stage; 32 are the least.")
        if batch * steps < 8:
            return say(False, f"an update sees {batch * steps} pictures; it should see 8 or more.")
        if norm == "batch" and batch < 4:
            return say(
                False,
                f"BatchNorm on batches of {batch}: accumulation adds up gradients, not statistics. "
                'Batches of 4, or norm="group".',
            )
        budget = estimate(settings, 512, batch, precision, checkpointing=checkpointing)
    except (TypeError, ValueError) as error:
        return say(False, f"the plan does not work: {error}")
    needed = f"a step needs {budget.peak_bytes / 1e9:.2f} GB"
    if budget.peak_bytes > LIMIT:
        part = f"{budget.activation_bytes / 1e9:.2f} GB of it are activations"
        return say(False, f"{needed}, and there is 1 GB; {part}. What shrinks them?")
    say(True, f"{needed}, and an update sees {batch * steps} pictures.")
