"""unet_lib.evaluation.metrics against brute force, torchmetrics and scikit-learn."""

import math

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics.functional as tm

from unet_lib.evaluation import (
    Counts,
    SegmentationScores,
    confusion_matrix,
    count_pixels,
    dice,
    iou,
    pixel_accuracy,
    precision,
    recall,
)

RATIOS = [dice, iou, precision, recall]


@pytest.fixture(params=range(4))
def masks(request):
    torch.manual_seed(request.param)
    return torch.rand(3, 9, 11) > 0.6, torch.rand(3, 9, 11) > 0.5


@pytest.fixture(params=range(4))
def classes(request):
    torch.manual_seed(request.param)
    return torch.randint(0, 4, (3, 9, 11)), torch.randint(0, 4, (3, 9, 11))


def test_counts_by_brute_force(masks):
    counts = count_pixels(*masks)
    for n, (prediction, target) in enumerate(zip(*masks, strict=True)):
        pairs = list(zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True))
        expected = [pairs.count(pair) for pair in ((1, 1), (1, 0), (0, 1), (0, 0))]
        assert [int(count[n, 0]) for count in counts] == expected


def test_confusion_equals_scikit_learn_picture_by_picture(classes):
    prediction, target = classes
    target = target.clone()
    target[:, 0] = 255
    ours = confusion_matrix(prediction, target, num_classes=5, ignore_index=255)
    for n in range(3):
        pair = target[n, 1:].flatten(), prediction[n, 1:].flatten()
        theirs = sklearn.metrics.confusion_matrix(*pair, labels=range(5))
        np.testing.assert_array_equal(ours[n], theirs)
    assert ours[:, 4].sum() == ours[:, :, 4].sum() == 0


def test_miou_with_void_and_absent_classes_equals_torchmetrics(classes):
    """Of six classes two are nowhere; torchmetrics' macro mean leaves them out, too."""
    prediction, target = classes
    target = target.clone()
    target[:, :, :3] = 255
    logits = torch.nn.functional.one_hot(prediction, 6).movedim(-1, 1).float()
    scores = SegmentationScores(ignore_index=255)
    scores.update(logits, target)
    valid = target != 255
    how = {"task": "multiclass", "num_classes": 6, "average": "macro"}
    theirs = tm.jaccard_index(prediction[valid], target[valid], **how)
    assert scores.compute()["iou_pooled"] == pytest.approx(theirs.item())
    each = iou(scores.counts, "set", empty=math.nan)
    assert each.isnan().tolist() == [False] * 4 + [True] * 2


def test_ratios_equal_torchmetrics(masks):
    prediction, target = (mask.long() for mask in masks)
    counts = count_pixels(prediction, target)
    oracle = (tm.f1_score, tm.jaccard_index, tm.precision, tm.recall)
    for ours, theirs in zip(RATIOS, oracle, strict=True):
        pooled = theirs(prediction, target, task="binary")
        torch.testing.assert_close(ours(counts, "set")[0], pooled)
        each = [theirs(p, t, task="binary") for p, t in zip(prediction, target, strict=True)]
        torch.testing.assert_close(ours(counts, "image")[0], torch.stack(each).mean())

    ours = pixel_accuracy(counts, "set")
    torch.testing.assert_close(ours, tm.accuracy(prediction, target, task="binary"))


def test_class_ratios_equal_torchmetrics(classes):
    counts = count_pixels(*classes, num_classes=4)
    how = {"task": "multiclass", "num_classes": 4, "average": "none"}
    torch.testing.assert_close(iou(counts, "set"), tm.jaccard_index(*classes, **how))
    torch.testing.assert_close(dice(counts, "set"), tm.f1_score(*classes, **how))
    theirs = tm.accuracy(*classes, **how | {"average": "micro"})
    torch.testing.assert_close(pixel_accuracy(counts), theirs)


def test_pooling_matters_and_is_as_stated():
    counts = Counts(*(torch.tensor([[a], [b]]) for a, b in ((90, 1), (10, 1), (10, 1), (0, 0))))
    assert dice(counts, "image").item() == pytest.approx((0.9 + 0.5) / 2)
    assert dice(counts, "set").item() == pytest.approx(2 * 91 / (2 * 91 + 11 + 11))
    with pytest.raises(ValueError, match='pooling must be "image" or "set", got \'batch\''):
        dice(counts, "batch")


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize(("empty", "mean"), [(1.0, 1.0), (0.0, 0.5), (math.nan, 1.0)])
def test_fault_17_policy_for_empty_masks(ratio, empty, mean):
    """One image is right, one is empty and nothing was found in it."""
    target = torch.tensor([[[1, 1]], [[0, 0]]])
    counts = count_pixels(target, target)
    assert ratio(counts, "image", empty).item() == mean
    assert ratio(counts, "set", empty).item() == 1.0


def test_an_error_is_never_scored_as_empty():
    nothing, whole = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    assert precision(count_pixels(nothing, whole)).item() == 0.0
    assert recall(count_pixels(whole, nothing)).item() == 0.0
    assert dice(count_pixels(whole, nothing)).item() == 0.0


def test_large_counts_are_exact():
    """16,777,217 = 2^24 + 1 pixels: float32 cannot count so far."""
    one = torch.ones(1, 2**24 + 1, 1, dtype=torch.bool)
    assert count_pixels(one, one).tp.item() == 2**24 + 1


ZEROS, FOURS = torch.zeros(1, 2, 2), torch.zeros(2, 1, 4, 4)


@pytest.mark.parametrize(
    ("prediction", "target", "classes", "told"),
    [
        (ZEROS, ZEROS + 255, None, r"expected target values from 0 to 1, got \[255\].*map"),
        (ZEROS + 3, ZEROS, 3, r"prediction values from 0 to 2, got \[3\]"),
        (FOURS, FOURS[:, 0], None, r"one shape, got \(2, 1, 4, 4\) and \(2, 4, 4\)"),
    ],
)
def test_faults_1_2_and_16_are_told(prediction, target, classes, told):
    with pytest.raises(ValueError, match=told):
        count_pixels(prediction, target, classes)


def test_scores_of_batches_equal_scores_of_all(masks):
    prediction, target = masks
    logits = torch.where(prediction, 2.0, -2.0)[:, None]
    scores = SegmentationScores()
    for n in range(3):
        scores.update(logits[n : n + 1], target[n : n + 1, None])
    counts, result = count_pixels(*masks), scores.compute()
    assert result["dice_per_image"] == pytest.approx(dice(counts, "image").item())
    assert result["iou_pooled"] == pytest.approx(iou(counts, "set").item())
    assert result["recall_pooled"] == pytest.approx(recall(counts, "set").item())


def test_threshold_of_the_scores_is_a_probability():
    logits = torch.tensor([[[[0.0, 1.5, 3.0]]]])  # probabilities 0.50, 0.82, 0.95
    for threshold, found in ((0.4, 3), (0.8, 2), (0.9, 1)):
        scores = SegmentationScores(threshold)
        scores.update(logits, torch.ones(1, 1, 1, 3))
        assert int(scores.counts.tp) == found
    with pytest.raises(ValueError, match=r"threshold must be a probability.*got 1.5"):
        SegmentationScores(threshold=1.5)
    with pytest.raises(ValueError, match=r"no batch was added yet: call update"):
        SegmentationScores().compute()


@pytest.mark.parametrize("ignore_index", [None, 255])
def test_foreground_scores_join_the_classes(ignore_index):
    logits = torch.tensor([0.0, 0.3, 0.3])[None, :, None, None].expand(1, 3, 1, 4)
    scores = SegmentationScores(foreground=True, ignore_index=ignore_index)
    last = 0 if ignore_index is None else 255
    scores.update(logits, torch.tensor([[[1, 2, 0, last]]]))
    wrong = 2 if ignore_index is None else 1
    assert [int(c) for c in scores.counts] == [2, wrong, 0, 0]


def test_fractions_and_nan_are_no_answer():
    truth = torch.ones(1, 4, 4)
    for prediction in (torch.full((1, 4, 4), 0.9), torch.full((1, 4, 4), math.nan)):
        with pytest.raises(ValueError, match="the prediction holds fractions or NaN; masks of"):
            count_pixels(prediction, truth)
        with pytest.raises(ValueError, match="the target holds fractions or NaN"):
            count_pixels(truth, prediction)
    with pytest.raises(ValueError, match="the logits hold NaN, which is no answer"):
        SegmentationScores().update(torch.full((1, 1, 4, 4), math.nan), truth[None])
