"""Metrics: how good a mask is, and how that number was pooled (chapter 5).

`count_pixels` counts, the ratios divide. Every ratio says how it pools: "image" scores each
image and averages the scores, "set" adds up the pixels of all images first. Sums are integers.
"""

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

Pooling = Literal["image", "set"] | str  # of any string, so that ours is the message


class Counts(NamedTuple):
    """True and false positives and negatives: int64 tensors (N, K), per image and class.

    >>> counts = count_pixels(torch.ones(2, 8, 8), torch.ones(2, 8, 8))
    >>> counts.tp.tolist(), counts.fn.tolist()
    ([[64], [64]], [[0], [0]])
    """

    tp: Int[Tensor, "N K"]
    fp: Int[Tensor, "N K"]
    fn: Int[Tensor, "N K"]
    tn: Int[Tensor, "N K"]


def count_pixels(
    prediction: Shaped[Tensor, "N ..."],
    target: Shaped[Tensor, "N ..."],
    num_classes: int | None = None,
    ignore_index: int | None = None,
) -> Counts:
    """Counts right and wrong pixels per image and class.

    Without `num_classes` both are masks of 0 and 1, (N, H, W) or (N, 1, H, W), and K is 1;
    with it both hold class indices 0..K-1. Pixels whose target is `ignore_index` are left out.
    Raises ValueError for shapes that differ and for values out of range.

    >>> counts = count_pixels(torch.tensor([[[1, 1, 0, 0]]]), torch.tensor([[[1, 0, 1, 0]]]))
    >>> [int(count) for count in counts]
    [1, 1, 1, 1]
    """
    k = 2 if num_classes is None else num_classes
    confusion = confusion_matrix(prediction, target, k, ignore_index)
    tp = confusion.diagonal(dim1=1, dim2=2)
    fn, fp = confusion.sum(2) - tp, confusion.sum(1) - tp
    counts = Counts(tp, fp, fn, confusion.sum((1, 2))[:, None] - tp - fn - fp)
    return Counts(*(c[:, 1:] for c in counts)) if num_classes is None else counts


def confusion_matrix(
    prediction: Shaped[Tensor, "N ..."],
    target: Shaped[Tensor, "N ..."],
    num_classes: int,
    ignore_index: int | None = None,
) -> Int[Tensor, "N K K"]:
    """Counts, for each image, the pixels of each true class (rows) by predicted class (columns).

    Shapes and errors as in `count_pixels`, which is made of this. Add the images' matrices up,
    `confusion.sum(0)`, for that of the set; a row divided by its sum says what a class is taken
    for.

    >>> found, true = torch.tensor([[[0, 1, 2, 2]]]), torch.tensor([[[0, 1, 1, 255]]])
    >>> confusion_matrix(found, true, num_classes=3, ignore_index=255)[0].tolist()
    [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    """
    if prediction.shape != target.shape:
        raise ValueError(
            "expected a prediction and a target of one shape, got "
            f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    n, k = len(target), num_classes
    for what, x in (("prediction", prediction), ("target", target)):
        if x.is_floating_point() and not torch.equal(x, x.round()):  # nan differs from itself
            raise ValueError(
                f"the {what} holds fractions or NaN; masks of whole numbers or bools were "
                "expected: compare probabilities with a threshold first"
            )
    prediction, target = (x.flatten(1).long() for x in (prediction, target))
    valid = torch.ones_like(target, dtype=torch.bool)
    if ignore_index is not None:
        valid = target != ignore_index
    for what, x in (("prediction", prediction), ("target", target)):
        wrong = valid & ((x < 0) | (x >= k))
        if wrong.any():
            raise ValueError(
                f"expected {what} values from 0 to {k - 1}, got {x[wrong].unique()[:6].tolist()}; "
                "map the mask's values when it is loaded, or pass ignore_index"
            )
    cell = torch.arange(n, device=target.device)[:, None] * k * k + target * k + prediction
    return torch.bincount(cell[valid], minlength=n * k * k).view(n, k, k)


def dice(counts: Counts, pooling: Pooling = "image", empty: float = 1.0) -> Float[Tensor, " K"]:
    """Dice = 2 TP / (2 TP + FP + FN) per class, from 0 to 1.

    `empty` is the score of an image (or set) with nothing to find and nothing found: 1 for
    "right", 0 for "wrong", nan for "leave it out of the mean". An image without any pixel that
    counts is always left out; nan where no image is left.

    >>> dice(Counts(*torch.tensor([[[3]], [[1]], [[1]], [[0]]])))
    tensor([0.7500])
    """
    tp, fp, fn, tn = _pool(counts, pooling)
    return _ratio(2 * tp, 2 * tp + fp + fn, tn, fp + fn, empty)


def iou(counts: Counts, pooling: Pooling = "image", empty: float = 1.0) -> Float[Tensor, " K"]:
    """Intersection over union (Jaccard) = TP / (TP + FP + FN) per class; `empty` as in `dice`.

    >>> iou(Counts(*torch.tensor([[[3]], [[1]], [[1]], [[0]]])))
    tensor([0.6000])
    """
    tp, fp, fn, tn = _pool(counts, pooling)
    return _ratio(tp, tp + fp + fn, tn, fp + fn, empty)


def precision(
    counts: Counts, pooling: Pooling = "image", empty: float = 1.0
) -> Float[Tensor, " K"]:
    """TP / (TP + FP): how much of what was found is right.

    0 where nothing was found but something was there; `empty` where there was nothing either.

    >>> precision(Counts(*torch.tensor([[[3]], [[1]], [[2]], [[0]]])))
    tensor([0.7500])
    """
    tp, fp, fn, tn = _pool(counts, pooling)
    return _ratio(tp, tp + fp, tn, fn, empty)


def recall(counts: Counts, pooling: Pooling = "image", empty: float = 1.0) -> Float[Tensor, " K"]:
    """TP / (TP + FN): how much of what was there is found.

    0 where nothing was there but something was found; `empty` where nothing was found either.

    >>> recall(Counts(*torch.tensor([[[3]], [[1]], [[2]], [[0]]])))
    tensor([0.6000])
    """
    tp, fp, fn, tn = _pool(counts, pooling)
    return _ratio(tp, tp + fn, tn, fp, empty)


def pixel_accuracy(counts: Counts, pooling: Pooling = "image") -> Float[Tensor, ""]:
    """Share of the valid pixels whose class is right, over all classes; nan without pixels.

    >>> pixel_accuracy(Counts(*torch.tensor([[[3]], [[1]], [[1]], [[5]]])))
    tensor(0.8000)
    """
    tp, fp, fn, tn = _pool(counts, pooling)
    pixels = (tp + fp + fn + tn)[:, 0]
    right = (tp + tn)[:, 0] if tp.shape[1] == 1 else tp.sum(1)
    return (right.double() / pixels).nanmean().float()


def _pool(counts: Counts, pooling: Pooling) -> Counts:
    if pooling not in ("image", "set"):
        raise ValueError(f'pooling must be "image" or "set", got {pooling!r}')
    return counts if pooling == "image" else Counts(*(c.sum(0, keepdim=True) for c in counts))


def _ratio(
    top: Tensor, bottom: Tensor, tn: Tensor, errors: Tensor, empty: float
) -> Float[Tensor, " K"]:
    """Mean over images of top / bottom; where bottom is 0: 0 with errors, `empty` without.

    Where there are no negatives either, no pixel counts: nan, which no mean counts.
    """
    undefined = torch.where(errors > 0, 0.0, torch.where(tn > 0, empty, math.nan)).double()
    return torch.where(bottom > 0, top.double() / bottom.clamp(min=1), undefined).nanmean(0).float()


class SegmentationScores:
    """Collects the counts of many batches and names the scores by how they are pooled.

    For K classes the scores are means over the classes (IoU: the "mIoU"), background included. A
    class that is neither there nor found (in the image, or in the set) is left out of them; a
    mask of one channel that is rightly empty counts 1. An image without any pixel that counts is
    left out of every mean; without any such image all scores are nan.
    With `foreground=True` all classes but 0 count as one. `threshold` is a probability.

    >>> scores = SegmentationScores()
    >>> scores.update(torch.tensor([[[[4.0, -4.0]]]]), torch.tensor([[[[1.0, 1.0]]]]))
    >>> scores.compute()["recall_pooled"]
    0.5
    """

    def __init__(
        self, threshold: float = 0.5, ignore_index: int | None = None, foreground: bool = False
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must be a probability between 0 and 1, got {threshold}")
        self.threshold, self.ignore_index, self.foreground = threshold, ignore_index, foreground
        self._counts: list[Counts] = []

    def update(self, logits: Float[Tensor, "N K H W"], target: Tensor) -> None:
        """Adds a batch: logits and target as the losses take them.

        Of a target with several maps (N, K, H, W) the first is the foreground, and it alone counts.
        """
        if target.ndim == 4:
            logits, target = logits[:, :1], target[:, :1]
        k = logits.shape[1]
        if logits.isnan().any():
            raise ValueError(
                "the logits hold NaN, which is no answer: look for NaN in images or weights"
            )
        if k == 1:
            prediction = logits > math.log(self.threshold / (1 - self.threshold))
            counts = count_pixels(prediction, target, ignore_index=self.ignore_index)
        elif self.foreground:
            ignore = self.ignore_index
            truth = (target > 0).long()
            if ignore is not None:
                truth = torch.where(target == ignore, ignore, truth)
            prediction = 1 - logits.float().softmax(1)[:, 0] > self.threshold
            counts = count_pixels(prediction, truth, ignore_index=ignore)
        else:
            counts = count_pixels(logits.argmax(1), target, k, self.ignore_index)
        self._counts.append(Counts(*(c.cpu() for c in counts)))

    @property
    def counts(self) -> Counts:
        """The counts of all images so far, (N, K) each."""
        if not self._counts:
            raise ValueError("no batch was added yet: call update(logits, target) first")
        return Counts(*(torch.cat(c) for c in zip(*self._counts, strict=True)))

    def compute(self) -> dict[str, float]:
        """Scores by name, each from 0 to 1; raises ValueError before the first batch."""
        counts = self.counts
        empty = 1.0 if counts.tp.shape[1] == 1 else math.nan
        scores = {
            "dice_per_image": dice(counts, "image", empty),
            "dice_pooled": dice(counts, "set", empty),
            "iou_per_image": iou(counts, "image", empty),
            "iou_pooled": iou(counts, "set", empty),
            "precision_pooled": precision(counts, "set", empty),
            "recall_pooled": recall(counts, "set", empty),
            "pixel_accuracy": pixel_accuracy(counts, "set"),
        }
        return {name: float(score.nanmean()) for name, score in scores.items()}
