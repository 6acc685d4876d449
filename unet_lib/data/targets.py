"""What the network is asked to predict, made from instance labels (chapters 3 and 11).

Instance labels number the objects of one image: 0 is background, every other number one object.
Targets are made of them: where any nucleus is, where its rim is, how far each pixel is from the
center and the rim of its own nucleus, and how much each pixel should weigh in the loss. Where masks
say only what is a cell and what is membrane, the cells are numbered first.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float32, Int64, Integer
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import max_pool2d

OFFSET_UNIT = 10.0  # pixels
InstanceLabels = Integer[Tensor, "H W"] | Integer[np.ndarray, "H W"]


def foreground(labels: InstanceLabels) -> Float32[Tensor, "1 H W"]:
    """1 where a nucleus is, 0 elsewhere, as float32 (1, H, W): the target of a binary network.

    >>> foreground(np.array([[0, 3], [7, 0]]))
    tensor([[[0., 1.],
             [1., 0.]]])
    """
    return (torch.as_tensor(labels).long() > 0).float()[None]


def interior_border(labels: InstanceLabels) -> Int64[Tensor, "H W"]:
    """Three classes that keep touching nuclei apart: 0 background, 1 interior, 2 border.

    The 3x3 neighborhood of a pixel (cut off at the edge of the image) decides:

    - a nucleus pixel is border when a neighbor is background or another nucleus, else interior;
    - a background pixel is border when two different nuclei are among its neighbors.

    So nuclei that touch, or are one pixel apart, are separated by border alone. A nucleus at most
    two pixels wide has no interior. Beyond the image, where a crop was padded with negative labels,
    there is no neighbor. The idea is from Caicedo et al., "Evaluation of deep learning
    strategies for nucleus segmentation in fluorescence images", Cytometry A, 2019.

    >>> interior_border(np.array([[1, 1, 1, 0, 2, 2, 0]] * 2))
    tensor([[1, 1, 2, 2, 2, 2, 0],
            [1, 1, 2, 2, 2, 2, 0]])
    """
    labels = torch.as_tensor(labels).double()[None]  # (1, H, W)
    highest = _neighborhood_maximum(labels.where(labels >= 0, -torch.inf))
    lowest = -_neighborhood_maximum(-labels.where(labels >= 0, torch.inf))
    lowest_nucleus = -_neighborhood_maximum(-labels.where(labels > 0, torch.inf))
    nucleus = labels > 0
    border = torch.where(nucleus, highest != lowest, (highest > 0) & (highest != lowest_nucleus))
    return torch.where(border, 2, nucleus.long())[0]


def _neighborhood_maximum(values: Tensor) -> Tensor:
    return max_pool2d(values, kernel_size=3, stride=1, padding=1)


def distances(labels: InstanceLabels) -> Float32[Tensor, "3 H W"]:
    """Foreground, nearness to the center and depth, each from 0 to 1: three maps (3, H, W).

    - foreground: 1 where an object is;
    - nearness: 1 at the object's center, falling in a straight line to 0 at its farthest pixel;
    - depth: the distance to the nearest pixel of anything else, divided by the object's largest.

    Background is 0 in all three. Both distances are divided by the object's own largest, so small
    and large objects look alike to the network, and scaling an image does not change them. The
    center is the object's pixel that is nearest to the mean of all its pixels. The edge of the
    image is no border: an object that is cut off there may be deepest at the edge.
    The two distances are those of Archit et al., "Segment Anything for Microscopy", Nature Methods,
    2025, which have 0 where these have 1, and the other way round.

    >>> distances(np.array([[0, 4, 4, 4, 4, 4, 0]]))[:, 0].numpy().round(2)
    array([[0.  , 1.  , 1.  , 1.  , 1.  , 1.  , 0.  ],
           [0.  , 0.  , 0.5 , 1.  , 0.5 , 0.  , 0.  ],
           [0.  , 0.33, 0.67, 1.  , 0.67, 0.33, 0.  ]], dtype=float32)
    """
    labels = torch.as_tensor(labels).numpy()
    maps = np.zeros((3, *labels.shape), np.float32)
    for box, own in _objects(labels):
        rows, columns = np.nonzero(own)
        row, column = _center(rows, columns)
        away = np.hypot(rows - row, columns - column)
        depth = _depth(own)[rows, columns]
        values = np.ones_like(away), 1 - away / max(away.max(), 1), depth / depth.max()
        maps[:, rows + box[0].start, columns + box[1].start] = values
    return torch.from_numpy(maps)


def offsets(labels: InstanceLabels) -> Float32[Tensor, "4 H W"]:
    """Foreground, nearness to the center, and the way there: four maps (4, H, W).

    The first two are those of `distances`. The last two say how many rows down and columns right
    the center of the pixel's own object lies, in units of 10 pixels (`OFFSET_UNIT`), so that they
    are about as large as the others. The idea is from Neven et al., "Instance segmentation by
    jointly optimizing spatial embeddings and clustering bandwidth", CVPR 2019.

    >>> offsets(np.array([[0, 4, 4, 4, 4, 4, 0]]))[3, 0]
    tensor([ 0.0000,  0.2000,  0.1000,  0.0000, -0.1000, -0.2000,  0.0000])
    """
    labels = torch.as_tensor(labels).numpy()
    maps = np.zeros((4, *labels.shape), np.float32)
    for box, own in _objects(labels):
        rows, columns = np.nonzero(own)
        row, column = _center(rows, columns)
        away = np.hypot(rows - row, columns - column)
        nearness = 1 - away / max(away.max(), 1)
        way = (row - rows) / OFFSET_UNIT, (column - columns) / OFFSET_UNIT
        values = np.ones_like(away), nearness, *way
        maps[:, rows + box[0].start, columns + box[1].start] = values
    return torch.from_numpy(maps)


def _objects(labels: np.ndarray) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Each object as its box, one pixel wider where the image allows, and its mask in it."""
    for label, box in enumerate(ndimage.find_objects(labels.clip(min=0)), start=1):
        if box is not None:  # this number is used
            rows, columns = (slice(max(0, side.start - 1), side.stop + 1) for side in box)
            yield (rows, columns), labels[rows, columns] == label


def _depth(own: np.ndarray) -> np.ndarray:
    """Pixels to the nearest one that is not the object's; 1 everywhere where there is none."""
    return np.ones(own.shape) if own.all() else np.asarray(ndimage.distance_transform_edt(own))


def _center(rows: np.ndarray, columns: np.ndarray) -> tuple[int, int]:
    """The pixel that is nearest to the mean of all."""
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return int(rows[nearest]), int(columns[nearest])


def border_weights(
    labels: InstanceLabels,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: tuple[float, float] = (1.0, 1.0),
) -> Float32[Tensor, "H W"]:
    r"""How much each pixel weighs in the loss: most in the narrow gaps between two nuclei.

    Formula (2) of the U-Net paper (Ronneberger, Fischer, Brox 2015, section 3):

        w = w_c + w0 * exp(-(d1 + d2)^2 / (2 sigma^2))

    with d1 and d2 the distances, in pixels, to the nearest and the second nearest nucleus.
    Inside a nucleus d1 is 0, so the facing rims of two nuclei that touch weigh more, too.
    With fewer than two nuclei only w_c is left. Nuclei farther than 6 sigma from a pixel do not
    count: they would add less than 2e-8 w0.

    `sigma` is in pixels; `class_weights` are w_c of background and of nuclei, by default equal: to
    balance the two, give each the inverse of its frequency.

    >>> border_weights(np.array([[1, 0, 2, 0, 0, 0, 0]])).numpy().round(1)
    array([[10.2, 10.2, 10.2,  8.3,  5.9,  3.8,  2.4]], dtype=float32)
    """
    labels = torch.as_tensor(labels).numpy()
    nearest = np.full(labels.shape, np.inf)
    second = np.full(labels.shape, np.inf)
    reach = int(np.ceil(6 * sigma))
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:  # this number is not used
            continue
        around = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)
        distance = np.asarray(ndimage.distance_transform_edt(labels[around] != label))
        second[around] = np.minimum(second[around], np.maximum(nearest[around], distance))
        nearest[around] = np.minimum(nearest[around], distance)
    weights = w0 * np.exp(-((nearest + second) ** 2) / (2 * sigma**2))
    weights += np.where(labels > 0, class_weights[1], class_weights[0])
    return torch.from_numpy(weights.astype(np.float32))


def membrane_weights(
    cells: InstanceLabels, w0: float = 10.0, sigma: float = 5.0
) -> Float32[Tensor, "H W"]:
    """How much each pixel weighs where membranes divide cells: most in the thin membranes.

    `border_weights` for a mask (H, W) that is 1 in cells and 0 in membranes. A cell is a connected
    part of the mask, over the sides of its pixels, not their corners. w_c, which the U-Net paper
    leaves open, is half the inverse of each class's share of the mask: all membranes weigh as much
    as all cells, and the mean of w_c is 1. `w0` and `sigma` (pixels) are those of the formula;
    with w0 = 0 the classes are balanced, and nothing else.

    Raises ValueError for other values than 0 and 1.

    >>> membrane_weights(np.array([[1, 1, 1, 0, 1, 1, 1, 1]])).numpy().round(1)
    array([[ 7.8,  8.9,  9.8, 13.2,  9.8,  8.9,  7.8,  6.6]], dtype=float32)
    """
    mask = torch.as_tensor(cells).numpy()
    if other := sorted(set(np.unique(mask).tolist()) - {0, 1}):
        raise ValueError(
            f"the mask holds {other[:5]}; 1 in cells and 0 in membranes were expected: objects "
            "that have numbers already go to border_weights"
        )
    share = mask.mean().clip(1 / mask.size, 1 - 1 / mask.size)  # also where there is one class
    balance = 0.5 / (1 - share), 0.5 / share
    return border_weights(ndimage.label(mask)[0], w0, sigma, balance)
