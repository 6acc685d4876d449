"""BatchNorm in several processes: one mean of all images of a step, not one in each process.

Each process has its own share of a batch. Alone, BatchNorm would take the mean of that share, so
that four GPUs with 2 images each would train as batches of 2 do. PyTorch's `SyncBatchNorm` adds
them up; it knows GPUs only.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def shared_norm(model: nn.Module, shared: bool = True) -> Generator[None, None, None]:
    """Inside, each BatchNorm is a SyncBatchNorm of the same weights; afterwards itself again.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    >>> with shared_norm(model):
    ...     type(model[1]).__name__
    'SyncBatchNorm'
    >>> type(model[1]).__name__
    'BatchNorm2d'
    """
    own = {n: m for n, m in model.named_modules() if isinstance(m, _BatchNorm) and n and shared}
    if own:
        timm = sys.modules.get("timm")  # its BatchNorm has an activation inside, and its own way
        convert = timm.layers if timm is not None else nn.SyncBatchNorm
        convert.convert_sync_batchnorm(model)
    try:
        yield
    finally:
        for name, layer in own.items():
            used = model.get_submodule(name)
            layer.to(next(model.parameters()).device).load_state_dict(used.state_dict())
            model.set_submodule(name, layer.train(used.training))
