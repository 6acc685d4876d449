"""Whether an ONNX file computes what its network computes, at several sizes (chapter 13)."""

import copy
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unet_lib.evaluation.context import Context, find_context
from unet_lib.model.base import SegmentationModel, evaluated
from unet_lib.training.task import Task


class ExportError(ValueError):
    """A network that cannot be exported, or a file that differs: the message says the cure."""


def require_onnx() -> ModuleType:
    """The package onnxruntime; ExportError, with the command, where it or its kin are missing."""
    try:
        import onnx  # noqa: F401  # here and not above: training needs none of them
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(
            f"export needs the package {error.name}, which is not installed: "
            'pip install "unet-lib[export]"'
        ) from error
    return onnxruntime


def facts_of(
    model: nn.Module, task: Task | None = None, grid: int | None = None
) -> tuple[dict[str, Any], Context, list[Tensor]]:
    """Settings, sizes, and three batches of noise: high, wide, and odd where that is allowed.

    Raises ExportError for weights that are not float32, and for a network that is not of this
    library without a task, ValueError for a task of other channels.
    """
    kind = type(model).__name__
    numbers = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()})
    if numbers != ["float32"]:
        raise ExportError(f"a {kind} of {' and '.join(numbers)}, not float32: use model.float()")
    if isinstance(model, SegmentationModel):
        settings = asdict(model.settings)
    elif task:
        settings = {"in_channels": task.in_channels}
    else:
        raise ExportError(
            f"a {kind}, which does not say its channels and sizes as a SegmentationModel does; "
            "pass its task (to compare: images), and not torch.compile's wrapper"
        )
    channels = settings["in_channels"]
    context = find_context(model, channels, None if grid is None else 0, grid)
    samples = _samples(context, channels)
    with evaluated(model):
        gives = model(samples[0].to(next(model.parameters()).device)).shape[1]
    if task:
        task.check_channels(channels, gives)
    return settings | {"out_channels": gives, "kind": kind}, context, samples


def _samples(context: Context, channels: int) -> list[Tensor]:
    start = 2 * context.smallest
    sizes = range(start, start + 6 * context.grid + 2)
    admissible = [size for size in sizes if context.admissible(size) == size]
    small, middle, large = admissible[0], admissible[len(admissible) // 2], admissible[-1]
    noise = torch.Generator().manual_seed(0)
    shapes = ((1, small, middle), (1, large, small), (2, middle, large))
    return [torch.rand(n, channels, h, w, generator=noise) for n, h, w in shapes]


def largest_difference(
    model: nn.Module, path: Path | str, images: Sequence[Tensor] | None = None
) -> float:
    """The largest difference between the logits of a network, in eval mode, and of an ONNX file.

    On `images`, batches (N, C, H, W), or else on noise of three sizes, one of them odd where the
    network admits it; a network that is not of this library needs `images`.
    Raises ExportError for a file that is missing or no ONNX file, where it cannot compute what
    the network can, naming the size, and where logits are NaN or infinite.

    >>> import tempfile
    >>> from unet_lib.model import UNet
    >>> from unet_lib.shipping.export import export_onnx
    >>> file = Path(tempfile.mkdtemp()) / "unet.onnx"
    >>> one, other = UNet(1, width=2, depth=1), UNet(1, width=2, depth=1)
    >>> _ = export_onnx(one, file)
    >>> largest_difference(one, file) < 1e-4 < largest_difference(other, file)
    True
    """
    return compare(model, path, images or facts_of(model)[2])[0]


def compare(model: nn.Module, path: Path | str, images: Sequence[Tensor]) -> tuple[float, float]:
    """The largest difference, and the largest logit of the network, both as amounts.

    >>> compare(nn.Identity(), "none.onnx", [])
    Traceback (most recent call last):
    ...
    unet_lib.shipping.compare.ExportError: none.onnx: no such file; ...
    """
    session = session_of(path)
    reference = copy.deepcopy(model).eval().cpu()
    worst = largest = 0.0
    for batch in (images.cpu() for images in images):
        with torch.no_grad():
            expected = reference(batch).numpy()
        if not np.isfinite(expected).all():
            raise ExportError(
                f"the network gives NaN or infinite logits for {np.sum(~np.isfinite(expected))} of "
                f"{expected.size} values: look for NaN, infinity and huge numbers in its weights "
                "and in the images; take the last good checkpoint"
            )
        apart = np.abs(_run(session, batch, expected.shape, path) - expected)
        worst = max(worst, float(apart.max() if np.isfinite(apart).all() else np.inf))
        largest = max(largest, float(np.abs(expected).max()))
    return worst, largest


def _run(session: Any, images: Tensor, expected: tuple[int, ...], path: Path | str) -> np.ndarray:
    """What the file makes of a batch; ExportError where it does not take or give its size."""
    shape = tuple(images.shape)
    try:
        (found,) = session.run(["logits"], {"images": images.numpy()})
    except Exception as error:  # onnxruntime's own classes share no base of their own
        raise ExportError(
            f"{path} does not take images of shape {shape}, the network does; export it with "
            f"dynamic sizes ({error})"
        ) from error
    if found.shape != expected:
        raise ExportError(
            f"{path} gives logits of shape {found.shape} for images of shape {shape}, the network "
            f"{expected}; export it with dynamic sizes"
        )
    return found


def session_of(path: Path | str) -> Any:
    """What runs a file: it keeps its warnings to itself and uses PyTorch's thread count."""
    ort, path = require_onnx(), Path(path)
    if not path.is_file():
        raise ExportError(f'{path}: no such file; export_onnx or "unet_lib export" writes it')
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes share no base of their own
        raise ExportError(
            f"{path} ({path.stat().st_size} bytes) is no ONNX file, or cut short; export it anew"
        ) from error
