"""Prediction of many images, and export, as a shell would call them."""

import threading
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from unet_lib.cli.main import main
from unet_lib.cli.overlap import overlapped
from unet_lib.data import read_image, read_mask, simulate_nuclei
from unet_lib.data.listing import LeftOutWarning
from unet_lib.evaluation import predict, tiles
from unet_lib.model import UNet
from unet_lib.shipping.export import read_metadata
from unet_lib.shipping.onnx_model import OnnxModel
from unet_lib.training import Task, Trained, load_model, save_checkpoint

NAMES = ("a.png", "b 2.tif", "ü.png", "10.jpg", "-x.bmp")
BAD = {  # and what is told of them
    "broken.png": ": ",
    "empty.png": ": the file is empty (0 bytes)",
    "nan.tif": ": 64 of 64 values are NaN or infinite",
    "thin.png": ": an image 1 pixels high or wide is too small for depth 1",
}


def call(*words: object) -> int:
    return main([*map(str, words)])


def stored(path: Path, network: UNet | None = None, task: Task | None = None) -> Path:
    network = network or UNet(1, width=2, depth=1)
    save_checkpoint(path, network, **(task or Task()).stored())
    return path


@pytest.fixture
def trained(tmp_path):
    return stored(tmp_path / "unet.pt")


@pytest.fixture
def folder(tmp_path):
    """Images of unusual names, one of them large, some of no use, and other files."""
    pictures = tmp_path / "images"
    pictures.mkdir()
    for index, name in enumerate(NAMES):
        side = 300 if name == "a.png" else 40 + index
        Image.fromarray(simulate_nuclei(1, index, (side, 36))[0]).save(pictures / name)
    (pictures / "broken.png").write_bytes((pictures / "a.png").read_bytes()[:300])
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(pictures / "nan.tif")
    Image.new("L", (1, 8)).save(pictures / "thin.png")
    for name in ("empty.png", ".hidden.png", "notes.txt"):
        (pictures / name).touch()
    return pictures


def test_the_unreadable_are_named_and_the_others_done(trained, folder, tmp_path, capsys) -> None:
    output = tmp_path / "out"
    options = ["--tile", 64, "--instances", "--precision", "float32"]
    assert call("predict", trained, folder, "--output", output, *options) == 1
    told = capsys.readouterr()
    assert told.out == f"5 images predicted, masks in {output / 'masks'}\n"
    first, *reasons = told.err.splitlines()
    assert first == "error: 4 images could not be predicted"
    for reason, (name, why) in zip(reasons, BAD.items(), strict=True):
        assert reason.startswith(f"- {folder / name}{why}")
    for name in NAMES:
        mask = output / "masks" / f"{name.rpartition('.')[0]}.png"
        with Image.open(folder / name) as picture:
            assert read_mask(mask).shape == picture.size[::-1]
        assert (output / "instances" / mask.name).is_file()
    assert len(list((output / "masks").iterdir())) == len(NAMES)


def test_an_interrupted_command_goes_on(trained, folder, tmp_path, capsys, monkeypatch) -> None:
    output, calls = tmp_path / "out", []
    command = ["predict", trained, folder, "--output", output]

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 4:  # the first is of a black image
            raise KeyboardInterrupt
        return tiles.predict_tiles(*args)

    monkeypatch.setattr("unet_lib.training.trained.predict_tiles", interrupted)
    assert call(*command) == 130
    written = {file: file.stat().st_mtime_ns for file in (output / "masks").iterdir()}
    assert len(written) == 2
    assert call(*command) == 2
    assert "2 files exist already" in capsys.readouterr().err
    assert call(*command, "--resume") == 1
    told = capsys.readouterr().out
    assert told.startswith("3 images predicted, 2 were there already, masks in")
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert len(list((output / "masks").iterdir())) == len(NAMES)
    next(iter(written)).unlink()
    assert call(*command, "--resume") == 1
    assert capsys.readouterr().out.startswith("1 image predicted, 4 were there already")


@pytest.mark.parametrize("numbers", ["float32", "float16", "int8", "int8, calibrated"])
def test_export(trained, folder, tmp_path, capsys, numbers) -> None:
    numbers, _, calibrated = numbers.partition(",")
    for name in BAD:
        (folder / name).unlink()
    output = tmp_path / "shipped" / "unet.onnx"
    options = ["--numbers", numbers, "--license", "MIT"]
    options += ["--images", folder] if calibrated else []
    assert call("export", trained, output, *options, "--classes", "background", "nucleus") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{output}: {output.stat().st_size:,} bytes, {numbers}"
    assert told[1] == "images (N, 1, H, W), sides of 2 pixels or more"
    assert told[2].startswith("differs from PyTorch by at most ")
    about = read_metadata(output)
    assert (about["classes"], about["license"]) == (["background", "nucleus"], "MIT")
    assert about["task"] == asdict(Task())
    assert OnnxModel(output).mask(np.eye(20)).shape == (20, 20)


def test_bad_input_of_export_is_one_message(trained, tmp_path, capsys) -> None:
    there, new = tmp_path / "there.onnx", tmp_path / "a.onnx"
    there.touch()
    (tmp_path / "text.pt").write_text("hello")
    save_checkpoint(tmp_path / "bare.pt", UNet(1, width=2, depth=1))
    for arguments, message in (
        ([tmp_path / "none.pt", new], "none.pt"),
        ([tmp_path / "text.pt", new], "cannot be read"),
        ([trained, tmp_path], "is a folder; name a file in it: "),
        ([trained, there], "exists already and is not overwritten"),
        ([trained, new, "--images", tmp_path], "pass --numbers int8, too"),
        ([trained, new, "--classes", "nucleus"], "2 were expected"),
        ([tmp_path / "bare.pt", new], "does not say what"),
    ):
        assert call("export", *arguments) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert message in told.err
    assert not new.exists()


def broken() -> UNet:
    network = UNet(1, width=2, depth=1)
    torch.nn.init.constant_(next(network.parameters()), torch.nan)
    return network


@pytest.mark.parametrize(
    ("network", "task", "options", "message"),
    [
        (UNet(3, width=2, depth=1), Task(), [], "takes 1 and gives 1 channels, the network 3 and"),
        (None, Task("instances"), [], "takes 1 and gives 3 channels, the network 1 and 1"),
        (None, Task(), ["--tile", 0], "tile must be at least 1"),
        (broken(), Task(), [], "unet.pt: the network gives NaN or infinite logits"),
    ],
)
def test_what_would_fail_with_every_picture_is_told_once(
    folder, tmp_path, capsys, network, task, options, message
) -> None:
    path = stored(tmp_path / "unet.pt", network, task)
    assert call("predict", path, folder, "--output", tmp_path / "out", *options) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_network_with_group_norm_is_predicted_in_parts_with_a_halo(
    folder, tmp_path, capsys
) -> None:
    path = stored(tmp_path / "unet.pt", UNet(1, width=8, depth=1, norm="group"))
    command = "predict", path, folder / "a.png", "--output", tmp_path / "out", "--tile", 64
    assert call(*command) == 1
    assert "in tiles of 64 would give other logits: leave tile out" in capsys.readouterr().err
    assert call(*command, "--halo", 8) == 0


def test_it_tells_in_which_numbers_and_what_they_change(trained, folder, tmp_path, capsys) -> None:
    command = ["predict", trained, folder / "a.png", "--output"]
    assert call(*command, tmp_path / "auto") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("1 image predicted, masks in")
    assert told[1].startswith(("computed in float32, ", "computed in bf16, "))
    assert call(*command, tmp_path / "exact", "--precision", "float32") == 0
    assert capsys.readouterr().out.count("\n") == 1
    task, model = Task(), load_model(trained)
    mask = task.mask(predict(model, task.prepare(read_image(folder / "a.png"))))
    assert np.array_equal(read_image(tmp_path / "exact" / "masks" / "a.png"), 255 * mask)


@pytest.mark.parametrize("target", ["foreground", "distances", "offsets"])
def test_the_mean_of_eight_views(folder, tmp_path, capsys, target) -> None:
    task = Task(target)
    path = stored(tmp_path / "unet.pt", UNet(1, task.out_channels, width=2, depth=1), task)
    options = ["--views", 8, "--instances", "--precision", "float32", "--output", tmp_path / "out"]
    assert call("predict", path, folder / "a.png", *options) == 0
    trained = Trained.load(path, precision="float32", views=8)
    found = [read_mask(tmp_path / "out" / kind / "a.png") for kind in ("masks", "instances")]
    assert np.array_equal(found[0], 255 * trained.mask(folder / "a.png"))
    assert np.array_equal(found[1], trained.instances(folder / "a.png"))
    words = ["evaluate", path, "--count", 2, "--size", 32, "--json"]
    scores = [(call(*words, *more), capsys.readouterr().out) for more in ((), ("--views", 8))]
    assert scores[0] != scores[1]
    with pytest.raises(SystemExit, match="2"):
        call(*words, "--views", 4)


def test_objects_at_a_common_size(folder, tmp_path, capsys) -> None:
    torch.manual_seed(0)
    path = stored(tmp_path / "unet.pt", UNet(1, 1, width=2, depth=1), Task(threshold=0.45))
    options = ["--instances", "--precision", "float32", "--output", tmp_path / "out"]
    assert call("predict", path, folder / "a.png", *options, "--diameter", 30) == 0
    trained = Trained.load(path, precision="float32", diameter=30)
    found = [read_mask(tmp_path / "out" / kind / "a.png") for kind in ("masks", "instances")]
    assert np.array_equal(found[0], 255 * trained.mask(folder / "a.png"))
    assert np.array_equal(found[1], trained.instances(folder / "a.png"))
    words = ["evaluate", path, "--count", 2, "--size", 32, "--json"]
    scores = [(call(*words, *more), capsys.readouterr().out) for more in ((), ("--diameter", 30))]
    assert scores[0] != scores[1]
    assert call(*words, "--diameter", 0) != 0


def test_the_next_is_read_and_the_last_written_meanwhile() -> None:
    """Each waits for the others at one place: one after the other they would never meet."""
    meet, order = threading.Barrier(3, timeout=20), []

    def step(name: str, index: int) -> int:
        if name == {3: "read", 2: "compute", 1: "write"}.get(index):
            meet.wait()
        if index == 3 and name == "compute":
            raise ValueError("no. 3")
        order.append((name, index))
        return index

    outcomes = overlapped(
        range(6),
        read=lambda i: step("read", i),
        compute=lambda i, content: step("compute", content),
        write=lambda i, found: step("write", found) and None,
    )
    assert [str(outcome) for outcome in outcomes] == ["None"] * 3 + ["no. 3"] + ["None"] * 2
    for name in ("read", "compute", "write"):
        assert [i for kind, i in order if kind == name] == [
            i for i in range(6) if i != 3 or name == "read"
        ]


def test_masks_stay_when_instances_are_asked_for_later(trained, folder, tmp_path) -> None:
    command = ["predict", trained, folder / "a.png", "--output", tmp_path / "out"]
    assert call(*command) == 0
    mask = tmp_path / "out" / "masks" / "a.png"
    mask.write_bytes(b"corrected by hand")
    assert call(*command, "--instances", "--resume", "--threshold", 0.1) == 0
    assert mask.read_bytes() == b"corrected by hand"
    assert (tmp_path / "out" / "instances" / "a.png").is_file()


def test_an_output_that_cannot_be_written_stops_at_once(
    trained, folder, tmp_path, capsys, monkeypatch
) -> None:
    (tmp_path / "file").touch()
    command = ["predict", trained, folder, "--output"]
    assert call(*command, tmp_path / "file") == 2
    assert f"{tmp_path / 'file' / 'masks'} cannot be made (" in capsys.readouterr().err

    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert call(*command, tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert "-x.png cannot be written ([Errno 28] No space left on device); check that" in told
    assert list((tmp_path / "out" / "masks").iterdir()) == []


def test_wild_stacks_give_stacks_and_folders_stay_folders(trained, tmp_path, capsys) -> None:
    images, masks = tmp_path / "data" / "images", tmp_path / "data" / "masks"
    for place in (images / "ward", masks):
        place.mkdir(parents=True)
    stack = np.stack([simulate_nuclei(1, i, (24, 40))[0] for i in range(4)])
    how = {"imagej": True, "metadata": {"axes": "ZYX"}}
    tifffile.imwrite(images / "ward" / "a.tif", stack, **how)
    two = np.stack([stack[0], stack[1]])
    tifffile.imwrite(images / "b.tif", two, imagej=True, metadata={"axes": "CYX"})
    Image.fromarray(stack[0]).save(masks / "a.png")
    options = ["--output", tmp_path / "out", "--precision", "float32", "--instances"]
    with pytest.warns(LeftOutWarning, match="holds masks, too: only the images in images"):
        assert call("predict", trained, tmp_path / "data", *options) == 1
    assert "b.tif: 2 channels in one file; expected one channel" in capsys.readouterr().err
    found = tifffile.imread(tmp_path / "out" / "masks" / "ward" / "a.tif")
    each = [Trained.load(trained, precision="float32").mask(page) for page in stack]
    assert np.array_equal(found, 255 * np.stack(each))
    assert tifffile.imread(tmp_path / "out" / "instances" / "ward" / "a.tif").shape == stack.shape
    outlined = ["--output", tmp_path / "rois", "--outlines", "imagej"]
    assert call("predict", trained, images / "ward", *outlined) == 0
    assert (tmp_path / "rois" / "outlines" / "a.zip").is_file()
    options = ["--output", tmp_path / "some", "--pages", "0,2-3", "--channel", 0]
    assert call("predict", trained, images / "ward" / "a.tif", images / "b.tif", *options) == 0
    assert tifffile.imread(tmp_path / "some" / "masks" / "a.tif").shape == (3, 24, 40)
    for pages, told in (("4", "has pages 0 to 3"), ("x", "numbers and ranges, as in 0,4-9")):
        assert call("predict", trained, images / "ward", "--pages", pages) == 2
        assert told in capsys.readouterr().err


def test_wild_masks_beside_images_are_left_out(trained, tmp_path) -> None:
    for name in ("a.png", "a_mask.png"):
        Image.fromarray(simulate_nuclei(1, 0, (24, 40))[0]).save(tmp_path / name)
    with pytest.warns(LeftOutWarning, match="1 files left out, their names end with '_mask'"):
        call("predict", trained, tmp_path, "--suffix", "_mask", "--output", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "masks").iterdir()] == ["a.png"]


def test_wild_names_as_long_as_they_may_be(trained, tmp_path) -> None:
    name = "x" * 250 + ".png"
    Image.fromarray(simulate_nuclei(1, 0, (24, 40))[0]).save(tmp_path / name)
    assert call("predict", trained, tmp_path, "--output", tmp_path / "out") == 0
    assert (tmp_path / "out" / "masks" / name).is_file()
