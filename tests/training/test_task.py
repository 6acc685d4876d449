"""What a network predicts: targets, losses, masks, and how it is stored."""

import numpy as np
import pytest
import torch

from unet_lib.data import DataError, PairedFolder, read_mask, voc_palette
from unet_lib.data.write import new_files, save_gray, save_labels
from unet_lib.model import UNet
from unet_lib.training import Task, score_pictures

LABELS = torch.tensor([[0, 1, 1, 255], [0, 2, 2, 0]])


def test_foreground_is_any_label_but_0_and_keeps_what_is_ignored() -> None:
    assert Task().encode(LABELS).tolist() == [[[0, 1, 1, 1], [0, 1, 1, 0]]]
    assert Task(ignore_index=255).encode(LABELS).tolist() == [[[0, 1, 1, 255], [0, 1, 1, 0]]]


def test_classes_are_the_labels_themselves() -> None:
    assert Task("classes").encode(LABELS) is LABELS


def test_channels_follow_from_mode_and_target() -> None:
    assert (Task().in_channels, Task(mode="RGB").in_channels) == (1, 3)
    assert Task("classes", num_classes=4).out_channels == 4
    with pytest.raises(ValueError, match="num_classes is needed"):
        _ = Task("classes").out_channels


@pytest.mark.parametrize(
    "task",
    [Task(ignore_index=255), Task("instances"), Task("classes", num_classes=3, ignore_index=255)],
)
def test_loss_and_scores_take_the_target(task) -> None:
    labels = LABELS if task.ignore_index else LABELS.clamp(max=2)
    target = task.encode(labels)[None]
    logits = torch.zeros(1, task.out_channels, 2, 4)
    assert task.loss(logits, target) > 0
    scores = task.scores()
    scores.update(logits, target)
    assert 0 <= scores.compute()["dice_pooled"] <= 1


def test_masks_of_foreground_follow_the_threshold() -> None:
    logits = torch.logit(torch.tensor([[[0.2, 0.4, 0.6]]]))
    assert Task().mask(logits).tolist() == [[0, 0, 1]]
    assert Task(threshold=0.3).mask(logits).tolist() == [[0, 1, 1]]


def test_masks_of_instances_and_classes() -> None:
    logits = torch.log(torch.tensor([[[0.6, 0.4]], [[0.1, 0.5]], [[0.3, 0.1]]]))
    assert Task("instances").mask(logits).tolist() == [[0, 1]]
    assert Task("classes", num_classes=3).mask(logits).tolist() == [[0, 1]]


def test_pictures_are_normalized_as_the_task_says() -> None:
    image = np.array([[0, 51, 102]], np.uint8)
    torch.testing.assert_close(
        Task(normalize="type").prepare(image), torch.tensor([[[0.0, 0.2, 0.4]]])
    )
    assert Task().prepare(image).max() > 0.9
    assert Task(mode="RGB").prepare(np.zeros((2, 4, 3), np.uint8)).shape == (3, 2, 4)


def test_scores_of_a_perfect_network_are_1(tmp_path) -> None:
    """The network hands the picture through, and the picture is its own mask."""
    mask = np.zeros((16, 20), np.uint8)
    mask[2:7, 3:9] = mask[9:14, 3:9] = 255
    numbered = np.where(mask > 0, 1, 0)
    numbered[9:14] *= 2
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    save_gray(tmp_path / "images" / "1.png", mask)
    save_labels(tmp_path / "masks" / "1.png", numbered)
    model = UNet(1, width=1, depth=1)
    task = Task(normalize="type")
    dataset = PairedFolder(
        tmp_path / "images", tmp_path / "masks", instances=True, normalize=task.normalization
    )

    def forward(images: torch.Tensor) -> torch.Tensor:
        return 20 * images - 10

    model.forward = forward
    scores = score_pictures(model, task, dataset, instances=True)
    assert set(scores.values()) == {1.0}
    assert len(scores) == 10
    assert "ap_at_iou_0.7_pooled" in scores
    assert "ap_at_iou_0.7_pooled" not in score_pictures(model, task, dataset)


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


def test_new_files_makes_its_folder_only_when_nothing_is_in_the_way(tmp_path) -> None:
    with pytest.raises(DataError, match=r"several pictures would become 1\.png"):
        new_files(tmp_path / "out", ["a/1.tif", "b/1.png"])
    assert not (tmp_path / "out").exists()
    (file,) = new_files(tmp_path / "out", ["a/1.tif"])
    file.touch()
    with pytest.raises(DataError, match=r"1 files exist already \(1\.png\)"):
        new_files(tmp_path / "out", ["a/1.tif"])
