"""A training step on tensors that have a shape and a type but no content (chapter 9a).

Every operation tells the size of its result; nothing is computed and nothing allocated.
"""

import copy
import weakref
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

from unet_lib.memory.measure import checkpoint_activations
from unet_lib.model.unet import UNet, UNetSettings

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
BLOCK = 16  # channels: oneDNN, which convolves on the CPU, works in blocks of that many
CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)


class Ledger(TorchDispatchMode):
    """Adds up what the tensors made inside hold or would hold, the most of it, and the work.

    >>> with Ledger() as ledger:
    ...     ones = torch.ones(1000)
    ...     _ = ones.exp() + ones
    >>> ledger.now, ledger.peak  # bytes: `ones` and the sum; for a moment the powers too
    (8000, 12000)
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.kept = self.peak = self.peak_of_tensors = self.flops = 0
        self.sizes: dict[int, int] = {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None) -> Any:
        """Called by PyTorch for each operation."""
        kwargs = kwargs or {}
        if operation in CONVOLUTIONS:  # copies in the library's layout, before and after
            self.peak = max(self.peak, self.now + sum(_blocked_bytes(t) for t in args[:2]))
        result = operation(*args, **kwargs)
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        if operation in CONVOLUTIONS:
            self.peak = max(self.peak, self.now + sum(t.nbytes for t in args[:2]))
        if count := flop_registry.get(operation.overloadpacket):
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


def rehearse(
    model: nn.Module | UNetSettings,
    shape: tuple[int, ...],
    precision: str = "float32",
    checkpointing: bool = False,
    training: bool = True,
) -> tuple[nn.Module, Ledger]:
    """One step on images of `shape` (N, C, H, W): forward, loss, backward.

    Returns the model that played, its parameters without content, and the ledger, whose `kept`
    is what the forward pass and the loss left for the backward pass. Only the forward pass with
    `training=False`.

    >>> actor, ledger = rehearse(UNetSettings(1, 1, width=8, depth=2), (1, 1, 64, 64))
    >>> ledger.kept < ledger.peak
    True
    """
    mode, ledger = FakeTensorMode(), Ledger()
    actor = _without_content(model, mode).train(training)
    if checkpointing:
        checkpoint_activations(actor)
    half = HALF.get(precision)
    with mode, ledger:
        images = torch.empty(shape)
        autocast = torch.autocast("cpu", half or torch.bfloat16, enabled=half is not None)
        with torch.set_grad_enabled(training), autocast:
            logits = actor(images)
        if training:
            loss = _loss(logits.float())
            ledger.kept = ledger.now
            loss.backward()
    return actor, ledger


def _without_content(model: nn.Module | UNetSettings, mode: FakeTensorMode) -> nn.Module:
    if isinstance(model, UNetSettings):
        with mode:
            return UNet(**asdict(model))
    with FakeCopyMode(mode):
        actor = copy.deepcopy(model)
    for parameter in actor.parameters():
        parameter.grad = None
    return actor


def _loss(logits: Tensor) -> Tensor:
    """The steps of `unet_lib.training.bce_dice_loss` and of its twin for classes, without checks.

    Those look at the values of the target, and here there are none.
    """
    n, k, height, width = logits.shape
    if k == 1:
        target = truth = torch.empty_like(logits)
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        probabilities = logits.sigmoid()
    else:
        target = torch.empty(n, height, width, dtype=torch.int64)
        loss = F.cross_entropy(logits, target, reduction="none")
        truth = F.one_hot(target, k).movedim(-1, 1).float()
        probabilities = logits.softmax(dim=1)
    valid = torch.ones_like(loss)
    each = valid.view(n, 1, height, width)
    overlap = (probabilities * truth * each).sum((0, 2, 3))
    total = ((probabilities + truth) * each).sum((0, 2, 3))
    return (loss * valid).mean() + (1 - (2 * overlap + 1) / (total + 1)).mean()
