"""What a network predicts: targets, losses, masks, and the data set that goes with it."""

import numpy as np
import pytest
import torch
from torch.utils.data import Subset, TensorDataset

from unet_lib.data import (
    DataError,
    InMemory,
    SimulatedNuclei,
    foreground,
    read_mask,
    scale_by_dtype,
    voc_palette,
)
from unet_lib.data.base import PADDING
from unet_lib.data.write import save_labels
from unet_lib.training import Task

LABELS = torch.tensor([[0, 1, 1, 255], [0, 2, 2, 0]])
CLASSES = Task("classes", num_classes=3, ignore_index=255)


def test_foreground_is_any_label_but_0_and_classes_are_the_labels_themselves() -> None:
    assert Task().encode(LABELS).tolist() == [[[0, 1, 1, 1], [0, 1, 1, 0]]]
    assert Task(ignore_index=255).encode(LABELS).tolist() == [[[0, 1, 1, 255], [0, 1, 1, 0]]]
    assert CLASSES.encode(LABELS) is LABELS


def test_channels_follow_from_mode_and_target() -> None:
    assert (Task().in_channels, Task(mode="RGB").in_channels, CLASSES.out_channels) == (1, 3, 3)
    with pytest.raises(ValueError, match="num_classes is needed"):
        _ = Task("classes").out_channels


TARGETS = ["foreground", "instances", "distances", "offsets"]


@pytest.mark.parametrize("task", [Task(ignore_index=255), CLASSES, *map(Task, TARGETS[1:])])
def test_loss_and_scores_take_the_target(task) -> None:
    target = task.encode(LABELS if task.ignore_index else LABELS.clamp(max=2))[None]
    logits, scores = torch.zeros(1, task.out_channels, 2, 4), task.scores()
    assert task.loss(logits, target) > 0
    scores.update(logits, target)
    assert 0 <= scores.compute()["dice_pooled"] <= 1


def test_masks_follow_threshold_and_target() -> None:
    logits = torch.logit(torch.tensor([[[0.2, 0.4, 0.6]]]))
    assert Task().mask(logits).tolist() == [[0, 0, 1]]
    assert Task(threshold=0.3).mask(logits).tolist() == [[0, 1, 1]]
    logits = torch.log(torch.tensor([[[0.6, 0.4]], [[0.1, 0.5]], [[0.3, 0.1]]]))
    assert Task("instances").mask(logits).tolist() == CLASSES.mask(logits).tolist() == [[0, 1]]


@pytest.mark.parametrize("target", TARGETS[2:])
def test_the_mask_of_a_shape_is_its_foreground_whatever_the_other_maps_say(target) -> None:
    task = Task(target, threshold=0.3)
    logits = torch.full((task.out_channels, 1, 3), 9.0)
    logits[0] = torch.logit(torch.tensor([0.2, 0.4, 0.6]))
    assert task.mask(logits).tolist() == [[0, 1, 1]]
    torch.testing.assert_close(task.probabilities(logits)[0], task.foreground(logits))


@pytest.mark.parametrize("target", TARGETS[2:])
def test_pixels_that_do_not_count_are_void_in_every_map_of_a_shape(target) -> None:
    task, labels = Task(target), torch.zeros(16, 16, dtype=torch.long)
    labels[4:, :4], labels[:, 12:] = 3, PADDING
    maps = task.encode(labels)
    assert (maps[:, :, 12:] == PADDING).all()
    assert torch.equal(maps[:, :, :12], task.encode(labels[:, :12]))
    void, logits = maps[None], torch.randn(1, task.out_channels, 16, 16)
    changed = logits.clone()
    changed[..., 12:] = 7.0
    assert task.loss(logits, void) == task.loss(changed, void)


def test_images_are_normalized_as_the_task_says() -> None:
    image = np.array([[0, 51, 102]], np.uint8)
    scaled = Task(normalize="type").prepare(image)
    torch.testing.assert_close(scaled, torch.tensor([[[0.0, 0.2, 0.4]]]))
    assert Task().prepare(image).max() > 0.9
    assert Task(mode="RGB").prepare(np.zeros((2, 4, 3), np.uint8)).shape == (3, 2, 4)


@pytest.mark.parametrize("target", TARGETS)
def test_a_task_makes_of_a_data_set_what_its_network_is_to_see(target) -> None:
    task, nuclei = Task(target, normalize="type"), SimulatedNuclei(4, size=(32, 32))
    image, labels = task.apply(Subset(Subset(nuclei, [2, 3]), [1]))[0]
    raw, numbered = nuclei.load(3)
    assert torch.equal(image[0], torch.from_numpy(scale_by_dtype(raw)))
    assert torch.equal(labels, task.encode(torch.from_numpy(numbered).long()))
    assert nuclei.target is None
    assert task.apply(nuclei.with_(target=foreground)).target is foreground
    strange = TensorDataset(torch.zeros(2, 1, 4, 4))
    assert task.apply(strange) is strange


def test_data_sets_that_contradict_the_task() -> None:
    images = [np.zeros((8, 8), np.uint8)]
    own = InMemory(images, [np.zeros((8, 8), int)], normalize=scale_by_dtype)
    with pytest.raises(ValueError, match="made with normalize=scale_by_dtype, the task wants norm"):
        Task().apply(Subset(own, [0]))
    assert Task(normalize="type").apply(own).normalize is scale_by_dtype
    own.mode = "RGB"
    with pytest.raises(ValueError, match='reads images of mode "RGB", the task wants mode "L"'):
        Task().apply(own)


def test_label_files_hold_what_was_written_or_refuse_it(tmp_path) -> None:
    save_labels(tmp_path / "a.png", np.array([[0, 65535]]))
    assert read_mask(tmp_path / "a.png").tolist() == [[0, 65535]]
    save_labels(tmp_path / "b.png", np.array([[0, 20, 255]], np.uint8), as_classes=True)
    assert read_mask(tmp_path / "b.png").tolist() == [[0, 20, 255]]
    colors = {tuple(voc_palette()[20].tolist()): 7, (0, 0, 0): 0, (224, 224, 192): 9}
    assert read_mask(tmp_path / "b.png", palette=colors).tolist() == [[0, 7, 9]]
    with pytest.raises(DataError, match=r"c\.png: labels up to 65536; the file holds 0 to 65535"):
        save_labels(tmp_path / "c.png", np.array([[0, 65536]]))
    assert not (tmp_path / "c.png").exists()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "wrong", [{"target": "nuclei"}, {"mode": "rgb"}, {"normalize": "percentile"}], ids=str
)
def test_a_word_that_is_none_is_refused(wrong) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be one of .*, got '{wrong[name]}'"):
        Task(**wrong)
