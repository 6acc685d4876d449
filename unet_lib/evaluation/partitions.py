"""Partitions: how well the pieces of an image agree with the true ones, pair by pair (chapter 5).

A segmentation into pieces is a label image: 0 is border or background, every other number one
piece. All scores here come from one table: how many pixels does predicted piece i share with true
piece j? They are those of the ISBI 2012 challenge (Arganda-Carreras et al., "Crowdsourcing the
creation of image segmentation algorithms for connectomics", Frontiers in Neuroanatomy 2015):

- only pixels of true pieces count: where exactly a border lies is left open;
- a pixel that is predicted as border inside a true piece is a piece of its own.

The challenge's program first thins the predicted borders to one pixel, and takes the best of the
thresholds 0, 0.1, ... 1. With `cells`, a mask of 0 and 1, a threshold's score is
`rand_scores(thin_borders(cells_of(cells)), cells_of(true_cells)).f`.

Without any pixel of a true piece there is nothing to judge, and all scores are nan.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from scipy import ndimage, sparse
from skimage.measure import label
from skimage.segmentation import watershed

from unet_lib.evaluation.instances import Labels
from unet_lib.evaluation.masks import Mask, as_mask


class RandScores(NamedTuple):
    """Agreement about pairs of pixels, each from 0 to 1.

    >>> rand_scores(np.array([[1, 1, 1, 1]]), np.array([[5, 5, 6, 6]]))  # two pieces merged
    RandScores(split=1.0, merge=0.5, f=0.66..., index=0.5)
    """

    split: float
    """Of the pairs of one true piece, the share that is in one predicted piece."""
    merge: float
    """Of the pairs of one predicted piece, the share that is in one true piece."""
    f: float
    """The harmonic mean of the two: V_rand. One minus it is called the adapted Rand error."""
    index: float
    """Of all pairs, the share that is together in both or apart in both: the Rand index."""


class InformationScores(NamedTuple):
    """What the pieces tell about each other, as shares from 0 to 1.

    >>> information_scores(np.array([[1, 2, 3, 4]]), np.array([[5, 5, 6, 6]]))  # two split
    InformationScores(split=0.5, merge=1.0, f=0.66...)
    """

    split: float
    """The information that both share, by that of the predicted pieces."""
    merge: float
    """The information that both share, by that of the true pieces."""
    f: float
    """The harmonic mean of the two: V_info."""


class VariationOfInformation(NamedTuple):
    """What the pieces leave open about each other, in bits; 0 is best.

    >>> variation_of_information(np.array([[1, 2, 3, 4]]), np.array([[5, 5, 6, 6]]))
    VariationOfInformation(split=1.0, merge=0.0, total=1.0)
    """

    split: float
    """Bits still missing to name the predicted piece of a pixel, once its true one is known."""
    merge: float
    """Bits still missing to name the true piece of a pixel, once its predicted one is known."""
    total: float
    """The sum of the two."""


def rand_scores(prediction: Labels, target: Labels) -> RandScores:
    """Rand scores of two label images (H, W): is a pair of pixels in one piece, in both of them?

    With p_ij the share of pixels in predicted piece i and true piece j, s_i and t_j the sums over
    rows and columns: split = sum p² / sum t², merge = sum p² / sum s², and F = 2 sum p² / (sum s²
    + sum t²). As in the paper, a pixel makes a pair with itself, too. Large pieces rule: a piece
    of twice the area has four times as many pairs. Raises ValueError for shapes that differ.

    >>> halves, quarters = np.array([[1, 1, 2, 2]]), np.array([[1, 2, 3, 4]])
    >>> rand_scores(quarters, halves).split, rand_scores(quarters, halves).merge
    (0.5, 1.0)
    """
    both, found, true = (float(shares @ shares) for shares in _shares(prediction, target))
    if not true:
        return RandScores(math.nan, math.nan, math.nan, math.nan)
    f = 2 * both / (found + true)
    return RandScores(both / true, both / found, f, 1 + 2 * both - found - true)


def information_scores(prediction: Labels, target: Labels) -> InformationScores:
    """Information that two label images (H, W) share, in shares of what each of them holds.

    With H the entropy of the pieces' shares of the pixels and I = H(s) + H(t) - H(p): split =
    I / H(s), merge = I / H(t), F = 2 I / (H(s) + H(t)), with the letters of `rand_scores`. A
    single piece has no entropy, and 0 / 0 is 1: it cannot be merged (true), or split (predicted).
    Raises ValueError for shapes that differ.

    >>> halves, quarters = np.array([[1, 1, 2, 2]]), np.array([[1, 2, 3, 4]])
    >>> information_scores(quarters, halves).split, information_scores(quarters, halves).merge
    (0.5, 1.0)
    """
    both, found, true = _entropies(prediction, target)
    shared = found + true - both

    def share(whole: float) -> float:
        return shared / whole if whole else 1.0

    return InformationScores(share(found), share(true), share((found + true) / 2))


def variation_of_information(prediction: Labels, target: Labels) -> VariationOfInformation:
    """Variation of information of two label images (H, W), in bits.

    split = H(p) - H(t) and merge = H(p) - H(s), with the entropies of `information_scores`. One
    bit is what it takes to tell two pieces of equal size apart. Unlike shares it has no largest
    value (Meilă, "Comparing clusterings", Journal of Multivariate Analysis, 2007). Raises
    ValueError for shapes that differ.

    >>> variation_of_information(np.array([[1, 1, 1, 1]]), np.array([[5, 5, 6, 6]]))
    VariationOfInformation(split=0.0, merge=1.0, total=1.0)
    """
    both, found, true = _entropies(prediction, target)
    split, merge = max(both - true, 0.0), max(both - found, 0.0)  # rounding may end below 0
    return VariationOfInformation(split, merge, split + merge)


def _shares(prediction: Labels, target: Labels) -> list[Float[np.ndarray, " _"]]:
    """The shares p of pairs of pieces that meet, s of predicted and t of true pieces."""
    if prediction.shape != target.shape:
        shapes = f"{prediction.shape} and {target.shape}"
        raise ValueError(f"expected label images of one shape, got {shapes}")
    found, true = prediction[target != 0].astype(int), target[target != 0]
    if not found.size:
        return [np.zeros(0)] * 3
    border = found == 0
    found[border] = found.max() + 1 + np.arange(border.sum())  # each pixel on its own
    rows, columns = (np.unique(labels, return_inverse=True)[1] for labels in (found, true))
    table = sparse.coo_array((np.ones(found.size), (rows, columns))).tocsr()
    return [shares / found.size for shares in (table.data, table.sum(1), table.sum(0))]


def _entropies(prediction: Labels, target: Labels) -> list[float]:
    """The entropies of `_shares` in bits, nan where there are none."""
    every = _shares(prediction, target)
    return [-float(shares @ np.log2(shares)) if shares.size else math.nan for shares in every]


def cells_of(cells: Mask) -> Integer[np.ndarray, "H W"]:
    """Numbers the connected regions of a mask (H, W) of cells 1..n; 0 is the membrane.

    Pixels that touch only at a corner are not connected (4 neighbors): a membrane of one pixel
    parts two cells where it runs diagonally, too. Raises ValueError for other shapes and values.

    >>> cells_of(np.array([[1, 1, 0], [0, 0, 1]]))
    array([[1, 1, 0],
           [0, 0, 2]], dtype=int32)
    """
    return label(as_mask(cells), connectivity=1).astype(np.int32)


def thin_borders(labels: Labels) -> Integer[np.ndarray, "H W"]:
    """Grows the pieces of a label image (H, W) evenly until the border is one pixel wide.

    A watershed on the distance to the nearest piece. A line of zeros is left between two pieces,
    except where they touched before. So `rand_scores` hardly depends on the width of a predicted
    membrane, which a threshold changes. Pieces are neither joined nor divided. Not for objects
    on a background, which they would fill.

    >>> thin_borders(np.array([[1, 0, 0, 0, 0, 0, 2]]))
    array([[1, 1, 1, 0, 2, 2, 2]])
    """
    distance = np.asarray(ndimage.distance_transform_edt(labels == 0))
    return watershed(distance, labels, watershed_line=True)
