"""Smaller numbers for an exported network: 16-bit floats, or 8-bit integers (chapter 13)."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from unet_lib.data.write import write_atomically
from unet_lib.shipping.export import ExportError, read_metadata
from unet_lib.shipping.graph import silent

Images = Float32[np.ndarray, "N C H W"]


def quantize(
    path: Path | str, output: Path | str, calibration: Iterable[Images] | None = None
) -> None:
    """Writes an exported network with 8-bit weights: a quarter of the bytes.

    With `calibration`, batches of normalized images like those to come, the range of every
    feature map is measured on them once, and the maps are 8-bit integers, too (static
    quantization, one scale for each channel of the weights). Without, the range of each map is
    measured anew in every run (dynamic). Input and output stay float32.
    Raises ExportError for a file that `export_onnx` did not write, or whose numbers are smaller
    already, for no images, and for images that the network cannot take.

    >>> from unet_lib.shipping.export import export_onnx
    >>> from unet_lib.model import UNet
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = export_onnx(UNet(1, width=4, depth=1), folder / "unet.onnx")
    >>> quantize(folder / "unet.onnx", folder / "int8.onnx", [np.zeros((1, 1, 32, 32), "float32")])
    >>> read_metadata(folder / "int8.onnx")["minimum_size"]
    2
    """
    about = _about_float32(path)
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, silent():
        prepared, draft = (str(Path(folder) / name) for name in ("prepared.onnx", "int8.onnx"))
        quant_pre_process(str(path), prepared, skip_symbolic_shape=True)
        if calibration is None:
            q.quantize_dynamic(prepared, draft, weight_type=q.QuantType.QUInt8)
        else:
            batches = _checked(calibration, path, about)

            class Reader(q.CalibrationDataReader):
                def get_next(self) -> Any:
                    return next(batches, None)

            how = {"per_channel": True, "weight_type": q.QuantType.QInt8}
            q.quantize_static(prepared, draft, Reader(), **how)
        write_atomically(output, lambda file: file.write(Path(draft).read_bytes()))


def halve(path: Path | str, output: Path | str) -> None:
    """Writes an exported network with weights and arithmetic in float16: half of the bytes.

    Input and output stay float32. A logit beyond 65,504 would become infinite.
    Raises ExportError for a file that `export_onnx` did not write, or whose numbers are smaller
    already.
    """
    _about_float32(path)
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with silent():
        half = convert_float_to_float16(onnx.load(path), keep_io_types=True)
    write_atomically(output, lambda file: file.write(half.SerializeToString()))


def _about_float32(path: Path | str) -> dict[str, Any]:
    """What the file says about itself; ExportError where its weights are not float32 any more."""
    about = read_metadata(path)
    import onnx

    kinds = {
        onnx.TensorProto.DataType.Name(t.data_type).lower()
        for t in onnx.load(path).graph.initializer
    }
    if smaller := sorted(kinds - {"float", "int64"}):
        raise ExportError(
            f"{path} holds {' and '.join(smaller)}; float32 alone was expected: start from the "
            "file that export_onnx wrote"
        )
    return about


def _checked(
    batches: Iterable[Images], path: Path | str, about: dict[str, Any]
) -> Iterator[dict[str, Images]]:
    """Batches in the form that onnxruntime's calibration asks for: one dict after the other."""
    channels, smallest, seen = about["model"]["in_channels"], about["minimum_size"], 0
    for seen, batch in enumerate(batches, start=1):
        shape, numbers = np.shape(batch), getattr(batch, "dtype", type(batch).__name__)
        fits = len(shape) == 4 and shape[1] == channels and min(shape[2:]) >= smallest
        if not fits or not isinstance(batch, np.ndarray) or numbers != np.float32:
            raise ExportError(
                f"batch {seen} of the calibration has shape {shape} and holds {numbers}; arrays "
                f"(N, {channels}, H, W) of float32 were expected, with sides of at least "
                f"{smallest} pixels"
            )
        if bad := np.count_nonzero(~np.isfinite(batch)):
            raise ExportError(
                f"batch {seen} of the calibration holds {bad} NaN or infinite values; leave such "
                "images out"
            )
        yield {"images": batch}
    if not seen:
        raise ExportError(
            f"no images to calibrate {path} with: pass some tens of those it was trained on, "
            "normalized, or None to do without"
        )
