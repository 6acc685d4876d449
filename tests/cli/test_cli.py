"""The commands, called as the shell would call them, on pictures small enough for a test."""

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


def train(folder: Path, *options: str) -> int:
    return main(["train", "--folder", str(folder), *SMALL, *options])


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a run that trained the foreground of simulated nuclei for one epoch."""
    folder = tmp_path_factory.mktemp("run")
    assert train(folder, *SIMULATED) == 0
    return folder


@pytest.fixture
def cells(tmp_path) -> Path:
    """Folders of images, masks and instances, of two sizes."""
    for size, count in (("40", "5"), ("24", "4")):
        command = ["data", "simulate", "--output", str(tmp_path / size), "--count", count]
        assert main([*command, "--size", size, "--simulation-seed", size]) == 0
    for kind in ("images", "masks", "instances"):
        (tmp_path / kind).mkdir()
        for file in tmp_path.glob(f"*/{kind}/*.png"):
            file.rename(tmp_path / kind / f"{file.parent.parent.name}_{file.name}")
    return tmp_path


@pytest.fixture
def scenes(tmp_path) -> list[str]:
    """The options that name VOC scenes, as classes with a void border."""
    assert main(["data", "voc", "--output", str(tmp_path), "--count", "6"]) == 0
    base = tmp_path / "VOCdevkit" / "VOC2012"
    return ["--images", str(base / "JPEGImages"), "--masks", str(base / "SegmentationClass")]


def error(capsys) -> str:
    return capsys.readouterr().err


def test_train_writes_checkpoints_with_their_task_and_the_history(run) -> None:
    assert {file.name for file in run.iterdir()} == {"last.pt", "best.pt", "history.json"}
    assert load_task(run / "best.pt").target == "foreground"
    assert load_model(run / "best.pt").settings.width == 2
    rows = json.loads((run / "history.json").read_text())
    assert rows == json.loads(load_checkpoint(run / "last.pt")["history"])
    assert rows[0]["dice_per_image"] >= 0


def test_train_says_what_it_did(tmp_path, capsys) -> None:
    assert train(tmp_path, *SIMULATED, "--validation", "0.5") == 0
    told = capsys.readouterr().out
    assert "3 pictures for training, 3 for validation" in told
    assert f"{tmp_path / 'best.pt'}: epoch 1, mean Dice of the validation pictures" in told


def test_train_does_not_replace_another_run(run, capsys) -> None:
    before = (run / "last.pt").read_bytes()
    assert train(run, *SIMULATED) == 2
    assert "last.pt holds another run: pass --resume to go on with it" in error(capsys)
    assert (run / "last.pt").read_bytes() == before


def test_resume_goes_on_with_the_same_options_only(run, capsys) -> None:
    assert train(run, *SIMULATED, "--resume") == 0
    assert train(run, *SIMULATED, "--resume", "--epochs", "3") == 2
    assert "other settings (epochs: 1 there, 3 here)" in error(capsys)
    assert train(run, *SIMULATED, "--resume", "--normalize", "type") == 2
    assert "was trained for Task(" in error(capsys)


def test_train_on_folders_of_pictures_of_several_sizes(cells, capsys) -> None:
    folders = ["--images", str(cells / "images"), "--masks", str(cells / "masks")]
    assert train(cells / "run", *folders, "--mask-values", "0:0", "255:1") == 0
    assert "7 pictures for training, 2 for validation" in capsys.readouterr().out


def test_masks_that_are_no_classes_are_told_with_the_cure(cells, capsys) -> None:
    folders = ["--images", str(cells / "images"), "--masks", str(cells / "masks")]
    assert train(cells / "run", *folders) == 2
    told = error(capsys)
    assert told.startswith("error: 9 problems in images")
    assert "pass mask_values={0: 0, 255: 1} (in a shell: --mask-values 0:0 255:1)\n" in told


def test_the_same_picture_in_training_and_validation_is_refused(cells, capsys) -> None:
    first, *others = sorted((cells / "images").iterdir())
    for other in others:
        other.unlink()
        (cells / "masks" / other.name).unlink()
    mask = cells / "masks" / first.name
    for name in ("a.png", "b.png"):
        (cells / "images" / name).write_bytes(first.read_bytes())
        (cells / "masks" / name).write_bytes(mask.read_bytes())
    folders = ["--images", str(cells / "images"), "--masks", str(cells / "masks")]
    assert train(cells / "run", *folders, "--mask-values", "0:0", "255:1") == 2
    assert "image in both parts" in error(capsys)


def test_train_on_an_encoder_of_timm(tmp_path, capsys) -> None:
    encoder = ["--encoder", "tf_efficientnet_lite0", "--decoder-width", "2", *SIMULATED]
    command = ["train", "--folder", str(tmp_path), "--crop", "32", "--epochs", "1", *encoder]
    assert main([*command, "--precision", "float32"]) == 0
    settings = load_model(tmp_path / "best.pt").settings
    assert (settings.encoder, settings.in_channels) == ("tf_efficientnet_lite0", 1)
    for options, told in (
        (["--depth", "2", "--width", "4"], "--depth, --width: not with an --encoder"),
        (["--weights", str(tmp_path / "none.safetensors")], "none.safetensors"),
    ):
        assert main([*command, *options, "--resume"]) == 2
        assert told in error(capsys)


def test_where_memory_runs_out_train_says_what_would_fit(tmp_path, capsys, monkeypatch) -> None:
    def greedy(*_, **_options):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("unet_lib.training.task.segmentation_loss", greedy)
    assert train(tmp_path, *SIMULATED) == 2
    told = error(capsys)
    assert told.startswith("error: epoch 1, step 1: memory ran out with a batch of shape (2, 1, 32")
    assert "; this step needs about" in told


@pytest.mark.parametrize("augment", ["all", "flip", "none"])
def test_instances_end_to_end(cells, capsys, augment) -> None:
    images, instances = str(cells / "images"), str(cells / "instances")
    folders = ["--images", images, "--masks", instances]
    options = ["--target", "instances", "--augment", augment]
    assert train(cells / "run", *folders, *options) == 0
    best = str(cells / "run" / "best.pt")
    assert load_model(best).settings.out_channels == 3
    capsys.readouterr()
    assert main(["evaluate", best, *folders, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == 9
    assert {"dice_per_image", "iou_pooled", "ap_at_iou_0.5_pooled"} <= told["scores"].keys()
    assert main(["predict", best, images, "--output", str(cells / "out"), "--instances"]) == 0
    for file in (cells / "images").iterdir():
        shape = read_image(file).shape
        assert read_mask(cells / "out" / "masks" / file.name).shape == shape
        assert read_mask(cells / "out" / "instances" / file.name).dtype == np.uint16


def test_classes_end_to_end(scenes, tmp_path, capsys) -> None:
    options = ["--mode", "RGB", "--normalize", "type", "--num-classes", "21"]
    options += ["--ignore-index", "255", "--target", "classes"]
    assert train(tmp_path / "run", *scenes, *options) == 0
    best = str(tmp_path / "run" / "best.pt")
    assert load_model(best).settings.out_channels == 21
    capsys.readouterr()
    assert main(["evaluate", best, *scenes]) == 0
    told = capsys.readouterr().out
    assert told.startswith("6 pictures, classes, threshold 0.5\n")
    assert "iou_per_image" in told
    assert "means over the classes, background included" in told
    assert "ap_at" not in told
    output = ["--output", str(tmp_path / "out")]
    assert main(["predict", best, scenes[1], *output]) == 0
    mask = next((tmp_path / "out" / "masks").iterdir())
    with Image.open(mask) as picture:
        assert picture.mode == "P"
    assert read_mask(mask).max() <= 20
    assert main(["predict", best, scenes[1], "--output", str(tmp_path / "2"), "--instances"]) == 2
    assert "tells classes apart, not objects" in error(capsys)


def test_the_number_of_classes_is_found_by_reading_the_masks(cells) -> None:
    folders = ["--images", str(cells / "images"), "--masks", str(cells / "masks")]
    values = ["--mask-values", "0:0", "255:1", "--target", "classes"]
    assert train(cells / "run", *folders, *values) == 0
    assert load_task(cells / "run" / "best.pt").num_classes == 2


def test_void_pixels_are_no_foreground(scenes, tmp_path, capsys) -> None:
    options = ["--mode", "RGB", "--num-classes", "21", "--ignore-index", "255"]
    assert train(tmp_path / "run", *scenes, *options) == 0
    assert load_task(tmp_path / "run" / "best.pt").out_channels == 1


def test_predict_writes_masks_of_0_and_255_for_pictures_of_any_size(run, tmp_path) -> None:
    image, _ = simulate_nuclei(seed=5, size=(37, 50))
    Image.fromarray(image).save(tmp_path / "cell.1.tif")
    output = tmp_path / "out"
    picture = str(tmp_path / "cell.1.tif")
    command = ["predict", str(run / "best.pt"), picture, "--output", str(output)]
    assert main([*command, "--threshold", "0.01", "--tile", "16"]) == 0
    mask = read_mask(output / "masks" / "cell.1.png")
    assert mask.shape == (37, 50)
    assert set(np.unique(mask)) <= {0, 255}
    assert mask.any()
    assert not (output / "instances").exists()


def test_predict_overwrites_nothing(run, cells, capsys) -> None:
    command = ["predict", str(run / "best.pt"), str(cells / "images"), "--output", str(cells)]
    masks = {file: file.read_bytes() for file in (cells / "masks").iterdir()}
    assert main(command) == 2
    assert "9 files exist already" in error(capsys)
    assert {file: file.read_bytes() for file in (cells / "masks").iterdir()} == masks


def test_predict_refuses_two_pictures_of_one_name(run, cells, capsys) -> None:
    twice = [str(cells / "images"), str(cells / "masks")]
    command = ["predict", str(run / "best.pt"), *twice, "--output", str(cells / "out")]
    assert main(command) == 2
    assert "several pictures would become 24_0000.png" in error(capsys)
    assert not (cells / "out").exists()


def test_evaluate_names_the_pooling(run, capsys) -> None:
    assert main(["evaluate", str(run / "best.pt"), *SIMULATED, "--threshold", "0.3"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("6 pictures, foreground, threshold 0.3\n")
    names = ["dice_per_image", "dice_pooled", "ap_at_iou_0.5_pooled", "per_image: mean of"]
    assert all(name in told for name in names)


def test_evaluate_on_the_test_part_of_the_real_nuclei(run, cells, capsys) -> None:
    for kind, source in (("images", "images"), ("masks", "instances")):
        folder = cells / "dsb" / "test" / kind
        folder.mkdir(parents=True)
        for file in (cells / source).iterdir():
            Image.fromarray(read_mask(file)).save(folder / f"{file.stem}.tif")
    real = ["--dataset", "dsb2018", "--root", str(cells / "dsb")]
    assert main(["evaluate", str(run / "best.pt"), *real]) == 0
    assert capsys.readouterr().out.startswith("9 pictures, foreground")
    assert train(cells / "run", *real) == 2  # there is no training part
    assert "no train/images and train/masks in it" in error(capsys)


def test_all_findings_are_listed_with_the_options_to_pass(cells, capsys) -> None:
    first, second, *_ = sorted((cells / "images").iterdir())
    first.write_bytes(b"")
    second.rename(second.with_name("other.png"))
    folders = ["--images", str(cells / "images"), "--masks", str(cells / "masks")]
    assert train(cells / "run", *folders) == 2
    told = error(capsys)
    assert "the file is empty (0 bytes)" in told
    assert "image without a mask" in told
    assert "pass mask_values={0: 0, 255: 1} (in a shell: --mask-values 0:0 255:1)\n" in told


def test_data_is_not_written_over_other_data(cells, scenes, tmp_path, capsys) -> None:
    (cells / "images" / "0001.png").touch()
    assert main(["data", "simulate", "--output", str(cells), "--count", "3"]) == 2
    assert "1 files exist already (0001.png) and are not overwritten" in error(capsys)
    assert main(["data", "voc", "--output", str(tmp_path)]) == 2
    assert "VOC2012 exists already" in error(capsys)


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
        (["--mode", "RGB"], "the simulated pictures are gray"),
        (["--target", "classes"], "their labels number nuclei"),
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


def test_checkpoints_that_cannot_be_used_are_one_message(tmp_path, capsys) -> None:
    assert main(["predict", str(tmp_path / "none.pt"), "a.png"]) == 2
    assert "no checkpoint" in error(capsys)
    save_checkpoint(tmp_path / "bare.pt", UNet(1, width=2, depth=1))
    assert main(["evaluate", str(tmp_path / "bare.pt")]) == 2
    assert "does not say what its network predicts" in error(capsys)


def test_predict_without_pictures(run, capsys) -> None:
    assert main(["predict", str(run / "best.pt")]) == 2
    assert "no pictures: name them" in error(capsys)


def test_unknown_options_are_explained_by_tyro(capsys) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--epoch", "3"])
    assert exit_.value.code == 2
    assert "--epoch" in error(capsys)


def test_help_shows_the_fields_and_no_examples_of_python(capsys) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--help"])
    assert exit_.value.code == 0
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
