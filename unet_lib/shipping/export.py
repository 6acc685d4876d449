"""Networks as ONNX files, which run without PyTorch and say how to feed them (chapter 13).

A file is written only after it has been compared with the network it came from.
"""

import copy
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unet_lib import __version__
from unet_lib.data.write import write_atomically
from unet_lib.model.unet import SegmentationModel
from unet_lib.shipping.graph import write_graph
from unet_lib.training.task import Task

KEY = "unet_lib"
"""Under this name the file holds what it says about itself, as JSON."""
TOLERANCE = 1e-4
"""Largest difference that rounding may make in logits up to 10, in proportion beyond; an error
makes a far larger one."""


class ExportError(ValueError):
    """A network that cannot be exported, or a file that differs: the message says the cure."""


def require_onnx() -> ModuleType:
    """The package onnxruntime; ExportError, with the command, where it or its kin are missing.

    >>> require_onnx().__name__
    'onnxruntime'
    """
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


def export_onnx(
    model: SegmentationModel,
    path: Path | str,
    task: Task | None = None,
    classes: Sequence[str] = (),
    about: Mapping[str, str] | None = None,
) -> float:
    """Writes the network as ONNX and returns the largest difference from PyTorch that was found.

    The graph takes `images` (N, C, H, W), float32 and normalized as `task` says, of any number
    and of any size that the network admits, and gives `logits`. Network, task, class names and
    what `about` adds (license, author, ...) are stored in the file, see `read_metadata`. It is
    the network in eval mode, its BatchNorm folded into the convolutions; `model` stays as it is.

    Raises ExportError, and writes nothing, where a package is missing, where the names do not fit
    the channels, where the logits are not finite, or where the graph and the network differ by
    more than `TOLERANCE` at one of three sizes.

    >>> import tempfile
    >>> from unet_lib.model import UNet
    >>> file = Path(tempfile.mkdtemp()) / "unet.onnx"
    >>> export_onnx(UNet(1, width=2, depth=1), file, Task()) < 1e-4
    True
    >>> read_metadata(file)["minimum_size"]
    2
    """
    require_onnx()
    _require_ours(model)
    contents = json.dumps(_metadata(model, task, classes, about or {}))
    plain = fold_batch_norm(model).cpu()
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "model.onnx"
        write_graph(plain, _samples(plain)[-1], draft, {KEY: contents})
        difference, largest = _compare(model, draft, _samples(model))
        allowed = TOLERANCE * max(1.0, largest / 10)
        if difference > allowed:
            raise ExportError(
                f"the exported graph differs from the network by {difference:.2g} in a logit, at "
                f"most {allowed:.2g} was expected; nothing was written: look for layers that "
                "act differently in training, or for sizes turned into constants"
            )
        write_atomically(path, lambda file: file.write(draft.read_bytes()))
    return difference


def fold_batch_norm(model: SegmentationModel) -> SegmentationModel:
    """A copy in eval mode in which each BatchNorm behind a convolution has become part of it.

    In eval mode BatchNorm multiplies and adds constants, per channel; so can the convolution.

    >>> from unet_lib.model import UNet
    >>> folded = fold_batch_norm(UNet(1, width=2, depth=1, norm="batch"))
    >>> any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    False
    """
    model = copy.deepcopy(model).eval()
    for block in model.modules():
        if type(block) is not nn.Sequential:
            continue
        for (name, layer), (after, norm) in pairwise(list(block.named_children())):
            if type(layer) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
                setattr(block, name, nn.utils.fuse_conv_bn_eval(layer, norm))
                setattr(block, after, nn.Identity())
    return model


def largest_difference(
    model: SegmentationModel,
    path: Path | str,
    images: Sequence[Tensor] | None = None,
) -> float:
    """The largest difference between the logits of a network, in eval mode, and of an ONNX file.

    On `images`, batches (N, C, H, W), or else on noise of three sizes, one of them odd where the
    network admits it.
    Raises ExportError for a file that is missing or no ONNX file, where it cannot compute what
    the network can, naming the size, and where logits are NaN or infinite.

    >>> import tempfile
    >>> from unet_lib.model import UNet
    >>> file = Path(tempfile.mkdtemp()) / "unet.onnx"
    >>> one, other = UNet(1, width=2, depth=1), UNet(1, width=2, depth=1)
    >>> _ = export_onnx(one, file)
    >>> largest_difference(one, file) < 1e-4 < largest_difference(other, file)
    True
    """
    return _compare(model, path, images or _samples(model))[0]


def _compare(
    model: SegmentationModel, path: Path | str, images: Sequence[Tensor]
) -> tuple[float, float]:
    """The largest difference, and the largest logit of the network, both as amounts."""
    session = _session(path)
    reference = copy.deepcopy(model).eval().cpu()
    worst = largest = 0.0
    for batch in images:
        with torch.no_grad():
            expected = reference(batch.cpu()).numpy()
        if not np.isfinite(expected).all():
            raise ExportError(
                f"the network gives NaN or infinite logits for {np.sum(~np.isfinite(expected))} of "
                f"{expected.size} values: look for NaN, infinity and huge numbers in its weights "
                "and in the images; take the last good checkpoint"
            )
        try:
            (found,) = session.run(["logits"], {"images": batch.cpu().numpy()})
        except Exception as error:  # onnxruntime's own classes share no base of their own
            raise ExportError(
                f"{path} does not take images of shape {tuple(batch.shape)}, the network does; "
                f"export it with dynamic sizes ({error})"
            ) from error
        if found.shape != expected.shape:
            raise ExportError(
                f"{path} gives logits of shape {found.shape} for images of shape "
                f"{tuple(batch.shape)}, the network {expected.shape}; export it with dynamic sizes"
            )
        apart = np.abs(found - expected)
        worst = max(worst, float(apart.max() if np.isfinite(apart).all() else np.inf))
        largest = max(largest, float(np.abs(expected).max()))
    return worst, largest


def read_metadata(path: Path | str) -> dict[str, Any]:
    """What `export_onnx` stored in the file beside the graph.

    Keys: `model`, `task` and `classes` (None and empty if unknown), `minimum_size`, `version` of
    the library, and those of `about`.
    Raises ExportError for a file that is missing, or not one of ours.

    >>> read_metadata("none.onnx")
    Traceback (most recent call last):
    ...
    unet_lib.shipping.export.ExportError: none.onnx: no such file; ...
    """
    path = Path(path)
    require_onnx()
    import onnx

    _require_file(path)
    try:
        stored = {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}
    except Exception as error:  # protobuf's DecodeError derives from Exception alone
        raise ExportError(
            f"{path} ({path.stat().st_size} bytes) is no ONNX file, or cut short; export it anew"
        ) from error
    if KEY not in stored:
        raise ExportError(
            f"{path} was not written by export_onnx: it does not say what it predicts"
        )
    try:
        return json.loads(stored[KEY])
    except ValueError as error:
        raise ExportError(f"{path}: what it says of itself is damaged; export it anew") from error


def _require_ours(model: nn.Module) -> None:
    numbers = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()})
    if not isinstance(model, SegmentationModel) or numbers != ["float32"]:
        raise ExportError(
            f"a {type(model).__name__} of {' and '.join(numbers)}; a SegmentationModel of float32 "
            "was expected: export the network itself, before torch.compile or a wrapper around "
            "it, after model.float()"
        )


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ExportError(f'{path}: no such file; export_onnx or "unet_lib export" writes it')


def _metadata(
    model: SegmentationModel, task: Task | None, classes: Sequence[str], about: Mapping[str, str]
) -> dict[str, Any]:
    """What the file says about itself; checked against the network."""
    channels = model.settings.out_channels
    named = max(channels, 2)  # one channel tells background and foreground apart
    classes = [classes] if isinstance(classes, str) else classes  # "ab" is no list of two names
    if classes and len(classes) != named:
        raise ExportError(
            f"{len(classes)} class names ({', '.join(classes)}) for a network of {channels} output "
            f"channels: {named} were expected, that of the background first"
        )
    if task and (task.in_channels, task.out_channels) != (model.settings.in_channels, channels):
        raise ExportError(
            f"the task takes {task.in_channels} and gives {task.out_channels} channels, the "
            f"network {model.settings.in_channels} and {channels}; pass the task of its training"
        )
    stored = {
        "version": __version__,
        "model": asdict(model.settings) | {"kind": type(model).__name__},
        "task": asdict(task) if task else None,
        "classes": list(classes),
        "minimum_size": model.minimum_size,
    }
    if taken := sorted(stored.keys() & about.keys()):
        raise ExportError(f"about names {', '.join(taken)}, which the export fills in; rename them")
    return {**about, **stored}


def _samples(model: SegmentationModel) -> list[Tensor]:
    """Noise of three admissible sizes, high, wide, and odd where that is allowed."""
    start = 2 * model.minimum_size
    admissible = [n for n in range(start, start + 6 * model.grid + 2) if _admits(model, n)]
    small, middle, large = admissible[0], admissible[len(admissible) // 2], admissible[-1]
    noise = torch.Generator().manual_seed(0)
    channels = model.settings.in_channels
    shapes = ((1, small, middle), (1, large, small), (2, middle, large))
    return [torch.rand(n, channels, h, w, generator=noise) for n, h, w in shapes]


def _admits(model: SegmentationModel, size: int) -> bool:
    try:
        return model.output_size(size) > 0
    except ValueError:
        return False


def _session(path: Path | str) -> Any:
    """What runs a file: it keeps its warnings to itself and uses PyTorch's thread count."""
    ort = require_onnx()
    _require_file(Path(path))
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes share no base of their own
        raise ExportError(f"{path} is no ONNX file, or cut short; export it anew") from error
