"""TIFF: what a file says about pages, channels and values is honored, or the file is refused."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from PIL import Image

from unet_lib.data import DataError, read_image, read_mask
from unet_lib.data.files import pages_of

RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6)
STACK = np.stack([RAMP, RAMP + 1, RAMP + 2])
IMAGEJ = "ImageJ=1.54f\nimages={}\nslices={}\n{}"


@pytest.fixture
def save(tmp_path):
    def save(array, **how):
        how = {"photometric": "minisblack"} | how
        tifffile.imwrite(tmp_path / "a.tif", array, **how)
        return tmp_path / "a.tif"

    return save


@pytest.mark.parametrize("number", [np.uint8, np.uint16, np.uint32, np.int16, np.int32, np.int64])
def test_whole_numbers_of_every_type(save, number):
    path = save(RAMP.astype(number))
    assert read_image(path).dtype == read_mask(path).dtype == number
    assert np.array_equal(read_mask(path), RAMP)


@pytest.mark.parametrize("number", [np.float16, np.float32, np.float64])
def test_fractions(save, number):
    path = save(RAMP.astype(number) / 2)
    assert read_image(path).dtype == np.float32
    assert np.array_equal(read_image(path), RAMP / 2)
    with pytest.raises(DataError, match=r"holds float.* values; expected whole numbers"):
        read_mask(path)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "lzma"])
def test_compressions(tmp_path, compression):
    for pixels in (RAMP, RAMP.astype(np.uint16) * 999, np.dstack([RAMP] * 3)):
        Image.fromarray(pixels).save(tmp_path / "a.tif", compression=compression)
        mode = "RGB" if pixels.ndim == 3 else "L"
        assert np.array_equal(read_image(tmp_path / "a.tif", mode), pixels)


def test_white_as_0_is_turned_around(save):
    for pixels in (RAMP, RAMP.astype(np.uint16)):
        top = np.iinfo(pixels.dtype).max
        path = save(pixels, photometric="miniswhite")
        assert np.array_equal(read_image(path), top - pixels)
        with pytest.raises(DataError, match="white is 0, which turns its labels around"):
            read_mask(path)
    path = save(RAMP > 7, photometric="miniswhite")
    assert np.array_equal(read_mask(path), RAMP <= 7)
    assert np.array_equal(read_image(path), 255 * (RAMP <= 7))
    with pytest.raises(DataError, match="white is 0, for numbers of type float32"):
        read_image(save(RAMP.astype(np.float32), photometric="miniswhite"))


@pytest.mark.parametrize(
    "how",
    [
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {},
        {"description": IMAGEJ.format(3, 3, ""), "metadata": None, "contiguous": True},
    ],
    ids=str,
)
def test_pages(save, how):
    path = save(STACK, **how)
    assert pages_of(path) == 3
    assert np.array_equal(read_image(path, page=2), STACK[2])
    assert np.array_equal(read_mask(path, page=1), STACK[1])
    with pytest.raises(DataError, match="3 pages in one file; expected one page"):
        read_image(path)
    with pytest.raises(DataError, match="3 pages in one file, and page 3 was asked for"):
        read_image(path, page=3)


def test_pages_of_channels(save):
    array = np.arange(2 * 3 * 24, dtype=np.uint16).reshape(2, 3, 4, 6)  # times, channels
    path = save(array, imagej=True, metadata={"axes": "TCYX"})
    assert pages_of(path) == 2
    assert np.array_equal(read_image(path, page=1, channel=2), array[1, 2])
    with pytest.raises(DataError, match=r"3 channels in one file; .* pass channel=0, 1, 2"):
        read_image(path, page=1)


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_channels_in_every_pixel(save, planes):
    array = np.stack([RAMP, RAMP * 2], axis=-1 if planes == "contig" else 0).astype(np.uint16)
    path = save(array, planarconfig=planes)
    assert np.array_equal(read_image(path, channel=1), RAMP * 2)
    with pytest.raises(DataError, match="2 channels in one file"):
        read_image(path)


def test_colors_and_opacity(save):
    colors = np.dstack([RAMP, RAMP * 2, RAMP * 3]).astype(np.uint16) * 300
    assert np.array_equal(read_image(save(colors, photometric="rgb"), "RGB"), colors)
    opaque = np.dstack([colors, np.full_like(RAMP, 65535, np.uint16)])
    how = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    assert np.array_equal(read_image(save(opaque, **how), "RGB"), colors)
    assert np.array_equal(read_image(save(opaque, **how), channel=1), colors[..., 1])
    opaque[0, 0, 3] = 0
    with pytest.raises(DataError, match="4% of the pixels are transparent"):
        read_image(save(opaque, **how), "RGB")
    how["extrasamples"] = ["unspecified"]
    with pytest.raises(DataError, match="4 channels, of which 3 are colors"):
        read_image(save(opaque, **how), "RGB")


def test_a_palette_shows_images_in_color_and_keeps_the_classes_of_masks(save):
    table = np.zeros((3, 256), np.uint16)
    table[:, 1] = 65535, 0, 0
    path = save(RAMP % 2, photometric="palette", colormap=table)
    assert np.array_equal(read_mask(path), RAMP % 2)
    assert read_image(path, "RGB")[0, 1].tolist() == [255, 0, 0]


def test_no_data_and_calibration(save):
    heights = RAMP.astype(np.float32)
    heights[0, :3] = -9999
    found = read_image(save(heights, extratags=[(42113, 2, 0, "-9999", True)]))
    assert found[0, :4].tolist() == [3, 3, 3, 3]  # the smallest that was measured
    line = IMAGEJ.format(1, 1, "cf=0\nc0=-20.0\nc1=2.0\nvunit=C\n")
    found = read_image(save(RAMP, description=line, metadata=None))
    assert np.array_equal(found, 2 * RAMP.astype(int) - 20)
    curve = IMAGEJ.format(1, 1, "cf=3\nc0=-20.0\nc1=2.0\nc2=1.0\n")
    with pytest.raises(DataError, match="calibration that is no straight line"):
        read_image(save(RAMP, description=curve, metadata=None))


def test_what_contradicts_itself_or_is_more_than_one_image_is_refused(save, tmp_path):
    path = save(RAMP, description=IMAGEJ.format(5, 5, ""), metadata=None)
    with pytest.raises(DataError, match="its description and its pages contradict each other"):
        read_image(path)
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(RAMP, photometric="minisblack")
        file.write(STACK[:, :2, :2], photometric="minisblack")
    with pytest.raises(DataError, match="2 images in one file"):
        read_image(tmp_path / "b.tif")
    with tifffile.TiffWriter(tmp_path / "c.tif") as file:  # a pyramid
        file.write(RAMP, photometric="minisblack", subifds=1)
        file.write(RAMP[::2, ::2], photometric="minisblack", subfiletype=1)
    assert np.array_equal(read_image(tmp_path / "c.tif"), RAMP)


def test_the_name_of_a_file_says_nothing(save, tmp_path):
    save(RAMP).rename(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), RAMP)


def test_each_file_is_judged_alone_where_many_are_read_at_once(tmp_path):
    paths = [tmp_path / f"{number}.tif" for number in range(40)]
    for number, path in enumerate(paths):
        about = {"description": IMAGEJ.format(5, 5, ""), "metadata": None} if number % 2 else {}
        tifffile.imwrite(path, RAMP, photometric="minisblack", **about)

    def contradicts(path):
        try:
            read_image(path)
        except DataError:
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(contradicts, paths)) == [False, True] * 20


def test_a_page_of_a_stack_in_one_piece_is_read_alone(save, monkeypatch):
    path = save(STACK.astype(">u2"), description=IMAGEJ.format(3, 3, ""), metadata=None)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", None)
    assert np.array_equal(read_image(path, page=2), STACK[2])
