"""Pictures made small enough to be stored with a widget: at most one byte a pixel."""

import base64
import io
import zlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer, Real, Shaped, UInt8
from matplotlib.colors import to_rgba
from PIL import Image
from torch import Tensor

from unet_lib.plots.pixels import as_gray, as_picture

THRESHOLDS = np.arange(1, 100) / 100


def check_picture(
    name: str, probability: np.ndarray, target: np.ndarray, image: np.ndarray
) -> None:
    """Raises ValueError, naming the picture, for arrays that are not one picture (H, W).

    >>> check_picture("a", np.array([[7.0]]), np.array([[1]]), np.array([[0]]))
    Traceback (most recent call last):
    ValueError: a: expected probabilities in [0, 1], got 7 to 7; pass torch.sigmoid(logits)
    """
    for x in (probability, target, image):
        if not isinstance(x, np.ndarray):
            raise ValueError(
                f"{name}: expected NumPy arrays (H, W), got {type(x).__name__}; pass x.numpy()"
            )
    shapes = [x.shape for x in (probability, target, image)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or 0 in shapes[0]:
        raise ValueError(
            f"{name}: expected probability, target and image of one shape (H, W), got "
            f"{shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    if not (probability.min() >= 0 and probability.max() <= 1):  # nan fails as well
        raise ValueError(
            f"{name}: expected probabilities in [0, 1], got {probability.min():.4g} to "
            f"{probability.max():.4g}; pass torch.sigmoid(logits)"
        )
    if not np.isin(target, (0, 1)).all():
        raise ValueError(
            f"{name}: expected a target of 0 and 1, got {np.unique(target)[:6].tolist()}; "
            "pass labels > 0"
        )
    if not np.isfinite(image).all():
        raise ValueError(f"{name}: the image holds values that are not finite; mend the image")


def threshold_levels(probability: Shaped[np.ndarray, "*size"]) -> UInt8[np.ndarray, "*size"]:
    """For each pixel, how many of the thresholds 0.01 to 0.99 its probability exceeds.

    So `levels >= round(100 * t)` is exactly `probability > t` for each of them.

    >>> threshold_levels(np.array([[0.0, 0.5, 0.501, 1.0]])).tolist()
    [[0, 49, 50, 99]]
    """
    thresholds = THRESHOLDS.astype(probability.dtype)  # 0.7 as the probability would hold it
    return np.searchsorted(thresholds, probability, side="left").astype(np.uint8)


def gray_levels(image: Real[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
    """The image from its darkest (0) to its brightest pixel (255), for showing only.

    >>> gray_levels(np.array([[0.5, 0.75, 1.5]])).tolist()
    [[0, 64, 255]]
    """
    low, high = float(image.min()), float(image.max())
    return np.round((image - low) * (255 / (high - low or 1))).astype(np.uint8)


def painted(levels: Integer[np.ndarray, "H W"], colors: Sequence[str]) -> str:
    """A PNG of the levels 0, 1, ..., each in its color ("none" is transparent), as a data URL.

    At most 16 colors, as matplotlib names them: half a byte a pixel before compression.

    >>> painted(np.array([[0, 1]]), ["none", "#D55E00"])[:27]
    'data:image/png;base64,iVBOR'
    """
    rgba = np.round(255 * np.array([to_rgba(color) for color in colors])).astype(np.uint8)
    image = Image.fromarray(levels.astype(np.uint8), "L")
    image.putpalette(rgba[:, :3].tobytes())
    return _address(image, "png", bits=4, optimize=True, transparency=rgba[:, 3].tobytes())


def photograph(image: Real[np.ndarray, "H W"], quality: int = 75) -> str:
    """The image from its darkest to its brightest pixel as a data URL, for showing only.

    It is a WebP, an eighth of a byte a pixel or so, and not exact.

    >>> photograph(np.eye(4))[:23]
    'data:image/webp;base64,'
    """
    return _address(Image.fromarray(gray_levels(image)), "webp", quality=quality, method=6)


def _address(image: Image.Image, kind: str, **options: int | bytes) -> str:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def packed(values: Shaped[np.ndarray, "..."]) -> bytes:
    """Bytes or bits (eight to a byte) compressed, as `unpack` of common.js reads them.

    >>> len(packed(np.zeros((90, 90), np.uint8))) < 50
    True
    """
    if values.dtype == bool:
        values = np.packbits(values)
    return zlib.compress(values.tobytes(), 9)


def gray_pictures(
    images: Shaped[Tensor, "_ ..."], targets: Shaped[Tensor, "_ ..."], names: Sequence[str] | None
) -> tuple[list[Float[np.ndarray, "_ _"]], list[Shaped[np.ndarray, "_ _"]], list[str]]:
    """A batch for showing: gray images from 0 to 1, targets without a channel, and names.

    images: (N, 1, H, W) or (N, 3, H, W), targets: (N, H, W) or (N, 1, H, W). Raises ValueError
    where there is none, or not as many of each.

    >>> import torch
    >>> gray, true, names = gray_pictures(torch.eye(4)[None, None], torch.eye(4)[None], None)
    >>> gray[0].shape, true[0].shape, names
    ((4, 4), (4, 4), ['picture 1'])
    """
    names = list(names or [f"picture {i + 1}" for i in range(len(images))])
    if not len(images) == len(targets) == len(names) or not names:
        raise ValueError(
            "expected as many images as targets and names, and at least one of each, got "
            f"{len(images)}, {len(targets)} and {len(names)}"
        )
    gray = [as_gray(as_picture(image)) for image in images]
    true = [target.cpu().numpy() for target in targets]
    return gray, [x[0] if x.ndim == 3 else x for x in true], names


def stored_pictures(
    found: Sequence[Shaped[np.ndarray, "..."]],
    targets: Sequence[Shaped[np.ndarray, "_ _"]],
    images: Sequence[Shaped[np.ndarray, "_ _"]],
) -> dict[str, list[bytes]]:
    """The traits `levels`, `targets` and `images` of a widget, as common.js unpacks them.

    found: the probabilities of each picture, (H, W) or several (V, H, W).

    >>> sorted(stored_pictures([np.eye(2)], [np.eye(2)], [np.eye(2)]))
    ['images', 'levels', 'targets']
    """
    return {
        "levels": [packed(threshold_levels(x)) for x in found],
        "targets": [packed(x.astype(bool)) for x in targets],
        "images": [packed(gray_levels(x)) for x in images],
    }
