"""What a table keeps of found objects, counted by hand."""

import numpy as np
import pytest

from unet_lib.evaluation import Mistakes, median_area, score_objects

NUCLEI = np.pad(np.repeat([[1] * 4 + [7] * 6], 5, axis=0), 2)  # two that touch: 20 and 30 pixels


def test_two_images_one_of_them_merged() -> None:
    scored = score_objects([NUCLEI, (NUCLEI > 0) * 3], [NUCLEI, NUCLEI])
    assert scored["ap"]["pooled"] == {"0.5": 0.75, "0.7": 0.4, "0.9": 0.4}
    assert scored["ap"]["per_image"] == {"0.5": 0.75, "0.7": 0.5, "0.9": 0.5}
    assert scored["mistakes"] == Mistakes(3, 1, 0, 0, 0, 0, 0, 0)._asdict()
    assert scored["counts"] == [[2, 2], [1, 2]]
    assert scored["areas"] == [[25.0, 25.0], [50.0, 25.0]]
    assert median_area(np.ones((3, 3), int)) == median_area(NUCLEI * 0) == 0


def test_as_many_predictions_as_truths() -> None:
    with pytest.raises(ValueError, match="expected as many predictions as truths, got 1, 2"):
        score_objects([NUCLEI], [NUCLEI, NUCLEI])
