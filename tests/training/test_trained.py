"""A trained network with its task: files and arrays alike, what makes no sense refused, scores."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from unet_lib.data import DataError, InMemory, PairedFolder, SimulatedNuclei, simulate_nuclei
from unet_lib.data.write import save_gray, save_labels
from unet_lib.evaluation import (
    at_diameter,
    average_precision,
    decode_distances,
    decode_offsets,
    fast,
    label_instances,
    predict,
    predict_views,
)
from unet_lib.model import UNet
from unet_lib.training import (
    CheckpointError,
    Task,
    Trained,
    TrainingSettings,
    fit,
    save_checkpoint,
)
from unet_lib.training.trained import OtherImagesWarning

CLASSES = Task("classes", num_classes=3)
DECODERS = {
    "foreground": label_instances,
    "instances": partial(label_instances, borders=True),
    "distances": decode_distances,
    "offsets": decode_offsets,
}


def new(task: Task) -> Trained:
    torch.manual_seed(0)
    model = UNet(task.in_channels, task.out_channels, width=4, depth=1)
    return Trained(model, task, precision="float32")  # to the last digit


SHAPES = [Task("distances", threshold=0.4), Task("offsets")]
TASKS = [Task(threshold=0.4), Task("instances"), CLASSES, *SHAPES]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.target)
def test_files_and_arrays_give_the_same(tmp_path, task) -> None:
    trained, file = new(task), tmp_path / "a.png"
    image, _ = simulate_nuclei(seed=3, size=(41, 56))
    Image.fromarray(image).save(file)
    logits = predict(trained.model, task.prepare(image))
    np.testing.assert_array_equal(trained.logits(image, tile=16).round(4), logits.numpy().round(4))
    for x in (image, file, str(file)):
        np.testing.assert_array_equal(trained.probabilities(x), task.probabilities(logits).numpy())
        np.testing.assert_array_equal(trained.mask(x), task.mask(logits))
        if task.target == "classes":
            with pytest.raises(ValueError, match="tells classes apart, not objects"):
                trained.instances(x)
        else:
            numbered = DECODERS[task.target](logits, task.threshold)
            np.testing.assert_array_equal(trained.instances(x), numbered)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.target)
def test_eight_views_give_the_mean_of_all_ways_to_lay_the_image(task) -> None:
    one, (image, labels) = new(task), simulate_nuclei(seed=3, size=(41, 56))
    trained = Trained(one.model, task, precision="float32", views=8)
    logits = predict_views(one.model, task.prepare(image), vectors=task.target == "offsets")
    np.testing.assert_array_equal(trained.logits(image), logits.numpy())
    np.testing.assert_allclose(trained.logits(image, tile=16), logits.numpy(), atol=1e-5)
    assert np.abs(trained.logits(image) - one.logits(image)).max() > 1e-3
    np.testing.assert_array_equal(trained.probabilities(image), task.probabilities(logits).numpy())
    np.testing.assert_array_equal(trained.mask(image), task.mask(logits))
    if task.target != "classes":
        np.testing.assert_array_equal(trained.instances(image), task.instances(logits))
        scores, found = task.scores(), trained.scores(InMemory([image], [labels]))
        scores.update(logits[None], task.encode(torch.from_numpy(labels).long())[None])
        assert found == scores.compute()


@pytest.mark.usefixtures("unchecked")
def test_another_number_of_views_is_refused() -> None:
    with pytest.raises(ValueError, match=r"views must be one of \(1, 8\), got 4"):
        Trained(UNet(1, width=2, depth=1), Task(), views=4)
    with pytest.raises(ValueError, match=r"1 channel; two that point down .* leave vectors out"):
        Trained(Foreign(), Task("offsets"), views=8).mask(BYTES)


def test_with_a_diameter_objects_are_those_of_the_second_pass() -> None:
    image, labels = simulate_nuclei(seed=3, size=(41, 56))
    task, plain = Task(threshold=0.6), nn.Identity()  # foreground is what is brighter than 0.4
    trained = Trained(plain, task, halo=0, precision="float32", diameter=24.0)
    prepared, sizes = task.prepare(image), []

    def find(seen):
        sizes.append(tuple(seen.shape[-2:]))
        return task.instances(seen)

    expected = at_diameter(find, prepared, 24.0)
    assert sizes[0] == (41, 56)
    assert sizes[1] > sizes[0]
    np.testing.assert_array_equal(trained.instances(image), expected)
    np.testing.assert_array_equal(trained.mask(image), task.mask(prepared))
    scores = trained.scores(InMemory([image], [labels]), instances=True)
    assert scores["ap_at_iou_0.5_pooled"] == average_precision([expected], [labels], [0.5])[0.5]
    with pytest.raises(ValueError, match="diameter must be at least 1, got 0"):
        Trained(plain, task, halo=0, diameter=0)


class Counted(UNet):
    """Knows how often it is asked: a fast copy is asked in its place."""

    calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(images)


@pytest.fixture
def copied(monkeypatch):
    """The fast copy in float32 wins every probe."""
    monkeypatch.setattr(fast, "_has_bf16", lambda model: False)

    def instead(network, sample, context):
        return fast.predict_tiles(network, sample, context), float(isinstance(network, Counted))

    monkeypatch.setattr(fast, "_timed", instead)


def test_a_fast_copy_predicts_and_follows_the_weights(copied) -> None:
    model = Counted(1, 1, width=4, depth=1, norm="batch")
    trained, (image, _) = Trained(model, Task()), simulate_nuclei(seed=3, size=(41, 56))
    assert trained.way is None
    mask, calls = trained.mask(image), model.calls
    assert (trained.way.precision, trained.way.changed) == ("float32", 0.0)
    np.testing.assert_array_equal(trained.mask(image, tile=8), mask)
    np.testing.assert_array_equal(trained.task.mask(torch.from_numpy(trained.logits(image))), mask)
    assert model.calls == calls  # the probe asked it, and nobody since
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    model(torch.rand(2, 1, 8, 8)).sum().backward()
    optimizer.step()  # which does not count as a change of the tensors
    np.testing.assert_allclose(
        trained.logits(image), predict(model, trained.prepare(image)).numpy(), atol=1e-4
    )


def test_scores_are_those_of_the_network_as_it_is(copied) -> None:
    model = Counted(1, 1, width=4, depth=1)
    Trained(model, Task()).scores(SimulatedNuclei(3, size=(16, 16)))
    assert model.calls == 3


BYTES, TYPE = np.zeros((8, 8), np.uint8), Task(normalize="type")


@pytest.mark.parametrize(
    ("task", "image", "told"),
    [
        (Task(), np.zeros((8, 8, 3), np.uint8), "(8, 8, 3) and type uint8; expected a gray "),
        (Task(mode="RGB"), BYTES, "expected a color image (H, W, 3) of"),
        (Task(), BYTES > 0, "type bool; expected a gray image"),
        (Task(), np.zeros(8), "shape (8,) and"),
        (Task(), np.diag([np.nan] * 8), "8 of 64 values are NaN or infinite; replace them"),
        (Task(), BYTES[:1], "1 pixels high or wide is too small for depth 1"),
        (TYPE, np.zeros((8, 8), int), "int64; expected uint8, uint16 or float"),
    ],
)
def test_arrays_that_make_no_sense(task, image, told) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        new(task).mask(image)


def test_files_that_make_no_sense_are_named(tmp_path) -> None:
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "color.png")
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(tmp_path / "nan.tif")
    Image.new("L", (1, 8)).save(tmp_path / "thin.png")
    for told in (
        "none.png: no such file",
        "color.png: a color image",
        "nan.tif: 64 of 64 values are NaN",
        "thin.png: an image 1 pixels high or wide is too small",
    ):
        with pytest.raises(ValueError, match=told):
            new(Task()).mask(tmp_path / told.partition(":")[0])


class Foreign(nn.Module):
    """A network of somebody else, which takes multiples of 4 alone."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 4, 4, 4), nn.ConvTranspose2d(4, channels, 4, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[2] % 4 or images.shape[3] % 4:
            raise RuntimeError("wrong input shape")
        return self.up(self.down(images))


def test_a_network_of_ones_own_is_loaded_by_its_owner(tmp_path) -> None:
    model, path = Foreign(), tmp_path / "best.pt"
    save_checkpoint(path, model, **Task().stored())
    with pytest.raises(CheckpointError, match=r"weights of a Foreign of .* model=Foreign"):
        Trained.load(path)
    trained = Trained.load(path, Foreign(), threshold=0.3, device="cpu", precision="float32")
    assert trained.task == Task(threshold=0.3)
    image = np.random.default_rng(0).integers(0, 255, (22, 31)).astype(np.uint8)
    assert trained.mask(image).shape == (22, 31)
    whole = trained.logits(image[:20, :28])
    expected = model.eval()(trained.task.prepare(image[:20, :28])[None])[0].detach().numpy()
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    with pytest.raises(CheckpointError, match=r"best\.pt: the weights do not fit the model"):
        Trained.load(path, model=Foreign(2))
    with pytest.raises(ValueError, match="gives 1 channels, the network 1 and 2; take the task of"):
        Trained(Foreign(2), Task()).mask(image)
    save_checkpoint(path, UNet(3, width=1, depth=1), **Task().stored())
    with pytest.raises(CheckpointError, match=r"best\.pt: the task takes 1 .* the network 3 and 1"):
        Trained.load(path)


class Through(nn.Module):
    """Hands the image through: white is foreground."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 20 * images - 10


def test_scores_of_a_perfect_network_are_1(tmp_path) -> None:
    mask = np.zeros((16, 20), np.uint8)
    mask[2:7, 3:9] = mask[9:14, 3:9] = 255
    numbered = np.where(mask > 0, 1, 0)
    numbered[9:14] *= 2
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    save_gray(tmp_path / "images" / "1.png", mask)
    save_labels(tmp_path / "masks" / "1.png", numbered)
    dataset = PairedFolder(tmp_path / "images", tmp_path / "masks", instances=True)
    trained = Trained(Through(), TYPE)
    for data in (dataset, dataset.with_(target=len)):
        scores = trained.scores(data, instances=True)
        assert set(scores.values()) == {1.0}
        assert len(scores) == 10
        precision = {f"ap_at_iou_{t}_pooled" for t in (0.5, 0.7, 0.9)}
        assert scores.keys() - trained.scores(data) == precision
    with pytest.raises(ValueError, match="tells classes apart"):
        new(CLASSES).scores(dataset, instances=True)


def test_more_than_256_classes_are_kept_apart() -> None:
    task = Task("classes", num_classes=300)
    logits = torch.zeros(300, 4, 4)
    logits[260] = 1.0
    assert task.mask(logits).dtype == np.uint16
    assert (task.mask(logits) == 260).all()


def test_a_checkpoint_knows_what_its_images_were(tmp_path) -> None:
    deep = [simulate_nuclei(seed=0, index=i, size=(32, 32)) for i in range(4)]
    images = InMemory([image.astype(np.uint16) * 12 for image, _ in deep], [y for _, y in deep])
    settings = TrainingSettings(epochs=1, precision="float32")
    for normalize in ("type", "percentiles"):
        folder, task = tmp_path / normalize, Task(normalize=normalize)
        fit(UNet(1, width=2, depth=1), images, task=task, folder=folder, settings=settings)
    trained = Trained.load(tmp_path / "type" / "last.pt", precision="float32")
    trained.mask(deep[0][0].astype(np.uint16) * 12)
    with pytest.raises(DataError, match="numbers of type uint8, uint16 in training; convert"):
        trained.mask(deep[0][0])
    trained = Trained.load(tmp_path / "percentiles" / "last.pt", precision="float32")
    bright = deep[0][0].astype(np.uint16) * 200
    for image, told in (
        (deep[0][0], "numbers of type uint8, uint16 in training"),
        (bright, "values from .* in training"),
        (bright // 500, "less contrast than any in training"),
        (np.tile(bright, (5, 5)), "160x160 pixels, sides of 32 to 32 in training"),
    ):
        with pytest.warns(OtherImagesWarning, match=told):
            trained.mask(image)
    trained.mask(deep[0][0])  # each is said once
