"""How frequent each class is, and weights that even it out in the loss (chapter 12)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from unet_lib.data.findings import DataError, Finding


def count_classes(
    dataset: Dataset | Sequence[tuple], num_classes: int, ignore_index: int | None = None
) -> Int[Tensor, "N K"]:
    """How many pixels of each class each image of the data set has; ignored pixels are left out.

    Reads every image once, so give it a data set without random transforms. Labels may have
    any shape. Raises DataError for a value that is neither a class nor `ignore_index`, with the
    image's number.

    >>> pairs = [(None, torch.tensor([[0, 0, 1]])), (None, torch.tensor([[0, 255, 0]]))]
    >>> count_classes(pairs, num_classes=3, ignore_index=255).tolist()
    [[2, 1, 0], [2, 0, 0]]
    """
    counts = []
    for index in range(len(dataset)):  # type: ignore[arg-type]  # torch declares no length
        labels = dataset[index][1].flatten()
        if ignore_index is not None:
            labels = labels[labels != ignore_index]
        wrong = labels[(labels < 0) | (labels >= num_classes)]
        if len(wrong):
            found = f"image {index} has labels {wrong.unique()[:6].tolist()}"
            cure = "map the mask's values when it is loaded, or pass ignore_index"
            raise DataError(Finding("class-out-of-range", found, f"0 to {num_classes - 1}", cure))
        counts.append(torch.bincount(labels, minlength=num_classes))
    if not counts:
        raise DataError("the data set is empty: there is no class to count")
    return torch.stack(counts)


def median_frequency_weights(counts: Int[Tensor, "N K"]) -> Float[Tensor, " K"]:
    """Class weights, of `count_classes`: the median frequency divided by the class's own.

    The frequency of a class is its share of the pixels of those images that show it (Eigen and
    Fergus, "Predicting depth, surface normals and semantic labels", ICCV 2015). A class of median
    frequency gets 1, a rarer one more. A class that never occurs gets 0: there is no pixel
    whose loss it could weigh.

    >>> median_frequency_weights(torch.tensor([[80, 20, 0, 0], [90, 0, 10, 0]])).tolist()
    [0.2352..., 1.0, 2.0, 0.0]
    """
    shown = (counts > 0).double()
    pixels = counts.sum(dim=1, keepdim=True).double()
    frequency = counts.sum(dim=0) / (shown * pixels).sum(dim=0)  # nan for a class never shown
    present = ~frequency.isnan()
    if not present.any():
        raise DataError("no pixel of any class: every label is ignored")
    return torch.where(present, frequency[present].median() / frequency, 0.0).float()
