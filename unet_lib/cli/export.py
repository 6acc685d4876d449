"""`python -m unet_lib export`: a checkpoint as an ONNX file, which runs without PyTorch."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from tyro.conf import Positional

from unet_lib.data.listing import list_images
from unet_lib.shipping.export import ExportError, export_onnx
from unet_lib.shipping.quantize import halve, quantize
from unet_lib.training.trained import Trained


@dataclass(frozen=True)
class Export:
    """Write a checkpoint as ONNX, compared with PyTorch; it carries task and class names.

    >>> Export(Path("runs/unet/best.pt"), Path("unet.onnx")).numbers
    'float32'
    """

    checkpoint: Positional[Path]
    """What train wrote, for example runs/unet/best.pt."""
    output: Positional[Path]
    """The file to write; no file is ever overwritten."""
    classes: tuple[str, ...] = ()
    """Names of the classes, that of the background first; stored in the file."""
    license: str = ""
    """Under which license the network may be used; stored in the file."""
    numbers: Literal["float32", "float16", "int8"] = "float32"
    """Smaller numbers make a smaller file; measure what they cost."""
    images: Path | None = None
    """Folder of some tens of images like those to come, to calibrate int8 with."""

    def __call__(self) -> None:
        """Export, and say what was written."""
        self._check()
        trained = Trained.load(self.checkpoint, device="cpu")
        model, task = trained.model, trained.task
        about = {"license": self.license} if self.license else {}
        with tempfile.TemporaryDirectory() as folder:
            full = self.output if self.numbers == "float32" else Path(folder) / "float32.onnx"
            difference = export_onnx(model, full, task, self.classes, about)
            if self.numbers == "float16":
                halve(full, self.output)
            if self.numbers == "int8":
                quantize(full, self.output, self._calibration(trained))
        smaller = "" if self.numbers == "float32" else f", before it became {self.numbers}"
        print(f"{self.output}: {self.output.stat().st_size:,} bytes, {self.numbers}")
        print(f"images (N, {task.in_channels}, H, W), sides of {model.minimum_size} pixels or more")
        print(f"differs from PyTorch by at most {difference:.1g} in a logit{smaller}")

    def _check(self) -> None:
        what, cure = "exists already and is not overwritten", "choose another name, or remove it"
        if self.output.is_dir():
            what, cure = "is a folder", f"name a file in it: {self.output / 'unet.onnx'}"
        if self.output.exists():
            raise ExportError(f"{self.output} {what}; {cure}")
        if self.images and self.numbers != "int8":
            raise ExportError("images calibrate int8: pass --numbers int8, too")

    def _calibration(self, trained: Trained) -> Iterator[np.ndarray] | None:
        """The images of the folder as the network sees them, or None without a folder."""
        if self.images is None:
            return None
        return (trained.prepare(file)[None].numpy() for file in list_images(self.images))
