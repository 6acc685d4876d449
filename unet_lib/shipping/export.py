"""Networks as ONNX files, which run without PyTorch and say how to feed them (chapter 13).

A file is written only after it has been compared with the network it came from.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from unet_lib import __version__
from unet_lib.data.write import write_atomically
from unet_lib.evaluation.context import Context
from unet_lib.model.fold import fold_batch_norm
from unet_lib.shipping.compare import ExportError, compare, facts_of, require_onnx, session_of
from unet_lib.shipping.graph import write_graph
from unet_lib.training.task import SHAPES, Task

KEY = "unet_lib"
"""Under this name the file holds what it says about itself, as JSON."""
TOLERANCE = 1e-4
"""Largest difference that rounding may make in logits up to 10, in proportion beyond; an error
makes a far larger one."""


def export_onnx(
    model: nn.Module,
    path: Path | str,
    task: Task | None = None,
    classes: Sequence[str] = (),
    about: Mapping[str, str] | None = None,
    grid: int | None = None,
) -> float:
    """Writes the network as ONNX and returns the largest difference from PyTorch that was found.

    The graph takes `images` (N, C, H, W), float32 and normalized as `task` says, of any number
    and of any size that the network admits, and gives `logits`. It is the network in eval mode,
    its BatchNorm folded into the convolutions. Network, task, class names and what `about` adds
    (license, author, ...) are stored in the file, see `read_metadata`. There is a class a channel,
    and where one channel, or the first of a shape, is the foreground: background and object. A
    network that is not of this library needs a task, and takes multiples of `grid`, measured if it
    is not given.

    Raises ExportError, and writes nothing, where a package is missing, names do not fit the
    channels, PyTorch cannot trace the network, logits are not finite, or graph and network differ
    by more than `TOLERANCE` at one of three sizes; ValueError for a task of other channels.

    >>> import tempfile
    >>> from unet_lib.model import UNet
    >>> file = Path(tempfile.mkdtemp()) / "unet.onnx"
    >>> export_onnx(UNet(1, width=2, depth=1), file, Task()) < 1e-4
    True
    >>> read_metadata(file)["minimum_size"]
    2
    """
    require_onnx()
    settings, context, samples = facts_of(model, task, grid)
    contents = json.dumps(_metadata(settings, context, task, classes, about or {}))
    plain = fold_batch_norm(model).cpu()
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "model.onnx"
        try:
            write_graph(plain, samples[-1], draft, {KEY: contents})
        except Exception as error:  # of torch.export, onnxscript and onnx, which share no base
            raise ExportError(
                f"PyTorch cannot write a {type(model).__name__} as ONNX: look for steps that "
                "depend on the values or the size of the images"
            ) from error
        difference, largest = compare(model, draft, samples)
        allowed = TOLERANCE * max(1.0, largest / 10)
        if difference > allowed:
            raise ExportError(
                f"the exported graph differs from the network by {difference:.2g} in a logit, at "
                f"most {allowed:.2g} was expected; nothing was written: look for layers that "
                "act differently in training, or for sizes turned into constants"
            )
        write_atomically(path, lambda file: file.write(draft.read_bytes()))
    return difference


def read_metadata(path: Path | str) -> dict[str, Any]:
    """What `export_onnx` stored in the file beside the graph.

    Keys: `model`, `task` and `classes` (None and empty if unknown), `minimum_size`, `multiple_of`
    (of which height and width have to be multiples), `version` of the library, and those of
    `about`.
    Raises ExportError for a file that is missing, or not one of ours.

    >>> read_metadata("none.onnx")
    Traceback (most recent call last):
    ...
    unet_lib.shipping.compare.ExportError: none.onnx: no such file; ...
    """
    stored = session_of(path).get_modelmeta().custom_metadata_map
    if KEY not in stored:
        raise ExportError(f"{path} is not by export_onnx: it does not say what it predicts")
    try:
        return json.loads(stored[KEY])
    except ValueError as error:
        raise ExportError(f"{path}: what it says of itself is damaged; export it anew") from error


def _metadata(
    settings: dict[str, Any],
    context: Context,
    task: Task | None,
    classes: Sequence[str],
    about: Mapping[str, str],
) -> dict[str, Any]:
    """What the file says about itself; checked against the network."""
    channels = settings["out_channels"]
    shape = task is not None and task.target in SHAPES
    named = 2 if shape else max(channels, 2)  # one channel tells background and foreground apart
    classes = [classes] if isinstance(classes, str) else list(classes)  # "ab" is no two names
    if classes and len(classes) != named:
        raise ExportError(
            f"{len(classes)} class names ({', '.join(classes)}) for a network of {channels} output "
            f"channels{' that describe shapes' * shape}: {named} were expected, that of the "
            "background first"
        )
    stored = {"version": __version__, "model": settings, "task": asdict(task) if task else None}
    sizes = {"minimum_size": context.smallest, "multiple_of": context.step}
    stored |= {"classes": classes, **sizes}
    if taken := sorted(stored.keys() & about.keys()):
        raise ExportError(f"about names {', '.join(taken)}, which the export fills in; rename them")
    return {**about, **stored}
