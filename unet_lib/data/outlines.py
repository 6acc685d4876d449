"""Objects as outlines: what ImageJ and QuPath open beside an image (chapter 13)."""

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer
from scipy import ndimage
from skimage.measure import find_contours

from unet_lib.data.write import write_atomically

Outlines = Literal["none", "imagej", "geojson"]
ENDINGS = {"imagej": ".zip", "geojson": ".geojson"}
"""Of the files of each kind: a set of ImageJ's ROIs, and the features that QuPath reads."""


def outlines(labels: Integer[np.ndarray, "H W"]) -> Iterator[tuple[int, Float[np.ndarray, "N 2"]]]:
    """Each number in a label image with a closed polygon around its pixels, as x and y.

    In pixels from the upper left corner of the image, as ImageJ and QuPath count: the center of
    the first pixel is (0.5, 0.5). Of a number in several places each place has its polygon; holes
    are left out.

    >>> square = np.zeros((5, 5), int)
    >>> square[1:4, 1:4] = 7
    >>> number, polygon = next(outlines(square))
    >>> number, polygon.min(0).tolist(), polygon.max(0).tolist()
    (7, [1.0, 1.0], [4.0, 4.0])
    """
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is None:
            continue
        inside = ndimage.binary_fill_holes(labels[place] == number)
        for polygon in find_contours(np.pad(inside, 1).astype(float), 0.5):
            corner = np.array([side.start for side in place])
            yield number, (polygon - 0.5 + corner)[:, ::-1]


def write_outlines(path: Path, pages: Sequence[Integer[np.ndarray, "H W"]]) -> None:
    """Writes the outlines of an image's objects, or of a stack's; the ending says in which way."""
    found = [
        (page, number, polygon)
        for page, labels in enumerate(pages)
        for number, polygon in outlines(labels)
    ]
    as_bytes = _geojson if path.suffix == ENDINGS["geojson"] else _rois
    content = as_bytes(found, len(pages))
    write_atomically(path, lambda file: file.write(content))


def _rois(found: Sequence[tuple[int, int, np.ndarray]], pages: int) -> bytes:
    """A zip archive with one ROI an outline, named by its number and, in a stack, its page."""
    import roifile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, (page, number, polygon) in enumerate(found, start=1):
            roi = roifile.ImagejRoi.frompoints(polygon, name=f"{number}")
            roi.roitype = roifile.ROI_TYPE.POLYGON
            roi.position = page + 1 if pages > 1 else 0
            archive.writestr(f"{place:05}-{number}.roi", roi.tobytes())
    return buffer.getvalue()


def _geojson(found: Sequence[tuple[int, int, np.ndarray]], pages: int) -> bytes:
    """A collection of detections, as QuPath takes them."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [polygon.tolist()]},
            "properties": {"objectType": "detection", "name": f"{number}"}
            | ({"page": page} if pages > 1 else {}),
        }
        for page, number, polygon in found
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()
