"""What a table keeps of the objects that a method found in several images (chapter 11)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from skimage.segmentation import clear_border

from unet_lib.evaluation.instances import Labels, average_precision
from unet_lib.evaluation.mistakes import Mistakes, find_mistakes


def score_objects(predicted: Sequence[Labels], true: Sequence[Labels]) -> dict[str, Any]:
    """AP, mistakes, counts and areas, as JSON can hold them; label images (H, W), 0 is background.

    - "ap": of "pooled" and "per_image", at IoU "0.5", "0.7" and "0.9", rounded to four places;
    - "mistakes": the sums of `find_mistakes`, by name;
    - "counts", "areas": for each image the objects, and their median area, found and true.

    Raises ValueError for other numbers of images, and for shapes that differ.

    >>> scores = score_objects([np.array([[1, 1, 0, 2]])], [np.array([[4, 4, 4, 0]])])
    >>> scores["ap"]["pooled"], scores["counts"]
    ({'0.5': 0.5, '0.7': 0.0, '0.9': 0.0}, [[2, 1]])
    """
    ap = {
        name: {
            str(at): round(one, 4)
            for at, one in average_precision(predicted, true, pooling=pooling).items()
        }
        for name, pooling in (("pooled", "set"), ("per_image", "image"))
    }
    pairs = [*zip(predicted, true, strict=True)]
    mistakes = sum((find_mistakes(*pair) for pair in pairs), Mistakes(*[0] * 8))
    return {
        "ap": ap,
        "mistakes": mistakes._asdict(),
        "counts": [[len(np.unique(one[one > 0])) for one in pair] for pair in pairs],
        "areas": [[median_area(one) for one in pair] for pair in pairs],
    }


def median_area(labels: Labels) -> float:
    """Pixels of the median object of those that the edge of the image does not cut; 0 without any.

    >>> median_area(np.array([[1, 0, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]))
    1.0
    """
    areas = np.bincount(clear_border(labels).ravel())[1:]
    return float(np.median(areas[areas > 0])) if areas.any() else 0.0
