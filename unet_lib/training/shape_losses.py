"""Losses of the targets that describe each object's shape (chapter 11).

Each is that of the foreground, binary cross-entropy and Dice, plus a distance between the maps
inside the objects, where alone they mean something.
"""

from jaxtyping import Float
from torch import Tensor

from unet_lib.training.losses import bce_dice_loss

Loss = Float[Tensor, ""]


def distance_loss(
    logits: Float[Tensor, "N 3 H W"],
    target: Float[Tensor, "N 3 H W"],
    *,
    ignore_index: int | None = None,
    weight: float = 4.0,
) -> Loss:
    """`bce_dice_loss` of the foreground + weight x the squared errors of nearness and depth.

    The squared errors of both maps are added, and their mean is taken over the pixels of
    objects. Pixels whose foreground target is `ignore_index` do not count. Raises ValueError
    for other shapes, and for a foreground outside [0, 1].

    >>> import torch
    >>> target = torch.ones(1, 3, 2, 2)
    >>> loss = distance_loss(torch.zeros(1, 3, 2, 2), target)
    >>> round((loss - bce_dice_loss(torch.zeros(1, 1, 2, 2), target[:, :1])).item(), 4)  # 4 / 2
    2.0
    """
    _check(logits, target, maps=3)
    foreground = bce_dice_loss(logits[:, :1], target[:, :1], ignore_index=ignore_index)
    errors = (logits[:, 1:].float().sigmoid() - target[:, 1:]) ** 2
    return foreground + weight * _inside(errors, target)


def offset_loss(
    logits: Float[Tensor, "N 4 H W"],
    target: Float[Tensor, "N 4 H W"],
    *,
    ignore_index: int | None = None,
    weight: float = 4.0,
    offset_weight: float = 1.0,
) -> Loss:
    """`bce_dice_loss` of the foreground + errors of nearness (squared) and offsets (absolute).

    Pixels, weights and errors as in `distance_loss`.

    >>> import torch
    >>> logits, target = torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2, 2)
    >>> loss = offset_loss(logits, target)
    >>> round((loss - bce_dice_loss(logits[:, :1], target[:, :1])).item(), 4)  # 4 / 4 + 2
    3.0
    """
    _check(logits, target, maps=4)
    foreground = bce_dice_loss(logits[:, :1], target[:, :1], ignore_index=ignore_index)
    nearness = (logits[:, 1:2].float().sigmoid() - target[:, 1:2]) ** 2
    way = (logits[:, 2:].float() - target[:, 2:]).abs()
    return foreground + weight * _inside(nearness, target) + offset_weight * _inside(way, target)


def _check(logits: Tensor, target: Tensor, maps: int) -> None:
    """Raises ValueError where the maps are others, so that nothing is broadcast."""
    if logits.shape != target.shape or logits.shape[1] != maps:
        raise ValueError(
            f"expected logits and a target (N, {maps}, H, W), got {tuple(logits.shape)} and "
            f"{tuple(target.shape)}; leave the data set's target to the task, which makes it of "
            "labels that number objects"
        )


def _inside(errors: Tensor, target: Tensor) -> Tensor:
    """The sum over the maps, its mean over the pixels of objects; 0 where there is none."""
    inside = target[:, :1] > 0
    return (errors * inside).sum() / inside.sum().clamp(min=1)
