"""The page "A museum of files that break tools": its exhibits made anew, and what is said."""

from pathlib import Path

import numpy as np
import pytest
import skimage.io
import tifffile
from PIL import Image

from tests.data.exhibits import deep_png
from unet_lib.data import DataError, normalize_percentiles, read_image, read_mask

PAGE = (Path(__file__).parents[2] / "book" / "museum.md").read_text(encoding="utf-8")
CELL = np.full((64, 64), 40.0)
CELL[20:40, 20:40] = 160
CELL = (CELL + np.random.default_rng(0).normal(0, 6, CELL.shape)).clip(0, 255).astype(np.uint8)
NOISE = np.random.default_rng(1).integers(0, 60, CELL.shape).astype(np.uint8)
LABELS = np.zeros((64, 64), np.uint8)
LABELS[20:40, 20:40], LABELS[45:60, 5:30] = 1, 2


def readers(path):
    with Image.open(path) as picture:
        return np.array(picture), skimage.io.imread(path)


def test_bits_that_get_lost(tmp_path):
    deep = CELL.astype(np.uint16) * 12 + 100
    for channels in ([deep] * 3, [deep, np.full_like(deep, 65535)]):
        deep_png(tmp_path / "a.png", np.dstack(channels))
        for found in readers(tmp_path / "a.png"):
            assert found.dtype == np.uint8
            assert (len(np.unique(found[..., 0])), len(np.unique(deep))) == (5, 73)
        with pytest.raises(DataError, match="16 bits a color, of which only 8 would be read"):
            read_image(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([deep] * 3), photometric="rgb")
    assert np.array_equal(read_image(tmp_path / "a.tif"), deep)
    Image.fromarray(LABELS * 127).save(tmp_path / "a.jpg", quality=90)
    assert [len(np.unique(found)) for found in readers(tmp_path / "a.jpg")] == [30, 30]
    assert "30 values | 30 values" in PAGE
    assert "5 gray levels of 73 are left" in PAGE
    with pytest.raises(DataError, match="look resized or compressed"):
        read_mask(tmp_path / "a.jpg", mask_values={0: 0, 127: 1, 254: 2})
    Image.fromarray(np.arange(1, 401).reshape(20, 20).astype(np.uint8)).save(tmp_path / "n.png")
    assert [len(np.unique(found)) for found in readers(tmp_path / "n.png")] == [256, 256]


def test_more_than_one_picture_in_a_file(tmp_path):
    path, stack = tmp_path / "a.tif", np.stack([NOISE, *[CELL] * 4])
    about = "ImageJ=1.54f\nimages=5\nslices=5\nloop=false\n"
    how = {"contiguous": True, "truncate": True, "photometric": "minisblack", "metadata": None}
    with tifffile.TiffWriter(path) as file:
        file.write(stack, description=about, **how)
    pillow, other = readers(path)
    assert (pillow.shape, other.shape) == ((64, 64), (5, 64, 64))
    assert np.array_equal(read_image(path, page=1), CELL)
    both = np.stack([NOISE, CELL])
    tifffile.imwrite(path, both, imagej=True, metadata={"axes": "CYX"})
    pillow, other = readers(path)
    assert np.array_equal(pillow, NOISE)
    assert other.shape == (2, 64, 64)
    assert np.array_equal(read_image(path, channel=1), CELL)
    tifffile.imwrite(
        path, np.moveaxis(both, 0, -1), photometric="minisblack", planarconfig="contig"
    )
    pillow, other = readers(path)
    assert np.array_equal(pillow, NOISE)
    assert other.shape == (64, 64, 2)
    assert np.array_equal(read_image(path, channel=1), CELL)


def test_values_that_mean_something_else(tmp_path):
    path = tmp_path / "a.tif"
    for stored, turned in ((CELL, (True, False)), (CELL.astype(np.uint16), (False, False))):
        tifffile.imwrite(path, stored, photometric="miniswhite")
        negative = np.iinfo(stored.dtype).max - stored
        assert tuple(np.array_equal(found, negative) for found in readers(path)) == turned
        assert np.array_equal(read_image(path), negative)
    picture = Image.fromarray(LABELS, "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(tmp_path / "a.png")
    pillow, other = readers(tmp_path / "a.png")
    assert np.array_equal(pillow, LABELS)
    assert other.shape == (64, 64, 3)
    assert np.unique(np.array(picture.convert("L"))).tolist() == [0, 38, 75]
    assert np.array_equal(read_mask(tmp_path / "a.png"), LABELS)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(CELL[:, :40]).save(tmp_path / "a.jpg", exif=exif)
    assert [found.shape for found in readers(tmp_path / "a.jpg")] == [(64, 40)] * 2
    assert read_image(tmp_path / "a.jpg").shape == (40, 64)


def test_a_strip_where_nobody_measured():
    heights = 500 + CELL / np.float32(255) * 30
    heights[:6] = -9999
    for low, high in ((0, 100), (1, 99.8)):
        bottom, top = np.percentile(heights, (low, high))
        assert ((heights[6:] - bottom) / (top - bottom)).min() > 0.998
    found = normalize_percentiles(heights)
    assert not found[:6].any()
    assert np.ptp(found[6:]) > 0.9
