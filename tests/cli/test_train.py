"""The command `train`: its budget, its split, what it refuses, and the page at its end."""

import json
import re
import shutil
from functools import partial
from html.parser import HTMLParser
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from unet_lib.cli.budget import Budget
from unet_lib.cli.drawing import jpeg
from unet_lib.cli.main import main
from unet_lib.data import PairedFolder, simulate_nuclei
from unet_lib.training import Task, Trained, fit, load_checkpoint
from unet_lib.training.task import Target

pytestmark = pytest.mark.filterwarnings("ignore::unet_lib.training.OneClassWarning")

TINY = ["--width", "2", "--depth", "2", "--batch-size", "4", "--precision", "float32"]
TINY += ["--crop", "32"]
VALUES = ["--mask-values", "0:0", "255:1"]


def train(folder, *options: object) -> int:
    return main(["train", "--folder", str(folder), *TINY, *map(str, options)])


def write(folder, count: int = 6, size: tuple[int, int] = (40, 52), seed: int = 0) -> list[str]:
    """Images and masks of 0 and 255; the options that name them."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image, labels = simulate_nuclei(seed, index, size)
        name = f"{seed}-{index}.png"
        Image.fromarray(image).save(folder / "images" / name)
        Image.fromarray(np.uint8(255 * (labels > 0))).save(folder / "masks" / name)
    return ["--images", str(folder / "images"), "--masks", str(folder / "masks")]


@pytest.fixture
def data(tmp_path) -> list[str]:
    return [*write(tmp_path / "data"), *VALUES]


def weights(folder) -> list[torch.Tensor]:
    return list(load_checkpoint(folder / "last.pt")["weights"].values())


def equal(one, other) -> bool:
    return all(map(torch.equal, weights(one), weights(other)))


def error(capsys) -> str:
    return capsys.readouterr().err


# The budget


def test_large_images_give_more_steps_and_many_images_no_more_than_needed():
    few_small, few_large, many = (
        Budget([side * side] * count, crop=128, batch_size=8)
        for side, count in ((128, 8), (1024, 8), (512, 10_000))
    )
    assert (few_small.steps, few_large.steps, many.steps) == (600, 960, 1500)
    assert few_large.draws * few_large.epochs * 128**2 >= 15 * sum(few_large.areas) / 1.1
    assert Budget([64 * 64] * 3, crop=32, batch_size=4, passes=7).steps == 7 * 3
    assert Budget([64 * 64] * 3, crop=32, batch_size=4, wanted=5).steps == 5


def test_images_are_drawn_by_their_area(tmp_path, capsys):
    base = tmp_path / "data"
    options = write(base, 3, (32, 32)) and write(base, 2, (128, 128), seed=1)
    assert train(tmp_path / "run", *options, *VALUES, "--epochs", 2, "--validation", 0.2) == 0
    told = capsys.readouterr().out
    assert "4 images for training, 1 for validation" in told
    steps = int(re.search(r"(\d+) steps of 4 crops of 32 x 32 pixels, 2 times the area", told)[1])
    assert steps in (2 * 5, 2 * 9)  # 2 or 3 small ones of one crop, and 1 or 2 of 16
    rows = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [row["epoch"] for row in rows] == [1, 2]


def test_a_run_repeats_and_goes_on_to_the_bit(tmp_path, data, monkeypatch):
    options = [*data, "--steps", 6]
    assert train(tmp_path / "one", *options) == train(tmp_path / "two", *options) == 0
    assert equal(tmp_path / "one", tmp_path / "two")

    def stop(row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("unet_lib.cli.train.fit", partial(fit, on_epoch=stop))
        assert train(tmp_path / "broken", *options) == 130
    assert {file.name for file in (tmp_path / "broken").iterdir()} == {"last.pt", "best.pt"}
    assert train(tmp_path / "broken", *options, "--resume") == 0
    assert equal(tmp_path / "one", tmp_path / "broken")
    assert train(tmp_path / "seed", *options, "--seed", 1) == 0
    assert not equal(tmp_path / "one", tmp_path / "seed")


def test_a_run_ends_in_time_and_its_schedule_with_it(tmp_path, data, capsys):
    folder = tmp_path / "run"
    assert train(folder, *data, "--steps", 100_000, "--minutes", 0.03) == 0
    assert re.search(r"over after \d+ of 100000 steps: more --minutes", capsys.readouterr().out)
    last = load_checkpoint(folder / "last.pt")
    assert last["schedule"]["last_epoch"] == last["steps"] >= 100_000
    assert last["optimizer"]["param_groups"][0]["lr"] < 1e-4
    assert last["optimizer"]["state"][0]["step"] < 10_000
    assert sum(row["seconds"] for row in json.loads(last["history"])) < 10


# What it is judged on


def test_whole_images_are_judged_and_the_worst_are_named(tmp_path, data, capsys):
    assert train(tmp_path / "run", *data, "--epochs", 2, "--validation", 0.5) == 0
    told = capsys.readouterr().out
    mean = float(re.search(r"mean Dice of the validation images (\S+) ", told)[1])
    worst = re.findall(r"(0-\d\.png) \((\d\.\d+)\)", told)
    split = json.loads(load_checkpoint(tmp_path / "run" / "last.pt")["about"])["split"]
    assert {name for name, _ in worst} == set(split["validation"])
    assert mean == pytest.approx(np.mean([float(score) for _, score in worst]), abs=2e-3)
    assert [score for _, score in worst] == sorted(score for _, score in worst)
    trained = Trained.load(tmp_path / "run" / "best.pt")
    name, score = worst[0]
    true = np.array(Image.open(tmp_path / "data" / "masks" / name)) > 0
    found = trained.mask(tmp_path / "data" / "images" / name) > 0
    dice = 2 * (found & true).sum() / max(1, found.sum() + true.sum())
    assert dice == pytest.approx(float(score), abs=2e-3)


def test_the_network_that_is_kept_is_the_one_that_is_judged(tmp_path, data, capsys):
    assert train(tmp_path / "run", *data, "--steps", 4, "--keep", "last") == 0
    assert f"{tmp_path / 'run' / 'last.pt'}: epoch 4, mean Dice" in capsys.readouterr().out
    assert "predict " + str(tmp_path / "run" / "last.pt") in (
        (tmp_path / "run" / "report.html").read_text()
    )


class Page(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("target", ["foreground", "classes"])
def test_the_page_stands_alone_and_can_be_read_without_seeing(tmp_path, data, target):
    for kind in ("images", "masks"):
        for file in sorted((tmp_path / "data" / kind).iterdir()):
            file.rename(file.with_name(f"a&b<i>{file.name}"))
    options = ["--steps", 4, "--target", target, "--validation", 0.5]
    assert train(tmp_path / "run", *data, *options) == 0
    text = (tmp_path / "run" / "report.html").read_text()
    assert len(text) < 1_000_000
    assert "http" not in text
    assert "<script" not in text
    assert "prefers-color-scheme: dark" in text
    page = Page(text).tags
    images = [about for tag, about in page if tag == "img"]
    assert len(images) == 3 * (2 if target == "foreground" else 3)
    assert all(about["src"].startswith("data:image/jpeg;base64,") for about in images)
    assert all("a&b<i>0-" in about["alt"] for about in images)
    curves = [about["aria-label"] for tag, about in page if tag == "svg"]
    assert len(curves) == 2
    assert "validation ends at 1." in curves[0]
    assert "a&amp;b&lt;i&gt;0-" in text
    assert f"predict {tmp_path / 'run' / 'best.pt'}" in text
    for setting in ("learning_rate", "crop", "batch_size", "normalize", "width"):
        assert f"<td>{setting}</td>" in text


def test_nine_pictures_of_noise_are_light_enough():
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    assert 9 * max(len(jpeg(noise, exact)) for exact in (True, False)) < 950_000


# What does not count


def scribble(folder, all_void: bool = False) -> list[str]:
    """Masks that are void but for a corner; two of eight wholly."""
    options = write(folder, 8)
    for number, file in enumerate(sorted((folder / "masks").iterdir())):
        mask = np.full((40, 52), 255, np.uint8)
        if number > 1 and not all_void:
            mask[:8, :8], mask[8:12, :8] = 0, 1
        Image.fromarray(mask).save(file)
    return [*options, "--ignore-index", "255", "--num-classes", "2"]


@pytest.mark.parametrize("target", ["foreground", "classes"])
def test_images_with_nothing_to_judge_are_in_no_mean(tmp_path, capsys, target):
    options = [*scribble(tmp_path / "data"), "--target", target, "--validation", "0.5"]
    assert train(tmp_path / "run", *options, "--epochs", 1, "--seed", 1) == 0
    text = (tmp_path / "run" / "history.json").read_text()
    assert "NaN" not in text
    (row,) = json.loads(text)
    assert 0 <= row["dice_per_image"] < 1
    assert "nan" not in capsys.readouterr().out


def test_nothing_but_void_is_refused_before_the_first_step(tmp_path, capsys):
    assert train(tmp_path / "run", *scribble(tmp_path / "data", all_void=True)) == 2
    assert "no pixel of the training images counts" in error(capsys)
    assert not (tmp_path / "run").exists()


def test_a_score_over_nothing_is_none(tmp_path, data, capsys):
    options = ["--ignore-index", 255, "--num-classes", 2, "--steps", 2]
    assert train(tmp_path / "run", *scribble(tmp_path / "half")[:4], *options) == 0
    void = scribble(tmp_path / "void", all_void=True)[:4]
    best = str(tmp_path / "run" / "best.pt")
    assert main(["evaluate", best, *void]) == 2
    assert "no pixel of these 8 images counts: their masks hold 255 alone" in error(capsys)
    classes = [*data, "--target", "classes", "--steps", 2]
    assert train(tmp_path / "classes", *classes) == 0
    best = str(tmp_path / "classes" / "best.pt")
    assert main(["evaluate", best, *data, "--threshold", "0.3"]) == 2
    assert "tells classes apart, without a --threshold" in error(capsys)


def test_one_class_alone_and_classes_that_never_occur(tmp_path, data, capsys):
    for file in (tmp_path / "data" / "masks").iterdir():
        Image.fromarray(np.zeros((40, 52), np.uint8)).save(file)
    options = ["--num-classes", 2, "--steps", 2]
    assert train(tmp_path / "run", *data[:4], *options) == 2
    assert "training images hold one class alone (0)" in error(capsys)
    write(tmp_path / "data")
    rare = ["--num-classes", 4, "--target", "classes", "--steps", 2]
    assert train(tmp_path / "run", *data, *rare) == 0
    told = capsys.readouterr().out
    assert "class 2, 3 never occur in the training images, so it cannot be learned" in told


@pytest.mark.parametrize("target", get_args(Target))
def test_the_padding_of_a_crop_does_not_count(tmp_path, target):
    """In the loss and in the scores: they are those of the image without it."""
    images, masks = write(tmp_path / "data", 4, (20, 20))[1::2]
    task = Task(target, num_classes=2 if target == "classes" else None)
    pairs = PairedFolder(images, masks, mask_values={0: 0, 255: 1})
    for part in pairs.split(0.5, crop=32):
        (_, truth), scores = task.apply(part)[0], task.scores()
        logits = torch.randn(1, task.out_channels, 32, 32)
        scores.update(logits, truth[None])
        assert sum(int(count[0, 0]) for count in scores.counts) == 20 * 20
        counts = truth.reshape(-1, 32, 32)[0] != -1  # of several maps the first is the foreground
        rows, columns = (counts.any(side) for side in (1, 0))
        inner = [x[..., rows, :][..., columns] for x in (logits, truth[None])]
        assert inner[1].shape[-2:] == (20, 20)
        assert task.loss(logits, truth[None]).item() == pytest.approx(task.loss(*inner).item())
    options = ["--images", images, "--masks", masks, *VALUES, "--epochs", "1"]
    options += ["--instance-masks"] if task.numbers_objects else []
    assert train(tmp_path / "run", *options, "--target", target) == 0


# Nothing is replaced, nothing is mixed


def test_a_folder_without_a_whole_run_is_left_alone(tmp_path, data, capsys):
    assert train(tmp_path / "run", *data, "--steps", 2) == 0
    run = tmp_path / "run"
    (run / "last.pt").unlink()
    before = {file: file.read_bytes() for file in run.iterdir()}
    for options in ([], ["--resume"]):
        assert train(run, *data, "--steps", 2, *options) == 2
        assert "best.pt is there, and would be replaced" in error(capsys)
        assert {file: file.read_bytes() for file in run.iterdir()} == before
    (run / "best.pt").unlink()
    assert train(run, *data, "--steps", 2) == 2
    assert "history.json is there, without a run to go on with" in error(capsys)


def test_the_split_is_kept_and_what_changed_is_said(tmp_path, data, capsys):
    run, images = tmp_path / "run", tmp_path / "data" / "images"
    options = [*data, "--steps", 2]
    assert train(run, *options) == 0
    before = load_checkpoint(run / "last.pt")["about"]
    for other, told in (
        (["--validation", "0.5"], "validation: 0.2 there, 0.5 here"),
        (["--crop", "16"], "crop: 32 there, 16 here"),
        (["--augment", "none"], "augment: all there, none here"),
    ):
        assert train(run, *options, "--resume", *other) == 2
        assert told in error(capsys)
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "data", moved)
    write(moved, 3, seed=7)
    named = ["--images", moved / "images", "--masks", moved / "masks", *VALUES, "--steps", 2]
    assert train(run, *named, "--resume") == 0
    told = capsys.readouterr().out
    assert "3 new images are left out: the run goes on with its own (7-0.png" in told
    assert load_checkpoint(run / "last.pt")["about"] == before
    Image.fromarray(simulate_nuclei(9, 0, (40, 52))[0]).save(images / "0-1.png")
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind / "0-2.png").unlink()
    assert train(run, *options, "--resume") == 2
    told = error(capsys)
    assert "of the 6 images of this run 1 are missing (0-2.png) and 1 hold other pixels" in told


def test_options_that_leave_nothing_or_do_not_fit(tmp_path, capsys):
    for options, told in (
        (["--steps", "0"], "steps must be at least 1, and finite, got 0"),
        (["--steps", "2", "--epochs", "2"], "steps and epochs both say how long"),
        (["--minutes", "-1"], "minutes must be at least 0"),
        (["--crop", "0"], "crop must be at least 1"),
        (["--target", "classes", "--threshold", "0.4"], "threshold is not used with target"),
    ):
        assert train(tmp_path / "run", *options) == 2
        assert told in error(capsys)
    assert not (tmp_path / "run").exists()


def test_an_unwritable_folder_is_found_before_anything_is_read(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    assert train(tmp_path / "file" / "run", "--images", "none", "--masks", "none") == 2
    assert "run cannot hold a run" in error(capsys)
