"""The face: everyday work in at most four statements, from an import that costs little."""

import ast
import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import unet_lib
from unet_lib import PairedFolder, Task, Trained, TrainingSettings, UNet, fit, predict
from unet_lib.data import foreground, simulate_nuclei

TINY = {"width": 2, "depth": 1}
ONCE = TrainingSettings(epochs=1, batch_size=2)


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A folder of somebody: gray images, and masks of 0 and 255."""
    folder = tmp_path_factory.mktemp("mine")
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for index in range(8):
        image, labels = simulate_nuclei(0, index, (40, 36))
        Image.fromarray(image).save(folder / "images" / f"{index}.png")
        Image.fromarray(np.uint8(255 * (labels > 0))).save(folder / "masks" / f"{index}.png")
        Image.fromarray(image).save(folder / "new.tif")
    return folder


def train_on_a_folder(mine):
    images = PairedFolder(mine / "images", mine / "masks", mask_values={0: 0, 255: 1})
    train, validation = images.split(0.75, crop=16, augment="all")
    fit(UNet(1, 1, **TINY), train, validation, task=Task(), settings=ONCE, folder=mine / "run")


def find_masks(mine):
    trained = Trained.load(mine / "run" / "best.pt")
    return trained.mask(mine / "new.tif")


def find_objects(mine):
    trained = Trained.load(mine / "run" / "best.pt")
    return trained.instances(np.array(Image.open(mine / "new.tif")))


def use_a_pretrained_encoder(mine):
    model = unet_lib.pretrained_unet(1, 1, encoder="tf_efficientnet_lite0", decoder_width=4)
    return predict(model, torch.rand(1, 40, 36))


def bring_your_own(mine):
    images = PairedFolder(mine / "images", mine / "masks", mask_values={0: 0, 255: 1})
    train, validation = images.with_(target=foreground).split(0.75, crop=16)
    own = {"loss": squared, "metrics": {"gap": gap}, "monitor": "gap", "mode": "min"}
    return fit(torch.nn.Conv2d(1, 1, 3, padding=1), train, validation, settings=ONCE, **own)


def squared(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (logits - target).square().mean()


def gap(logits: torch.Tensor, target: torch.Tensor) -> float:
    return float((logits - target).abs().mean())


SNIPPETS = train_on_a_folder, find_masks, find_objects, use_a_pretrained_encoder, bring_your_own


@pytest.mark.filterwarnings("ignore:after epoch 1 every pixel")  # it has hardly learned
def test_everyday_work_takes_four_statements(mine) -> None:
    for snippet in SNIPPETS:
        (function,) = ast.parse(inspect.getsource(snippet)).body
        assert len(function.body) <= 4, snippet.__name__
    train_on_a_folder(mine)
    assert {file.name for file in (mine / "run").iterdir()} >= {"best.pt", "last.pt"}
    assert find_masks(mine).shape == find_objects(mine).shape == (40, 36)
    assert use_a_pretrained_encoder(mine).shape == (1, 40, 36)
    assert bring_your_own(mine).rows[-1]["gap"] > 0


def test_the_import_is_light() -> None:
    program = [sys.executable, "-X", "importtime", "-c", "import unet_lib; dir(unet_lib)"]
    told = subprocess.run(program, capture_output=True, text=True, check=True).stderr
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in told.splitlines()}
    assert "unet_lib" in loaded
    assert not loaded & {"torch", "matplotlib", "numpy", "jaxtyping"}


def test_names_are_there_complete_and_others_are_refused() -> None:
    assert set(unet_lib.__all__) <= set(dir(unet_lib))
    tree = ast.parse(inspect.getsource(unet_lib))
    shown = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert shown - {"TYPE_CHECKING", "Any"} == set(unet_lib.__all__)
    for name in unet_lib.__all__:
        assert getattr(unet_lib, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'unet_lib' has no attribute 'Unet'"):
        _ = unet_lib.Unet
