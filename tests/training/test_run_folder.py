"""The folder of a run: nothing is replaced, nobody disturbed, and what is saved can be used."""

import json
import math
import resource
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from unet_lib.data import SimulatedNuclei, cached, foreground
from unet_lib.evaluation import dice, predict
from unet_lib.model import UNet
from unet_lib.training import (
    CheckpointError,
    Task,
    TrainingSettings,
    WholeImages,
    fit,
    load_checkpoint,
    load_model,
    load_weights,
    lock,
    save_checkpoint,
)

pytestmark = pytest.mark.filterwarnings("ignore::unet_lib.training.OneClassWarning")

SETTINGS = TrainingSettings(epochs=2, batch_size=4, precision="float32")


@pytest.fixture(scope="module")
def nuclei():
    return cached(SimulatedNuclei(6, size=(32, 32), target=foreground))


def small() -> UNet:
    torch.manual_seed(0)
    return UNet(1, 1, width=2, depth=2, norm="batch")


def train(data, folder=None, model=None, **options):
    settings = {"settings": SETTINGS, "verbose": False}
    return fit(small() if model is None else model, data, data, folder=folder, **settings | options)


# Nothing is replaced


def test_a_new_run_replaces_no_other(nuclei, tmp_path):
    train(nuclei, tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(CheckpointError, match=r"last\.pt holds another run: pass resume=True"):
        train(nuclei, tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    (tmp_path / "last.pt").unlink()
    for resume in (False, True):
        with pytest.raises(CheckpointError, match=r"best\.pt is there, and would be replaced by"):
            train(nuclei, tmp_path, resume=resume)
    assert (tmp_path / "best.pt").read_bytes() == before[tmp_path / "best.pt"]


def test_what_else_a_run_is_made_of_is_compared(nuclei, tmp_path):
    train(nuclei, tmp_path, about={"crop": (32, 32)})
    train(nuclei, tmp_path, about={"crop": (32, 32)}, resume=True)
    with pytest.raises(CheckpointError, match=r"crop: \[32, 32\] there, 16 here"):
        train(nuclei, tmp_path, about={"crop": 16}, resume=True)
    with pytest.raises(CheckpointError, match="a run of 4 steps, here it would be 2: the training"):
        train([*nuclei][:3], tmp_path, about={"crop": (32, 32)}, resume=True)


# Nobody is disturbed


@contextmanager
def another_program(folder):
    """It holds the folder until the end, or until it is killed."""
    program = "import sys, time; from unet_lib.training.lock import locked\n"
    program += "with locked(sys.argv[1]):\n    print('in', flush=True); time.sleep(100)"
    command = [sys.executable, "-c", program, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "in\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_folder_in_use_is_refused_and_what_a_killed_program_left_is_taken_over(nuclei, tmp_path):
    folder = tmp_path / "run"
    with another_program(folder) as process:
        with pytest.raises(
            CheckpointError, match=rf"run is in use by .*\(process {process.pid} on"
        ):
            train(nuclei, folder)
        assert [file.name for file in folder.iterdir()] == [lock.NAME]
    seen = []
    train(nuclei, folder, on_epoch=lambda row: seen.append((folder / lock.NAME).exists()))
    assert seen == [True, True]
    assert {file.name for file in folder.iterdir()} == {"last.pt", "best.pt"}


@pytest.mark.parametrize(
    ("change", "free"),
    [({"host": "elsewhere"}, False), ({"since": 0.0}, True), ({"folder": "/other"}, True)],
)
def test_whose_lock_it_is(tmp_path, change, free):
    """On another machine it is believed; not of a later process of that number, nor copied."""
    with another_program(tmp_path):
        file = tmp_path / lock.NAME
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
        if free:
            with lock.locked(tmp_path):
                pass
            return
        with (
            pytest.raises(CheckpointError, match=rf"on elsewhere\): .* remove .*{lock.NAME}"),
            lock.locked(tmp_path),
        ):
            pass


def test_a_folder_that_cannot_be_written_is_found_before_the_first_step(nuclei, tmp_path):
    (tmp_path / "file").write_text("no folder")
    steps = []
    with pytest.raises(OSError, match=r"run cannot hold a run .*check that it is a folder"):
        train(nuclei, tmp_path / "file" / "run", on_step=lambda *step: steps.append(step))
    assert not steps


def test_a_full_disk_is_named_with_the_room_and_the_old_file_is_intact(tmp_path):
    file = tmp_path / "model.pt"
    save_checkpoint(file, small(), epoch=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(OSError, match=r"model\.pt cannot be written") as caught:
            save_checkpoint(file, small(), epoch=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "it takes 0.0 MB, " in str(caught.value)
    assert "MB are free there; the older file is as it was" in str(caught.value)
    assert load_checkpoint(file)["epoch"] == 1
    assert [one.name for one in tmp_path.iterdir()] == ["model.pt"]


# What is saved can be used


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")]
)
def test_of_a_wrapped_network_what_is_inside_is_trained_and_saved(nuclei, tmp_path, wrap):
    model, plain = small(), small()
    train(nuclei, tmp_path / "wrapped", wrap(model))
    train(nuclei, tmp_path / "plain", plain)
    stored = load_model(tmp_path / "wrapped" / "best.pt")
    for network in (model, stored):
        for one, other in zip(network.parameters(), plain.parameters(), strict=True):
            assert torch.equal(one, other)
    save_checkpoint(tmp_path / "own.pt", wrap(model))
    load_weights(wrap(plain), load_checkpoint(tmp_path / "own.pt")["weights"])


# Whole images, and the time


def test_whole_images_of_any_size_are_scored_one_by_one_by_tiles(nuclei):
    wide = [(torch.rand(1, *size), torch.ones(1, *size)) for size in ((40, 30), (33, 300))]
    void = (torch.rand(1, 20, 20), torch.full((1, 20, 20), -1.0))
    model = small()
    settings = TrainingSettings(epochs=1, precision="float32", keep="last")
    row = fit(
        model, nuclei, WholeImages([*wide, void]), task=Task(), settings=settings, verbose=False
    ).rows[0]
    scores, losses = Task().scores(), []
    for image, target in wide:
        logits = predict(model, image)[None]
        scores.update(logits, target[None])
        losses.append(Task().loss(logits, target[None]).item())
    assert row["validation_loss"] == pytest.approx(sum(losses) / 2, rel=1e-4)
    assert row["dice_per_image"] == pytest.approx(dice(scores.counts).item(), abs=1e-4)
    with pytest.raises(ValueError, match="the validation set is empty"):
        fit(model, nuclei, WholeImages([]), verbose=False)


def test_a_score_over_nothing_is_said(nuclei):
    nothing = TensorDataset(torch.rand(2, 1, 32, 32), torch.full((2, 1, 32, 32), -1.0))
    for checks in (nothing, WholeImages(nothing)):
        with pytest.warns(UserWarning, match="no pixel of the validation set counts"):
            history = fit(small(), nuclei, checks, settings=SETTINGS, verbose=False)
        assert history.best() is None
        assert json.loads(history.json())[0]["dice_per_image"] is None


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
def test_a_run_ends_within_its_minutes_and_its_schedule_at_its_end(nuclei, schedule):
    settings = TrainingSettings(
        epochs=2000, precision="float32", batch_size=4, learning_rate=1e-2, schedule=schedule
    )
    loader, rates = DataLoader(nuclei, batch_size=2, shuffle=True), []
    begin = time.perf_counter()
    history = fit(
        small(), loader, settings=settings, minutes=1 / 30, verbose=False,
        on_epoch=lambda row: rates.append(row["learning_rate"]),
    )  # fmt: skip
    assert time.perf_counter() - begin < 6
    assert 1 <= len(history.rows) < 2000
    if schedule != "constant":
        assert max(rates) > 5e-3
        assert rates[-1] < 1e-3


def test_without_need_a_limit_changes_nothing(nuclei):
    models = [small(), small()]
    for model, minutes in zip(models, (math.inf, 10.0), strict=True):
        train(nuclei, model=model, minutes=minutes)
    assert all(map(torch.equal, *(model.state_dict().values() for model in models)))
