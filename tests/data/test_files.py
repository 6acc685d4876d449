"""One file at a time: what is read as it is, and what is refused with which words."""

import re

import numpy as np
import pytest
from PIL import Image

from unet_lib.data import DataError, UnreadableError, read_image, read_mask


@pytest.fixture
def save(tmp_path):
    """Store an array or a PIL image; gives the path."""

    def save(name, picture, **options):
        path = tmp_path / name
        if isinstance(picture, np.ndarray):
            picture = Image.fromarray(picture)
        picture.save(path, **options)
        return path

    return save


def message(function, *arguments, **options):
    """The text of the DataError, which names the file first."""
    with pytest.raises(DataError) as error:
        function(*arguments, **options)
    assert str(error.value).startswith(f"{arguments[0]}: ")
    return str(error.value).removeprefix(f"{arguments[0]}: ")


RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6)
COLORS = np.stack([RAMP, RAMP * 2, RAMP * 3], axis=-1)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "with space é.PNG"])
def test_gray_is_read_as_stored_and_repeated_for_rgb(save, name):
    path = save(name, RAMP)
    assert np.array_equal(read_image(path), RAMP)
    assert read_image(str(path)).flags.writeable
    rgb = read_image(path, mode="RGB")
    assert rgb.shape == (4, 6, 3)
    assert all(np.array_equal(rgb[..., channel], RAMP) for channel in range(3))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bits_stay_16_bits(save, ending):
    deep = RAMP.astype(np.uint16) * 2000
    for image in (read_image(save(f"a.{ending}", deep)), read_mask(save(f"b.{ending}", deep))):
        assert image.dtype == np.uint16
        assert np.array_equal(image, deep)


def test_float_tiff(save):
    path = save("a.tif", RAMP.astype(np.float32) / 7)
    assert read_image(path).dtype == np.float32
    assert np.array_equal(read_image(path), RAMP.astype(np.float32) / 7)


def test_lossless_changes_of_color(save):
    assert np.array_equal(read_image(save("rgb.png", COLORS), mode="RGB"), COLORS)
    gray_as_rgb = np.stack([RAMP] * 3, axis=-1)
    assert np.array_equal(read_image(save("equal.png", gray_as_rgb)), RAMP)
    opaque = Image.fromarray(COLORS).convert("RGBA")
    assert np.array_equal(read_image(save("rgba.png", opaque), mode="RGB"), COLORS)
    gray_alpha = Image.fromarray(RAMP).convert("LA")
    assert np.array_equal(read_image(save("la.png", gray_alpha)), RAMP)
    one_bit = Image.fromarray(RAMP > 7)
    assert np.array_equal(read_image(save("bit.png", one_bit)), (RAMP > 7) * np.uint8(255))


def test_fault_10_color_where_gray_was_asked_for(save):
    assert message(read_image, save("a.png", COLORS)) == (
        "a color image (3 channels); expected one gray channel (mode='L'): "
        "pass mode='RGB', and in_channels=3 to the network"
    )


def test_fault_10_transparency(save):
    picture = Image.fromarray(np.dstack([COLORS, RAMP * 11]))
    text = message(read_image, save("a.png", picture), mode="RGB")
    assert text.startswith("100% of the pixels are transparent (RGBA); expected an opaque image")
    assert "paste it on a background of your choice" in text
    picture = Image.fromarray(RAMP)
    text = message(read_image, save("b.png", picture, transparency=3))
    assert text.startswith("4% of the pixels are transparent (L)")


def test_fault_10_cmyk(save):
    text = message(read_image, save("a.jpg", Image.new("CMYK", (6, 4))), mode="RGB")
    assert text.startswith(
        "the image is stored as CMYK; expected gray (8 or 16 bits, or float32) or RGB"
    )


def test_fault_11_16_bits_a_color_are_not_cut(tmp_path):
    tifffile = pytest.importorskip("tifffile")  # comes with scikit-image
    tifffile.imwrite(tmp_path / "a.tif", COLORS.astype(np.uint16), photometric="rgb")
    text = message(read_image, tmp_path / "a.tif", mode="RGB")
    assert text.startswith("16 bits a color, of which only 8 would be read; save it with 8 bits")


def test_fault_10_channels_that_would_be_dropped(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    two = np.stack([RAMP, RAMP], axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", two, photometric="minisblack", planarconfig="contig")
    assert message(read_image, tmp_path / "a.tif") == (
        "2 channels, of which only 1 would be read; "
        "save the channels you need as gray or RGB images"
    )


def test_picture_too_large(save, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    text = message(read_image, save("a.png", RAMP))
    assert text.startswith("Image size (24 pixels) exceeds limit of 20 pixels")
    assert text.endswith("Cut it into smaller images")


def test_several_pages(save):
    pages = [Image.fromarray(RAMP), Image.fromarray(RAMP + 1)]
    for name in ("a.tif", "a.gif"):
        text = message(read_image, save(name, pages[0], save_all=True, append_images=pages[1:]))
        assert text.startswith("2 pages in one file; expected one image a file: save each")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_fault_35_photograph_is_turned_upright(save, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {
        1: RAMP,
        2: np.fliplr(RAMP),
        3: np.rot90(RAMP, 2),
        4: np.flipud(RAMP),
        5: RAMP.T,
        6: np.rot90(RAMP, -1),
        7: np.rot90(RAMP, 2).T,
        8: np.rot90(RAMP),
    }[orientation]
    assert np.array_equal(read_image(save("a.png", RAMP, exif=exif)), turned)
    path = save("a.tif", RAMP, exif=exif)
    if orientation <= 4:
        assert np.array_equal(read_image(path), turned)
    else:  # read wrongly by Pillow 13 when stored without compression
        assert message(read_image, path).startswith("a TIFF with a note to turn it")


def test_fault_04_palette_keeps_its_indices(save):
    picture = Image.fromarray(RAMP % 3, mode=None).convert("P")
    picture.putdata((RAMP % 3).ravel().tolist())
    picture.putpalette([0, 0, 0, 255, 255, 255, 128, 0, 0])
    path = save("a.png", picture)
    assert np.array_equal(read_mask(path), RAMP % 3)
    picture.info["transparency"] = 0  # as drawing programs do for the background
    assert np.array_equal(read_mask(save("b.png", picture)), RAMP % 3)
    colors = {(0, 0, 0): 0, (255, 255, 255): 5, (128, 0, 0): 1}
    assert np.array_equal(read_mask(path, palette=colors), np.array([0, 5, 1])[RAMP % 3])


def test_masks_of_one_bit_and_with_an_opaque_alpha_channel(save):
    labels = read_mask(save("a.png", Image.fromarray(RAMP > 7)))
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, RAMP > 7)
    assert np.array_equal(read_mask(save("b.png", Image.fromarray(RAMP).convert("LA"))), RAMP)


def test_32_bit_labels(save):
    labels = RAMP.astype(np.int32) * 100_000
    assert np.array_equal(read_mask(save("a.tif", labels)), labels)
    text = message(read_image, save("b.tif", labels))
    assert text.startswith("the image is stored as I; expected gray (8 or 16 bits")


def test_mask_values_translate(save):
    path = save("a.png", np.where(RAMP > 7, 255, 0).astype(np.uint8))
    assert np.array_equal(read_mask(path, mask_values={255: 1, 0: 0}), RAMP > 7)
    assert np.array_equal(read_mask(path, mask_values={0: 3, 7: 9, 255: 0}), 3 * (RAMP <= 7))


def test_fault_01_value_that_is_not_mapped(save):
    path = save("a.png", RAMP // 8)
    assert message(read_mask, path, mask_values={0: 0, 255: 1}) == (
        "mask values 1, 2 are not in mask_values={0: 0, 255: 1}; add them, or correct the mask"
    )


def test_fault_05_many_values_that_are_not_mapped(save):
    text = message(read_mask, save("a.png", RAMP), mask_values={0: 0, 255: 1})
    assert text.startswith("mask values 1, 2, 3, 4, 5, 6, 7, 8, ... (23 in all) are not in")
    assert "look resized or compressed: store masks as PNG, never as JPEG" in text
    assert "resize them with nearest neighbor only" in text


def test_palette_translates_colors(save):
    colors = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 7]], np.uint8)[RAMP % 3]
    palette = {(0, 0, 0): 0, (255, 0, 0): 1, (0, 0, 7): 2}
    assert np.array_equal(read_mask(save("a.png", colors), palette=palette), RAMP % 3)
    rgba = Image.fromarray(colors).convert("RGBA")
    assert np.array_equal(read_mask(save("b.png", rgba), palette=palette), RAMP % 3)


def test_fault_03_rgb_mask(save):
    colors = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 7]], np.uint8)[RAMP % 3]
    colors[0, 0] = 0, 0, 0
    assert message(read_mask, save("a.png", colors)) == (
        "the mask is stored in color, with 3 colors (0, 0, 0), (0, 0, 7), (255, 0, 0); pass the "
        "class of each color, for example palette={(0, 0, 0): 0, (0, 0, 7): 1, (255, 0, 0): 2}"
    )


def test_fault_03_rgba_mask_and_transparency(save):
    rgba = Image.new("RGBA", (6, 4), (255, 0, 0, 9))
    text = message(read_mask, save("a.png", rgba))
    assert "with 1 color (255, 0, 0); pass the class" in text
    text = message(read_mask, save("a.png", rgba), palette={(255, 0, 0): 1})
    assert text.startswith("100% of the pixels are transparent")
    text = message(read_mask, save("b.png", Image.new("LA", (6, 4), (1, 9))))
    assert text.startswith("100% of the pixels are transparent")


def test_fault_03_color_that_is_not_in_the_palette(save):
    path = save("a.png", COLORS // 8)
    text = message(read_mask, path, palette={(0, 0, 0): 0})
    assert re.match(r"the mask holds, beside those of palette, \d+ colors \(", text)
    assert text.endswith("...; add them to palette, or correct the mask")


def test_fault_05_many_colors(save):
    path = save("a.jpg", Image.fromarray(COLORS))
    assert "look resized or compressed: store masks as PNG" in message(read_mask, path)


def test_float_mask(save):
    text = message(read_mask, save("a.tif", RAMP.astype(np.float32)))
    assert text.startswith("the mask holds float32 values; expected whole numbers: save it")


def test_two_mappings_contradict_each_other(save):
    with pytest.raises(ValueError, match="mask_values for gray masks or palette for RGB masks"):
        read_mask(save("a.png", RAMP), mask_values={}, palette={})


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_fault_20_files_that_cannot_be_read(save, tmp_path, read):
    assert message(read, tmp_path / "none.png") == "no such file"
    path = tmp_path / "empty.png"
    path.touch()
    assert message(read, path) == "the file is empty (0 bytes); copy it again or remove it"
    path.write_text("no picture")
    assert message(read, path).startswith("not a picture that Pillow reads (of TIFF: 8 and 16 bits")
    for name in ("a.png", "a.jpg", "a.tif", "a.bmp"):
        path = save(name, np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8))
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(UnreadableError):
            read(path)
        assert message(read, path).startswith("not a whole picture (")


def test_wild_16_bit(data_dir):
    image = read_image(data_dir / "wild" / "fluo_uint16.tif")
    labels = read_mask(data_dir / "wild" / "fluo_uint16_mask.tif")
    assert image.dtype == labels.dtype == np.uint16
    assert image.shape == labels.shape == (512, 512)
    assert (image.max(), labels.max()) == (235, 183)


def test_wild_fault_35_photograph_is_turned(data_dir):
    path = data_dir / "wild" / "exif_orientation_6.jpg"
    stored = np.asarray(Image.open(path))
    assert np.array_equal(read_image(path, mode="RGB"), np.rot90(stored, -1))


def test_wild_fault_20_truncated(data_dir):
    assert "not a whole picture" in message(read_image, data_dir / "wild" / "truncated.jpg")


def test_wild_transparency(data_dir):
    path = data_dir / "wild" / "rgba_real_alpha.png"
    assert message(read_image, path, mode="RGB").startswith("75% of the pixels are transparent")


def test_wild_fault_04_palette_of_labelme(data_dir):
    path = data_dir / "wild" / "labelme_mask_palette.png"
    assert np.unique(read_mask(path)).tolist() == [0, 5, 15, 255]
    mapped = read_mask(path, mask_values={0: 0, 5: 1, 15: 2, 255: 255})
    assert np.unique(mapped).tolist() == [0, 1, 2, 255]
    assert read_image(path.with_name("labelme_image.jpg"), mode="RGB").shape[:2] == mapped.shape


def test_wild_one_bit_and_gray(data_dir):
    assert np.unique(read_mask(data_dir / "wild" / "mask_1bit.png")).tolist() == [0, 1]
    assert read_image(data_dir / "wild" / "coins.png").shape == (303, 384)
