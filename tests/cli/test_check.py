"""The command `check`: what it accepts, what it prints, and its exit status."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from unet_lib.cli.main import main
from unet_lib.training import load_checkpoint, load_model, save_checkpoint

SMALL = ["--width", "4", "--depth", "2", "--batch-size", "4", "--precision", "float32"]
MAPPED = ["--mask-values", "0:0", "255:1"]


@pytest.fixture
def cells(tmp_path):
    """A folder with images, masks of 0 and 255, and instances."""
    command = ["data", "simulate", "--output", str(tmp_path / "cells"), "--count", "12"]
    assert main([*command, "--size", "64"]) == 0
    return tmp_path / "cells"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a short run on simulated nuclei."""
    folder = tmp_path_factory.mktemp("run")
    options = ["--count", "12", "--size", "64", "--crop", "64", "--epochs", "2"]
    assert main(["train", "--folder", str(folder), *SMALL, *options]) == 0
    return folder


def check(capsys, *arguments):
    """Exit status, and what was printed."""
    capsys.readouterr()
    status = main(["check", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def findings(capsys, *arguments):
    """What was printed where something is wrong, as one line."""
    status, told = check(capsys, *arguments)
    assert status == 1
    return " ".join(told.split())


def paired(folder, **pictures):
    """Folders images and masks, with an image and a mask of each name."""
    for place, kind in enumerate(("images", "masks")):
        (folder / kind).mkdir()
        for name, pair in pictures.items():
            Image.fromarray(pair[place].astype(np.uint8)).save(folder / kind / f"{name}.png")
    return folder


def test_healthy_folder(cells, capsys):
    status, told = check(capsys, cells, *MAPPED)
    assert status == 0
    lines = told.splitlines()
    assert lines[:2] == [f"{cells}: nothing found (12 images)", "height x width: 64x64 (12)"]
    shares = [float(line.split()[2].rstrip("%")) for line in lines[2:]]
    assert [line.partition(":")[0] for line in lines[2:]] == ["label 0", "label 1"]
    assert sum(shares) == pytest.approx(100, abs=0.2)


def test_findings_are_printed_with_their_cure(cells, capsys):
    status, told = check(capsys, cells)
    assert status == 1
    assert told.startswith(f"{cells}: 1 finding\n\nmask-values\n  symptom:  the loss is huge")
    assert "found:    12 masks with mask values 0, 255\n  expected: 0 to 1\n" in told
    words = "pass mask_values={0: 0, 255: 1} (in a shell: --mask-values 0:0 255:1)"
    assert words in " ".join(told.split())
    assert f"files:    {cells / 'masks' / '0000.png'}: 255," in told
    assert "... (12 in all)" in told


def test_nothing_is_changed(cells, run, capsys):
    files = [*cells.rglob("*.png"), *run.glob("*")]
    before = {file: file.read_bytes() for file in files}
    check(capsys, cells, run, *MAPPED)
    assert {file: file.read_bytes() for file in files} == before
    assert sorted([*cells.rglob("*.png"), *run.glob("*")]) == sorted(files)


def test_folders_by_other_names(cells, capsys):
    (cells / "masks").rename(cells / "truth")
    options = ["--images", cells / "images", "--masks", cells / "truth"]
    assert check(capsys, *options, *MAPPED)[0] == 0
    status, told = check(capsys, cells, *MAPPED)
    assert status == 2
    assert f"error: {cells}: no folders of images and masks in it, and no checkpoint" in told
    assert "it holds images, instances, truth. Looked for images and masks" in told
    assert "or pass --images and --masks" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "error: nothing to examine: name a folder, or pass --images and --masks"),
        (["--images", "a"], "error: images and masks belong together: pass both folders"),
        (["no/where"], "error: no/where: no such folder; check the path"),
        (["README.md"], "error: README.md: a file, not a folder; check the path"),
    ],
)
def test_commands_that_cannot_be_followed(arguments, told, capsys):
    status, printed = check(capsys, *arguments)
    assert status == 2
    assert told in printed


def test_void_and_many_sizes(tmp_path, capsys):
    assert main(["data", "voc", "--output", str(tmp_path), "--count", "8"]) == 0
    voc = ["--mode", "RGB", "--target", "classes", "--num-classes", "21", "--ignore-index", "255"]
    status, told = check(capsys, tmp_path / "VOCdevkit" / "VOC2012", *voc)
    assert status == 0
    assert ", ...\n" in told  # more sizes than are shown
    assert "of the pixels (ignored)" in told


def test_all_damaged_files_are_named(cells, capsys):
    files = sorted((cells / "images").iterdir())[:7]
    for file in files:
        file.write_bytes(b"")
    told = findings(capsys, cells, *MAPPED)
    assert all(str(file) in told for file in files)


def test_parts_are_compared(cells, tmp_path, capsys):
    for part in ("train", "test"):
        for kind in ("images", "masks"):
            (tmp_path / "data" / part / kind).mkdir(parents=True)
    for file in sorted(cells.glob("*s/*.png")):
        for part in ("train", "test") if file.stem == "0003" else ("train",):
            if file.parent.name != "instances":
                shutil.copy(file, tmp_path / "data" / part / file.parent.name / file.name)
    told = findings(capsys, tmp_path / "data", *MAPPED)
    assert "leak" in told
    assert "1 of 1 images of the second part are in the first, too" in told


def test_parts_as_in_camvid(cells, tmp_path, capsys):
    (cells / "images").rename(tmp_path / "train")
    (cells / "masks").rename(tmp_path / "trainannot")
    status, told = check(capsys, tmp_path, *MAPPED)
    assert status == 0
    assert told.startswith(f"{tmp_path} train: nothing found (12 images)\nheight")


def test_copies_in_one_folder(cells, capsys):
    for kind in ("images", "masks"):
        shutil.copy(cells / kind / "0002.png", cells / kind / "copy.png")
    told = findings(capsys, cells, *MAPPED)
    assert "1 images are there twice" in told
    assert "copy.png equals" in told


def test_slices_of_a_stack_in_one_folder(tmp_path, capsys):
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.random((12, 12)) > 0.6, np.ones((8, 8)))
    slices = {str(z): np.roll(blocks, z, axis=1) for z in range(8)}
    pairs = {z: (150 * mask + rng.integers(0, 60, mask.shape), mask) for z, mask in slices.items()}
    told = findings(capsys, paired(tmp_path, **pairs))
    assert "neighboring-pictures" in told
    assert "slices of a stack or frames of a film" in told


def test_instance_masks(cells, capsys):
    options = ["--images", cells / "images", "--masks", cells / "instances"]
    targets = (["--target", target] for target in ("instances", "distances", "offsets"))
    for numbered in (["--instance-masks"], *targets):
        status, told = check(capsys, *options, *numbered)
        assert status == 0
        assert "objects in an image: " in told
        assert "label 0" not in told


def test_numbered_objects_are_recognized(tmp_path, capsys):
    labels = np.kron(np.arange(36).reshape(6, 6), np.ones((6, 6)))
    told = findings(capsys, paired(tmp_path, a=(labels * 3, labels), b=(labels * 3, labels)))
    assert "instances-as-classes" in told
    assert "up to 35 labels in a mask, 100% of them single regions" in told
    assert "mask-blended" not in told


def test_healthy_run_alone_and_with_its_data(run, cells, capsys):
    status, told = check(capsys, run)
    assert (status, told) == (0, f"{run}: nothing found (0 images)\n")
    status, told = check(capsys, run / "last.pt", cells, *MAPPED)
    assert status in (0, 1)  # two epochs are few; but whatever is found is about the network
    assert "mask" not in told.partition("\n")[0].replace(str(cells), "")


def test_run_whose_loss_did_not_move(run, tmp_path, capsys):
    contents = load_checkpoint(run / "last.pt")
    rows = json.loads(contents.pop("history"))
    rows = [rows[0] | {"epoch": epoch, "loss": 1.3} for epoch in range(1, 7)]
    model = load_model(run / "last.pt")
    state = {k: v for k, v in contents.items() if k not in ("format", "model", "weights")}
    save_checkpoint(tmp_path / "last.pt", model, history=json.dumps(rows), **state)
    told = findings(capsys, tmp_path)
    assert "rate-too-low" in told
    assert "the training loss stayed between 1.3 and 1.3" in told


@pytest.mark.parametrize("size", [3, 2000])
def test_damaged_checkpoint(run, tmp_path, capsys, size):
    (tmp_path / "best.pt").write_bytes((run / "best.pt").read_bytes()[:size])
    told = findings(capsys, tmp_path)
    assert "unreadable-checkpoint" in told
    assert f"({size} bytes) cannot be read: it is cut short, or not a file of weights" in told


@pytest.mark.parametrize(
    "changes",
    [
        {"task": '{"target": "foreground", "sides": 3}'},
        {"task": "{"},
        {"training": '{"epochs": 3, "warmup": 4}'},
        {"training": '{"epochs": 0}'},
        {"history": "cut"},
        {"model": '{"in_channels": 1, "attention": true}'},
    ],
)
def test_checkpoint_of_a_newer_version(run, tmp_path, changes, capsys):
    torch.save(load_checkpoint(run / "last.pt") | changes, tmp_path / "last.pt")
    told = findings(capsys, tmp_path)
    assert "unreadable-checkpoint" in told
    assert "last.pt holds settings that this version of unet-lib does not take" in told


def test_classes_are_counted_in_the_masks_where_no_option_says(run, cells, capsys):
    told = findings(capsys, run, cells, *MAPPED, "--target", "classes")
    assert "1 output channels, and target 'classes' needs 2" in told


def test_constant_copies_are_told_once(tmp_path, capsys):
    pair = np.zeros((40, 40)), np.eye(40)
    assert "1 finding constant-images" in findings(capsys, paired(tmp_path, a=pair, b=pair))


def test_files_stored_in_color(tmp_path, capsys):
    image = np.arange(4800).reshape(40, 40, 3) % 251
    red = np.eye(40)[..., None] * [255, 0, 0]
    told = findings(capsys, paired(tmp_path, a=(image, np.eye(40)), b=(np.eye(40), red)))
    assert 'cure: pass mode="RGB" (in a shell: --mode RGB)' in told
    assert "of the masks (in a shell: --palette 0,0,0:0 255,0,0:1)" in told


def test_options_stand_above_what_the_checkpoint_says(run, cells, capsys):
    options = ["--images", cells / "images", "--masks", cells / "instances", "--instance-masks"]
    told = findings(capsys, run, *options, "--target", "instances")
    assert "wrong-classes" in told
    assert "1 output channels, and target 'instances' needs 3" in told
