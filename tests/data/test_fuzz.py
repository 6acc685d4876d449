"""Damaged files of every format: some seconds of what `python -m tools.fuzz` does for longer."""

from tools.fuzz import problems, samples
from unet_lib.data import read_image
from unet_lib.data.listing import ENDINGS


def test_every_damaged_file_is_read_or_named():
    once_wrong = 4978
    assert list(problems(iter([*range(1500), once_wrong]))) == []


def test_every_ending_is_among_them(tmp_path):
    files = samples()
    kinds = {name.rpartition(".")[2] for name in files}
    assert kinds == {e.strip(".") for e in ENDINGS} - {"jpeg", "tiff", "j2k"}  # other names
    for name in ("gray.png", "white.tif", "tiles.tif", "float.tif", "gray.jp2"):
        (tmp_path / name).write_bytes(files[name])
        assert read_image(tmp_path / name).shape == (24, 20)
