"""Outlines for ImageJ and QuPath: read back, they cover the pixels of the objects."""

import json

import numpy as np
import pytest
import roifile
from skimage.draw import polygon2mask

from unet_lib.data import simulate_nuclei
from unet_lib.data.outlines import outlines, write_outlines

LABELS = simulate_nuclei(0, 0, (128, 150))[1].astype(np.int32)


def covered(polygons, shape=LABELS.shape):
    """The label image that polygons of x and y stand for: pixels whose center lies inside."""
    found = np.zeros(shape, int)
    for number, polygon in polygons:
        found[polygon2mask(shape, np.asarray(polygon)[:, ::-1] - 0.5)] = number
    return found


def test_every_pixel_is_inside_its_outline():
    assert LABELS.max() > 3
    assert np.array_equal(covered(outlines(LABELS)), LABELS)


@pytest.mark.parametrize("pages", [1, 2])
def test_imagej_and_qupath_find_the_same_objects(tmp_path, pages):
    write_outlines(tmp_path / "a.zip", [LABELS] * pages)
    rois = roifile.roiread(tmp_path / "a.zip")
    assert {roi.position for roi in rois} == ({0} if pages == 1 else {1, 2})
    first = [(int(roi.name), roi.coordinates()) for roi in rois if roi.position < 2]
    assert np.array_equal(covered(first), LABELS)
    write_outlines(tmp_path / "a.geojson", [LABELS] * pages)
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert {f["properties"].get("page") for f in features} == ({None} if pages == 1 else {0, 1})
    first = [
        (int(f["properties"]["name"]), f["geometry"]["coordinates"][0])
        for f in features
        if not f["properties"].get("page")
    ]
    assert np.array_equal(covered(first), LABELS)


def test_holes_are_left_out_and_parts_have_their_own():
    labels = np.zeros((12, 12), np.int32)
    labels[1:6, 1:6], labels[3, 3], labels[9:, 9:] = 1, 0, 1
    assert [number for number, _ in outlines(labels)] == [1, 1]
    assert covered(outlines(labels))[3, 3] == 1
    assert not list(outlines(np.zeros((4, 4), np.int32)))
