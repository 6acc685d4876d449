"""Pictures made small enough to be stored with a widget: at most one byte a pixel."""

import base64
import io
import zlib
from collections.abc import Sequence

import numpy as np
import traitlets
from jaxtyping import Float, Integer, Real, Shaped, UInt8
from matplotlib.colors import to_rgba
from PIL import Image
from torch import Tensor

from unet_lib.course.widgets.base import Widget, check_index
from unet_lib.plots.pixels import as_gray, as_image

THRESHOLDS = np.arange(1, 100) / 100


def check_arrays(name: str, *, image: np.ndarray, **others: np.ndarray) -> None:
    """Raises ValueError, after `name`, for what is no image and things of its shape (H, W).

    >>> check_arrays("a", image=np.eye(2), labels=np.eye(3))
    Traceback (most recent call last):
    ValueError: a: expected image, labels of one shape (H, W), got (2, 2), (3, 3)
    """
    for x in (image, *others.values()):
        if not isinstance(x, np.ndarray):
            got = type(x).__name__
            raise ValueError(f"{name}: expected NumPy arrays (H, W), got {got}; pass x.numpy()")
    shapes = [x.shape for x in (image, *others.values())]
    if len(set(shapes)) > 1 or image.ndim != 2 or not image.size:
        raise ValueError(
            f"{name}: expected {', '.join(['image', *others])} of one shape (H, W), got "
            f"{', '.join(map(str, shapes))}"
        )
    if not np.isfinite(image).all():
        raise ValueError(f"{name}: the image holds values that are not finite; mend the image")


def check_pictures(
    names: Sequence[str],
    probabilities: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    images: Sequence[np.ndarray],
) -> None:
    """Raises ValueError, naming the picture, for arrays that are not pictures (H, W).

    >>> check_pictures(["a"], [np.array([[7.0]])], [np.array([[1]])], [np.array([[0]])])
    Traceback (most recent call last):
    ValueError: a: expected probabilities in [0, 1], got 7 to 7; pass torch.sigmoid(logits)
    """
    counts = [len(x) for x in (probabilities, targets, images, names)]
    if len(set(counts)) > 1 or not names:
        raise ValueError(
            "expected as many probabilities as targets, images and names, and at least one of "
            f"each, got {', '.join(map(str, counts))}"
        )
    for name, probability, target, image in zip(names, probabilities, targets, images, strict=True):
        check_arrays(name, image=image, probability=probability, target=target)
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


def threshold_levels(probability: Shaped[np.ndarray, "*size"]) -> UInt8[np.ndarray, "*size"]:
    """For each pixel, how many of the thresholds 0.01 to 0.99 its probability exceeds.

    So `levels >= round(100 * t)` is exactly `probability > t` for each of them.
    """
    thresholds = THRESHOLDS.astype(probability.dtype)  # 0.7 as the probability would hold it
    return np.searchsorted(thresholds, probability, side="left").astype(np.uint8)


def gray_levels(image: Real[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
    """The image from its darkest (0) to its brightest pixel (255), for showing only."""
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
    """Bytes or bits (eight to a byte) compressed, as `unpack` of common.js reads them."""
    if values.dtype == bool:
        values = np.packbits(values)
    return zlib.compress(values.tobytes(), 9)


def gray_pictures(
    targets: Shaped[Tensor, "_ ..."], images: Shaped[Tensor, "_ ..."]
) -> tuple[list[Shaped[np.ndarray, "_ _"]], list[Float[np.ndarray, "_ _"]]]:
    """A batch for showing: targets without a channel, and gray images from 0 to 1.

    targets: (N, H, W) or (N, 1, H, W), images: (N, 1, H, W) or (N, 3, H, W).
    """
    true = [target.cpu().numpy() for target in targets]
    gray = [as_gray(as_image(image)) for image in images]
    return [x[0] if x.ndim == 3 else x for x in true], gray


class PicturesWidget(Widget):
    """What widgets of pictures and their masks store: `stored_pictures`, and the one shown."""

    levels = traitlets.List(traitlets.Bytes()).tag(sync=True)
    targets = traitlets.List(traitlets.Bytes()).tag(sync=True)
    images = traitlets.List(traitlets.Bytes()).tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    picture = traitlets.Int(0, min=0).tag(sync=True)

    @traitlets.validate("picture")
    def _check_picture(self, proposal: dict) -> int:
        return check_index(proposal, len(self.names))


def stored_pictures(
    found: Sequence[Sequence[np.ndarray]],
    targets: Sequence[np.ndarray],
    images: Sequence[np.ndarray],
    names: Sequence[str] | None,
) -> dict[str, list]:
    """The traits of a `PicturesWidget`, checked, as common.js unpacks them.

    found: one or several times the probabilities of all pictures.
    """
    names = list(names or [f"picture {i + 1}" for i in range(len(images))])
    for probabilities in found:
        check_pictures(names, probabilities, targets, images)
    return {
        "levels": [packed(threshold_levels(np.stack(x))) for x in zip(*found, strict=True)],
        "targets": [packed(x.astype(bool)) for x in targets],
        "images": [packed(gray_levels(x)) for x in images],
        "names": names,
    }
