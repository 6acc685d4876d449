"""An exported network run by NumPy and onnxruntime alone: no PyTorch is imported (chapter 13).

This file needs NumPy, onnxruntime and jaxtyping, and nothing else of the library: copy it to the
machine where the network works.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped, UInt8


class OnnxModel:
    """A file that `unet_lib.shipping.export.export_onnx` wrote for a task, ready for pictures.

    `task`, `classes` and `about` hold what the file says about itself. Raises ValueError for a
    file that is missing or not one of ours, that has no task, or whose network pads nothing.

    >>> import tempfile
    >>> from unet_lib.shipping.export import export_onnx
    >>> from unet_lib.model import UNet
    >>> from unet_lib.training import Task
    >>> file = Path(tempfile.mkdtemp()) / "unet.onnx"
    >>> _ = export_onnx(UNet(1, width=2, depth=1), file, Task())
    >>> OnnxModel(file).mask(np.zeros((20, 31), np.uint8)).shape
    (20, 31)
    """

    def __init__(self, path: Path | str, threads: int = 1) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ValueError("onnxruntime is not installed: pip install onnxruntime") from error
        if not Path(path).is_file():
            raise ValueError(f"{path}: no such file; check the path")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # errors are raised, not printed
        try:
            self._session = onnxruntime.InferenceSession(path, options)
        except Exception as error:  # onnxruntime's own classes share no base of their own
            raise ValueError(f"{path} is no ONNX file, or cut short; export it anew") from error
        stored = self._session.get_modelmeta().custom_metadata_map.get("unet_lib", "{}")
        try:
            self.about: dict[str, Any] = json.loads(stored)
        except ValueError as error:
            message = f"{path}: what it says of itself is damaged; export it anew"
            raise ValueError(message) from error
        if not self.about.get("task") or self.about["model"].get("padding") == "valid":
            raise ValueError(
                f'{path} does not say how to feed it, or pads nothing (padding="valid"); export a '
                "network that pads, with its task"
            )
        self.task: dict[str, Any] = self.about["task"]
        self.classes: list[str] = self.about["classes"]

    def prepare(self, image: Shaped[np.ndarray, "H W *C"]) -> Float32[np.ndarray, "1 C H W"]:
        """A gray (H, W) or color (H, W, 3) picture as the network has learned to see it.

        Raises ValueError for other shapes, small pictures, NaN and infinity, and types without
        numbers or without a range.
        """
        if not isinstance(image, np.ndarray) or image.dtype.kind not in "uif":
            found = getattr(image, "dtype", type(image).__name__)
            raise ValueError(
                f"the picture is of type {found}; an array of numbers was expected, such as uint8: "
                "np.asarray(picture)"
            )
        color = self.task["mode"] == "RGB"
        smallest = self.about["minimum_size"]
        if (
            image.ndim != 2 + color
            or image.shape[2:] != (3,) * color
            or min(image.shape[:2]) < smallest
        ):
            expected = "(H, W, 3)" if color else "(H, W)"
            raise ValueError(
                f"the picture has shape {image.shape}; {expected} was expected, with sides of at "
                f"least {smallest} pixels"
            )
        if bad := np.count_nonzero(~np.isfinite(image)):
            raise ValueError(
                f"the picture holds {bad} NaN or infinite values of {image.size}; finite ones were "
                "expected: remove or replace them where the picture is made"
            )
        if self.task["normalize"] == "percentiles":
            low, high = np.percentile(image, (1.0, 99.8), axis=(0, 1))
            contrast = high - low
            scale = np.divide(1.0, contrast, out=np.zeros_like(contrast), where=contrast > 0)
            values = (image - low) * scale
        elif image.dtype in (np.uint8, np.uint16):
            values = image / np.float32(np.iinfo(image.dtype).max)
        else:
            raise ValueError(f"the picture holds {image.dtype}; uint8 or uint16 was expected")
        values = values.astype(np.float32)
        return np.ascontiguousarray(np.moveaxis(np.atleast_3d(values), 2, 0))[None]

    def logits(self, image: Shaped[np.ndarray, "H W *C"]) -> Float32[np.ndarray, "K H W"]:
        """The logits of a picture, as its file gives it: uint8 or uint16, say."""
        return self._session.run(["logits"], {"images": self.prepare(image)})[0][0]

    def probabilities(self, image: Shaped[np.ndarray, "H W *C"]) -> Float32[np.ndarray, "K H W"]:
        """From 0 to 1: the sigmoid of one channel, the softmax of several."""
        logits = self.logits(image)
        if len(logits) == 1:
            return (0.5 + 0.5 * np.tanh(logits / 2)).astype(np.float32)  # cannot overflow
        raised = np.exp(logits - logits.max(axis=0))
        return raised / raised.sum(axis=0)

    def mask(self, image: Shaped[np.ndarray, "H W *C"]) -> UInt8[np.ndarray, "H W"]:
        """Class indices; for any other task 1 where foreground is likelier than the threshold."""
        p = self.probabilities(image)
        if self.task["target"] == "classes":
            return p.argmax(axis=0).astype(np.uint8)
        foreground = p[0] if len(p) == 1 else 1 - p[0]
        return (foreground > self.task["threshold"]).astype(np.uint8)
