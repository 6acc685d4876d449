"""Files of weights that are not ours: what they are, and what to do with them."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOAD = "load such weights with model.load_state_dict(torch.load(path, weights_only=True))"
SCRIPT = "load it with torch.jit.load, and wrap what it gives as a torch.nn.Module"
OWN = "make the network, give it the weights, and save it with save_checkpoint"


def what_it_is(path: Path) -> str:
    """What a file is that torch does not read as weights alone; nothing where that is not known."""
    with open(path, "rb") as file:
        head = file.read(200)
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file itself: fetch it with git lfs pull"
    if head.startswith((b"<", b"\n<")):
        return "it is a web page, perhaps of a download that needed a login: download it again"
    if head.startswith(b"\x89HDF"):
        return "it is HDF5, as Keras writes it: convert the weights, or train again"
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any("/code/" in name for name in names):
        return f"it is TorchScript: {SCRIPT}"
    if any(name.endswith("data.pkl") for name in names):
        cure = f"load it where its classes are (weights_only=False, if you trust it), {OWN}"
        return f"it is not a file of weights alone, it holds objects, perhaps a model: {cure}"
    return ""


def whose_it_is(contents: Any) -> str:
    """What contents are that torch reads, and this library did not write."""
    if not isinstance(contents, Mapping):
        return f"it holds {type(contents).__name__}; {LOAD}"
    for name, key, known in (
        ("PyTorch Lightning", "state_dict", "pytorch-lightning_version"),
        ("nnU-Net", "network_weights", "network_weights"),
        ("MMSegmentation", "state_dict", "meta"),
    ):
        if known in contents and key in contents:
            return f"it is a checkpoint of {name}, whose weights are in {key!r}: {OWN}"
    if "mask_values" in contents:  # milesial's Pytorch-UNet
        return f"it holds weights and 'mask_values', as Pytorch-UNet writes them: {OWN}"
    return f"it holds {list(contents)[:4]}; {LOAD}"
