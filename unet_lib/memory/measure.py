"""Memory of a training step: measured, and lowered by activation checkpointing (chapter 9a)."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim import AdamW
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

from unet_lib.model.base import SegmentationModel
from unet_lib.training.losses import bce_dice_loss, cross_entropy_dice_loss

Network = TypeVar("Network", bound=nn.Module)
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def measure_peak(step: Callable[[], object], device: str = "cpu") -> int:
    """Bytes that PyTorch's allocator held at most while `step()` ran, above those before it.

    Call `step` once before, so that gradients, optimizer state and the library's caches exist or
    not as they do later in the run. What is measured on the CPU repeats to the byte.

    >>> measure_peak(lambda: torch.zeros(1000).exp())  # two tensors of 4000 bytes
    8000
    """
    if device != "cpu":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler writes its start to stderr
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step()
    profiler: Any = record.profiler
    events = profiler.kineto_results.events()
    changes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    held = peak = 0
    for _, change in sorted(changes, key=lambda event: event[0]):
        held += change
        peak = max(peak, held)
    return peak


def measure_step(
    model: SegmentationModel, image_size: int, batch_size: int = 1, precision: str = "float32"
) -> int:
    """Bytes held at most in the second training step: weights, AdamW's averages, and the rest.

    Runs two steps on random images of `image_size` squared, in the model's device: its weights
    change. The counterpart of `unet_lib.memory.estimate`.

    >>> from unet_lib.model import UNet
    >>> measure_step(UNet(1, width=4, depth=1), image_size=16) > 16 * 1717  # parameters
    True
    """
    device, k = next(model.parameters()).device, model.settings.out_channels
    optimizer = AdamW(model.parameters())
    loss = bce_dice_loss if k == 1 else cross_entropy_dice_loss
    shape = (batch_size, model.settings.in_channels, image_size, image_size)

    def step() -> None:
        images = torch.rand(shape, device=device)
        with torch.autocast(device.type, HALF.get(precision), enabled=precision in HALF):
            logits = model(images)
        target = (logits[:, :1] > 0).float() if k == 1 else logits.argmax(dim=1)
        loss(logits.float(), target).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    states = [v for state in optimizer.state.values() for v in state.values()]
    kept = sum(t.nbytes for t in (*model.parameters(), *model.buffers(), *states))
    return kept + measure_peak(step, device.type)


def checkpoint_activations(model: Network) -> Network:
    """Makes the model keep only the input of each block, and compute its inside again in backward.

    Chen et al. (2016). Changes the model in place and returns it: the same in all it computes,
    with less memory in about a third more time. A block is an outermost `nn.Sequential` with two
    convolutions or more.

    Raises ValueError for a model without such a block, or one that is already changed.

    >>> from unet_lib.model import UNet
    >>> model = checkpoint_activations(UNet(1, width=4, depth=2))
    >>> model(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 1, 8, 8])
    """
    blocks = list(_blocks(model))
    if not blocks:
        raise ValueError(
            f"{type(model).__name__} has no nn.Sequential with two convolutions to checkpoint; "
            "wrap its parts with torch.utils.checkpoint by hand"
        )
    if any("forward" in vars(block) for block in blocks):
        raise ValueError("the blocks of this model are wrapped already; checkpoint a model once")
    for block in blocks:
        block.forward = _Recomputed(block)  # type: ignore[method-assign]
    return model


class _Recomputed:
    """The forward of a block whose inside is not kept; a class, so that models can be copied."""

    def __init__(self, block: nn.Module) -> None:
        self.block = block

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        again = partial(_statistics_kept, self.block)
        forward = partial(type(self.block).forward, self.block)
        return checkpoint(
            forward, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), again())
        )


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        convolutions = [m for m in child.modules() if isinstance(m, nn.Conv2d)]
        if isinstance(child, nn.Sequential) and len(convolutions) > 1:
            yield child
        else:
            yield from _blocks(child)


@contextmanager
def _statistics_kept(block: nn.Module) -> Generator[None, None, None]:
    """The second forward pass of a batch must not count twice in BatchNorm's averages."""
    norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    before = [
        (norm, norm.momentum, count, count.clone())
        for norm in norms
        if (count := norm.num_batches_tracked) is not None
    ]
    for norm, *_ in before:
        norm.momentum = 0.0
    try:
        yield
    finally:  # also when checkpoint stops early, because it has what backward needs
        for norm, momentum, count, batches in before:
            norm.momentum = momentum
            count.copy_(batches)
