"""ISBI 2012: cells are 1, slices are counted from 0, and what is said where files are missing."""

import numpy as np
import pytest
import tifffile
import torch

from unet_lib.data import ISBI2012, DataError, blocks, membrane_weights


@pytest.fixture
def root(tmp_path):
    """Four tiny slices, each a bit brighter, with a membrane down the middle."""
    volume = np.tile(np.arange(20, dtype=np.uint8) * 5, (4, 16, 1)) + np.arange(4)[:, None, None]
    labels = np.full((4, 16, 20), 255, np.uint8)
    labels[:, :, 9:11] = 0
    folder = tmp_path / "isbi2012"
    folder.mkdir()
    tifffile.imwrite(folder / "train-volume.tif", volume.astype(np.uint8), photometric="minisblack")
    tifffile.imwrite(folder / "train-labels.tif", labels, photometric="minisblack")
    return folder


def test_cells_are_one_and_membranes_zero(root):
    slices = ISBI2012(root)
    assert (len(slices), slices.num_classes) == (4, 2)
    image, labels = slices[2]
    assert (image.shape, image.dtype, labels.dtype) == ((1, 16, 20), torch.float32, torch.int64)
    assert labels[:, 9:11].sum() == 0
    assert labels.sum() == 16 * 18
    assert slices.load(3)[0][0, 0] == 3
    assert slices.name(3) == f"{root / 'train-volume.tif'}, slice 3"


def test_each_slice_is_normalized_by_its_own_percentiles(root):
    slices = ISBI2012(root)
    assert torch.allclose(slices[0][0], slices[3][0], atol=1e-6)


def test_from_the_environment(root, monkeypatch):
    monkeypatch.setenv("UNET_DATA_DIR", str(root.parent))
    assert len(ISBI2012()) == 4


def test_missing_files_are_named_with_the_place_for_them(root):
    (root / "train-labels.tif").unlink()
    with pytest.raises(DataError) as error:
        ISBI2012(root)
    assert str(error.value) == (
        f"{root}: no train-labels.tif in it; the challenge has no address any more: place its "
        "volumes train-volume.tif and train-labels.tif there (test-volume.tif, which has no "
        "labels, is not needed), pass root=, or set UNET_DATA_DIR to the folder that holds isbi2012"
    )


def test_files_that_do_not_belong_together_are_refused(root):
    labels = tifffile.imread(root / "train-labels.tif")
    tifffile.imwrite(root / "train-labels.tif", labels[:3], photometric="minisblack")
    with pytest.raises(DataError, match=r"holds 4 slices and train-labels.tif 3; expected as many"):
        ISBI2012(root)
    tifffile.imwrite(root / "train-labels.tif", labels // 2, photometric="minisblack")
    with pytest.raises(DataError, match=r"train-labels\.tif: mask values 127 are not in mask_valu"):
        ISBI2012(root)[0]


def test_the_real_slices(data_dir):
    if not (data_dir / "isbi2012").is_dir():
        pytest.skip(f"no isbi2012 in {data_dir}")
    slices = ISBI2012(data_dir / "isbi2012")
    assert len(slices) == 30 == sum(len(fold.test) for fold in blocks(len(slices)))
    image, labels = slices[0]
    assert image.shape == (1, 512, 512)
    assert 0.78 < labels.float().mean() < 0.79  # most pixels are cells
    assert image[0][labels == 1].mean() > image[0][labels == 0].mean() + 0.2  # membranes are dark
    weights = membrane_weights(labels)
    assert weights[labels == 0].mean() > 2 * weights[labels == 1].mean()
