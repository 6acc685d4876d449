"""Scenes in VOC's layout: torchvision reads them, and their masks stay indices."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torchvision.datasets import VOCSegmentation

from unet_lib.data import VOC, VOC_CLASSES, DataError, voc_palette, write_voc_scenes
from unet_lib.data.sets.scenes import OBJECTS


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_voc_scenes(tmp_path_factory.mktemp("voc"), count=24)


def files(root):
    return {path.relative_to(root): path for path in sorted(root.rglob("*")) if path.is_file()}


def test_torchvision_reads_the_folder(root):
    for image_set, count in (("train", 18), ("val", 6), ("trainval", 24)):
        scenes = VOCSegmentation(root, image_set=image_set, download=False)
        assert len(scenes) == count
    with Image.open(scenes.images[0]) as image, Image.open(scenes.masks[0]) as mask:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert (mask.format, mask.mode) == ("PNG", "P")
        assert mask.size == image.size
        assert mask.getpalette() == voc_palette().ravel().tolist()


def test_the_same_seed_writes_the_same_files(root, tmp_path):
    again = files(write_voc_scenes(tmp_path / "again", count=24))
    first = files(root)
    assert list(again) == list(first)
    assert all(again[name].read_bytes() == first[name].read_bytes() for name in first)
    other = files(write_voc_scenes(tmp_path / "other", count=4, seed=1))
    name = Path("VOCdevkit/VOC2012/JPEGImages/scene_0000.jpg")
    assert other[name].read_bytes() != first[name].read_bytes()


def test_scenes_show_all_classes_at_odd_sizes(root):
    scenes = VOC(root, "trainval")
    shapes, classes = set(), set()
    for index in range(len(scenes)):
        image, labels = scenes.load(index)
        assert image.shape == (*labels.shape, 3)
        shapes.add(labels.shape)
        classes |= set(np.unique(labels).tolist())
    assert classes == {0, 255, *OBJECTS}
    assert len(shapes) > 12
    assert any(height % 16 and width % 16 for height, width in shapes)


def test_void_surrounds_every_object(root):
    scenes = VOC(root)
    for index in range(len(scenes)):
        _, labels = scenes.load(index)
        counted = np.where(labels == 255, 0, labels)
        inside = (labels > 0) & (labels < 255)
        neighbors = ndimage.minimum_filter(labels, 3)
        assert (neighbors[inside] > 0).all(), "no object touches the background directly"
        assert ndimage.label(counted)[1] >= 1


def test_data_set_keeps_indices_and_void(root):
    image, labels = VOC(root)[0]
    assert (image.dtype, labels.dtype, len(image)) == (torch.float32, torch.int64, 3)
    assert image.max() <= 1
    assert 255 in labels
    assert VOC(root).name(0).endswith("scene_0000.jpg")
    assert (VOC.num_classes, VOC.ignore_index) == (21, 255)
    assert VOC_CLASSES[15] == "person"


def test_real_voc(data_dir):
    photographs = VOC(data_dir)
    assert len(photographs) == 3
    for index in range(3):
        image, labels = photographs[index]
        assert image.shape[1:] == labels.shape
        assert set(labels.unique().tolist()) <= {*range(21), 255}


def test_palette_is_the_one_of_the_real_masks(data_dir):
    with Image.open(VOC(data_dir).files.masks[0]) as mask:
        real = np.array(mask.getpalette()).reshape(-1, 3)
    assert np.array_equal(real, voc_palette()[: len(real)])


def test_missing_data_says_what_to_do(tmp_path, root):
    with pytest.raises(DataError) as error:
        VOC(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: no VOCdevkit/VOC2012 with a list train.txt in it; pass download=True for "
        "the real set (2 GB), or write small scenes with write_voc_scenes(root)"
    )
    path = write_voc_scenes(tmp_path, 4) / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"
    path.write_text("")
    with pytest.raises(DataError, match=r"the list val\.txt is empty"):
        VOC(tmp_path, "val")


@pytest.mark.parametrize("options", [{"count": 3}, {"size": (47, 100)}])
def test_too_few_or_too_small(tmp_path, options):
    with pytest.raises(ValueError, match="at least 4 scenes and 48 pixels a side were expected"):
        write_voc_scenes(tmp_path, **options)
