"""Prediction of many pictures, and export, as a shell would call them."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image

from unet_lib.cli.main import main
from unet_lib.data import read_mask, simulate_nuclei
from unet_lib.evaluation import tiles
from unet_lib.model import UNet
from unet_lib.shipping.export import read_metadata
from unet_lib.shipping.onnx_model import OnnxModel
from unet_lib.training import Task, save_checkpoint

NAMES = ("a.png", "b 2.tif", "ü.png", "10.jpg", "-x.bmp")


@pytest.fixture
def trained(tmp_path):
    path = tmp_path / "unet.pt"
    save_checkpoint(path, UNet(1, width=2, depth=1).eval(), **Task().stored())
    return path


@pytest.fixture
def folder(tmp_path):
    """Pictures of unusual names, one of them large, a text that calls itself a picture, others."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index, name in enumerate(NAMES):
        side = 300 if name == "a.png" else 40 + index
        Image.fromarray(simulate_nuclei(1, index, (side, 36))[0]).save(pictures / name)
    (pictures / "broken.png").write_bytes((pictures / "a.png").read_bytes()[:300])
    (pictures / "empty.png").touch()
    (pictures / ".hidden.png").touch()
    (pictures / "notes.txt").touch()
    return pictures


def test_the_unreadable_are_named_and_the_others_done(trained, folder, tmp_path, capsys) -> None:
    output = tmp_path / "out"
    command = ["predict", str(trained), str(folder), "--output", str(output), "--tile", "64"]
    assert main([*command, "--instances"]) == 1
    told = capsys.readouterr()
    assert told.out == f"5 pictures predicted, masks in {output / 'masks'}\n"
    first, *reasons = told.err.splitlines()
    assert first == "error: 2 pictures could not be predicted"
    assert f"- {folder / 'broken.png'}" in reasons[0]
    assert f"- {folder / 'empty.png'}: the file is empty (0 bytes)" in reasons[1]
    for name in NAMES:
        mask = output / "masks" / f"{name.rpartition('.')[0]}.png"
        with Image.open(folder / name) as picture:
            assert read_mask(mask).shape == picture.size[::-1]
        assert (output / "instances" / mask.name).is_file()
    assert len(list((output / "masks").iterdir())) == len(NAMES)


def test_an_interrupted_command_goes_on(trained, folder, tmp_path, capsys, monkeypatch) -> None:
    output = tmp_path / "out"
    command = ["predict", str(trained), str(folder), "--output", str(output)]
    calls = []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 4:  # the first is of a black picture
            raise KeyboardInterrupt
        return tiles.predict_tiles(*args)

    monkeypatch.setattr("unet_lib.training.trained.predict_tiles", interrupted)
    assert main(command) == 130
    written = {file: file.stat().st_mtime_ns for file in (output / "masks").iterdir()}
    assert len(written) == 2
    assert main(command) == 2
    assert "2 files exist already" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 1
    told = capsys.readouterr().out
    assert told.startswith("3 pictures predicted, 2 were there already, masks in")
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert len(list((output / "masks").iterdir())) == len(NAMES)
    next(iter(written)).unlink()
    assert main([*command, "--resume"]) == 1
    assert capsys.readouterr().out.startswith("1 picture predicted, 4 were there already")


def test_a_misspelled_path_leaves_nothing_behind(trained, tmp_path, capsys) -> None:
    output = tmp_path / "out"
    assert main(["predict", str(trained), str(tmp_path / "pictrues"), "--output", str(output)]) == 2
    assert "pictrues: no such file or folder; check the path" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize("numbers", ["float32", "float16", "int8"])
def test_export(trained, folder, tmp_path, capsys, numbers) -> None:
    output = tmp_path / "shipped" / "unet.onnx"
    for name in ("broken.png", "empty.png"):
        (folder / name).unlink()
    command = ["export", str(trained), str(output), "--numbers", numbers, "--license", "MIT"]
    command += ["--pictures", str(folder)] if numbers == "int8" else []
    assert main([*command, "--classes", "background", "nucleus"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{output}: {output.stat().st_size:,} bytes, {numbers}"
    assert told[1] == "images (N, 1, H, W), sides of 2 pixels or more"
    assert told[2].startswith("differs from PyTorch by at most ")
    stored = read_metadata(output)
    assert (stored["classes"], stored["license"]) == (["background", "nucleus"], "MIT")
    assert stored["task"] == asdict(Task())
    assert OnnxModel(output).mask(np.eye(20)).shape == (20, 20)


def test_bad_input_of_export_is_one_message(trained, tmp_path, capsys) -> None:
    def answer(*arguments) -> str:
        assert main(["export", *map(str, arguments)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        return told.err

    there = tmp_path / "there.onnx"
    there.touch()
    assert "none.pt" in answer(tmp_path / "none.pt", tmp_path / "a.onnx")
    (tmp_path / "text.pt").write_text("hello")
    assert "cannot be read" in answer(tmp_path / "text.pt", tmp_path / "a.onnx")
    assert "is a folder; name a file in it: " in answer(trained, tmp_path)
    assert "exists already and is not overwritten" in answer(trained, there)
    options = ("--pictures", tmp_path)
    assert "pass --numbers int8, too" in answer(trained, tmp_path / "a.onnx", *options)
    options = ("--classes", "nucleus")
    assert "2 were expected" in answer(trained, tmp_path / "a.onnx", *options)
    save_checkpoint(tmp_path / "bare.pt", UNet(1, width=2, depth=1))
    assert "does not say what" in answer(tmp_path / "bare.pt", tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize(
    ("network", "task", "options", "message"),
    [
        ({"in_channels": 3}, Task(), [], "takes 1 and gives 1 channels, the network 3 and 1"),
        ({}, Task("instances"), [], "takes 1 and gives 3 channels, the network 1 and 1"),
        ({}, Task(), ["--tile", "0"], "tile must be at least 1"),
    ],
)
def test_what_would_fail_with_every_picture_is_told_once(
    folder, tmp_path, capsys, network, task, options, message
) -> None:
    path = tmp_path / "unet.pt"
    save_checkpoint(
        path, UNet(**{"in_channels": 1, "width": 2, "depth": 1} | network), **task.stored()
    )
    output = ["--output", str(tmp_path / "out"), *options]
    assert main(["predict", str(path), str(folder), *output]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_network_of_nan_predicts_nothing(folder, tmp_path, capsys) -> None:
    network = UNet(1, width=2, depth=1)
    torch.nn.init.constant_(next(network.parameters()), torch.nan)
    save_checkpoint(tmp_path / "unet.pt", network, **Task().stored())
    assert main(["predict", str(tmp_path / "unet.pt"), str(folder)]) == 2
    assert "unet.pt: the network gives NaN or infinite logits" in capsys.readouterr().err


def test_masks_stay_when_instances_are_asked_for_later(trained, folder, tmp_path) -> None:
    command = ["predict", str(trained), str(folder / "a.png"), "--output", str(tmp_path / "out")]
    assert main(command) == 0
    mask = tmp_path / "out" / "masks" / "a.png"
    mask.write_bytes(b"corrected by hand")
    assert main([*command, "--instances", "--resume", "--threshold", "0.1"]) == 0
    assert mask.read_bytes() == b"corrected by hand"
    assert (tmp_path / "out" / "instances" / "a.png").is_file()


def test_an_output_that_cannot_be_written_stops_at_once(
    trained, folder, tmp_path, capsys, monkeypatch
) -> None:
    (tmp_path / "file").touch()
    command = ["predict", str(trained), str(folder), "--output"]
    assert main([*command, str(tmp_path / "file")]) == 2
    assert f"{tmp_path / 'file' / 'masks'} cannot be made (" in capsys.readouterr().err

    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert main([*command, str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "-x.png cannot be written ([Errno 28] No space left on device); check that" in told
    assert list((tmp_path / "out" / "masks").iterdir()) == []
