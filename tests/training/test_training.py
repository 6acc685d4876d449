"""unet_lib.training: what its loop computes, and that a run can be repeated."""

import inspect
import json
import math
import os
import re

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from unet_lib.data import SimulatedNuclei, cached, foreground
from unet_lib.evaluation import Counts, SegmentationScores, dice
from unet_lib.model import UNet
from unet_lib.training import (
    CheckpointError,
    History,
    Mode,
    OneClassWarning,
    TrainingError,
    TrainingSettings,
    bce_loss,
    evaluate,
    fit,
    learning_rate_range_test,
    load_checkpoint,
    load_model,
    overfit_one_batch,
    save_checkpoint,
    train_epoch,
)
from unet_lib.training.loop import one_class

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


def test_a_model_without_its_run_cannot_be_resumed(nuclei, tmp_path):
    save_checkpoint(tmp_path / "last.pt", small_unet())
    settings = TrainingSettings(epochs=1, precision="float32")
    with pytest.raises(CheckpointError, match="holds a model but no run to go on with") as raised:
        fit(small_unet(), nuclei, settings=settings, folder=tmp_path, resume=True, verbose=False)
    assert "lacks best, history, optimizer" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("schedule", "linear", r"schedule must be one of \('one-cycle', 'cosine', 'constant'\)"),
        ("optimizer", "Adam", "optimizer must be one of .* got 'Adam'"),
        ("precision", "bf32", "precision must be one of"),
        ("epochs", 1.5, "epochs must be a whole number, got 1.5"),
        ("learning_rate", math.inf, "learning_rate must be finite"),
    ],
)
def test_settings_of_unknown_words_and_wrong_numbers(name, value, told):
    settings = TrainingSettings()
    object.__setattr__(settings, name, value)
    with pytest.raises(ValueError, match=told):
        settings.__post_init__()


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        (lambda model: [], "gave 0 parameters"),
        (
            lambda model: [{"params": small_unet().parameters()}],
            "of them not of this model; make them",
        ),
        (lambda model: [{"params": model.parameters(), "lr": -1.0}], "0 or more, got -1.0"),
    ],
)
def test_parameter_groups_that_would_train_nothing(nuclei, groups, told):
    settings = TrainingSettings(epochs=1, precision="float32")
    with pytest.raises(ValueError, match=told):
        fit(small_unet(), nuclei, settings=settings, parameter_groups=groups, verbose=False)


def test_parameters_alone_are_groups_of_one_each(nuclei):
    settings = TrainingSettings(epochs=1, precision="float32")
    groups = nn.Module.parameters
    fit(small_unet(), nuclei, settings=settings, parameter_groups=groups, verbose=False)


def test_a_frozen_model_is_not_trained(nuclei):
    settings = TrainingSettings(epochs=1, precision="float32")
    with pytest.raises(ValueError, match="every parameter of the model is frozen"):
        fit(small_unet().requires_grad_(False), nuclei, settings=settings, verbose=False)


def test_a_run_is_not_resumed_with_other_parameter_groups(nuclei, tmp_path):
    settings = TrainingSettings(epochs=1, precision="float32")
    fit(small_unet(), nuclei, settings=settings, folder=tmp_path, verbose=False)
    with pytest.raises(CheckpointError, match="trained with other parameter groups"):
        fit(
            small_unet(),
            nuclei,
            settings=settings,
            folder=tmp_path,
            resume=True,
            parameter_groups=lambda model: [{"params": [p]} for p in model.parameters()],
            verbose=False,
        )


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


@pytest.mark.parametrize(
    ("asked", "cost", "said"),
    [
        ("auto", 1.8, "bf16 takes 1.8 times as long as float32 here: training in float32\n"),
        ("bf16", 1.8, "as float32 here: training in bf16 all the same, as asked\n"),
        ("auto", 0.95, ""),
        ("bf16", 0.5, ""),
        ("float32", 1.8, ""),
    ],
)
def test_fault_34_slow_bf16_is_timed_and_said(nuclei, monkeypatch, capsys, asked, cost, said):
    monkeypatch.setattr("unet_lib.training.devices.choose_mode", lambda *_: Mode("float32"))
    monkeypatch.setattr("unet_lib.training.devices.bf16_cost", lambda *_: cost)
    settings = TrainingSettings(epochs=1, precision=asked)
    history = fit(small_unet(), nuclei, settings=settings)
    assert history.mode == ("bf16" if asked == "bf16" else "float32")
    out = capsys.readouterr().out
    assert said in out
    assert ("times as long" in out) == bool(said)


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
        TrainingError, match=r"epoch 1, step 1: the loss is nan at learning rate .* precision no"
    ):
        fit(model, TensorDataset(bad, target), settings=settings, folder=tmp_path, verbose=False)
    assert equal(good, weights_of(model))  # stopped before the step was taken
    assert equal(good, weights_of(load_model(tmp_path / "last.pt")))


def test_fault_13_names_the_pictures_of_the_batch(nuclei):
    class Broken(torch.utils.data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            image, target = nuclei[index]
            return image * (math.nan if index == 4 else 1), target

        def name(self, index):
            return f"cell_{index}.tif"

    subset = torch.utils.data.Subset(Broken(), [5, 4, 3, 2, 1])
    settings = TrainingSettings(epochs=1, batch_size=1, precision="float32", seed=3)
    with pytest.raises(TrainingError, match=r"pictures of this batch: cell_4\.tif$"):
        fit(small_unet(), subset, settings=settings, verbose=False)


def test_fault_13_a_gradient_that_is_not_finite(nuclei):
    def loss_with_a_bad_slope(logits, target):
        return (logits * 0).sqrt().mean()  # 0, and its slope 0 * inf

    model = small_unet(norm="none")
    before = weights_of(model)
    loader = DataLoader(nuclei, batch_size=4)
    with pytest.raises(TrainingError, match=r"step 1: the gradient is nan at learning rate 0\.1"):
        train_epoch(
            model, loader, loss_with_a_bad_slope, torch.optim.SGD(model.parameters(), lr=0.1)
        )
    assert equal(before, weights_of(model))


def blind_unet(bias: float) -> UNet:
    """A network that answers every pixel with `bias`, and cannot learn."""
    model = small_unet(norm="none").requires_grad_(False)
    model.head.weight.zero_()
    model.head.bias.fill_(bias).requires_grad_(True)
    return model


@pytest.mark.parametrize(("bias", "name"), [(-50.0, "background"), (50.0, "foreground")])
def test_fault_14_one_class_everywhere(nuclei, bias, name):
    settings = TrainingSettings(epochs=6, learning_rate=1e-6, **FAST)
    model = blind_unet(bias)
    with pytest.warns(OneClassWarning) as caught:
        fit(model, nuclei, nuclei, loss=bce_loss, settings=settings, verbose=False)
    assert len(caught) == 1  # said once
    assert f"after epoch 3 every pixel of the validation set is predicted as {name}" in str(
        caught[0].message
    )
    assert "python -m unet_lib check" in str(caught[0].message)


def test_one_class_is_right_where_the_truth_has_one():
    zero, some = torch.zeros(2, 1, dtype=torch.int64), torch.ones(2, 1, dtype=torch.int64)
    assert one_class(Counts(tp=zero, fp=zero, fn=zero, tn=some)) == ""  # nothing was there
    assert one_class(Counts(tp=some, fp=zero, fn=some, tn=some)) == ""
    tp, fp = torch.tensor([[0, 6, 0]]), torch.tensor([[0, 4, 0]])
    found = one_class(Counts(tp, fp, fn=torch.tensor([[3, 0, 1]]), tn=torch.tensor([[7, 0, 9]])))
    assert found == "every pixel of the validation set is predicted as class 1, though 40 % are not"


def test_fault_21_a_batch_of_one_with_batchnorm():
    data = TensorDataset(torch.rand(3, 1, 4, 4), torch.ones(3, 1, 4, 4))
    settings = TrainingSettings(epochs=1, batch_size=2, precision="float32")
    with pytest.raises(TrainingError) as caught:
        fit(small_unet(), data, settings=settings, verbose=False)
    for part in ("epoch 1, step 2", "shape (1, 1, 4, 4)", 'norm="group"', "drop_last=True"):
        assert part in str(caught.value)
    fit(small_unet(norm="group"), data, settings=settings, verbose=False)  # the cure


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_fault_22_out_of_memory(nuclei, precision):
    def greedy(logits, target):
        return logits.mean() + torch.empty(2**60, dtype=torch.uint8).sum()

    settings = TrainingSettings(batch_size=8, precision=precision)
    with pytest.raises(TrainingError) as caught:
        fit(small_unet(norm="none"), nuclei, loss=greedy, settings=settings, verbose=False)
    for part in ("epoch 1, step 1", "memory ran out", "shape (8, 1, 32, 32)", "this step needs"):
        assert part in str(caught.value)
    assert re.search(r"try batch_size=[1-4], accumulation_steps=[2-8]", str(caught.value))


def test_fault_22_out_of_memory_with_a_network_of_ones_own(nuclei):
    def greedy(logits, target):
        return logits.mean() + torch.empty(2**60, dtype=torch.uint8).sum()

    model = nn.Conv2d(1, 1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TrainingError, match="halve batch_size and double accumulation_steps"):
        train_epoch(model, DataLoader(nuclei, batch_size=4), greedy, optimizer)


class Killed(torch.utils.data.Dataset):
    """Its second picture kills the process that loads it."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 1 and torch.utils.data.get_worker_info():
            os.kill(os.getpid(), 9)
        return torch.rand(1, 8, 8), torch.ones(1, 8, 8)


def test_fault_23_a_data_worker_died():
    model = small_unet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run_epoch = inspect.unwrap(train_epoch)  # the type checker would load a batch by itself
    with pytest.raises(TrainingError) as caught:
        run_epoch(model, DataLoader(Killed(), num_workers=1), bce_loss, optimizer)
    for part in ("died", "num_workers=0", '`if __name__ == "__main__":`'):
        assert part in str(caught.value)
    train_epoch(model, DataLoader(Killed(), batch_size=4), bce_loss, optimizer)  # the cure


def test_other_errors_stay_themselves(nuclei):
    def wrong(logits, target):
        raise ValueError("my own mistake")

    with pytest.raises(ValueError, match=r"^my own mistake$"):
        fit(small_unet(), nuclei, loss=wrong, settings=TrainingSettings(**FAST), verbose=False)


@pytest.mark.parametrize(("name", "kind"), [("adamw", "AdamW"), ("adam", "Adam"), ("sgd", "SGD")])
@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
def test_optimizers_and_groups_of_parameters(nuclei, name, kind, schedule):
    frozen = small_unet(norm="none")
    before = [p.clone() for p in frozen.encoder.parameters()]

    def groups(model):
        slow = {"params": list(model.encoder.parameters()), "lr": 1e-12}
        rest = [p for name, p in model.named_parameters() if not name.startswith("encoder")]
        return [slow, {"params": rest, "lr": 1e-2}]

    settings = TrainingSettings(
        epochs=2, optimizer=name, schedule=schedule, weight_decay=0.0, **FAST
    )
    history = fit(
        frozen, nuclei, settings=settings, parameter_groups=groups, loss=bce_loss, verbose=False
    )
    for old, new in zip(before, frozen.encoder.parameters(), strict=True):
        torch.testing.assert_close(old, new, atol=1e-6, rtol=0)
    assert max(history.column("learning_rate")) <= 1e-2
    assert history.column("loss")[1] < history.column("loss")[0]


def test_runs_stored_before_a_setting_existed_go_on(nuclei, tmp_path):
    settings = TrainingSettings(epochs=1, **FAST)
    fit(small_unet(), nuclei, settings=settings, folder=tmp_path, verbose=False)
    contents = load_checkpoint(tmp_path / "last.pt")
    stored = json.loads(contents["training"])
    del stored["optimizer"]
    torch.save(contents | {"training": json.dumps(stored)}, tmp_path / "last.pt")
    fit(small_unet(), nuclei, settings=settings, folder=tmp_path, resume=True, verbose=False)


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
