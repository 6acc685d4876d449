"""What the operations inside a block hold in memory, and their arithmetic (chapter 9a)."""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

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
