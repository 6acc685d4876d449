"""Folders of images and masks: everything that is wrong is found at once, with what to do."""

import re

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from unet_lib.data import DSB2018, DataError, PairedFolder, foreground, normalize_percentiles
from unet_lib.data.listing import LeftOutWarning


class Folder:
    """Two folders, `images` and `masks`, to be filled with good and bad files."""

    def __init__(self, root):
        self.images, self.masks = root / "images", root / "masks"
        self.images.mkdir()
        self.masks.mkdir()
        self.random = np.random.default_rng(0)

    def add(self, name, values=(0, 1), size=(10, 12), mask_name=None):
        self.add_image(name, size)
        self.add_mask(mask_name or name, values, size)

    def add_image(self, name, size=(10, 12)):
        pixels = self.random.integers(0, 256, size).astype(np.uint8)
        Image.fromarray(pixels).save(self.images / name)

    def add_mask(self, name, values=(0, 1), size=(10, 12)):
        labels = np.resize(np.array(values, np.uint8), size)
        Image.fromarray(labels).save(self.masks / name)

    def open(self, **options):
        return PairedFolder(self.images, self.masks, **options)

    def complaint(self, **options):
        with pytest.raises(DataError) as error:
            self.open(**options)
        return str(error.value)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_pairs_in_the_order_of_their_names(folder):
    for name in ("b.png", "a.png", "10.png", "9.png"):
        folder.add(name)
    pairs = folder.open()
    assert [pairs.name(index) for index in range(len(pairs))] == [
        str(folder.images / name) for name in ("10.png", "9.png", "a.png", "b.png")
    ]
    assert (pairs[0][0].shape, pairs.num_classes) == ((1, 10, 12), 2)


def test_fault_01_masks_of_0_and_255(folder):
    for name in "abcdefg":
        folder.add(f"{name}.png", values=(0, 255))
    assert folder.complaint() == "\n".join(
        [
            f"7 problems in images {folder.images} and masks {folder.masks}",
            "- 7 x mask values 0, 255; expected 0 to 1: pass mask_values={0: 0, 255: 1}",
            *(f"    {folder.masks / name}.png: 255" for name in "abcde"),
            "    ... and 2 more",
        ]
    )
    pairs = folder.open(mask_values={0: 0, 255: 1})
    assert pairs[3][1].unique().tolist() == [0, 1]
    assert pairs.num_classes == 2


@pytest.mark.parametrize(
    ("values", "options", "advice"),
    [
        ((255,), {}, "expected 0 to 1: pass mask_values={0: 0, 255: 1}"),
        ((0, 255), {"num_classes": 2}, "expected 0 to 1: pass mask_values={0: 0, 255: 1}"),
        ((0, 2), {}, "pass mask_values={0: 0, 2: 1} or, if they are classes already, num_cl"),
        (
            (0, 5, 15, 255),
            {},
            "expected 0 to 3: pass num_classes=16 and ignore_index=255 if they are classes with a "
            "void border, else mask_values={0: 0, 5: 1, 15: 2, 255: 3}",
        ),
        (
            (0, 1, 255),
            {"num_classes": 21},
            "pass num_classes=21 and ignore_index=255 if they are classes with a void border",
        ),
        ((0,), {}, "mask without any object: there is nothing to learn (if meant: num_classes=2)"),
    ],
)
def test_fault_01_advice_works_when_it_is_followed(folder, values, options, advice):
    folder.add("a.png", values=values)
    assert advice in folder.complaint(**options)
    with pytest.raises(DataError) as error:
        folder.open(**options)
    for arguments in error.value.findings[0].arguments:
        assert len(folder.open(**options | arguments)) == 1


def test_fault_02_value_beyond_the_classes(folder):
    folder.add("a.png", values=(0, 1, 2))
    folder.add("b.png", values=(0, 1, 7))
    text = folder.complaint(num_classes=3)
    assert "1 x mask values 0, 1, 2, 7; expected 0 to 2: pass mask_values=" in text
    assert f"{folder.masks / 'b.png'}: 7" in text
    assert "a.png" not in text
    assert folder.open(num_classes=3, ignore_index=7).num_classes == 3


def test_fault_03_rgb_masks(folder):
    folder.add_image("a.png")
    Image.new("RGB", (12, 10), (255, 0, 0)).save(folder.masks / "a.png")
    text = folder.complaint()
    assert "1 x file that cannot be used as it is" in text
    assert "is stored in color, with 1 color (255, 0, 0); pass the class of each color" in text
    assert folder.open(palette={(255, 0, 0): 1}, num_classes=2)[0][1].unique().tolist() == [1]


def test_fault_05_resized_masks(folder):
    folder.add_image("a.png", (64, 64))
    disc = Image.fromarray(np.uint8(255) * (np.hypot(*np.mgrid[-8:8, -8:8]) < 6))
    disc.resize((64, 64), Image.Resampling.BILINEAR).save(folder.masks / "a.png")
    for options in ({}, {"num_classes": 2}):
        text = folder.complaint(**options)
        assert "look resized or compressed: store masks as PNG, never as JPEG" in text
        assert "If they number objects, pass instances=True" in text


def test_fault_05_only_the_compressed_mask_is_named(folder):
    for name in "abc":
        folder.add(f"{name}.png", values=(0, 255), size=(64, 64))
    folder.add_image("d.png", (64, 64))
    disc = np.uint8(255) * (np.hypot(*np.mgrid[-32:32, -32:32]) < 20)
    Image.fromarray(disc).save(folder.masks / "d.jpg", quality=75)
    text = folder.complaint()
    compressed = text.partition("look resized or compressed")[2].partition("- 3 x")[0]
    assert f"{folder.masks / 'd.jpg'}: " in compressed
    assert "a.png" not in compressed
    assert "- 3 x mask values 0, 255; expected 0 to 1: pass mask_values={0: 0, 255: 1}" in text
    assert text.count("d.jpg") == 1


def test_findings_are_data(folder):
    folder.add("a.png", values=(0, 255))
    folder.add_image("b.png")
    with pytest.raises(DataError) as error:
        folder.open()
    alone, values = error.value.findings
    assert (alone.cause, alone.files) == ("pairing", (str(folder.images / "b.png"),))
    assert (values.cause, values.found) == ("mask-values", "mask values 0, 255")
    assert (values.expected, values.arguments) == ("0 to 1", ({"mask_values": {0: 0, 255: 1}},))
    assert error.value.cause == "pairing"


@pytest.mark.parametrize(("size", "hint"), [((11, 12), ""), ((12, 10), ". Height and width are ")])
def test_fault_06_sizes_differ(folder, size, hint):
    folder.add_image("a.png", (10, 12))
    folder.add_mask("a.png", size=size)
    assert (
        f"{folder.images / 'a.png'} and {folder.masks / 'a.png'}: the image is 10x12 pixels "
        f"(height x width), its labels are {size[0]}x{size[1]}; both must have one size{hint}"
    ) in folder.complaint()


def test_fault_07_orphans_with_the_nearest_names(folder):
    folder.add("1.png")
    folder.add_image("cell_10.png")
    folder.add_mask("cell10.tif")
    for number in range(7):
        folder.add_image(f"z{number}{number}.png")
    text = folder.complaint()
    assert "8 x image without a mask of the same name" in text
    assert f"{folder.images / 'cell_10.png'} (the nearest name: cell10.tif)" in text
    assert "1 x mask without an image of the same name" in text
    assert f"{folder.masks / 'cell10.tif'} (the nearest name: cell_10.png)" in text
    assert "... and 3 more" in text


def test_fault_07_a_name_is_no_prefix_of_another(folder):
    for name in ("1", "10", "100"):
        folder.add(f"{name}.png", values=(0, 1) if name == "10" else (1, 0))
    pairs = folder.open()
    assert [pair.image.name for pair in pairs.pairs] == [pair.mask.name for pair in pairs.pairs]


def test_fault_07_dots_spaces_accents_and_endings(folder):
    folder.add("a.b.1.PNG", mask_name="a.b.1.tif")
    folder.add("with space.png")
    folder.add("zelle é.png", mask_name="zelle e\u0301.png")
    assert len(folder.open()) == 3


def test_fault_07_several_files_of_one_name(folder):
    folder.add("a.png")
    folder.add_mask("a.tif")
    text = folder.complaint()
    assert "1 x name used twice (remove one)" in text
    assert f"{folder.masks / 'a.png'} and {folder.masks / 'a.tif'}" in text


def test_suffix_of_masks(folder):
    folder.add("a.png", mask_name="a_mask.png")
    assert len(folder.open(suffix="_mask")) == 1
    folder.add_mask("b.png")
    with pytest.warns(LeftOutWarning, match="1 of 2 files left out, their names do not end with"):
        assert len(folder.open(suffix="_mask")) == 1
    text = folder.complaint(suffix="_label")
    assert "2 x mask whose name does not end with suffix='_label'" in text


def test_images_and_masks_in_one_folder(folder):
    folder.masks = folder.images
    folder.add("a.png", mask_name="a_mask.png")
    assert folder.open(suffix="_mask").pairs[0].mask.name == "a_mask.png"
    assert "pass suffix, what a mask's name has at its end" in folder.complaint()


def test_fault_11_and_12_float_images_are_judged_while_scanning(folder):
    for name, values in (("a", np.linspace(0, 900, 120)), ("b", np.full(120, np.nan))):
        pixels = values.astype(np.float32).reshape(10, 12)
        Image.fromarray(pixels).save(folder.images / f"{name}.tif")
        folder.add_mask(f"{name}.tif")
    text = folder.complaint()
    assert "float32 with values from 0 to 900; float images must lie in" in text
    assert f"{folder.images / 'b.tif'} and " in text
    assert "120 of 120 values are NaN or infinite" in text
    (folder.images / "b.tif").unlink()
    (folder.masks / "b.tif").unlink()
    assert len(folder.open(normalize=normalize_percentiles)) == 1


def test_fewer_than_two_classes(folder):
    folder.add("a.png")
    with pytest.raises(ValueError, match="num_classes=1; background counts, so 2 is the smallest"):
        folder.open(num_classes=1)


def test_fault_18_empty_folder(folder):
    (folder.images / "notes.txt").touch()
    assert folder.complaint() == (
        f"{folder.images}: no images in this folder or in those inside it (1 other file: 1 .txt); "
        "endings searched: .bmp, .gif, .j2k, .jp2, .jpeg, .jpg, .png, .tif, .tiff, .webp"
    )


def test_fault_20_hidden_files_are_skipped(folder):
    folder.add("a.png")
    for name in ("._a.png", "Thumbs.db", ".DS_Store", "desktop.ini"):
        (folder.images / name).write_bytes(b"x")
        (folder.masks / name).write_bytes(b"x")
    (folder.images / "b.png").mkdir()
    assert len(folder.open()) == 1


def test_fault_20_every_unreadable_file_is_listed(folder):
    for number in range(8):
        folder.add(f"{number}.png")
        (folder.images / f"{number}.png").write_bytes(b"")
    (folder.masks / "7.png").write_bytes(b"no image")
    text = folder.complaint()
    assert "9 x unreadable file" in text
    for number in range(8):
        assert f"{folder.images / str(number)}.png: the file is empty (0 bytes)" in text
    assert f"{folder.masks / '7.png'}: not an image that is read here" in text


def test_each_file_is_read_once_while_scanning(folder, monkeypatch):
    for name in "abc":
        folder.add(f"{name}.png")
    opened, read = [], Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or read(path))
    folder.open()
    assert len(opened) == len(set(opened)) == 6


def test_dsb2018_reads_stardists_layout(tmp_path, monkeypatch):
    for split, count in (("train", 3), ("test", 2)):
        root = tmp_path / "dsb2018" / split
        root.mkdir(parents=True)
        folder = Folder(root)
        for number in range(count):
            folder.add(f"{number}.tif", values=(0, 1, 2, 9))
    nuclei = DSB2018(tmp_path / "dsb2018", target=foreground)
    assert len(nuclei) == 3
    image, target = nuclei[0]
    assert abs(torch.quantile(image, 0.01)) < 1e-6, "normalized by percentiles"
    assert target.mean() == 0.75
    monkeypatch.setenv("UNET_DATA_DIR", str(tmp_path))
    assert len(DSB2018(split="test")) == 2
    assert len(DSB2018(split="test", download=True)) == 2, "nothing to download"


def test_dsb2018_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError) as error:
        DSB2018(tmp_path / "dsb2018", split="test")
    assert str(error.value).startswith(
        f"{tmp_path / 'dsb2018'}: no test/images and test/masks in it; pass root=, set UNET_DATA_"
        "DIR to the folder that holds dsb2018, pass download=True, or by hand: save https://github.com/"
        "stardist/stardist/releases/download/0.1.0/dsb2018.zip as "
        f"{tmp_path / 'dsb2018.zip'} (sha256 e4492195"
    )


def test_dsb2018_real(data_dir):
    nuclei = DSB2018(data_dir / "dsb2018", split="test", target=foreground)
    assert len(nuclei) == 50
    image, target = nuclei[0]
    assert image.shape == target.shape
    assert 0 < target.mean() < 1
    assert abs(torch.quantile(image, 0.01)) < 0.01


def test_fault_05_instances_taken_for_classes(data_dir):
    root = data_dir / "dsb2018" / "test"
    with pytest.raises(DataError, match="If they number objects, pass instances=True"):
        PairedFolder(root / "images", root / "masks")


def test_wild_folders_inside_folders_and_suffixes_of_both(folder):
    for place in (folder.images, folder.masks):
        (place / "aachen").mkdir()
    for name in ("1", "aachen/1", "aachen/2"):
        folder.add(f"{name}_image.png", mask_name=f"{name}_labels.png")
        folder.add_mask(f"{name}_color.png")
    with pytest.warns(LeftOutWarning, match="3 of 6 files left out, .* end with '_labels'"):
        found = folder.open(suffix="_labels", image_suffix="_image")
    assert [pair.mask.parent.name for pair in found.pairs] == ["masks", "aachen", "aachen"]
    assert found.name(1).endswith("images/aachen/1_image.png")


@pytest.mark.filterwarnings("ignore::unet_lib.data.listing.LeftOutWarning")
def test_wild_masks_inside_the_folder_of_images(folder):
    folder.masks = folder.images / "masks"
    folder.masks.mkdir()
    folder.add("a.png")
    assert len(folder.open()) == 1


def test_wild_stacks_are_paired_page_by_page(folder):
    stack = np.arange(3 * 24, dtype=np.uint16).reshape(3, 4, 6)
    how = {"photometric": "minisblack"}
    tifffile.imwrite(folder.images / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder.masks / "a.tif", (stack % 2).astype(np.uint8), **how)
    pairs = folder.open()
    assert len(pairs) == 3
    assert pairs.name(2) == f"{folder.images / 'a.tif'}, page 2"
    image, labels = pairs.load(2)
    assert np.array_equal(image, stack[2])
    assert np.array_equal(labels, stack[2] % 2)
    tifffile.imwrite(folder.masks / "a.tif", np.zeros((2, 4, 6), np.uint8), **how)
    assert "1 x 3 pages in the image and 2 in the mask" in folder.complaint()


def test_wild_one_channel_of_several(folder):
    both = np.random.default_rng(0).integers(0, 255, (2, 4, 6)).astype(np.uint8)
    tifffile.imwrite(folder.images / "a.tif", both, imagej=True, metadata={"axes": "CYX"})
    folder.add_mask("a.png", size=(4, 6))
    assert "2 channels in one file" in folder.complaint()
    assert np.array_equal(folder.open(channel=1).load(0)[0], both[1])


def test_wild_files_that_are_not_read_are_counted_and_broken_links_named(folder):
    folder.add("a.png")
    for name in ("b.npy", "c.npy", "d.czi"):
        (folder.images / name).touch()
    (folder.images / "e.zarr").mkdir()
    (folder.images / "e.zarr" / "0.png").touch()
    told = r"4 other files: 2 .npy, 1 .czi, 1 .zarr left out, 1 images taken; .czi is not read here"
    with pytest.warns(LeftOutWarning, match=told):
        assert len(folder.open()) == 1
    (folder.masks / "b.png").symlink_to("store/b.png")
    (folder.images / "b.png").symlink_to("store/b.png")
    with pytest.warns(LeftOutWarning):
        assert "a link to store/b.png, which is not there; fetch the file" in folder.complaint()


def test_wild_masks_that_mean_different_things_in_different_files(folder):
    for number, value in enumerate((1, 200, 255)):
        folder.add(f"{number}.png", values=(0, value))
    assert "pass mask_values={0: 0, 1: 1, 200: 1, 255: 1} if they all mean" in folder.complaint()
    assert folder.open(mask_values={0: 0, 1: 1, 200: 1, 255: 1}).num_classes == 2
    for number, color in enumerate(((255, 0, 0), (0, 255, 0))):
        folder.add_image(f"{number}.png")
        palette = Image.fromarray(np.resize(np.uint8([0, 1]), (10, 12)), "P")
        palette.putpalette([0, 0, 0, *color])
        palette.save(folder.masks / f"{number}.png")
    (folder.images / "2.png").unlink()
    (folder.masks / "2.png").unlink()
    assert "value 1 is (0, 255, 0) here and (255, 0, 0) in" in folder.complaint()
    assert folder.open(palette={(0, 0, 0): 0, (255, 0, 0): 1, (0, 255, 0): 2}).num_classes == 3


def test_wild_instances_in_one_value_and_in_colors(folder):
    folder.add_image("a.png", (6, 9))
    labels = np.zeros((6, 9), np.uint8)
    labels[1:3, 1:3] = labels[4:, 6:] = 255
    Image.fromarray(labels).save(folder.masks / "a.png")
    told = 'mask of one value for all objects, .*; .*: pass instances="connected"'
    assert re.search(told, folder.complaint(instances=True))
    assert folder.open(instances="connected").load(0)[1].max() == 2
    colors = np.zeros((6, 9, 3), np.uint8)
    colors[1:3, 1:3], colors[4:, 6:] = (9, 0, 0), (0, 0, 7)
    Image.fromarray(colors).save(folder.masks / "a.png")
    assert np.unique(folder.open(instances=True).load(0)[1]).tolist() == [0, 1, 2]
    assert "is stored in color" in folder.complaint()


def test_wild_images_of_several_types(folder):
    folder.add("a.png")
    folder.add_mask("b.png")
    deep = np.arange(120, dtype=np.uint16).reshape(10, 12)
    Image.fromarray(deep).save(folder.images / "b.png")
    assert "images of several types (1 of uint8, 1 of uint16), each div" in folder.complaint()
    assert len(folder.open(normalize=normalize_percentiles)) == 2


def test_wild_a_mask_in_transparency_alone(folder):
    folder.add_image("a.png")
    clear = np.zeros((10, 12, 4), np.uint8)
    clear[2:, 3:, 3] = 255
    Image.fromarray(clear).save(folder.masks / "a.png")
    assert "the mask lies in its transparency (alpha channel)" in folder.complaint()
