"""One file at a time: what is read as it is, and what is refused with which words."""

import numpy as np
import pytest
import tifffile
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


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("read", [read_image, read_mask])
def test_16_bits_stay_16_bits(save, name, read):
    deep = RAMP.astype(np.uint16) * 2000
    assert read(save(name, deep)).dtype == np.uint16
    assert np.array_equal(read(save(name, deep)), deep)


def test_float_tiff(save):
    stored = RAMP.astype(np.float32) / 7
    image = read_image(save("a.tif", stored))
    assert image.dtype == np.float32
    assert np.array_equal(image, stored)


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


TRANSPARENT = "of the pixels are transparent"
RGBA = Image.fromarray(np.dstack([COLORS, RAMP * 11]))


@pytest.mark.parametrize(
    ("name", "image", "mode", "start"),
    [
        ("a.png", Image.fromarray(COLORS), "L", "a color image (3 channels); expected one gray "),
        ("a.png", RGBA, "RGB", f"100% {TRANSPARENT}; expected an opaque image: paste it on"),
        ("a.jpg", Image.new("CMYK", (6, 4)), "RGB", "the image is stored as CMYK; expected gray"),
    ],
)
def test_fault_10_images_of_other_kinds(save, name, image, mode, start):
    assert message(read_image, save(name, image), mode=mode).startswith(start)


def test_fault_10_a_transparent_value(save):
    text = message(read_image, save("b.png", Image.fromarray(RAMP), transparency=3))
    assert text.startswith(f"4% {TRANSPARENT}")


@pytest.mark.parametrize(
    ("pixels", "layout", "text"),
    [
        (COLORS.astype(np.uint16), {"photometric": "rgb"}, "a color image (3 channels)"),
        (COLORS[..., :2], {"planarconfig": "contig"}, "2 channels in one file; expected one"),
    ],
)
def test_fault_11_what_pillow_would_drop(tmp_path, pixels, layout, text):
    tifffile.imwrite(tmp_path / "a.tif", pixels, **{"photometric": "minisblack"} | layout)
    assert message(read_image, tmp_path / "a.tif").startswith(text)


def test_picture_too_large(save, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    text = message(read_image, save("a.png", RAMP))
    assert text.startswith("Image size (24 pixels) exceeds limit of 20 pixels")
    assert text.endswith("Cut it into smaller images")


@pytest.mark.parametrize("name", ["a.tif", "a.gif"])
def test_several_pages(save, name):
    pages = [Image.fromarray(RAMP), Image.fromarray(RAMP + 1)]
    text = message(read_image, save(name, pages[0], save_all=True, append_images=pages[1:]))
    assert text.startswith("2 pages in one file; expected one ")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_fault_35_photograph_is_turned_upright(save, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    standing = RAMP, np.fliplr(RAMP), np.rot90(RAMP, 2), np.flipud(RAMP)
    lying = RAMP.T, np.rot90(RAMP, -1), np.rot90(RAMP, 2).T, np.rot90(RAMP)
    turned = (*standing, *lying)[orientation - 1]
    assert np.array_equal(read_image(save("a.png", RAMP, exif=exif)), turned)
    assert np.array_equal(read_image(save("a.tif", RAMP, exif=exif)), turned)


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


def test_mask_values_translate(save):
    path = save("a.png", np.where(RAMP > 7, 255, 0).astype(np.uint8))
    assert np.array_equal(read_mask(path, mask_values={255: 1, 0: 0}), RAMP > 7)
    assert np.array_equal(read_mask(path, mask_values={0: 3, 7: 9, 255: 0}), 3 * (RAMP <= 7))


BLUE_AND_RED = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 7]], np.uint8)[RAMP % 3]
CLEAR = Image.new("RGBA", (6, 4), (255, 0, 0, 9))
MAPPED, RED, BLACK = {"mask_values": {0: 0, 255: 1}}, (255, 0, 0), {"palette": {(0, 0, 0): 0}}


@pytest.mark.parametrize(
    ("image", "options", "text"),
    [
        (RAMP // 8, MAPPED, "mask values 1, 2 are not in mask_values={0: 0, 255: 1}; add them, or"),
        (RAMP, MAPPED, "mask values 1, 2, 3, 4, 5, 6, 7, 8, ... (23 in all) are not in mask_va"),
        (RAMP, MAPPED, "look resized or compressed: store masks as PNG, never as JPEG, and res"),
        (CLEAR, {"palette": {RED: 1}}, f"100% {TRANSPARENT}"),
        (Image.new("LA", (6, 4), (1, 9)), {}, f"100% {TRANSPARENT}"),
        (CLEAR, {}, "the mask is stored in color, with 1 color (255, 0, 0); pass the class"),
        (BLUE_AND_RED, {}, "the mask is stored in color, with 3 colors (0, 0, 0), (0, 0, 7), ("),
        (BLUE_AND_RED, {}, "for example palette={(0, 0, 0): 0, (0, 0, 7): 1, (255, 0, 0): 2}"),
        (COLORS // 8, BLACK, "beside those of palette, 11 colors (1, 2, 3), (2, 4, 6), (0, 1, "),
        (COLORS // 8, BLACK, ", ...; add them to palette, or correct the mask"),
    ],
)
def test_faults_01_03_and_05_masks_that_are_refused(save, image, options, text):
    assert text in message(read_mask, save("a.png", image), **options)


def test_masks_of_floats_and_of_many_colors(save):
    text = message(read_mask, save("a.tif", RAMP.astype(np.float32)))
    assert text.startswith("the mask holds float32 values; expected whole numbers: save it")
    text = message(read_mask, save("a.jpg", Image.fromarray(COLORS)))
    assert "look resized or compressed: store masks as PNG" in text
    assert "has each object a color of its own? Then pass instances=True" in text


def test_palette_translates_colors(save):
    palette = {(0, 0, 0): 0, RED: 1, (0, 0, 7): 2}
    assert np.array_equal(read_mask(save("a.png", BLUE_AND_RED), palette=palette), RAMP % 3)
    rgba = Image.fromarray(BLUE_AND_RED).convert("RGBA")
    assert np.array_equal(read_mask(save("b.png", rgba), palette=palette), RAMP % 3)


@pytest.mark.usefixtures("unchecked")
def test_modes_have_two_names(save):
    with pytest.raises(ValueError, match=r"^mode='rgb'; 'L' \(gray\) or 'RGB' \(color\) was expec"):
        read_image(save("a.png", RAMP), mode="rgb")


def test_two_mappings_contradict_each_other(save):
    with pytest.raises(ValueError, match="mask_values for gray masks or palette for RGB masks"):
        read_mask(save("a.png", RAMP), mask_values={}, palette={})


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_fault_20_files_that_cannot_be_read(save, tmp_path, read):
    assert message(read, tmp_path / "none.png") == "no such file"
    path = tmp_path / "empty.png"
    path.touch()
    assert message(read, path) == "the file is empty (0 bytes); copy it again or remove it"
    path.write_text("no image")
    assert message(read, path).startswith(
        "not an image that is read here (PNG, TIFF, JPEG, JPEG 2000"
    )
    for name in ("a.png", "a.jpg", "a.tif", "a.bmp"):
        path = save(name, np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8))
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(UnreadableError):
            read(path)
        assert message(read, path).startswith("not a whole image (")


def test_wild_files(data_dir):
    wild = data_dir / "wild"
    image, labels = read_image(wild / "fluo_uint16.tif"), read_mask(wild / "fluo_uint16_mask.tif")
    assert (image.dtype, labels.dtype) == (np.uint16, np.uint16)
    assert image.shape == labels.shape == (512, 512)
    assert (image.max(), labels.max()) == (235, 183)
    stored = np.asarray(Image.open(wild / "exif_orientation_6.jpg"))
    upright = read_image(wild / "exif_orientation_6.jpg", mode="RGB")
    assert np.array_equal(upright, np.rot90(stored, -1))
    assert "not a whole image" in message(read_image, wild / "truncated.jpg")
    text = message(read_image, wild / "rgba_real_alpha.png", mode="RGB")
    assert text.startswith(f"75% {TRANSPARENT}")
    assert np.unique(read_mask(wild / "mask_1bit.png")).tolist() == [0, 1]
    assert read_image(wild / "coins.png").shape == (303, 384)


def test_wild_fault_04_palette_of_labelme(data_dir):
    path = data_dir / "wild" / "labelme_mask_palette.png"
    assert np.unique(read_mask(path)).tolist() == [0, 5, 15, 255]
    mapped = read_mask(path, mask_values={0: 0, 5: 1, 15: 2, 255: 255})
    assert np.unique(mapped).tolist() == [0, 1, 2, 255]
    assert read_image(path.with_name("labelme_image.jpg"), mode="RGB").shape[:2] == mapped.shape
