"""Single checks of the doctor, where the clinic's cases do not reach."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, Subset, TensorDataset

from unet_lib.course.clinic.materials import nuclei, small_unet
from unet_lib.data import InMemory, normalize_percentiles
from unet_lib.doctor import (
    CAUSES,
    SetUp,
    check_dataset,
    check_model,
    check_run,
    examine,
)
from unet_lib.doctor.agreement import agreement
from unet_lib.doctor.images import check_images
from unet_lib.doctor.masks import check_masks
from unet_lib.doctor.outcome import check_history, check_outcome
from unet_lib.doctor.parts import check_ranges
from unet_lib.doctor.setup import batch_of, draw_sample, image_name
from unet_lib.doctor.trial import Trial
from unet_lib.training import CheckpointError, Task, TrainingSettings, save_checkpoint

FLOAT32 = TrainingSettings(precision="float32")


def causes(findings):
    return [finding.cause for finding in findings]


def rows(losses, validation=None):
    pairs = zip(losses, validation or losses, strict=True)
    return [{"loss": one, "validation_loss": other} for one, other in pairs]


@pytest.mark.parametrize(
    ("history", "cause"),
    [
        (rows([1, 0.8, 0.5, 0.3, 0.2]), []),
        (rows([1.3, 1.3]), []),
        ([], []),
        (rows([1, math.nan]), ["rate-too-high"]),
        (rows([1, 1.5, 2, 2.5]), ["rate-too-high"]),
        (rows([0.7, 0.699, 0.698, 0.7]), ["rate-too-low"]),
        ([{"loss": value} for value in (1, 0.8, 0.5, 0.3, 0.2)], []),
        (rows([1, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1], [1, 0.8, 0.9, 1, 1.1, 1.2, 1.3]), ["overfitting"]),
        (rows([1, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1], [1, 0.8, 0.8, 0.8, 0.8, 0.8, 0.9]), []),
    ],
)
def test_history(history, cause):
    assert causes(check_history(history)) == cause


def test_agreement_of_nothing():
    assert agreement(np.zeros((4, 4)), np.eye(4, dtype=int)) == 0
    assert agreement(np.eye(4), np.zeros((4, 4), int)) == 0
    assert agreement(np.eye(4), np.where(np.eye(4) > 0, 255, 0), ignore_index=255) == 0


def test_trial_without_a_number_has_not_learned():
    assert Trial(1.0, [1.0, math.nan]).fell == -math.inf
    assert Trial(1.0, [1.0, 0.5]).fell == 0.5


def test_data_sets_of_others_are_examined_too():
    images, labels = nuclei(8)
    x = torch.stack([torch.from_numpy(image)[None] / 255.0 for image in images])
    y = torch.stack([torch.from_numpy((mask > 0) * 1.0)[None].float() for mask in labels])
    dataset: Dataset = TensorDataset(x, y)
    assert check_dataset(dataset) == []
    assert image_name(dataset, 3) == "image 3"
    assert causes(check_dataset(TensorDataset(x * 65535, y))) == ["not-normalized"]
    assert causes(check_dataset(dataset, validation=Subset(dataset, [0]))) == ["leak"]


def test_ignored_pixels_count_for_nothing():
    images, labels = nuclei(8)
    masks = [np.where(mask == 1, 255, mask > 0).astype(np.uint8) for mask in labels]
    task = Task(ignore_index=255)
    dataset = InMemory(images, masks, target=task.encode)
    assert check_dataset(dataset, task) == []
    whole = InMemory(images, [np.full_like(mask, 255) for mask in masks], target=task.encode)
    assert causes(check_dataset(whole, task)) == ["empty-masks"]


def test_softmax_in_the_model():
    model = nn.Sequential(small_unet(1, 3), nn.Softmax(dim=1))
    task = Task("instances")
    dataset = InMemory(*nuclei(6), target=task.encode)
    assert causes(check_model(model, dataset, task)) == ["probabilities-in-loss"]
    assert check_model(small_unet(1, 3), dataset, task) == []


@pytest.mark.parametrize(
    ("predict", "cause"),
    [
        (lambda logits: logits.argmax(1), ["argmax-of-one-channel"]),
        (lambda logits: logits.softmax(1)[:, 0] > 0.5, ["argmax-of-one-channel"]),
        (lambda logits: logits[:, 0] > 0, []),
    ],
)
def test_one_channel_is_compared_with_nothing(predict, cause):
    model = small_unet()
    setup = SetUp(InMemory(*nuclei(6)), model=model, predict=lambda images: predict(model(images)))
    sample = draw_sample(setup.train, setup.task)
    with torch.no_grad():
        images, _ = batch_of(sample, 4, 64)
        model.eval().head.bias -= model(images).median()  # an answer that differs by the pixel
        assert causes(check_outcome(setup, sample)) == cause


SHAPES = [Task("distances"), Task("offsets", threshold=0.4)]


@pytest.mark.parametrize("task", SHAPES, ids=lambda task: task.target)
def test_fractions_in_the_maps_of_a_shape_are_no_fault_and_faults_are_found(task):
    images, labels = nuclei(24)
    assert check_dataset(InMemory(images, labels, target=task.encode), task) == []
    order = np.random.default_rng(1).permutation(24)
    for cause, masks in (
        ("unrelated-pairs", [labels[i] for i in order]),
        ("mask-turned", [mask.T.copy() for mask in labels]),
        ("empty-masks", [np.zeros_like(mask) for mask in labels]),
    ):
        assert causes(check_dataset(InMemory(images, masks, target=None), task)) == [cause]
    softened = InMemory(images, labels, target=lambda y: task.encode(y).clamp(0.1, 0.9))
    assert causes(check_dataset(softened, task)) == ["mask-blended"]


def bright(task, bias=-10.0):
    """A network that takes what is bright for foreground, and says 0 in its other maps."""
    model = nn.Conv2d(1, task.out_channels, 1)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        model.weight[0], model.bias[0] = 25.0, bias
    return model


@pytest.mark.parametrize("task", [Task(), *SHAPES], ids=lambda task: task.target)
def test_the_network_of_a_shape_is_judged_by_its_foreground(task):
    (images, labels), history = nuclei(24), rows([1, 0.8, 0.5, 0.3])
    forgotten = [np.where(mask == mask.max(), mask, 0) for mask in labels]
    few = [i for i in range(24) if (forgotten[i] > 0).sum() < 0.2 * (labels[i] > 0).sum()][:3]
    some = [forgotten[i] if i in few else mask for i, mask in enumerate(labels)]
    for masks, model, cause in (
        (labels, bright(task), []),
        (some, bright(task), ["label-noise"]),
        (labels, bright(task, bias=-99.0), ["one-class"]),
    ):
        setup = SetUp(InMemory(images, masks, target=task.encode), None, task, model)
        sample = draw_sample(setup.train, task)
        assert causes(check_outcome(replace(setup, history=history), sample)) == cause
    own = replace(setup, model=bright(task), predict=lambda x: bright(task)(x)[:, 0] > 0.5)
    assert causes(check_outcome(own, sample)) == ["logits-as-probabilities"]


def test_a_history_whose_weights_are_not_there():
    dataset, history = InMemory(*nuclei(6)), rows([1, 0.8, 0.5, 0.3])
    model = small_unet()
    assert causes(examine(SetUp(dataset, model=model, history=history))) == ["weights-not-loaded"]
    assert causes(examine(SetUp(dataset, model=model))) == []
    with torch.no_grad():
        model(torch.stack([dataset[i][0] for i in range(6)]))  # BatchNorm has seen something
    assert "weights-not-loaded" not in causes(examine(SetUp(dataset, model=model, history=history)))


def test_nothing_is_changed():
    model = small_unet()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    dataset = InMemory(*nuclei(6))
    assert examine(SetUp(dataset, model=model, settings=FLOAT32)) == []
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_loss_that_cannot_be_lowered():
    dataset = InMemory(*nuclei(6))
    setup = SetUp(dataset, model=small_unet(), settings=FLOAT32, loss=lambda z, y: z.sum() * 0 + 1)
    assert causes(examine(setup)) == ["cannot-learn"]


def test_sgd_with_a_rate_that_throws_it_about():
    settings = replace(FLOAT32, optimizer="sgd", learning_rate=1e4, clip_norm=0)
    setup = SetUp(InMemory(*nuclei(6)), model=small_unet(norm="none"), settings=settings)
    assert causes(examine(setup)) == ["rate-too-high"]


def test_levels_far_apart():
    images, labels = nuclei(8)
    same = InMemory(images, labels)
    lifted = InMemory(images, labels, normalize=lambda image: same.normalize(image) + 5)
    samples = draw_sample(same), draw_sample(lifted)
    assert causes(check_ranges(*samples)) == ["normalization-differs"]


def test_a_batch_is_cut_where_the_objects_are():
    mask = np.zeros((200, 200), np.uint8)
    mask[150:190, 150:190] = 1
    sample = draw_sample(InMemory([mask], [mask]))
    assert batch_of(sample, 1, 64)[1].mean() > 0.3


def test_every_cause_is_complete_and_distinct():
    assert all(all(cause) for cause in CAUSES.values())


def test_checkpoints_without_a_task(tmp_path):
    save_checkpoint(tmp_path / "a.pt", small_unet(3, 5))
    assert check_run(tmp_path) == []
    save_checkpoint(tmp_path / "foreign.pt", nn.Conv2d(1, 1, 1))
    (finding,) = check_run(tmp_path / "foreign.pt")
    assert finding.cause == "unreadable-checkpoint"
    assert "holds a Conv2d that does not say its channels, and no task; train with" in str(finding)
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        check_run(tmp_path / "none")


def test_wild_numbers_that_were_too_many_for_their_type():
    numbers = np.arange(1, 401).reshape(20, 20).repeat(3, 0).repeat(3, 1)
    numbers[::3], numbers[:, ::3] = 0, 0
    image = (numbers > 0) * np.uint8(200)
    for labels, expected in ((numbers, []), (numbers.astype(np.uint8), ["instances-wrapped"])):
        dataset = InMemory([image] * 3, [labels.astype(np.int64)] * 3)
        assert causes(check_masks(draw_sample(dataset, Task()), Task())) == expected


@pytest.mark.parametrize("value", [-9999.0, 3e38])
def test_wild_values_that_nobody_measured(value):
    images = np.random.default_rng(0).normal(500, 9, (5, 40, 40)).astype(np.float32)
    labels = [(image > 505).astype(np.int64) for image in images]
    healthy = InMemory(list(images), labels, normalize=normalize_percentiles)
    assert causes(check_images(draw_sample(healthy))) == []
    for image in images[:2]:
        image[0, 0] = value
    found = check_images(
        draw_sample(InMemory(list(images), labels, normalize=normalize_percentiles))
    )
    assert causes(found) == ["no-data"]
    assert len(found[0].files) == 2
