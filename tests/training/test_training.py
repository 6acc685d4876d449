"""unet_lib.training: what its loop computes, what it refuses, and that a run can be repeated."""

import json
import math
import os
import shutil
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, WeightedRandomSampler
from torchmetrics.classification import BinaryJaccardIndex

from unet_lib.data import SimulatedNuclei, cached, foreground
from unet_lib.evaluation import SegmentationScores, dice
from unet_lib.model import UNet
from unet_lib.training import (
    CheckpointError,
    OneClassWarning,
    OutOfMemoryError,
    Task,
    TrainingError,
    TrainingSettings,
    bce_loss,
    evaluate,
    fit,
    learning_rate_range_test,
    load_checkpoint,
    load_model,
    load_task,
    overfit_one_batch,
    precision,
    save_checkpoint,
    segmentation_loss,
    train_epoch,
)
from unet_lib.training.parts import groups_of, new_optimizer, new_schedule

# A network of four channels, trained for an epoch or two, may well end with a black mask.
pytestmark = pytest.mark.filterwarnings("ignore::unet_lib.training.OneClassWarning")

FAST = {"precision": "float32", "batch_size": 4}
ONE = TrainingSettings(epochs=1, **FAST)


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


def interrupt(row):
    raise KeyboardInterrupt


def sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.1)


def quick(model, train, validation=None, settings=ONE, **options):
    return fit(model, train, validation, settings=settings, verbose=False, **options)


# What is computed


def test_an_epoch_equals_the_loop_written_out(nuclei):
    loader, seen = DataLoader(nuclei, batch_size=4), []
    ours, plain = small_unet(), small_unet()
    mean = train_epoch(ours, loader, bce_loss, sgd(ours), on_step=lambda *step: seen.append(step))
    optimizer, total = sgd(plain.train()), 0.0
    for step, (images, target) in enumerate(loader, start=1):
        loss = nn.functional.binary_cross_entropy_with_logits(plain(images), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)
        assert seen[step - 1] == (step, pytest.approx(loss.item(), rel=1e-5))
    assert mean == pytest.approx(total / 10, rel=1e-6)
    for a, b in zip(weights_of(ours), weights_of(plain), strict=True):
        torch.testing.assert_close(a, b)


def test_evaluation_covers_every_image_and_changes_nothing(nuclei):
    model = small_unet().train()
    before, loader = weights_of(model), DataLoader(nuclei, batch_size=4)
    result = evaluate(model, loader, bce_loss)
    with pytest.raises(TypeError):  # an error leaves no trace either
        evaluate(model, [next(iter(loader)), None])
    assert model.training
    assert torch.is_grad_enabled()
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
    model, seen, steps = small_unet(width=8), [], []
    settings = TrainingSettings(epochs=8, learning_rate=1e-2, **FAST)
    tell = {"on_epoch": seen.append, "on_step": lambda step, loss: steps.append(step)}
    history = fit(model, nuclei, nuclei, settings=settings, **tell)
    assert seen == history.rows
    assert steps == list(range(1, 25))
    assert history.column("epoch") == list(range(1, 9))
    assert history.mode == "float32"
    losses, rates = history.column("loss"), history.column("learning_rate")
    assert losses[-1] < 0.7 * losses[0]
    assert max(rates) <= 1e-2
    assert rates[0] < rates[2] > rates[-1]  # one cycle: up, then down
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 8
    assert out[-1].startswith("epoch   8/8  loss ")
    with pytest.raises(KeyError, match=r"no column 'accuracy'; there are \['epoch'"):
        history.column("accuracy")
    again = evaluate(model, DataLoader(nuclei, batch_size=4))  # the best epoch's weights
    assert again["dice_per_image"] == pytest.approx(max(history.column("dice_per_image")), rel=1e-5)


def test_accumulated_batches_equal_one_large_batch(nuclei):
    models = [small_unet(norm="none") for _ in range(2)]
    for model, steps in zip(models, (1, 2), strict=True):
        size = {"batch_size": 8 // steps, "accumulation_steps": steps}
        settings = TrainingSettings(epochs=1, precision="float32", **size)
        quick(model, Subset(nuclei, range(8)), settings=settings, loss=bce_loss)
    for a, b in zip(*map(weights_of, models), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
def test_optimizers_and_groups_of_parameters(nuclei, name, schedule):
    model = small_unet(norm="none")
    before = [p.clone() for p in model.encoder.parameters()]

    def groups(model):
        slow = {"params": list(model.encoder.parameters()), "lr": 1e-12}
        rest = [p for name, p in model.named_parameters() if not name.startswith("encoder")]
        return [slow, {"params": rest, "lr": 1e-2}]

    chosen = {"optimizer": name, "schedule": schedule, "weight_decay": 0.0}
    settings = TrainingSettings(epochs=2, **chosen, **FAST)
    history = quick(model, nuclei, None, settings, parameter_groups=groups, loss=bce_loss)
    for old, new in zip(before, model.encoder.parameters(), strict=True):
        torch.testing.assert_close(old, new, atol=1e-6, rtol=0)
    assert max(history.column("learning_rate")) <= 1e-2
    assert history.column("loss")[1] < history.column("loss")[0]


@pytest.mark.parametrize(
    ("schedule", "momentum", "range_of_it"),
    [
        ("constant", None, (0.9, 0.9)),
        ("one-cycle", None, (0.85, 0.95)),
        ("constant", 0.99, (0.99, 0.99)),
        ("one-cycle", 0.99, (0.99, 0.99)),
    ],
)
def test_a_given_momentum_stays_and_the_usual_one_moves_with_the_cycle(
    schedule, momentum, range_of_it
):
    settings = TrainingSettings(optimizer="sgd", schedule=schedule, momentum=momentum)
    optimizer = new_optimizer(groups_of(small_unet()), settings)
    moves, seen = new_schedule(optimizer, settings, steps=100), []
    for _ in range(100):
        seen.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        moves.step()
    assert (min(seen), max(seen)) == pytest.approx(range_of_it, abs=1e-3)


def test_bf16_trains_and_leaves_a_float32_model(nuclei):
    model = small_unet()
    settings = TrainingSettings(epochs=2, precision="bf16", batch_size=4)
    history = quick(model, nuclei, nuclei, settings)
    assert all(math.isfinite(loss) for loss in history.column("loss"))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model(nuclei[0][0][None]).dtype == torch.float32
    quick(model, nuclei)  # and back


# What can be trained


def test_the_network_without_padding_learns_the_middle_of_its_targets(nuclei):
    model, settings = small_unet(padding="valid", norm="none"), TrainingSettings(epochs=2, **FAST)
    wide = cached(SimulatedNuclei(8, size=(68, 68), target=foreground))
    history = quick(model, wide, wide, settings)
    assert model.output_size(68) == 28
    images, target = next(iter(DataLoader(wide, batch_size=8)))
    expected = segmentation_loss(model.eval()(images), target[..., 20:48, 20:48]).item()
    assert history.best()["validation_loss"] == pytest.approx(expected, rel=1e-3)
    assert len(learning_rate_range_test(model, [(images, target)], steps=2)[0]) == 2
    assert len(overfit_one_batch(model, images, target, steps=2)) == 2
    with pytest.raises(ValueError, match="32"):  # the model's own message
        quick(small_unet(padding="valid", depth=3), nuclei)


def test_a_network_of_ones_own_is_trained_and_saved(nuclei, tmp_path):
    model, again = (
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1)) for _ in "12"
    )
    quick(model, nuclei, nuclei, folder=tmp_path)
    assert load_model(tmp_path / "best.pt", again) is again
    assert equal(weights_of(model), weights_of(again))


def test_what_cannot_be_saved_is_refused_before_the_first_step(nuclei, tmp_path):
    class Odd(nn.Conv2d):
        def get_extra_state(self):
            return TrainingSettings()

        def set_extra_state(self, state):
            pass

    steps = []
    with pytest.raises(CheckpointError, match="a Odd cannot be saved and read back"):
        quick(Odd(1, 1, 1), nuclei, folder=tmp_path, on_step=lambda *step: steps.append(step))
    assert not steps
    assert not list(tmp_path.iterdir())
    quick(Odd(1, 1, 1), nuclei)  # the cure


def test_loaders_samplers_and_collate_of_ones_own(nuclei, tmp_path):
    seen = []

    def collate(items):
        seen.append(len(items))
        return [torch.stack(part) for part in zip(*items, strict=True)]

    dropped = {"settings": TrainingSettings(epochs=1, drop_last=True, **FAST)}
    own = {"collate": collate}
    for data, options, batches in (
        (DataLoader(nuclei, batch_size=5, collate_fn=collate), {}, [5, 5]),
        (nuclei, own | {"sampler": range(3)}, [3]),
        (nuclei, own | dropped, [4, 4]),
        (nuclei, own | dropped | {"validation": nuclei}, [4, 4, 4, 4, 2]),
    ):
        quick(small_unet(), data, **options)
        assert seen == batches
        seen.clear()
    for options in (own, dropped):
        with pytest.raises(ValueError, match="sampler, collate and drop_last are for data sets"):
            quick(small_unet(), DataLoader(nuclei), **options)
    with pytest.raises(ValueError, match=r"training loader is empty; .* drop_last"):
        quick(small_unet(), Subset(nuclei, range(3)), **dropped)


class Endless(torch.utils.data.IterableDataset):
    """It does not say how many images it has."""

    def __iter__(self):
        return iter(())


def test_fault_18_empty_sets(nuclei):
    model, empty = small_unet(), Subset(nuclei, [])
    for sets, told in (
        ((empty,), "the training set is empty; check its folder"),
        ((nuclei, empty), "the validation set is empty"),
        ((DataLoader(Endless()),), "how long the training loader is"),
    ):
        with pytest.raises(ValueError, match=told):
            fit(model, *sets)
    with pytest.raises(TrainingError, match="the loader gave no batch"):
        train_epoch(model, [], bce_loss, sgd(model))


# What it is judged by


IOU = {"iou": BinaryJaccardIndex()}


def bias(logits, target) -> float:
    """The share of the foreground, too much."""
    return float((logits > 0).float().mean() - target.mean())


def test_own_metrics_stand_beside_the_scores(nuclei, capsys):
    model, metrics = small_unet(), {"bias": bias, "jaccard": BinaryJaccardIndex()}
    settings = TrainingSettings(epochs=3, keep="last", **FAST)
    judged = {"metrics": metrics, "monitor": "jaccard"}
    last = fit(model, nuclei, nuclei, settings=settings, **judged).rows[-1]
    model.eval()
    each = [bias(model(image[None]), target[None]) for image, target in nuclei]
    assert last["bias"] == pytest.approx(sum(each) / 10, abs=1e-4)
    assert last["jaccard"] == pytest.approx(last["iou_pooled"], abs=1e-4)
    assert "jaccard 0." in capsys.readouterr().out
    half = {"half": lambda logits, target: math.nan if target.mean() > 0.2 else 1.0}
    loader = DataLoader(nuclei, batch_size=4)
    assert evaluate(model, loader, metrics=half)["half"] == 1.0  # nan is left out


@pytest.mark.parametrize(
    ("monitor", "mode"), [("validation_loss", "min"), ("bias", "min"), ("recall_pooled", "max")]
)
def test_the_best_epoch_and_patience_follow_the_monitor(nuclei, tmp_path, monitor, mode):
    values = iter([0.5, 0.2, 0.7, 0.3, 0.1])
    settings = TrainingSettings(epochs=5, learning_rate=1e-2, patience=2, **FAST)
    metrics = {"bias": lambda logits, target: best_of[0]}
    best_of = [next(values)]
    judged = {"metrics": metrics, "monitor": monitor, "mode": mode}
    follow = {"on_epoch": lambda row: best_of.__setitem__(0, next(values, 0.0))}
    history = quick(small_unet(), nuclei, nuclei, settings, folder=tmp_path, **judged, **follow)
    column = history.column(monitor)
    best = column.index((max if mode == "max" else min)(column)) + 1
    assert history.best(monitor, mode)["epoch"] == best
    assert len(column) == min(5, best + 2)
    if monitor == "bias":
        assert (best, len(column)) == (2, 4)
    assert len(json.loads(load_checkpoint(tmp_path / "best.pt")["history"])) == best


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"monitor": "dice"}, "monitor: no score 'dice'; there are dice_per_image, .*, bias"),
        ({"monitor": "validation_loss"}, 'better the smaller it is: pass mode="min"'),
        ({"mode": "min"}, 'better the larger it is: pass mode="max"'),
        (
            {"monitor": "iou", "mode": "min", "metrics": IOU},
            'better the larger it is: pass mode="m',
        ),
        ({"metrics": {"loss": bias}}, "metrics: fit gives loss itself; take another name"),
        ({"validation": None}, "metrics cannot be had without a validation set"),
        ({"validation": None, "metrics": {}, "monitor": "iou_pooled"}, "monitor 'iou_pooled' can"),
    ],
)
def test_a_monitor_that_no_epoch_will_have_is_refused(nuclei, options, told):
    given = {"metrics": {"bias": bias}, "validation": nuclei} | options
    with pytest.raises(ValueError, match=told):
        fit(small_unet(), Subset(nuclei, []), **given)  # before anything else is looked at


def test_a_task_gives_loss_scores_and_its_place_in_the_checkpoint(nuclei, tmp_path):
    class Strict(Task):
        def loss(self, logits, target):
            return 3 * bce_loss(logits, target)

        def apply(self, dataset):
            return Subset(dataset, range(8))

    task = Strict(threshold=0.9)
    row = quick(small_unet(), nuclei, nuclei, task=task, folder=tmp_path).rows[0]
    eight = Subset(nuclei, range(8))
    plain = quick(small_unet(), eight, eight, loss=lambda z, t: 3 * bce_loss(z, t)).rows[0]
    assert row["loss"] == plain["loss"]
    assert row["recall_pooled"] < plain["recall_pooled"]  # at another threshold
    assert load_task(tmp_path / "last.pt") == Task(threshold=0.9)
    with pytest.raises(CheckpointError, match=r"was trained for Task\(.*, not for Task\("):
        quick(small_unet(), nuclei, nuclei, task=Task(), folder=tmp_path, resume=True)


# That a run can be repeated


def test_a_run_repeats_to_the_bit(nuclei):
    first, same, other = (small_unet(dropout=0.2) for _ in range(3))
    for model, seed in ((first, 0), (same, 0), (other, 1)):
        settings = TrainingSettings(epochs=2, seed=seed, **FAST)
        sampler = WeightedRandomSampler([1.0] * 10, 10, generator=torch.Generator())
        sampler.generator.seed()
        quick(model, nuclei, settings=settings, sampler=sampler)
    first, same, other = map(weights_of, (first, same, other))
    assert equal(first, same)
    assert not equal(first, other)


@pytest.mark.parametrize("options", [{}, {"schedule": "cosine"}, {"schedule": "constant"}])
@pytest.mark.parametrize("faster", [precision.CANDIDATES[0], precision.CANDIDATES[2]])
def test_fault_26_a_resumed_run_equals_an_uninterrupted_one(
    nuclei, tmp_path, monkeypatch, options, faster
):
    """With the default precision, too, whatever is the fastest when it goes on."""
    settings, broken = TrainingSettings(epochs=4, **options), tmp_path / "broken"

    def keep(row):
        if row["epoch"] == 2:
            shutil.copytree(tmp_path / "whole", broken)

    def race(*winners):
        seconds = lambda *call: 1.0 if call[4] in winners else 2.0  # noqa: E731
        monkeypatch.setattr(precision, "step_seconds", seconds)

    race(faster)
    whole, folder = small_unet(dropout=0.2), tmp_path / "whole"
    expected = quick(whole, nuclei, nuclei, settings, folder=folder, on_epoch=keep)
    race(*set(precision.CANDIDATES) - {faster})
    resumed = small_unet(seed=5, dropout=0.2)  # its own weights do not matter
    history = quick(resumed, nuclei, nuclei, settings, folder=broken, resume=True)
    assert history.mode == expected.mode == str(faster)
    assert equal(weights_of(whole), weights_of(resumed))
    for ours, theirs in zip(history.rows, expected.rows, strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


def test_an_interrupted_model_is_usable_and_a_finished_run_resumes_to_its_best(nuclei, tmp_path):
    common = {"settings": TrainingSettings(epochs=3, **FAST), "folder": tmp_path}
    model = small_unet()
    with pytest.raises(KeyboardInterrupt):
        quick(model, nuclei, nuclei, on_epoch=interrupt, **common)
    assert equal(weights_of(model), list(load_checkpoint(tmp_path / "last.pt")["weights"].values()))
    quick(model, nuclei, nuclei, resume=True, **common)
    again = small_unet(seed=5)
    assert len(quick(again, nuclei, nuclei, resume=True, **common).rows) == 3
    assert equal(weights_of(model), weights_of(again))
    assert equal(weights_of(load_model(tmp_path / "best.pt")), weights_of(again))


def test_runs_that_cannot_be_resumed(nuclei, tmp_path):
    def refused(told, **options):
        with pytest.raises(CheckpointError, match=told):
            quick(small_unet(), nuclei, folder=tmp_path, resume=True, **options)

    save_checkpoint(tmp_path / "last.pt", small_unet())
    refused("holds a model but no run to go on with.*lacks history, optimizer")
    (tmp_path / "last.pt").unlink()
    quick(small_unet(), nuclei, folder=tmp_path)
    other = TrainingSettings(epochs=1, learning_rate=0.5, **FAST)
    refused(r"learning_rate: 0.002 there, 0.5 here.*another fold", settings=other)
    refused("monitor: dice_per_image there, loss here", monitor="loss", mode="min")
    each = {"parameter_groups": lambda model: [{"params": [p]} for p in model.parameters()]}
    refused("trained with other parameter groups", **each)
    contents = load_checkpoint(tmp_path / "last.pt")  # as it was before these existed
    stored = json.loads(contents["training"])
    for name in ("optimizer", "drop_last", "momentum"):
        del stored[name]
    del contents["mode"], contents["judged_by"]
    torch.save(contents | {"training": json.dumps(stored)}, tmp_path / "last.pt")
    quick(small_unet(), nuclei, folder=tmp_path, resume=True)


# What goes wrong, and what it says


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("schedule", "linear", r"schedule must be one of \('one-cycle', 'cosine', 'constant'\)"),
        ("optimizer", "Adam", "optimizer must be one of .* got 'Adam'"),
        ("precision", "bf32", "precision must be one of"),
        ("epochs", 1.5, "epochs must be a whole number, got 1.5"),
        ("epochs", 0, "epochs must be at least 1, got 0"),
        ("batch_size", 0, "batch_size must be at least 1"),
        ("learning_rate", math.inf, "learning_rate must be finite"),
        ("learning_rate", -1.0, "learning_rate must be at least 1e-12, got -1.0"),
        ("patience", -1, "patience must be at least 0"),
        ("weight_decay", math.nan, "weight_decay must be at least 0, got nan"),
        ("momentum", 0.99, 'momentum=0.99 with optimizer "adamw"; it is for "sgd" alone: leave it'),
        ("momentum", 1.0, "momentum must be at least 0 and less than 1, got 1.0"),
    ],
)
@pytest.mark.usefixtures("unchecked")  # as JSON could bring it
def test_settings_check_themselves(name, value, told):
    with pytest.raises(ValueError, match=told):
        TrainingSettings(**{name: value})


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        (lambda model: [], "gave 0 parameters"),
        (lambda model: small_unet().parameters(), "of them not of this model; make them"),
        (lambda model: [{"params": model.parameters(), "lr": -1.0}], "0 or more, got -1.0"),
        (lambda model: model.requires_grad_(False).parameters(), "every parameter .* is frozen"),
    ],
)
def test_parameter_groups_that_would_train_nothing(nuclei, groups, told):
    model = small_unet()
    if "frozen" in told:
        groups(model)
    with pytest.raises(ValueError, match=told):
        quick(model, nuclei, parameter_groups=groups)


class Broken(Dataset):
    """Its fifth image holds NaN."""

    def __init__(self, images: Dataset) -> None:
        self.images = images

    def __len__(self):
        return 6

    def __getitem__(self, index):
        image, target = self.images[index]
        return image * (math.nan if index == 4 else 1), target

    def name(self, index):
        return f"cell_{index}.tif"


def test_fault_13_a_loss_that_is_not_finite(nuclei, tmp_path):
    settings = TrainingSettings(epochs=2, batch_size=1, precision="float32", seed=3)
    model, common = small_unet(norm="none"), {"settings": settings, "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        quick(model, nuclei, on_epoch=interrupt, **common)
    good = weights_of(model)
    broken = Subset(Broken(nuclei), 10 * [4])
    told = r"^epoch 2, step 1: the loss is nan at learning rate .* precision float32; .*"
    with pytest.raises(TrainingError, match=told + r"images of this batch: cell_4\.tif$"):
        quick(model, broken, resume=True, **common)
    assert equal(good, weights_of(model))  # stopped before the step was taken
    assert equal(good, weights_of(load_model(tmp_path / "last.pt")))
    mixed = Subset(Broken(nuclei), [5, 4, 3, 2, 1])
    with pytest.raises(TrainingError, match=r"images of this batch: cell_4\.tif$"):
        quick(small_unet(), mixed, settings=settings)


def test_fault_13_a_gradient_that_is_not_finite(nuclei):
    def loss_with_a_bad_slope(logits, target):
        return (logits * 0).sqrt().mean()  # 0, and its slope 0 * inf

    model, loader = small_unet(norm="none"), DataLoader(nuclei, batch_size=4)
    before = weights_of(model)
    with pytest.raises(TrainingError, match=r"step 1: the gradient is nan at learning rate 0\.1"):
        train_epoch(model, loader, loss_with_a_bad_slope, sgd(model))
    assert equal(before, weights_of(model))


@pytest.mark.parametrize(
    ("channels", "only", "name"), [(1, -50.0, "background"), (1, 50.0, "foreground"), (3, 50.0, "")]
)
def test_fault_14_one_class_everywhere(nuclei, channels, only, name):
    model = UNet(1, channels, width=4, depth=2).requires_grad_(False)  # it cannot learn
    model.head.weight.zero_()
    model.head.bias.fill_(0).requires_grad_(True)
    with torch.no_grad():
        model.head.bias[-1] = only
    settings = TrainingSettings(epochs=6, learning_rate=1e-6, **FAST)
    data = nuclei if channels == 1 else [(image, t[0].long()) for image, t in nuclei]
    with pytest.warns(OneClassWarning) as caught:
        quick(model, data, data, settings)
    assert len(caught) == 1  # said once
    told = str(caught[0].message)
    assert f"after epoch 3 every pixel of the validation set is predicted as {name}" in told
    assert "python -m unet_lib check" in told
    empty = TensorDataset(torch.rand(4, 1, 16, 16), torch.zeros(4, 1, 16, 16))
    with warnings.catch_warnings(action="error"):
        quick(small_unet(), empty, empty)  # one class is right there


def test_fault_21_a_batch_of_one_with_batchnorm():
    data = TensorDataset(torch.rand(3, 1, 4, 4), torch.ones(3, 1, 4, 4))
    settings = TrainingSettings(epochs=1, batch_size=2, precision="float32")
    with pytest.raises(TrainingError) as caught:
        quick(small_unet(), data, settings=settings)
    for part in ("epoch 1, step 2", "shape (1, 1, 4, 4)", 'norm="group"', "drop_last=True"):
        assert part in str(caught.value)
    quick(small_unet(norm="group"), data, settings=settings)  # the cures
    quick(small_unet(), data, settings=replace(settings, drop_last=True))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_fault_22_out_of_memory(nuclei, precision):
    def greedy(logits, target):  # no memory suffices
        return logits.mean() + torch.empty(2**60, dtype=torch.uint8).sum()

    settings = TrainingSettings(batch_size=8, precision=precision)
    with pytest.raises(OutOfMemoryError) as caught:
        quick(small_unet(norm="none"), nuclei, loss=greedy, settings=settings)
    assert (caught.value.shape, caught.value.precision) == ((8, 1, 32, 32), precision)
    told = str(caught.value)
    assert told.startswith("epoch 1, step 1: memory ran out with a batch of shape (8, 1, 32, 32):")
    assert "halve batch_size and double accumulation_steps" in told
    assert f"unet_lib.memory.advice_for(model, (8, 1, 32, 32), '{precision}')" in told


class Killed(Dataset):
    """Its second image kills the process that loads it."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 1 and torch.utils.data.get_worker_info():
            os.kill(os.getpid(), 9)
        return torch.rand(1, 8, 8), torch.ones(1, 8, 8)


def test_fault_23_a_data_worker_died():
    with pytest.raises(TrainingError) as caught:
        quick(small_unet(), Killed(), settings=replace(ONE, num_workers=1))
    for part in ("died", "num_workers=0", '`if __name__ == "__main__":`'):
        assert part in str(caught.value)
    quick(small_unet(), Killed())  # the cure


def test_other_errors_stay_themselves(nuclei):
    def wrong(logits, target):
        raise ValueError("my own mistake")

    with pytest.raises(ValueError, match=r"^my own mistake$"):
        quick(small_unet(), nuclei, loss=wrong)


# The two probes


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
