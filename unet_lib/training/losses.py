"""Losses: what training makes small (chapter 4).

All take logits, never probabilities, and reduce in float32. Two pairs of shapes are accepted:
one channel, logits (N, 1, H, W) with a target (N, 1, H, W) of 0 and 1; or K classes, logits
(N, K, H, W) with a target (N, H, W) of class indices. Nothing is broadcast.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

Logits = Float[Tensor, "N K H W"]
Target = Shaped[Tensor, "N H W"] | Shaped[Tensor, "N 1 H W"]
Loss = Float[Tensor, ""]
ClassWeights = Sequence[float] | Tensor | None
Weight = Tensor | None


def bce_loss(
    logits: Logits, target: Target, *, ignore_index: int | None = None, weight: Weight = None
) -> Loss:
    """Binary cross-entropy per pixel, its mean over the pixels that are not ignored.

    logits and target: (N, 1, H, W), the target 0 or 1 (or a probability between). `weight`,
    such as the paper's border weights, has the target's shape and multiplies each pixel's loss.
    Raises ValueError for other shapes and for target values outside [0, 1].

    >>> round(bce_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).item(), 4)  # log 2
    0.6931
    """
    target, valid = _check(logits, target, ignore_index, binary=True)
    return _cross_entropy(logits, target, valid, weight)


def cross_entropy_loss(
    logits: Logits,
    target: Target,
    *,
    ignore_index: int | None = None,
    weight: Weight = None,
    class_weights: ClassWeights = None,
) -> Loss:
    """Cross-entropy of K classes per pixel, its mean over the pixels that are not ignored.

    logits (N, K, H, W), target (N, H, W) of 0..K-1. `class_weights` (K values) and `weight`
    (the target's shape) multiply each pixel's loss; the mean counts every valid pixel once.
    Raises ValueError for other shapes, other classes and a wrong number of class weights.

    >>> loss = cross_entropy_loss(torch.zeros(1, 4, 2, 2), torch.zeros(1, 2, 2).long())
    >>> round(loss.item(), 4)  # log 4
    1.3863
    """
    target, valid = _check(logits, target, ignore_index, binary=False)
    return _cross_entropy(logits, target, valid, weight, class_weights)


def dice_loss(
    logits: Logits, target: Target, *, smooth: float = 1.0, ignore_index: int | None = None
) -> Loss:
    """One minus the soft Dice of each class over the whole batch, averaged over the classes.

    Milletari et al. (2016) with probabilities in place of a mask. Sums run over the batch, so a
    image with an empty mask needs no special case; `smooth`, in pixels, keeps the gradient
    alive where the whole batch is empty. Shapes and errors as in `bce_loss` (K = 1) and
    `cross_entropy_loss` (K > 1).

    >>> round(dice_loss(torch.full((1, 1, 2, 2), 20.0), torch.ones(1, 1, 2, 2)).item(), 4)
    0.0
    """
    target, valid = _check(logits, target, ignore_index, binary=logits.shape[1] == 1)
    return _dice(logits, target, valid, smooth)


def bce_dice_loss(
    logits: Logits, target: Target, *, ignore_index: int | None = None, weight: Weight = None
) -> Loss:
    """`bce_loss` + `dice_loss`: a steady gradient at every pixel, and the score itself.

    >>> logits, target = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    >>> both = bce_loss(logits, target) + dice_loss(logits, target)
    >>> torch.equal(bce_dice_loss(logits, target), both)
    True
    """
    target, valid = _check(logits, target, ignore_index, binary=True)
    return unchecked_loss(logits, target, valid, weight)


def cross_entropy_dice_loss(
    logits: Logits,
    target: Target,
    *,
    ignore_index: int | None = None,
    weight: Weight = None,
    class_weights: ClassWeights = None,
) -> Loss:
    """`cross_entropy_loss` + `dice_loss`: the same sum for K classes.

    Both kinds of weights belong to the cross-entropy; Dice counts each class the same by itself.

    >>> logits, target = torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4).long()
    >>> weighed = cross_entropy_dice_loss(logits, target, class_weights=[0.0, 1.0])
    >>> torch.equal(weighed, dice_loss(logits, target))
    True
    """
    target, valid = _check(logits, target, ignore_index, binary=False)
    return unchecked_loss(logits, target, valid, weight, class_weights)


def segmentation_loss(logits: Logits, target: Target, **options: Any) -> Loss:
    """`bce_dice_loss` for logits of one channel, `cross_entropy_dice_loss` for several.

    `options` are those of the two: ignore_index, weight, and class_weights for several channels.

    >>> logits, target = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    >>> torch.equal(segmentation_loss(logits, target), bce_dice_loss(logits, target))
    True
    """
    several = logits.shape[1] > 1
    return (cross_entropy_dice_loss if several else bce_dice_loss)(logits, target, **options)


def unchecked_loss(
    logits: Tensor,
    target: Tensor,
    valid: Tensor,
    weight: Weight = None,
    class_weights: ClassWeights = None,
) -> Tensor:
    """The arithmetic of `bce_dice_loss` and `cross_entropy_dice_loss`, whatever the target holds.

    `valid` is 1 at the pixels that count; the target holds a class, not `ignore_index`, at the
    others, too. Nothing looks at a value, so tensors without content can pass.
    """
    cross_entropy = _cross_entropy(logits, target, valid, weight, class_weights)
    return cross_entropy + _dice(logits, target, valid)


def _cross_entropy(
    logits: Tensor,
    target: Tensor,
    valid: Tensor,
    weight: Weight,
    class_weights: ClassWeights = None,
) -> Tensor:
    """Mean over the valid pixels; a zero that can be differentiated where there is none."""
    logits = logits.float()
    if logits.shape[1] == 1:
        loss = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
    else:
        if class_weights is not None:
            class_weights = torch.as_tensor(class_weights, dtype=logits.dtype, device=logits.device)
            if class_weights.shape != (logits.shape[1],):
                raise ValueError(
                    f"expected {logits.shape[1]} class weights, one per channel of the logits, "
                    f"got {class_weights.numel()}"
                )
        loss = F.cross_entropy(logits, target.long(), weight=class_weights, reduction="none")
    if weight is not None:
        if weight.shape != loss.shape:
            raise ValueError(
                f"expected a weight of the target's shape {tuple(loss.shape)}, got "
                f"{tuple(weight.shape)}"
            )
        loss = loss * weight
    return (loss * valid).sum() / valid.sum().clamp(min=1)


def _dice(logits: Tensor, target: Tensor, valid: Tensor, smooth: float = 1.0) -> Tensor:
    if logits.shape[1] == 1:
        probabilities, truth, valid = logits.float().sigmoid(), target.float(), valid.float()
    else:
        probabilities, valid = logits.float().softmax(dim=1), valid[:, None].float()
        truth = F.one_hot(target.long(), logits.shape[1]).movedim(-1, 1).float()
    pixels = (0, 2, 3)  # everything but the class
    intersection = (probabilities * truth * valid).sum(pixels)
    total = ((probabilities + truth) * valid).sum(pixels)
    return (1 - (2 * intersection + smooth) / (total + smooth)).mean()


def _check(
    logits: Tensor, target: Tensor, ignore_index: int | None, binary: bool
) -> tuple[Tensor, Tensor]:
    """The target with 0 at the ignored pixels, and the mask of the others."""
    _warn_of_probabilities(logits)
    n, k, h, w = logits.shape
    expected = (n, 1, h, w) if binary else (n, h, w)
    if tuple(target.shape) != expected or binary != (k == 1):
        raise ValueError(
            "expected logits (N, 1, H, W) with a target (N, 1, H, W), or logits (N, K, H, W) with "
            f"class indices (N, H, W); got logits {tuple(logits.shape)} and a target "
            f"{tuple(target.shape)}"
        )
    valid = torch.ones_like(target, dtype=torch.bool)
    if ignore_index is not None:
        valid = target != ignore_index
        target = torch.where(valid, target, 0)
    largest = 1 if binary else k - 1
    if target.numel() and not 0 <= (low := target.min().item()) <= target.max().item() <= largest:
        values = target.unique()[:6].tolist()
        raise ValueError(
            f"expected target values from 0 to {largest}, got {low:g} to {target.max().item():g} "
            f"(first values {values}); map the mask's values when it is loaded, for example "
            "mask_values={0: 0, 255: 1}, or pass ignore_index"
        )
    return target, valid


def _warn_of_probabilities(logits: Tensor) -> None:
    """Tells when the last thing that happened to the logits was a sigmoid or a softmax."""
    node = logits.grad_fn
    if node is not None and node.name().startswith("ToCopy"):  # autocast's float32
        node = node.next_functions[0][0]
    if node is not None and node.name().startswith(("Sigmoid", "Softmax")):
        warnings.warn(
            "the loss got probabilities (the network ends with a sigmoid or softmax) where logits "
            "are due: it would apply a second one, and learn slowly or not at all; remove the "
            "last layer of the network",
            stacklevel=4,
        )
