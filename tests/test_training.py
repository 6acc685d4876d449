"""unet_lib.training and unet_lib.fit: what they compute, and that a run can be repeated."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from unet_lib.checkpoint import CheckpointError, load_checkpoint, load_model
from unet_lib.data import SimulatedNuclei, cached, foreground
from unet_lib.fit import fit
from unet_lib.losses import bce_loss
from unet_lib.metrics import SegmentationScores, dice
from unet_lib.model import UNet
from unet_lib.training import (
    History,
    TrainingError,
    TrainingSettings,
    evaluate,
    learning_rate_range_test,
    overfit_one_batch,
    train_epoch,
)

FAST = {"precision": "float32", "batch_size": 4}


@pytest.fixture(scope="module")
def nuclei():
    return cached(SimulatedNuclei(10, size=(32, 32), target=foreground))


def small_unet(seed: int = 0, **settings) -> UNet:
    torch.manual_seed(seed)
    return UNet(1, 1, **({"width": 4, "depth": 2, "norm": "batch"} | settings))


def weights_of(model: nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_an_epoch_equals_the_loop_written_out(nuclei):
    loader = DataLoader(nuclei, batch_size=4)
    ours, plain = small_unet(), small_unet()
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (ours, plain)]
    mean = train_epoch(ours, loader, bce_loss, optimizers[0])
    total = 0.0
    plain.train()
    for images, target in loader:
        loss = nn.functional.binary_cross_entropy_with_logits(plain(images), target)
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        total += loss.item() * len(images)
    assert mean == pytest.approx(total / 10, rel=1e-6)
    for a, b in zip(weights_of(ours), weights_of(plain), strict=True):
        torch.testing.assert_close(a, b)


def test_evaluation_covers_every_image_and_changes_nothing(nuclei):
    model = small_unet().train()
    before = weights_of(model)
    result = evaluate(model, DataLoader(nuclei, batch_size=4), bce_loss)
    assert model.training
    assert equal(before, weights_of(model))
    model.eval()
    scores, losses = SegmentationScores(), []
    for image, target in nuclei:
        logits = model(image[None])
        scores.update(logits, target[None])
        losses.append(bce_loss(logits, target[None]).item())
    assert result["loss"] == pytest.approx(sum(losses) / 10, rel=1e-5)
    assert result["dice_pooled"] == pytest.approx(dice(scores.counts, "set").item())


def test_fit_learns_and_tells(nuclei, capsys):
    model = small_unet(width=8)
    settings = TrainingSettings(epochs=8, learning_rate=1e-2, **FAST)
    seen = []
    history = fit(model, nuclei, nuclei, settings=settings, on_epoch=seen.append)
    assert seen == history.rows
    assert history.column("epoch") == list(range(1, 9))
    assert history.mode == "float32"
    losses = history.column("loss")
    assert losses[-1] < 0.7 * losses[0]
    rates = history.column("learning_rate")
    assert max(rates) <= 1e-2
    assert rates[0] < rates[2] > rates[-1]  # one cycle: up, then down
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 8
    assert out[-1].startswith("epoch   8/8  loss ")
    with pytest.raises(KeyError, match=r"no column 'accuracy'; there are \['epoch'"):
        history.column("accuracy")


def test_fit_gives_back_the_model_of_the_best_epoch(nuclei):
    model = small_unet()
    history = fit(model, nuclei, nuclei, settings=TrainingSettings(epochs=4, **FAST), verbose=False)
    again = evaluate(model, DataLoader(nuclei, batch_size=4))
    assert again["dice_per_image"] == pytest.approx(max(history.column("dice_per_image")), rel=1e-5)


def test_a_run_repeats_to_the_bit(nuclei):
    settings = TrainingSettings(epochs=2, **FAST)
    runs = []
    for _ in range(2):
        model = small_unet(dropout=0.2)
        fit(model, nuclei, settings=settings, verbose=False)
        runs.append(weights_of(model))
    assert equal(*runs)
    other = small_unet(dropout=0.2)
    fit(other, nuclei, settings=TrainingSettings(epochs=2, seed=1, **FAST), verbose=False)
    assert not equal(runs[0], weights_of(other))


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
def test_fault_26_a_resumed_run_equals_an_uninterrupted_one(nuclei, tmp_path, schedule):
    settings = TrainingSettings(epochs=4, schedule=schedule, keep="last", **FAST)
    whole = small_unet(dropout=0.2)
    expected = fit(whole, nuclei, nuclei, settings=settings, verbose=False)

    class InterruptedRunError(Exception):
        pass

    def interrupt(row):
        if row["epoch"] == 2:
            raise InterruptedRunError

    broken = small_unet(dropout=0.2)
    with pytest.raises(InterruptedRunError):
        fit(broken, nuclei, nuclei, settings=settings, folder=tmp_path, on_epoch=interrupt)
    resumed = small_unet(seed=5, dropout=0.2)  # its own weights do not matter
    history = fit(
        resumed, nuclei, nuclei, settings=settings, folder=tmp_path, resume=True, verbose=False
    )
    assert equal(weights_of(whole), weights_of(resumed))
    for ours, theirs in zip(history.rows, expected.rows, strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


def test_a_finished_run_resumes_to_its_best_epoch(nuclei, tmp_path):
    settings = TrainingSettings(epochs=3, **FAST)
    model = small_unet()
    fit(model, nuclei, nuclei, settings=settings, folder=tmp_path, verbose=False)
    again = small_unet(seed=5)
    history = fit(
        again, nuclei, nuclei, settings=settings, folder=tmp_path, resume=True, verbose=False
    )
    assert len(history.rows) == 3
    assert equal(weights_of(model), weights_of(again))
    assert equal(weights_of(load_model(tmp_path / "best.pt")), weights_of(again))
    assert json.loads(load_checkpoint(tmp_path / "last.pt")["training"])["epochs"] == 3


def test_resuming_with_other_settings_is_refused(nuclei, tmp_path):
    fit(small_unet(), nuclei, settings=TrainingSettings(epochs=1, **FAST), folder=tmp_path)
    other = TrainingSettings(epochs=1, learning_rate=0.5, **FAST)
    with pytest.raises(
        CheckpointError, match=r"learning_rate: 0.002 there, 0.5 here.*another fold"
    ):
        fit(small_unet(), nuclei, settings=other, folder=tmp_path, resume=True)


def test_early_stopping(nuclei):
    settings = TrainingSettings(
        epochs=30, learning_rate=1e-12, schedule="constant", patience=2, weight_decay=0.0, **FAST
    )
    model = small_unet(norm="none")  # nothing changes: the first epoch stays the best
    assert len(fit(model, nuclei, nuclei, settings=settings, verbose=False).rows) == 3


def test_accumulated_batches_equal_one_large_batch(nuclei):
    models = []
    for batch_size, steps in ((8, 1), (4, 2)):
        model = small_unet(norm="none")
        settings = TrainingSettings(
            epochs=1, batch_size=batch_size, accumulation_steps=steps, precision="float32"
        )
        eight = torch.utils.data.Subset(nuclei, range(8))
        fit(model, eight, loss=bce_loss, settings=settings, verbose=False)
        models.append(weights_of(model))
    for a, b in zip(*models, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_bf16_trains_and_leaves_a_float32_model(nuclei):
    model = small_unet()
    settings = TrainingSettings(epochs=2, precision="bf16", batch_size=4)
    history = fit(model, nuclei, nuclei, settings=settings, verbose=False)
    assert all(math.isfinite(loss) for loss in history.column("loss"))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model(nuclei[0][0][None]).dtype == torch.float32
    fit(model, nuclei, settings=TrainingSettings(epochs=1, **FAST), verbose=False)  # and back


def test_auto_precision_is_decided_and_reported(nuclei):
    history = fit(small_unet(), nuclei, settings=TrainingSettings(epochs=1), verbose=False)
    assert history.mode.split(",")[0] in ("float32", "bf16")


def test_fault_13_a_loss_that_is_not_finite(nuclei, tmp_path):
    images = torch.rand(4, 1, 16, 16)
    bad = images.clone()
    bad[2, 0, 3, 3] = math.nan
    target = (images > 0.5).float()
    settings = TrainingSettings(epochs=1, **FAST)
    model = small_unet(norm="none")
    fit(model, TensorDataset(images, target), settings=settings, folder=tmp_path, verbose=False)
    good = weights_of(model)
    with pytest.raises(
        TrainingError, match=r"loss of step 1 is nan at learning rate .* precision no"
    ):
        fit(model, TensorDataset(bad, target), settings=settings, folder=tmp_path, verbose=False)
    assert equal(good, weights_of(model))  # stopped before the step was taken
    assert equal(good, weights_of(load_model(tmp_path / "last.pt")))


def test_fault_18_empty_sets(nuclei):
    empty = torch.utils.data.Subset(nuclei, [])
    with pytest.raises(ValueError, match="the training set is empty; check its folder"):
        fit(small_unet(), empty)
    with pytest.raises(ValueError, match="the validation set is empty"):
        fit(small_unet(), nuclei, empty)
    model = small_unet()
    with pytest.raises(TrainingError, match="the loader gave no batch"):
        train_epoch(model, [], bce_loss, torch.optim.SGD(model.parameters(), lr=0.1))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"learning_rate": -1.0}, "learning_rate must be at least 1e-12, got -1.0"),
        ({"patience": -1}, "patience must be at least 0"),
        ({"weight_decay": math.nan}, "weight_decay must be at least 0, got nan"),
    ],
)
def test_settings_check_themselves(settings, text):
    with pytest.raises(ValueError, match=text):
        TrainingSettings(**settings)


def test_range_test_finds_the_edge_and_leaves_the_model_alone(nuclei):
    model = small_unet()
    before = weights_of(model)
    loader = DataLoader(nuclei, batch_size=5)
    rates, losses = learning_rate_range_test(model, loader, bce_loss, low=1e-4, high=1e3, steps=30)
    assert equal(before, weights_of(model))
    assert len(rates) == len(losses) <= 30
    assert rates[0] == pytest.approx(1e-4)
    assert rates == sorted(rates)
    assert min(losses) < losses[0]
    assert losses[-1] > 2 * min(losses)  # a rate of hundreds breaks any network


def test_overfitting_one_batch_tells_a_healthy_set_up_from_a_broken_one(nuclei):
    images, target = next(iter(DataLoader(nuclei, batch_size=2)))
    model = small_unet(width=8)
    before = weights_of(model)
    healthy = overfit_one_batch(model, images, target, bce_loss, steps=60, learning_rate=1e-2)
    assert equal(before, weights_of(model))
    assert healthy[-1] < 0.1 * healthy[0]
    # the same image twice, with opposite masks: no network can learn that
    images, target = images[:1].repeat(2, 1, 1, 1), torch.cat([target[:1], 1 - target[:1]])
    broken = overfit_one_batch(model, images, target, bce_loss, steps=60, learning_rate=1e-2)
    assert broken[-1] > 0.99 * math.log(2)


def test_history_is_json():
    history = History([{"epoch": 1, "loss": 0.5}], mode="float32")
    assert json.loads(history.to_json()) == history.rows


TWO = """
import json, sys, torch
from torch.utils.data import TensorDataset
from unet_lib.fit import fit
from unet_lib.losses import bce_loss
from unet_lib.model import UNet
from unet_lib.training import TrainingSettings
torch.manual_seed(0)
images = torch.rand(8, 1, 16, 16)
model = UNet(1, 1, width=4, depth=2)
settings = TrainingSettings(epochs=2, batch_size=int(sys.argv[1]), precision="float32")
data = TensorDataset(images, (images > 0.5).float())
history = fit(model, data, data, loss=bce_loss, settings=settings, verbose=False)
print(json.dumps(history.column("validation_loss")))
"""


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch without gloo")
def test_two_processes_train_as_one(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TWO)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])

    def run(*command: str) -> list[float]:
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert process.returncode == 0, process.stderr[-2000:]
        return json.loads(process.stdout.splitlines()[-1])

    one = run(sys.executable, str(script), "8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    assert run(*launcher, str(script), "4") == pytest.approx(one, rel=1e-4)
