"""What a training step will cost, told before it runs, and what to do then (chapter 9a).

The step is taken without data (`unet_lib.memory.simulation`), so a network for a machine ten
times as large can be asked about on a laptop.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import torch

from unet_lib.memory.measure import HALF
from unet_lib.memory.simulation import simulate_step
from unet_lib.model.base import SegmentationModel
from unet_lib.model.checks import require
from unet_lib.model.norms import NORMS
from unet_lib.model.unet import UNet, UNetSettings
from unet_lib.training.losses import bce_loss
from unet_lib.training.precision import Mode, step_seconds

Size = int | tuple[int, int]
Model = SegmentationModel | UNetSettings

STATES = {"adamw": 2, "adam": 2, "sgd": 1}  # numbers the optimizer keeps for each parameter
MARGIN = 1.15  # the prediction is that good; advice stays below the limit by as much


@dataclass(frozen=True)
class Estimate:
    """What one training step costs, in bytes and in floating-point operations.

    >>> cost = estimate(UNetSettings(1, 1, width=16, depth=3), image_size=128, batch_size=8)
    >>> cost.parameters, cost.weights_bytes == 4 * cost.parameters
    (481745, True)
    """

    parameters: int
    """Numbers that training adjusts."""
    weights_bytes: int
    """Parameters, in float32, and BatchNorm's averages."""
    gradients_bytes: int
    """One float32 for each parameter."""
    optimizer_bytes: int
    """AdamW and Adam keep two float32 for each parameter, SGD with momentum one."""
    activation_bytes: int
    """What the forward pass leaves for the backward pass, the batch itself included."""
    workspace_bytes: int
    """Copies in its own layout that the CPU's convolution makes at the peak, and frees."""
    peak_bytes: int
    """The most that is held at one moment of a step; the parts above do not all meet there."""
    flops: int
    """Multiplications and additions of the convolutions, forward and backward."""

    def __str__(self) -> str:
        """A table in megabytes of 10^6 bytes.

        >>> print(estimate(UNetSettings(1, 1, width=8, depth=2), 64))
        weights          0.1 MB
        gradients        0.1 MB
        optimizer        0.2 MB
        activations      1.5 MB
        workspace        0.3 MB
        peak             2.3 MB
        arithmetic      0.15 GFLOP
        """
        parts = ("weights", "gradients", "optimizer", "activation", "workspace", "peak")
        values = asdict(self)
        lines = [
            f"{part.replace('tion', 'tions'):13s}{values[f'{part}_bytes'] / 1e6:7.1f} MB"
            for part in parts
        ]
        return "\n".join([*lines, f"arithmetic   {self.flops / 1e9:7.2f} GFLOP"])


def estimate(
    model: Model,
    image_size: Size,
    batch_size: int = 1,
    precision: str = "float32",
    optimizer: str = "adamw",
    checkpointing: bool = False,
    training: bool = True,
) -> Estimate:
    """The cost of a training step (of a prediction with `training=False`), nothing allocated.

    model: a network with `.settings`, of which in_channels is used, or UNetSettings. image_size:
    height and width in pixels. precision: "float32", "bf16" or "fp16"; optimizer: "adamw",
    "adam" or "sgd" (with momentum). The loss is BCE + Dice, or cross-entropy + Dice.
    The peak is that of PyTorch's allocator on a CPU, right within 15 %; the interpreter, the
    libraries and the data set come on top. On a GPU, leave `workspace_bytes` off and allow for
    cuDNN's own; its autocast runs GroupNorm in float32, which keeps more.

    Raises ValueError for an unknown precision or optimizer, and what the model raises for
    images that it does not take.

    >>> settings = UNetSettings(1, 1, width=8, depth=2)
    >>> four, eight = (estimate(settings, 64, batch).activation_bytes for batch in (4, 8))
    >>> round(eight / four, 2)
    2.0
    """
    require("optimizer", optimizer, choices=tuple(STATES))
    require("precision", precision, choices=("float32", *HALF))
    require("batch_size", batch_size, low=1)
    settings = model if isinstance(model, UNetSettings) else model.settings
    shape = (batch_size, settings.in_channels, *_sides(image_size))
    empty, memory = simulate_step(model, shape, precision, checkpointing, training)
    trained = [p for p in empty.parameters() if p.requires_grad]
    weights = sum(t.nbytes for t in (*empty.parameters(), *empty.buffers()))
    gradients = sum(p.nbytes for p in trained) if training else 0
    states = gradients * STATES[optimizer]
    return Estimate(
        parameters=sum(p.numel() for p in trained),
        weights_bytes=weights,
        gradients_bytes=gradients,
        optimizer_bytes=states,
        activation_bytes=memory.kept,
        workspace_bytes=memory.peak - memory.peak_of_tensors,
        peak_bytes=weights + states + memory.peak,
        flops=memory.flops,
    )


def estimate_seconds(
    model: Model, image_size: Size, batch_size: int = 1, precision: str = "float32"
) -> float:
    """Seconds of one training step on this machine: a step on one small image, scaled.

    On 64x64 pixels (or its smallest size), times the ratio of the arithmetic: an order of
    magnitude, since small and large maps do not run equally fast.

    >>> settings = UNetSettings(1, 1, width=4, depth=2)
    >>> estimate_seconds(settings, 256, 4) > estimate_seconds(settings, 64)
    True
    """
    probe = UNet.from_settings(model) if isinstance(model, UNetSettings) else model
    small = max(64, probe.minimum_size)
    images = torch.zeros(1, probe.settings.in_channels, small, small)
    seconds = step_seconds(probe, images, images, _first_channel_loss, Mode(precision))
    work = estimate(model, image_size, batch_size, precision).flops
    return seconds * work / estimate(model, small, 1, precision).flops


def _first_channel_loss(logits: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return bce_loss(logits[:, :1], torch.zeros_like(logits[:, :1]))


def largest_batch(model: Model, image_size: Size, limit_bytes: float, **how: Any) -> int:
    """The largest batch whose step is predicted to fit into that many bytes; 0 if none does.

    `how`: the other arguments of `estimate`.

    >>> settings = UNetSettings(1, 1, width=8, depth=2)
    >>> batch = largest_batch(settings, 64, limit_bytes=20e6)
    >>> peaks = [estimate(settings, 64, n).peak_bytes for n in (batch, batch + 1)]
    >>> peaks[0] <= 20e6 < peaks[1]
    True
    """
    require("limit_bytes", limit_bytes, below=math.inf)
    two, three = (estimate(model, image_size, n, **how).peak_bytes for n in (2, 3))
    enough = 2 + (limit_bytes - two) // max(1, three - two)  # a further image costs no less
    return _most(model, image_size, range(1, max(2, int(enough)) + 1), limit_bytes, **how)


def _most(model: Model, size: Size, batches: range, limit_bytes: float, **how: Any) -> int:
    """The largest of these batches that stays within the limit; less than all where none does."""

    def peak(batch: int) -> int:
        return estimate(model, size, batch, **how).peak_bytes

    return batches.start - 1 + bisect_right(batches, limit_bytes, key=peak)


@dataclass(frozen=True)
class Advice:
    """A way to take the same training step within less memory; `str()` says it in words.

    >>> cure = advice(UNetSettings(1, 1, width=8, depth=2), 64, batch_size=8, limit_bytes=12e6)
    >>> cure.batch_size, cure.accumulation_steps
    (4, 2)
    """

    batch_size: int
    accumulation_steps: int
    precision: str
    checkpointing: bool
    crop: tuple[int, int] | None
    """Height and width to cut the images to; None leaves them."""
    estimate: Estimate
    """What the step costs then."""

    def __str__(self) -> str:
        parts = [f"batch_size={self.batch_size}"]
        if self.accumulation_steps > 1:
            parts += [f"accumulation_steps={self.accumulation_steps}"]
        parts += [f'precision="{self.precision}"']
        if self.checkpointing:
            parts += ["unet_lib.memory.checkpoint_activations(model)"]
        if self.crop:
            parts += [f"random_crop({self.crop})"]
        return f"{', '.join(parts)}: predicted peak {_megabytes(self.estimate.peak_bytes)}"


def advice(
    model: Model,
    image_size: Size,
    batch_size: int,
    limit_bytes: float,
    precision: str = "float32",
    optimizer: str = "adamw",
) -> Advice | None:
    """The cheapest cure that brings the predicted peak 15 % below the limit; None if none does.

    In the order of what they cost: a smaller batch with accumulated gradients (the same step,
    but for BatchNorm, which is left batches of 4); bf16 (rounding); checkpointing (a third more
    time); both; and both on smaller crops (less context). What fits as it is comes back as it is.

    >>> settings = UNetSettings(1, 1, width=8, depth=2)
    >>> print(advice(settings, 64, batch_size=16, limit_bytes=20e6))
    batch_size=8, accumulation_steps=2, precision="float32": predicted peak 16 MB
    """
    with torch.device("meta"):  # where tensors take no memory
        network = UNet.from_settings(model) if isinstance(model, UNetSettings) else model
    fewest = min(batch_size, NORMS[network.settings.norm].smallest_batch)
    goal = limit_bytes / MARGIN
    for half, checkpointing, size in _cures(precision, _sides(image_size), network):
        how = {"precision": half, "checkpointing": checkpointing, "optimizer": optimizer}
        fits = _most(model, size, range(fewest, batch_size + 1), goal, **how)
        if fits < fewest:
            continue
        equal = [n for n in range(fewest, fits + 1) if batch_size % n == 0]
        batch = max(equal, default=fits)
        crop = None if size == _sides(image_size) else size
        cost = estimate(model, size, batch, **how)
        return Advice(batch, -(-batch_size // batch), half, checkpointing, crop, cost)
    return None


def _cures(
    precision: str, size: tuple[int, int], network: SegmentationModel
) -> Iterator[tuple[str, bool, tuple[int, int]]]:
    """(precision, checkpointing, size), from what costs least to what costs most."""
    half = "bf16" if precision == "float32" else precision
    ways = [(precision, False), (half, False), (precision, True), (half, True)]
    yield from ((*way, size) for way in dict.fromkeys(ways))
    grid = network.grid  # whole cells less, so that what was admissible remains so
    while True:
        height, width = (side - -(-side // (4 * grid)) * grid for side in size)
        if min(height, width) < max(6 * grid, network.minimum_size):
            return
        size = height, width
        yield half, True, size


def advice_for(model: SegmentationModel, images_shape: tuple[int, ...], precision: str) -> str:
    """What to do after a step on images (N, C, H, W) has run out of memory: one sentence.

    The limit is the memory of the model's device, or half of what the step was predicted to
    need, if that is less: it did not fit, whatever the device says.

    >>> advice_for(UNet(1, width=8, depth=2), (16, 1, 64, 64), "float32")
    'this step needs about 32 MB; try batch_size=4, accumulation_steps=4, ...'
    """
    batch, _, height, width = images_shape
    precision = precision if precision in HALF else "float32"
    asked = estimate(model, (height, width), batch, precision).peak_bytes
    limit = min(_memory(next(model.parameters()).device), asked / 2)
    cure = advice(model, (height, width), batch, limit, precision)
    way = cure or "a narrower network (half the width takes half the memory or less)"
    return f"this step needs about {_megabytes(asked)}; try {way}"


def _memory(device: torch.device) -> int:
    """Bytes that a new run could have there."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    return psutil.virtual_memory().available


def _sides(size: Size) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    require("image_size", min(height, width), low=1)
    return height, width


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB" if size < 2e9 else f"{size / 1e9:.1f} GB"
