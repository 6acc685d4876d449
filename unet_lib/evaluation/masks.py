"""Binary masks as arrays, for the metrics that look at shapes (chapter 5)."""

import numpy as np
from jaxtyping import Bool, Shaped
from torch import Tensor

Mask = Shaped[np.ndarray, "..."] | Shaped[Tensor, "..."]


def as_mask(mask: Mask, what: str = "mask") -> Bool[np.ndarray, "H W"]:
    """A mask (H, W) of 0 and 1, or bool, on any device, as an array of bool.

    Raises ValueError, in which the mask is called `what`, for another shape and other values.

    >>> as_mask(np.array([[1.0, 0.0]]))
    array([[ True, False]])
    """
    array = mask.detach().cpu().numpy() if isinstance(mask, Tensor) else mask
    if array.ndim != 2:
        raise ValueError(f"expected a {what} (H, W), got {array.shape}: pass images one by one")
    values = np.unique(array)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"expected a {what} of 0 and 1, got {values[:6].tolist()}: compare probabilities with "
            "a threshold, labels with 0"
        )
    return array.astype(bool)


def as_masks(
    prediction: Mask, target: Mask
) -> tuple[Bool[np.ndarray, "H W"], Bool[np.ndarray, "H W"]]:
    """Both masks as `as_mask` gives them; raises ValueError, too, where their shapes differ.

    >>> as_masks(np.ones((1, 2)), np.zeros((1, 2)))
    (array([[ True,  True]]), array([[False, False]]))
    """
    found, true = as_mask(prediction, "prediction"), as_mask(target, "target")
    if found.shape != true.shape:
        shapes = f"{found.shape} and {true.shape}"
        raise ValueError(f"expected a prediction and a target of one shape, got {shapes}")
    return found, true
