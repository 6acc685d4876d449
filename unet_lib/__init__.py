"""unet_lib: the small library that the chapters of the book derive.

Each chapter derives one module: 1 and 2 `model`, 3 `data`, 4 `losses`, `training` and
`checkpoint`, 5 `metrics` and `predict`. Names are imported from their modules:

>>> from unet_lib.model import UNet
"""

__version__ = "0.1.0"
