"""A training step on tensors that have a shape and a type but no content (chapter 9a).

Every operation tells the size of its result; nothing is computed and nothing allocated.
"""

import copy

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from unet_lib.memory.measure import HALF, checkpoint_activations
from unet_lib.model.base import SegmentationModel
from unet_lib.model.counter import MemoryCounter
from unet_lib.model.unet import UNet, UNetSettings
from unet_lib.training.losses import unchecked_loss


def simulate_step(
    model: SegmentationModel | UNetSettings,
    shape: tuple[int, ...],
    precision: str = "float32",
    checkpointing: bool = False,
    training: bool = True,
) -> tuple[SegmentationModel, MemoryCounter]:
    """One step on images of `shape` (N, C, H, W): forward, loss, backward.

    Returns the copy of the model that took the step, its parameters without content, and what was
    counted; `kept` is what the forward pass and the loss left for the backward pass. Only the
    forward pass with `training=False`.

    >>> model, memory = simulate_step(UNetSettings(1, 1, width=8, depth=2), (1, 1, 64, 64))
    >>> memory.kept < memory.peak
    True
    """
    mode, memory = FakeTensorMode(), MemoryCounter()
    empty = _without_content(model, mode).train(training)
    if checkpointing:
        checkpoint_activations(empty)
    with mode, memory:
        images = torch.empty(shape)
        autocast = torch.autocast("cpu", HALF.get(precision), enabled=precision in HALF)
        with torch.set_grad_enabled(training), autocast:
            logits = empty(images)
        if training:
            loss = _loss(logits.float())
            memory.kept = memory.now
            loss.backward()
    return empty, memory


def _loss(logits: Tensor) -> Tensor:
    n, k, height, width = logits.shape
    shape, kind = ((n, 1), torch.float32) if k == 1 else ((n,), torch.int64)
    target = torch.empty(*shape, height, width, dtype=kind)
    return unchecked_loss(logits, target, valid=torch.ones(target.shape))


def _without_content(
    model: SegmentationModel | UNetSettings, mode: FakeTensorMode
) -> SegmentationModel:
    if isinstance(model, UNetSettings):
        with mode:
            return UNet.from_settings(model)
    with FakeCopyMode(mode):
        copied = copy.deepcopy(model)
    for parameter in copied.parameters():
        parameter.grad = None
    return copied
