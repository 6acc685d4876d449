"""Checkpoints: a model, the settings that made it, and what a run needs to go on (chapter 4).

Written beside the old file, flushed to disk, then renamed: a program that is killed while saving
leaves the old one. Read with `weights_only=True`, so a checkpoint cannot run code.
"""

import importlib
import io
import json
import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import nn

from unet_lib.data.write import write_atomically
from unet_lib.model.base import SegmentationModel, unwrapped
from unet_lib.training.foreign import what_it_is, whose_it_is

# What unpickling raises, besides its own errors, for a file that is no pickle
_JUNK = (KeyError, IndexError, ValueError, TypeError, AttributeError)
FORMAT = 1
ROOMS = {"EncoderUNet": "unet_lib.transfer"}
"""Where the kinds of networks live that nothing here imports: a checkpoint that holds one does."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: the message says the file, what is wrong and the cure."""


def save_checkpoint(path: Path | str, model: nn.Module, **state: Any) -> None:
    """Saves the weights with the model's settings, and anything else a run wants to keep.

    Of a network that is no `SegmentationModel` the file holds the weights and where its class is
    defined: it can be loaded by whoever makes the network first (`load_model(path, model)`).

    `state` may hold numbers, strings, lists, dicts and tensors (an optimizer's state dict, say).
    Of a compiled or wrapped network what is inside is saved. Raises OSError where the file cannot
    be written, with the room that it needs: an older file is then as it was.

    >>> import tempfile
    >>> from unet_lib.model import UNet
    >>> file = Path(tempfile.mkdtemp()) / "model.pt"
    >>> save_checkpoint(file, UNet(1, width=2, depth=1), epoch=3)
    >>> load_checkpoint(file)["epoch"]
    3
    """
    model = unwrapped(model)
    own = isinstance(model, SegmentationModel)
    about = asdict(model.settings) if own else {"module": type(model).__module__}
    contents = {
        "format": FORMAT,
        "model": json.dumps(about | {"kind": type(model).__name__}),
        "weights": model.state_dict(),
        **state,
    }
    stored = io.BytesIO()
    torch.save(contents, stored)  # so that an error of the disk is one, and names the file
    try:
        write_atomically(path, lambda file: file.write(stored.getbuffer()))
    except OSError as error:
        raise OSError(f"{error}; {_room(Path(path), stored.getbuffer().nbytes)}") from error


def _room(path: Path, needed: int) -> str:
    """What a file needs, what there is, and what became of the one before it."""
    folder = next(place for place in (path.absolute(), *path.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(folder).free
    old = "the older file is as it was" if path.exists() else "no such file was there before"
    return f"it takes {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB are free there; {old}"


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """Everything `save_checkpoint` stored, on the CPU, without running any code from the file.

    Raises CheckpointError for a file that is missing, cut short or not one of ours.

    >>> load_checkpoint("runs/none/best.pt")
    Traceback (most recent call last):
    ...
    unet_lib.training.checkpoint.CheckpointError: no checkpoint runs/none/best.pt; ...
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder, not a checkpoint; name a file in it")
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.pt")) if path.parent.is_dir() else []
        raise CheckpointError(f"no checkpoint {path}; {path.parent} holds {near or 'none'}")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise CheckpointError(f"{path} may not be read by you; ask for the permission") from error
    except (RuntimeError, OSError, EOFError, BadZipFile, pickle.UnpicklingError, *_JUNK) as error:
        told = what_it_is(path) or (
            "it is cut short, or not a file of weights alone; train again or take an older copy "
            f"({type(error).__name__})"
        )
        size = f"{path.stat().st_size} bytes"
        raise CheckpointError(f"{path} ({size}) cannot be read: {told}") from error
    _check_contents(contents, path)
    return contents


def _check_contents(contents: Any, path: Path) -> None:
    if not isinstance(contents, dict) or contents.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is not a checkpoint of this library (format {FORMAT}): {whose_it_is(contents)}"
        )
    if missing := {"model", "weights"} - set(contents):
        raise CheckpointError(
            f"{path} lacks {' and '.join(sorted(missing))}, which save_checkpoint stores; take "
            "another copy or train again"
        )


def stored_object(kind: Callable[..., Any], text: str, source: Path | str) -> Any:
    """An object made of the JSON of its fields, as checkpoints hold settings and tasks.

    Raises CheckpointError for fields that this version does not know, or does not allow.
    """
    try:
        return kind(**json.loads(text))
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError, json.JSONDecodeError):
            raise  # one of ours, which says itself what is missing
        raise CheckpointError(
            f"{source} holds settings that this version of unet-lib does not take ({error}); "
            "update it, or train again"
        ) from error


def load_model(path: Path | str, model: nn.Module | None = None) -> SegmentationModel | Any:
    """The model of a checkpoint, rebuilt from its stored settings, on the CPU, in eval mode.

    With `model`, a network as it was in training, of any class, the weights are copied into it,
    and it is returned.
    Raises CheckpointError, naming the tensors, where the weights do not fit, and for a kind of
    model that this version does not know.

    >>> import tempfile
    >>> from unet_lib.model import UNet
    >>> file = Path(tempfile.mkdtemp()) / "model.pt"
    >>> save_checkpoint(file, UNet(1, width=2, depth=1))
    >>> load_model(file).settings.width
    2
    """
    contents = load_checkpoint(path)
    if model is None:  # the first checkpoints did not say their kind
        settings = {"kind": "UNet"} | stored_object(dict, contents["model"], path)
        kind = _kind(settings.pop("kind"), settings.get("module"), path)
        model = stored_object(kind, json.dumps(settings), path)
    load_weights(model, contents["weights"], path)
    return model.eval()


def _kind(name: str, module: str | None, path: Path | str) -> type[SegmentationModel]:
    """The class of a stored network; `module` is that of a class that is not of this library."""
    if module is not None:
        raise CheckpointError(
            f"{path} holds the weights of a {name} of {module}, which only its owner can make: "
            f"pass one with the settings of its training, model={name}(...)"
        )
    if name in ROOMS:
        importlib.import_module(ROOMS[name])
    if name not in SegmentationModel.kinds:
        known = sorted({*SegmentationModel.kinds, *ROOMS})
        raise CheckpointError(
            f"{path} holds a {name}; known are {', '.join(known)}: import the module that "
            "defines it, or update unet-lib"
        )
    return SegmentationModel.kinds[name]


def load_weights(
    model: nn.Module, weights: Mapping[str, Any], source: Path | str | None = None
) -> None:
    """Copies a state dict into the model, all of it or nothing.

    Raises CheckpointError that lists what is missing, unexpected or of another shape.

    >>> load_weights(nn.Linear(2, 1), {"bias": torch.zeros(1)})
    Traceback (most recent call last):
    ...
    unet_lib.training.checkpoint.CheckpointError: the weights do not fit the model: missing ...
    """
    model = unwrapped(model)
    own = model.state_dict()
    wrong = {
        "missing": [name for name in own if name not in weights],
        "unexpected": [name for name in weights if name not in own],
        "of another shape": [
            f"{name}: {tuple(weights[name].shape)}, the model has {tuple(own[name].shape)}"
            for name in own
            if name in weights and weights[name].shape != own[name].shape
        ],
    }
    found = "; ".join(f"{what} {names[:5]}" for what, names in wrong.items() if names)
    if found:
        hint = ""
        if any(name.startswith(("module.", "_orig_mod.")) for name in weights):
            hint = '; save the unwrapped model: its names begin with "module." or "_orig_mod."'
        start = "" if source is None else f"{source}: "
        raise CheckpointError(f"{start}the weights do not fit the model: {found}{hint}")
    model.load_state_dict(dict(weights))
