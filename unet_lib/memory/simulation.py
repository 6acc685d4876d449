"""A training step on tensors that have a shape and a type but no content (chapter 9a).

Every operation tells the size of its result; nothing is computed and nothing allocated.
"""

import copy
import weakref
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

from unet_lib.memory.measure import HALF, checkpoint_activations
from unet_lib.model.base import SegmentationModel
from unet_lib.model.unet import UNet, UNetSettings
from unet_lib.training.losses import unchecked_loss

BLOCK = 16  # channels: oneDNN, which convolves on the CPU, works in blocks of that many
CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)


class MemoryCounter(TorchDispatchMode):
    """Adds up what the tensors made inside hold or would hold, the most of it, and the work.

    >>> with MemoryCounter() as memory:
    ...     ones = torch.ones(1000)
    ...     _ = ones.exp() + ones
    >>> memory.now, memory.peak  # bytes: `ones` and the sum; for a moment the powers too
    (8000, 12000)
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.kept = self.peak = self.peak_of_tensors = self.flops = 0
        self.sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        """Called by PyTorch for each operation."""
        kwargs = kwargs or {}
        if func in CONVOLUTIONS:  # copies in the library's layout, before and after
            self.peak = max(self.peak, self.now + sum(_blocked_bytes(t) for t in args[:2]))
        result = func(*args, **kwargs)
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        if func in CONVOLUTIONS:
            self.peak = max(self.peak, self.now + sum(t.nbytes for t in args[:2]))
        if count := flop_registry.get(func.overloadpacket):
            self.flops += count(*args, **kwargs, out_val=result)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        if (key := storage._cdata) in self.sizes:
            return  # a view, or changed in place
        self.sizes[key] = storage.nbytes()
        self.now += self.sizes[key]
        self.peak_of_tensors = max(self.peak_of_tensors, self.now)
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key)

    def _remove(self, key: int) -> None:
        self.now -= self.sizes.pop(key)


def _blocked_bytes(tensor: Tensor) -> int:
    """Size of a copy whose channels are filled up to whole blocks."""
    channels = -(-tensor.shape[1] // BLOCK) * BLOCK
    return tensor.nbytes // tensor.shape[1] * channels


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
