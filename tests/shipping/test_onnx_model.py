"""The runner without PyTorch gives what the library gives, from the same image."""

import subprocess
import sys
from dataclasses import asdict
from functools import partial

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

from unet_lib.data import simulate_nuclei
from unet_lib.model import UNet
from unet_lib.shipping.export import export_onnx, read_metadata
from unet_lib.shipping.onnx_model import OnnxModel
from unet_lib.training import Task, Trained

TASKS = {
    "foreground": Task(threshold=0.4),
    "instances": Task("instances"),
    "classes": Task("classes", mode="RGB", normalize="type", num_classes=4),
    "distances": Task("distances", threshold=0.4),
    "offsets": Task("offsets"),
}

NAMES = {"classes": ["sky", "road", "car", "tree"], "distances": ["background", "nucleus"]}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("runner") / "unet.onnx"
    export_onnx(UNet(1, width=2, depth=1), path, Task())
    return path


class Foreign(nn.Module):
    """Of no library: takes multiples of 4 and knows no sizes."""

    def __init__(self, *channels: int) -> None:
        super().__init__()
        self.unet = UNet(*channels, width=4, depth=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        down = nn.functional.pixel_unshuffle(images, 4)  # raises for other sizes
        return self.unet(nn.functional.pixel_shuffle(down, 4))


SMALL = partial(UNet, width=8, depth=2)


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, SMALL) for name in TASKS), ("instances", Foreign)]
)
def test_equal_to_the_library(tmp_path, name, kind) -> None:
    task = TASKS[name]
    torch.manual_seed(1)
    model = kind(task.in_channels, task.out_channels)
    trained = Trained(model, task, precision="float32")
    names = NAMES.get(name, [])
    export_onnx(trained.model, tmp_path / "unet.onnx", task, names)
    image, _ = simulate_nuclei(seed=3, size=(41, 56))
    if task.mode == "RGB":
        image = np.dstack([image, image.T[:41, :41].repeat(2, 1)[:, :56], image])
    Image.fromarray(image).save(tmp_path / "image.png")
    runner = OnnxModel(tmp_path / "unet.onnx", threads=1)
    assert runner.classes == names
    np.testing.assert_array_equal(runner.prepare(image)[0], task.prepare(image).numpy())
    for x in (image, tmp_path / "image.png"):
        np.testing.assert_allclose(runner.logits(x), trained.logits(x), atol=1e-5)
        np.testing.assert_allclose(runner.probabilities(x), trained.probabilities(x), atol=1e-5)
        np.testing.assert_array_equal(runner.mask(x), trained.mask(x))
        if name == "classes":
            with pytest.raises(ValueError, match="tells classes apart, not objects"):
                runner.instances(x)
        else:
            np.testing.assert_array_equal(runner.instances(x), trained.instances(x))


@pytest.mark.parametrize("name", ["foreground", "instances", "distances", "offsets"])
def test_objects_are_those_of_the_library(file, monkeypatch, name) -> None:
    """Of logits as a trained network gives them, of nothing, and of one object all over."""
    task, runner = TASKS[name], OnnxModel(file)
    monkeypatch.setattr(runner, "task", asdict(task))
    all_labels = [simulate_nuclei(3, index, (70, 90))[1] for index in range(3)]
    for labels in (*all_labels, np.zeros((16, 20), int), np.ones((16, 20), int)):
        target = task.encode(torch.from_numpy(labels).long())
        maps = target if target.ndim == 3 else nn.functional.one_hot(target, 3).movedim(-1, 0)
        logits = maps + 0.05 * torch.randn(maps.shape, generator=torch.manual_seed(0))
        between = 2 if name == "offsets" else len(logits)
        logits[:between] = 8 * logits[:between] - 4
        monkeypatch.setattr(runner, "logits", lambda image, found=logits: found.numpy())
        np.testing.assert_array_equal(runner.instances(labels), task.instances(logits))
        assert (runner.instances(labels).max() > 2) == (labels.max() > 2)


def test_no_torch_is_imported(file) -> None:
    program = (
        "import sys, numpy as np; from unet_lib.shipping.onnx_model import OnnxModel; "
        f"print(OnnxModel({str(file)!r}).mask(np.eye(16)).shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "(16, 16) False\n"


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.zeros((16, 16, 3), np.uint8), "was expected, with sides of at least 2 pixels"),
        (np.zeros((1, 16), np.uint8), r"shape \(1, 16\); \(H, W\) was expected"),
        (np.full((4, 4), np.nan, "float32"), "holds 16 NaN or infinite values of 16"),
        (np.eye(4, dtype=bool), r"is of type bool; an array of numbers .* np\.asarray\(image\)"),
    ],
)
def test_arrays_that_make_no_sense(file, image, told) -> None:
    runner = OnnxModel(file)
    with pytest.raises(ValueError, match=told):
        runner.mask(image)
    assert not runner.prepare(np.full((8, 8), 7, np.uint16)).any()  # without contrast


def test_image_files_that_make_no_sense(file, tmp_path, monkeypatch) -> None:
    for name, mode, size in (("color", "RGB", 8), ("thin", "L", 1), ("clear", "RGBA", 8)):
        Image.new(mode, (size, 8), (9, 8, 7, 6)[: len(mode)]).save(tmp_path / f"{name}.png")
    runner = OnnxModel(file)
    for name, told in (
        ("none", "cannot be read"),
        ("color", "holds colors; a gray image was expected"),
        ("thin", "the image has shape"),
        ("clear", "of kind RGBA; one gray or RGB image without transparency was expected"),
    ):
        with pytest.raises(ValueError, match=rf"{name}\.png.* {told}"):
            runner.mask(tmp_path / f"{name}.png")
    for module, told in (("PIL", "pip install pillow"), ("skimage.measure", "scikit-image")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ValueError, match=told):
            runner.instances(tmp_path / "thin.png" if module == "PIL" else np.eye(8))


def test_a_type_without_a_range(tmp_path) -> None:
    export_onnx(UNet(1, width=2, depth=1), tmp_path / "unet.onnx", Task(normalize="type"))
    with pytest.raises(ValueError, match="holds int64 from 0 to 0; uint8, uint16, or floats"):
        OnnxModel(tmp_path / "unet.onnx").prepare(np.zeros((8, 8), int))


def test_files_that_cannot_be_used(file, tmp_path, monkeypatch) -> None:
    (tmp_path / "short.onnx").write_bytes(file.read_bytes()[:500])
    changed = onnx.load(file)
    changed.metadata_props[0].value = changed.metadata_props[0].value[:-9]
    onnx.save(changed, tmp_path / "damaged.onnx")
    del changed.metadata_props[:]
    onnx.save(changed, tmp_path / "bare.onnx")
    for read, told in (
        (OnnxModel, r"none\.onnx: no such file"),
        (OnnxModel, r"short\.onnx is no ONNX file, or cut short"),
        (OnnxModel, r"bare\.onnx does not say how to feed it"),
        (OnnxModel, r"damaged\.onnx: what it says of itself is damaged"),
        (read_metadata, r"damaged\.onnx: what it says of itself is damaged"),
    ):
        with pytest.raises(ValueError, match=told):
            read(tmp_path / f"{told.partition(chr(92))[0]}.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match="pip install onnxruntime"):
        OnnxModel(file)
