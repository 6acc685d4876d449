"""The commands, called as the shell would call them, on images small enough for a test."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unet_lib import __main__
from unet_lib.cli.main import main
from unet_lib.data import read_image, read_mask, simulate_nuclei
from unet_lib.model import UNet
from unet_lib.training import load_checkpoint, load_model, load_task, save_checkpoint

# One epoch of a tiny network may well end with a black mask, and fit says so.
pytestmark = pytest.mark.filterwarnings("ignore:after epoch 1 every pixel")

SMALL = ["--width", "2", "--depth", "2", "--batch-size", "2", "--precision", "float32"]
SMALL += ["--crop", "32", "--epochs", "1"]
SIMULATED = ["--count", "6", "--size", "32"]
VALUES = ["--mask-values", "0:0", "255:1"]
CURE = "pass mask_values={0: 0, 255: 1} (in a shell: --mask-values 0:0 255:1)\n"


def call(*words: object) -> int:
    return main([*map(str, words)])


def train(folder: Path, *options: str) -> int:
    return call("train", "--folder", folder, *SMALL, *options)


def folders(base: Path, images: str = "images", masks: str = "masks") -> list[str]:
    return ["--images", str(base / images), "--masks", str(base / masks)]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a run that trained the foreground of simulated nuclei for one epoch."""
    folder = tmp_path_factory.mktemp("run")
    assert train(folder, *SIMULATED) == 0
    return folder


@pytest.fixture
def cells(tmp_path) -> Path:
    """Folders of images, masks and instances, of two sizes."""
    for size, count in ((40, 5), (24, 4)):
        command = ["data", "simulate", "--output", tmp_path / str(size), "--count", count]
        assert call(*command, "--size", size, "--simulation-seed", size) == 0
    for kind in ("images", "masks", "instances"):
        (tmp_path / kind).mkdir()
        for file in tmp_path.glob(f"*/{kind}/*.png"):
            file.rename(tmp_path / kind / f"{file.parent.parent.name}_{file.name}")
    return tmp_path


@pytest.fixture
def scenes(tmp_path) -> list[str]:
    """The options that name VOC scenes, as classes with a void border."""
    assert call("data", "voc", "--output", tmp_path, "--count", 6) == 0
    return folders(tmp_path / "VOCdevkit" / "VOC2012", "JPEGImages", "SegmentationClass")


def error(capsys) -> str:
    return capsys.readouterr().err


def test_train_writes_checkpoints_with_their_task_and_the_history(run) -> None:
    files = {"last.pt", "best.pt", "history.json", "report.html"}
    assert {file.name for file in run.iterdir()} == files
    assert load_task(run / "best.pt").target == "foreground"
    assert load_model(run / "best.pt").settings.width == 2
    rows = json.loads((run / "history.json").read_text())
    assert rows == json.loads(load_checkpoint(run / "last.pt")["history"])
    assert rows[0]["dice_per_image"] >= 0


def test_train_says_what_it_did(tmp_path, capsys) -> None:
    assert train(tmp_path, *SIMULATED, "--validation", "0.5") == 0
    told = capsys.readouterr().out
    assert "3 images for training, 3 for validation" in told
    assert f"{tmp_path / 'best.pt'}: epoch 1, mean Dice of the validation images" in told


def test_train_replaces_no_run_and_goes_on_with_the_same_options_only(run, capsys) -> None:
    before = (run / "last.pt").read_bytes()
    for options, told in (
        ([], "last.pt holds another run: pass --resume to go on with it"),
        (["--resume", "--epochs", "3"], "other settings (epochs: 1 there, 3 here)"),
        (["--resume", "--normalize", "type"], "was trained for Task("),
    ):
        assert train(run, *SIMULATED, *options) == 2
        assert told in error(capsys)
    assert (run / "last.pt").read_bytes() == before
    assert train(run, *SIMULATED, "--resume") == 0


def test_pictures_of_several_sizes_whose_number_of_classes_is_read(cells, capsys) -> None:
    assert train(cells / "run", *folders(cells), *VALUES, "--target", "classes") == 0
    assert "7 images for training, 2 for validation" in capsys.readouterr().out
    assert load_task(cells / "run" / "best.pt").num_classes == 2


def test_all_findings_are_listed_with_the_options_to_pass(cells, capsys) -> None:
    assert train(cells / "run", *folders(cells)) == 2
    told = error(capsys)
    assert told.startswith("error: 9 problems in images")
    assert CURE in told
    first, second, *_ = sorted((cells / "images").iterdir())
    first.write_bytes(b"")
    second.rename(second.with_name("other.png"))
    assert train(cells / "run", *folders(cells)) == 2
    told = error(capsys)
    for part in ("the file is empty (0 bytes)", "image without a mask", CURE):
        assert part in told


def test_the_same_picture_in_training_and_validation_is_refused(cells, capsys) -> None:
    for kind in ("images", "masks"):
        first, *others = sorted((cells / kind).iterdir())
        for other in others:
            other.unlink()
        for name in ("a.png", "b.png"):
            (cells / kind / name).write_bytes(first.read_bytes())
    assert train(cells / "run", *folders(cells), *VALUES) == 2
    assert "image in both parts" in error(capsys)


def test_train_on_an_encoder_of_timm(tmp_path, capsys) -> None:
    command = ["train", "--folder", tmp_path, "--crop", 32, "--epochs", 1, *SIMULATED]
    command += ["--encoder", "tf_efficientnet_lite0", "--decoder-width", 2]
    assert call(*command, "--precision", "float32") == 0
    settings = load_model(tmp_path / "best.pt").settings
    assert (settings.encoder, settings.in_channels) == ("tf_efficientnet_lite0", 1)
    for options, told in (
        (["--depth", 2, "--width", 4], "--depth, --width: not with an --encoder"),
        (["--weights", tmp_path / "none.safetensors"], "none.safetensors"),
    ):
        assert call(*command, *options, "--resume") == 2
        assert told in error(capsys)


def test_where_memory_runs_out_train_says_what_would_fit(tmp_path, capsys, monkeypatch) -> None:
    def greedy(*_, **_options):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("unet_lib.training.task.segmentation_loss", greedy)
    assert train(tmp_path, *SIMULATED) == 2
    told = error(capsys)
    assert told.startswith("error: epoch 1, step 1: memory ran out with a batch of shape (2, 1, 32")
    assert "; this step needs about" in told


@pytest.mark.parametrize(
    ("target", "channels", "augment"),
    [
        *(("instances", 3, augment) for augment in ("all", "flip", "none")),
        ("distances", 3, "all"),
        ("offsets", 4, "all"),
    ],
)
def test_objects_end_to_end(cells, capsys, target, channels, augment) -> None:
    data, best = folders(cells, masks="instances"), cells / "run" / "best.pt"
    assert train(cells / "run", *data, "--target", target, "--augment", augment) == 0
    assert load_model(best).settings.out_channels == channels
    assert "right, wrong and missed" in (cells / "run" / "report.html").read_text()
    capsys.readouterr()
    assert call("evaluate", best, *data, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 9
    assert {"dice_per_image", "iou_pooled", "ap_at_iou_0.5_pooled"} <= told["scores"].keys()
    assert call("predict", best, data[1], "--output", cells / "out", "--instances") == 0
    for file in (cells / "images").iterdir():
        shape = read_image(file).shape
        assert read_mask(cells / "out" / "masks" / file.name).shape == shape
        assert read_mask(cells / "out" / "instances" / file.name).dtype == np.uint16


def test_classes_end_to_end(scenes, tmp_path, capsys) -> None:
    options = ["--mode", "RGB", "--normalize", "type", "--num-classes", "21"]
    options += ["--ignore-index", "255", "--target", "classes"]
    assert train(tmp_path / "run", *scenes, *options) == 0
    best = tmp_path / "run" / "best.pt"
    assert load_model(best).settings.out_channels == 21
    capsys.readouterr()
    assert call("evaluate", best, *scenes) == 0
    told = capsys.readouterr().out
    assert told.startswith("6 images, classes, threshold 0.5\n")
    assert "iou_per_image" in told
    assert "means over the classes, background included" in told
    assert "ap_at" not in told
    assert call("predict", best, scenes[1], "--output", tmp_path / "out") == 0
    mask = next((tmp_path / "out" / "masks").iterdir())
    with Image.open(mask) as picture:
        assert picture.mode == "P"
    assert read_mask(mask).max() <= 20
    assert call("predict", best, scenes[1], "--output", tmp_path / "2", "--instances") == 2
    assert "tells classes apart, not objects" in error(capsys)
    assert train(tmp_path / "one", *scenes, *options[:-2]) == 0  # void is no foreground
    assert load_task(tmp_path / "one" / "best.pt").out_channels == 1


def test_predict_writes_masks_of_0_and_255_for_pictures_of_any_size(run, tmp_path) -> None:
    picture, output = tmp_path / "cell.1.tif", tmp_path / "out"
    Image.fromarray(simulate_nuclei(seed=5, size=(37, 50))[0]).save(picture)
    command = ["predict", run / "best.pt", picture, "--output", output]
    assert call(*command, "--threshold", 0.01, "--tile", 16) == 0
    mask = read_mask(output / "masks" / "cell.1.png")
    assert mask.shape == (37, 50)
    assert set(np.unique(mask)) <= {0, 255}
    assert mask.any()
    assert not (output / "instances").exists()


def test_evaluate_names_the_pooling(run, capsys) -> None:
    assert call("evaluate", run / "best.pt", *SIMULATED, "--threshold", 0.3) == 0
    told = capsys.readouterr().out
    assert told.startswith("6 images, foreground, threshold 0.3\n")
    names = ["dice_per_image", "dice_pooled", "ap_at_iou_0.5_pooled", "per_image: mean of"]
    assert all(name in told for name in names)


def test_evaluate_on_the_test_part_of_the_real_nuclei(run, cells, capsys) -> None:
    for kind, source in (("images", "images"), ("masks", "instances")):
        folder = cells / "dsb" / "test" / kind
        folder.mkdir(parents=True)
        for file in (cells / source).iterdir():
            Image.fromarray(read_mask(file)).save(folder / f"{file.stem}.tif")
    real = ["--dataset", "dsb2018", "--root", str(cells / "dsb")]
    assert call("evaluate", run / "best.pt", *real) == 0
    assert capsys.readouterr().out.startswith("9 images, foreground")
    assert train(cells / "run", *real) == 2  # there is no training part
    assert "no train/images and train/masks in it" in error(capsys)


def test_nothing_is_overwritten_and_what_is_missing_is_one_message(
    run, cells, scenes, tmp_path, capsys
) -> None:
    best, images, out = run / "best.pt", cells / "images", tmp_path / "out"
    (images / "0001.png").write_bytes((images / "24_0001.png").read_bytes())
    save_checkpoint(tmp_path / "bare.pt", UNet(1, width=2, depth=1))
    masks = {file: file.read_bytes() for file in (cells / "masks").iterdir()}
    for command, told in (
        (["predict", tmp_path / "none.pt", "a.png"], "no checkpoint"),
        (["evaluate", tmp_path / "bare.pt"], "does not say what its network predicts"),
        (["predict", best], "no images: name them"),
        (["predict", best, tmp_path / "pictrues", "--output", out], "pictrues: no such file or"),
        (["predict", best, images, "--output", cells], "9 files exist already"),
        (["predict", best, images, cells / "masks", "--output", out], "become 24_0000.png"),
        (["data", "simulate", "--output", cells, "--count", 3], "exist already (0001.png) and are"),
        (["data", "voc", "--output", tmp_path], "VOC2012 exists already"),
    ):
        assert call(*command) == 2
        assert told in error(capsys)
    assert {file: file.read_bytes() for file in (cells / "masks").iterdir()} == masks
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "epochs must be at least 1, got 0"),
        (["--width", "0"], "width must be at least 1, got 0"),
        (["--threshold", "1"], "threshold must lie between 0 and 1, got 1.0"),
        (["--num-classes", "1"], "num_classes counts the background, too"),
        (["--target", "instances", "--ignore-index", "255"], "needs masks that number objects"),
        (["--images", "a"], "images and masks belong together"),
        (["--suffix", "_mask"], "describe masks of your own"),
        (["--images", "a", "--masks", "b", "--dataset", "dsb2018"], "not both"),
        (["--root", "a"], "root and download belong to dataset dsb2018"),
        (["--mode", "RGB"], "the simulated images are gray"),
        (["--target", "classes"], 'choose mode "L" and any target but "classes"'),
        (["--target", "offsets", "--num-classes", "2"], "needs masks that number objects"),
        (["--images", "a", "--masks", "b", "--mask-values", "255"], "'255': expected a value"),
        (["--count", "1"], "no part may be empty"),
        (["--decoder-width", "8"], "--decoder-width: not without an --encoder"),
    ],
)
def test_options_that_do_not_fit_are_one_message(tmp_path, capsys, options, message) -> None:
    assert train(tmp_path / "run", *options) == 2
    told = error(capsys)
    assert told.startswith("error: ")
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "run").exists()


def test_tyro_explains_unknown_options_and_shows_fields_without_examples(capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        call("train", "--epoch", 3)
    assert "--epoch" in error(capsys)
    with pytest.raises(SystemExit, match="0"):
        call("train", "--help")
    told = capsys.readouterr().out
    assert "Passes through the training set." in told
    assert ">>>" not in told
    assert "--in-channels" not in told


def test_an_interruption_is_no_traceback(tmp_path, capsys, monkeypatch) -> None:
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("unet_lib.cli.train.fit", interrupted)
    assert train(tmp_path, *SIMULATED) == 130
    assert error(capsys) == "interrupted\n"


def test_the_module_runs_from_a_shell(tmp_path) -> None:
    command = [sys.executable, "-m", "unet_lib", "check", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path / 'none'}: no such folder; check the path\n"
    assert done.stdout == ""
    assert __main__.main is main
