"""unet_lib: the small library that the chapters of the book derive, a room for each part.

What everyday work needs is imported from here, and loaded when it is used; the rest from its
room: `model`, `data`, `training`, `evaluation`, `transforms`, `transfer`, `memory`, `doctor`,
`shipping`, `plots`.

>>> from unet_lib import UNet, PairedFolder, Task, Trained, fit, predict
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time `__getattr__` does it
    from unet_lib.data import PairedFolder, SimulatedNuclei
    from unet_lib.evaluation import predict
    from unet_lib.model import UNet
    from unet_lib.shipping.onnx_model import OnnxModel
    from unet_lib.training import Task, Trained, TrainingSettings, fit
    from unet_lib.transfer import pretrained_unet

__version__ = "0.1.0"

_ROOMS = {
    "data": ("PairedFolder", "SimulatedNuclei"),
    "evaluation": ("predict",),
    "model": ("UNet",),
    "shipping.onnx_model": ("OnnxModel",),
    "training": ("Task", "Trained", "TrainingSettings", "fit"),
    "transfer": ("pretrained_unet",),
}
__all__ = [
    "OnnxModel",
    "PairedFolder",
    "SimulatedNuclei",
    "Task",
    "Trained",
    "TrainingSettings",
    "UNet",
    "fit",
    "predict",
    "pretrained_unet",
]


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
