"""An exported network run by NumPy and onnxruntime alone: no PyTorch is imported (chapter 13).

This file needs NumPy, onnxruntime and jaxtyping, and nothing else of the library: copy it to the
machine where the network works.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32, Integer, Shaped

Image = Path | str | np.ndarray


class OnnxModel:
    """A file that `unet_lib.shipping.export.export_onnx` wrote for a task, ready for images.

    Takes image files (which needs Pillow) and arrays as `Trained` does, (H, W) or (H, W, 3), not
    normalized. `task`, `classes` and `about` hold what the file says about itself. Raises
    ValueError for a file that is missing or not one of ours, that has no task, or whose network
    pads nothing.

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
        self.about: dict[str, Any] = _about(stored, path)
        self.task: dict[str, Any] = self.about["task"]
        self.classes: list[str] = self.about["classes"]

    def prepare(self, image: Image) -> Float32[np.ndarray, "1 C H W"]:
        """A gray (H, W) or color (H, W, 3) image as the network has learned to see it.

        Raises ValueError, naming the file if it is one, for other shapes, small images, NaN and
        infinity, and types without numbers or without a range.
        """
        named = not isinstance(image, np.ndarray)
        pixels = _read(Path(image), self.task["mode"]) if named else image
        try:
            return self._normalized(self._checked(pixels))
        except ValueError as error:
            raise ValueError(f"{image}: {error}" if named else str(error)) from error

    def logits(self, image: Image) -> Float32[np.ndarray, "K H W"]:
        """The logits of an image, as its file gives it: uint8 or uint16, say."""
        images = self.prepare(image)
        height, width = images.shape[2:]
        step = self.about.get("multiple_of", 1)  # the network takes no other heights and widths
        beyond = [(0, 0), (0, 0), (0, -height % step), (0, -width % step)]
        images = np.pad(images, beyond, mode="reflect") if step > 1 else images
        logits: Any = self._session.run(["logits"], {"images": images})
        return logits[0][0, :, :height, :width]

    def probabilities(self, image: Image) -> Float32[np.ndarray, "K H W"]:
        """From 0 to 1: of foreground, or of each class; of a shape also its maps as they are."""
        logits = self.logits(image)
        if between := {"foreground": 1, "distances": 3, "offsets": 2}.get(self.task["target"]):
            maps = 0.5 + 0.5 * np.tanh(logits[:between] / 2)  # the sigmoid, which cannot overflow
            return np.concatenate([maps, logits[between:]]).astype(np.float32)
        raised = np.exp(logits - logits.max(axis=0))
        return raised / raised.sum(axis=0)

    def mask(self, image: Image) -> Integer[np.ndarray, "H W"]:
        """Class indices; for any other task 1 where foreground is likelier than the threshold."""
        p = self.probabilities(image)
        if self.task["target"] == "classes":
            return p.argmax(axis=0).astype(np.min_scalar_type(len(p) - 1))
        return self._inside(p).astype(np.uint8)

    def instances(self, image: Image) -> Int32[np.ndarray, "H W"]:
        """The objects, numbered 1 to n, as `unet_lib.training.Task.instances` finds them.

        Needs SciPy and scikit-image. ValueError where they are missing, or where the network
        tells classes apart.
        """
        if self.task["target"] == "classes":
            raise ValueError(
                "the network tells classes apart, not objects; instances need one trained with "
                'any target but "classes"'
            )
        p = self.probabilities(image)
        try:
            labels = _DECODERS[self.task["target"]](p, self._inside(p))
        except ImportError as error:
            raise ValueError(
                f"instances need {error.name}: pip install scipy scikit-image"
            ) from error
        kept = np.bincount(labels.ravel()) >= 12  # objects of fewer pixels vanish
        kept[0] = False
        return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]

    def _inside(self, p: Float32[np.ndarray, "K H W"]) -> Bool[np.ndarray, "H W"]:
        """Where a pixel is likelier than the threshold to be anything but background."""
        foreground = 1 - p[0] if self.task["target"] == "instances" else p[0]
        return foreground > self.task["threshold"]

    def _checked(self, image: np.ndarray) -> np.ndarray:
        if image.dtype.kind not in "uif":
            raise ValueError(
                f"the image is of type {image.dtype}; an array of numbers was expected, such as "
                "uint8: np.asarray(image)"
            )
        color, smallest = self.task["mode"] == "RGB", self.about["minimum_size"]
        if image.ndim < 2 or image.shape[2:] != (3,) * color or min(image.shape[:2]) < smallest:
            expected = "(H, W, 3)" if color else "(H, W)"
            raise ValueError(
                f"the image has shape {image.shape}; {expected} was expected, with sides of at "
                f"least {smallest} pixels"
            )
        if bad := np.count_nonzero(~np.isfinite(image)):
            raise ValueError(
                f"the image holds {bad} NaN or infinite values of {image.size}; finite ones were "
                "expected: remove or replace them where the image is made"
            )
        return image

    def _normalized(self, image: Shaped[np.ndarray, "H W *C"]) -> Float32[np.ndarray, "1 C H W"]:
        if self.task["normalize"] == "percentiles":
            values = np.dstack([_stretched(plane) for plane in np.atleast_3d(image).T]).swapaxes(
                0, 1
            )
        elif image.dtype in (np.uint8, np.uint16):
            values = image / np.float32(np.iinfo(image.dtype).max)
        elif image.dtype.kind == "f" and image.min() >= 0 and image.max() <= 1:
            values = image
        else:
            raise ValueError(
                f"the image holds {image.dtype} from {image.min():g} to {image.max():g}; uint8, "
                "uint16, or floats from 0 to 1 were expected"
            )
        values = values.astype(np.float32)
        return np.ascontiguousarray(np.moveaxis(np.atleast_3d(values), 2, 0))[None]


def _stretched(plane: np.ndarray) -> np.ndarray:
    """From percentile 1 to 99.8 as 0 to 1, as `unet_lib.data.normalize_percentiles` explains."""
    plane = plane.astype(np.float64)
    seen, missing = np.sort(plane, axis=None), None
    for value in (seen[0], seen[-1]):
        nines = -value >= 99 and value == int(value) and set(str(int(-value))) == {"9"}
        rest = seen[seen != value]
        if missing is None and len(rest) and (nines or value == -(2**15) or abs(value) >= 1e30):
            low, high = np.percentile(rest, (1.0, 99.8))
            if max(low - value, value - high) > 20 * (high - low):
                seen, missing = rest, value
    low, high = np.percentile(seen, (1.0, 99.8))
    few = min(8, len(seen) // 100)
    contrast = max(high - low, 0.25 * (seen[-1 - few] - seen[few]))
    values = ((plane - low) * (1 / contrast if contrast > 0 else 0.0)).clip(-10, 10)
    return np.where(plane == missing, 0.0, values)


def _about(stored: str, path: Path | str) -> dict[str, Any]:
    """What the file says about itself."""
    try:
        about = json.loads(stored)
    except ValueError as error:
        raise ValueError(f"{path}: what it says of itself is damaged; export it anew") from error
    if not about.get("task") or about["model"].get("padding") == "valid":
        raise ValueError(
            f'{path} does not say how to feed it, or pads nothing (padding="valid"); export a '
            "network that pads, with its task"
        )
    return about


def _of_foreground(p: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """`unet_lib.evaluation.label_instances`: seeds are peaks of the distance to the background."""
    from scipy import ndimage

    distance = np.asarray(ndimage.distance_transform_edt(inside))
    known = distance[inside]
    sigma = float(np.clip(0.25 * (np.percentile(known, 95) if known.size else 1.0), 0.5, 8.0))
    smooth = ndimage.gaussian_filter(distance, sigma)
    peaks = smooth == ndimage.maximum_filter(smooth, 1 + 2 * int(np.ceil(2 * sigma)))
    return _grown(peaks & inside, distance, inside)


def _of_instances(p: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The same with borders: seeds are where the interior is likely."""
    from scipy import ndimage

    return _grown(p[1] > 0.5, np.asarray(ndimage.distance_transform_edt(inside)), inside)


def _of_distances(p: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """`unet_lib.evaluation.decode_distances`: seeds are near the center and deep."""
    from scipy import ndimage

    middle = ndimage.gaussian_filter((p[1] + p[2]) / 2, 1.0)
    return _grown((middle > 0.5) & inside, p[2], inside)


def _of_offsets(p: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """`unet_lib.evaluation.decode_offsets`: every pixel votes for its center."""
    from scipy import ndimage
    from scipy.spatial import KDTree

    landed = np.argwhere(inside) + 10.0 * p[2:, inside].T  # offsets count in 10 pixels
    height, width = inside.shape
    rows, columns = np.clip(np.rint(landed).astype(int), 0, (height - 1, width - 1)).T
    votes = np.bincount(rows * width + columns, p[1][inside], minlength=height * width)
    votes = ndimage.gaussian_filter(votes.astype(float).reshape(height, width), 1.0)
    peaks = (votes == ndimage.maximum_filter(votes, 5)) & (votes * 2 * np.pi > 3)
    regions, number = ndimage.label(peaks)
    labels = np.zeros(inside.shape, int)
    if number:
        centers = ndimage.center_of_mass(peaks, regions, np.arange(1, number + 1))
        labels[inside] = 1 + KDTree(centers).query(landed)[1]
    return labels


def _grown(seeds: np.ndarray, height: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Connected seeds, grown from the heights down until they meet; what holds none is its own."""
    from skimage.measure import label
    from skimage.segmentation import watershed

    labels = watershed(-height, label(seeds), mask=inside)
    lost = label(inside & (labels == 0))
    return np.where(lost > 0, lost + labels.max(), labels)


_DECODERS = {
    "foreground": _of_foreground,
    "instances": _of_instances,
    "distances": _of_distances,
    "offsets": _of_offsets,
}


def _read(path: Path, mode: str) -> np.ndarray:
    """The pixels of a file, upright, gray or color as `mode` says; nothing is scaled."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ValueError(f"{path} needs Pillow: pip install pillow, or pass an array") from error
    try:
        with Image.open(path) as file:
            pages, picture = getattr(file, "n_frames", 1), ImageOps.exif_transpose(file)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    known = picture.mode in ("1", "L", "P", "RGB", "F", "I;16", "I;16L", "I;16B")
    if pages > 1 or not known or picture.has_transparency_data:
        raise ValueError(
            f"{path} holds {pages} image(s) of kind {picture.mode}; one gray or RGB image without "
            "transparency was expected: convert it, or pass an array"
        )
    pixels = np.array(picture if picture.mode[0] in "IF" else picture.convert("RGB"))
    pixels = pixels.astype(np.uint16) if picture.mode[0] == "I" else pixels
    if mode == "RGB":
        return pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)
    if pixels.ndim == 3 and (pixels != pixels[..., :1]).any():
        raise ValueError(f"{path} holds colors; a gray image was expected: convert it")
    return pixels if pixels.ndim == 2 else pixels[..., 0]
