"""unet_lib: the small library that the chapters of the book derive, a room for each part.

What everyday work needs is imported from here, and loaded when it is used; the rest from its
room: `model`, `data`, `training`, `evaluation`, `transforms`, `transfer`, `memory`, `doctor`,
`shipping`, `plots`.

>>> from unet_lib import UNet, PairedFolder, Task, Trained, fit, predict
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time `__getattr__` does it
    from unet_lib.data import PairedFolder as PairedFolder
    from unet_lib.data import SimulatedNuclei as SimulatedNuclei
    from unet_lib.evaluation import predict as predict
    from unet_lib.model import UNet as UNet
    from unet_lib.shipping.onnx_model import OnnxModel as OnnxModel
    from unet_lib.training import Task as Task
    from unet_lib.training import Trained as Trained
    from unet_lib.training import TrainingSettings as TrainingSettings
    from unet_lib.training import fit as fit
    from unet_lib.transfer import pretrained_unet as pretrained_unet

__version__ = "0.1.0"

_ROOMS = {
    "OnnxModel": "shipping.onnx_model",
    "PairedFolder": "data",
    "SimulatedNuclei": "data",
    "Task": "training",
    "Trained": "training",
    "TrainingSettings": "training",
    "UNet": "model",
    "fit": "training",
    "predict": "evaluation",
    "pretrained_unet": "transfer",
}
__all__ = [*_ROOMS]  # names, all of them


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_ROOMS]
