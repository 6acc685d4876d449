"""Warping error: what is left of a difference when borders may move, but not cells (chapter 5).

The target is warped toward the prediction, pixel by pixel. Only *simple* pixels may change sides:
those whose change neither joins nor divides cells, neither makes nor removes a cell or a hole.
What still differs at the end is an error of topology (Jain et al., "Boundary learning by
optimization with topological constraints", CVPR 2010; used in the ISBI 2012 challenge).

Masks are 1 in cells and 0 in the membrane, or 1 in nuclei and 0 in the background. Cells are
connected by 4 neighbors and membranes by 8, as in the challenge's program: a diagonal membrane of
one pixel then parts two cells. If both were connected by 8, the cells would be one across it, and
the membrane whole nevertheless. Beyond the edge of the image lies membrane.

The pixels are tried in the order of rows, and the neighbors of each that changed once more behind
them, so the result repeats. No pixel is ever turned away from the prediction. What is left is
therefore an upper bound of the error: a detour may leave less. A border may move as far as it
likes, as in the challenge's program; the paper also allows for a mask that confines it.
"""

from collections import deque
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Integer
from scipy import ndimage

from unet_lib.evaluation.masks import Mask, as_masks

CROSS = ndimage.generate_binary_structure(2, 1)  # 4 neighbors, for cells
SQUARE = ndimage.generate_binary_structure(2, 2)  # 8 neighbors, for membranes


class WarpingMistakes(NamedTuple):
    """Pixels that differ after warping, by what changing their side would do to the target.

    >>> cells = np.array([[1, 1, 0, 1, 1]])
    >>> warping_mistakes(np.ones((1, 5)), cells)
    WarpingMistakes(merges=1, splits=0, objects=0, holes=0)
    """

    merges: int
    """It would join two cells or more."""
    splits: int
    """It would divide a cell."""
    objects: int
    """It would add a cell, or remove one."""
    holes: int
    """It would make a hole in a cell, or fill one."""


def warping_error(prediction: Mask, target: Mask) -> float:
    """Share of the pixels that still differ after the target was warped, from 0 (best) to 1.

    prediction and target: masks (H, W) of 0 and 1, 1 in cells. Raises ValueError for other shapes
    and values. The challenge's server counted merges and splits alone: see `warping_mistakes`.

    >>> cells = np.array([[1, 1, 0, 1, 1, 1]])
    >>> warping_error(np.array([[1, 1, 1, 0, 1, 1]]), cells)  # the membrane lies elsewhere
    0.0
    """
    return float((warp_target(prediction, target) != as_masks(prediction, target)[0]).mean())


def warping_mistakes(prediction: Mask, target: Mask) -> WarpingMistakes:
    """Counts the pixels that still differ after warping, by the topology that keeps them.

    Arguments and errors as in `warping_error`, which is their sum over the number of pixels. A
    missing membrane counts with its whole length, a needless one with the pixel that closes it.
    The "warping error" of the ISBI 2012 challenge counts merges and splits only, over the number
    of pixels, and takes the best of ten thresholds; its program looks at eight neighbors to tell
    the kinds apart, so single pixels may be called otherwise.

    >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    >>> warping_mistakes(np.ones((3, 3)), ring)
    WarpingMistakes(merges=0, splits=0, objects=0, holes=1)
    """
    warped = warp_target(prediction, target)
    differs = warped != as_masks(prediction, target)[0]
    cells = ndimage.label(np.pad(warped, 1), CROSS)[0]
    membranes = ndimage.label(~np.pad(warped, 1), SQUARE)[0]
    windows = [np.s_[row : row + 3, column : column + 3] for row, column in np.argwhere(differs)]
    kinds = [_kind(cells[window], membranes[window]) for window in windows]
    return WarpingMistakes(*(kinds.count(kind) for kind in WarpingMistakes._fields))


def _kind(cells: Integer[np.ndarray, "3 3"], membranes: Integer[np.ndarray, "3 3"]) -> str:
    """What becomes of the cells when the middle of a window changes sides; both are numbered."""
    if not cells[1, 1]:
        joined = len({*cells[CROSS]} - {0})
        return "merges" if joined > 1 else "holes" if joined else "objects"
    parts = _pieces(cells > 0, CROSS)
    if not parts:
        return "objects"
    # As many pieces of membrane lie between the parts. Two pieces that are one membrane elsewhere
    # enclose a part, which is cut off when they meet; otherwise two membranes are joined.
    return "splits" if parts > max(len({*membranes.ravel()} - {0}), 1) else "holes"


def _pieces(window: Bool[np.ndarray, "3 3"], steps: Bool[np.ndarray, "3 3"]) -> int:
    """The number of connected pieces in a window, its middle left out, that touch the middle."""
    ring = window.copy()
    ring[1, 1] = False
    return len({*ndimage.label(ring, steps)[0][steps]} - {0})


@cache
def _simple() -> list[bool]:
    """For each of the 256 neighborhoods, bit k its k-th pixel in the order of rows: simple?

    That is so where one piece of cell and one of membrane touch the pixel: each side is then as
    connected without the pixel as with it (Kong and Rosenfeld, "Digital topology: introduction
    and survey", Computer Vision, Graphics, and Image Processing, 1989).
    """
    pixels = np.arange(256)[:, None] >> np.arange(8) & 1
    windows = np.insert(pixels, 4, 0, axis=1).reshape(-1, 3, 3) > 0
    return [_pieces(cells, CROSS) == _pieces(~cells, SQUARE) == 1 for cells in windows]


def warp_target(prediction: Mask, target: Mask) -> Bool[np.ndarray, "H W"]:
    """The target, warped as near to the prediction as it goes pixel by pixel.

    Arguments and errors as in `warping_error`, which counts where the two still differ.

    >>> cells = np.array([[1, 1, 0, 1, 1, 1]])
    >>> warp_target(np.array([[1, 1, 1, 0, 1, 1]]), cells).astype(int)
    array([[1, 1, 1, 0, 1, 1]])
    """
    wanted, cells = (np.pad(mask, 1) for mask in as_masks(prediction, target))
    goal, now = bytearray(wanted), bytearray(cells)  # flat: quick to read pixel by pixel
    width, simple = cells.shape[1], _simple()
    around = [y * width + x for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    queue = deque(np.flatnonzero(wanted != cells).tolist())
    while queue:
        here = queue.popleft()
        neighborhood = sum(now[here + step] << k for k, step in enumerate(around))
        if now[here] != goal[here] and simple[neighborhood]:
            now[here] = goal[here]
            queue += [here + step for step in around if now[here + step] != goal[here + step]]
    return np.frombuffer(now, bool).reshape(cells.shape)[1:-1, 1:-1]
