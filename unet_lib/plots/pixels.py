"""Tensors and arrays as the pixels that `unet_lib.plots` shows (from chapter 1 on)."""

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

Picture = Shaped[Tensor, "..."] | Shaped[np.ndarray, "..."]


def _array(values: Picture) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values


def as_image(image: Picture) -> Float[np.ndarray, "H W *C"]:
    """An image (H, W), (1, H, W), (3, H, W), (H, W, 1) or (H, W, 3) as (H, W) or (H, W, 3).

    Gray values are kept; colors are brought to 0 to 1 by their type and cut off beyond. Raises
    ValueError for another shape.

    >>> as_image(np.zeros((3, 4, 5), np.uint8)).shape, as_image(np.zeros((1, 4, 5))).shape
    ((4, 5, 3), (4, 5))
    """
    array = _array(image)
    if array.ndim == 3 and array.shape[0] in (1, 3):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        return array.astype(float)
    if array.ndim != 3 or array.shape[-1] != 3:
        raise ValueError(
            "expected an image (H, W), (1, H, W), (3, H, W) or (H, W, 3), got "
            f"{tuple(image.shape)}; show the images of a batch one by one, or with show_pairs"
        )
    scale = np.iinfo(array.dtype).max if array.dtype.kind in "iu" else 1.0
    return np.clip(array / scale, 0.0, 1.0)


def as_gray(picture: Float[np.ndarray, "H W *C"]) -> Float[np.ndarray, "H W"]:
    """One channel from 0, the darkest pixel, to 1, the brightest; a constant image is 0.

    >>> as_gray(np.array([[2.0, 3.0, 6.0]]))
    array([[0.  , 0.25, 1.  ]])
    """
    gray = picture.mean(axis=2) if picture.ndim == 3 else picture
    low, high = gray.min(), gray.max()
    return (gray - low) / (high - low or 1)


def as_labels(values: Picture, what: str = "mask") -> Int64[np.ndarray, "H W"]:
    """Whole numbers (H, W) from (H, W) or (1, H, W), of any number type.

    Raises ValueError, beginning with `what` was expected, for another shape and for fractions.

    >>> as_labels(np.array([[[0.0, 2.0]]]))
    array([[0, 2]])
    """
    array = _array(values)
    array = array[0] if array.ndim == 3 and len(array) == 1 else array
    if array.ndim != 2:
        raise ValueError(
            f"expected a {what} of shape (H, W) or (1, H, W), got {tuple(values.shape)}; for "
            "class scores (K, H, W) pass logits.argmax(0)"
        )
    if array.dtype.kind == "f" and not (array == np.round(array)).all():  # nan fails as well
        raise ValueError(
            f"expected a {what} of whole numbers, got values from {array.min():.4g} to "
            f"{array.max():.4g}; pass probabilities > threshold, or use show_image"
        )
    return array.astype(np.int64)


def as_binary(values: Picture, what: str = "mask") -> Bool[np.ndarray, "H W"]:
    """A mask of 0 and 1, or bool, as bool (H, W); ValueError for other values."""
    labels = as_labels(values, what)
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"expected a {what} of 0 and 1, got {np.unique(labels)[:6].tolist()}; pass labels > 0, "
            "or labels == k for one class"
        )
    return labels == 1


def require_same_size(**arrays: np.ndarray) -> None:
    """Raises ValueError, naming each, where heights or widths differ."""
    if len({array.shape[:2] for array in arrays.values()}) > 1:
        found = ", ".join(f"{name} {array.shape[:2]}" for name, array in arrays.items())
        raise ValueError(f"expected one height and width, got {found}")


def label_edges(labels: Int64[np.ndarray, "H W"]) -> Float[np.ndarray, "E 2 2"]:
    """The edge between every two neighboring pixels of different labels: from and to, as (x, y).

    Pixel (row, column) covers x from column - 0.5 to column + 0.5, as imshow draws it.
    """
    y, x = np.nonzero(labels[:, 1:] != labels[:, :-1])  # edges that stand
    standing = np.array([[x + 0.5, y - 0.5], [x + 0.5, y + 0.5]])
    y, x = np.nonzero(labels[1:] != labels[:-1])  # edges that lie
    lying = np.array([[x - 0.5, y + 0.5], [x + 0.5, y + 0.5]])
    return np.concatenate([standing, lying], axis=2).transpose(2, 0, 1)
