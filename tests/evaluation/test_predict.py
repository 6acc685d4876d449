"""Prediction: tiles equal the whole image, memory follows the tile, instances come apart."""

import numpy as np
import pytest
import torch
from skimage.draw import disk

from unet_lib.data import interior_border
from unet_lib.evaluation import (
    average_precision,
    foreground_probability,
    label_instances,
    measure_context,
    predict,
    predict_mask,
    probabilities,
    tile_slices,
)
from unet_lib.model import UNet


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = UNet(1, 2, width=4, depth=2, norm="batch")
    model(torch.rand(4, 1, 32, 32))  # running statistics that are not the initial ones
    return model


@pytest.mark.parametrize("size", [(64, 64), (97, 130), (33, 71), (130, 5)])
@pytest.mark.parametrize("tile", [16, 30, 64, 1000])
def test_fault_32_tiles_equal_the_whole_image(model, size, tile):
    image = torch.rand(1, *size)
    whole = model.eval()(image[None])[0]
    torch.testing.assert_close(predict(model, image, tile), whole, atol=1e-5, rtol=1e-5)


def test_the_model_never_sees_more_than_tile_and_halo(model):
    seen = []
    hook = model.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape))
    predict(model, torch.rand(1, 300, 210), tile=32, halo=16)
    hook.remove()
    assert len(seen) == 10 * 7
    assert max(max(shape[-2:]) for shape in seen) <= 32 + 2 * 16


def test_a_batch_and_training_mode(model):
    images = torch.rand(3, 1, 40, 50)
    model.train()
    logits = predict(model, images, tile=16)
    assert model.training
    torch.testing.assert_close(logits[1], predict(model, images[1], tile=64), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [1, 7, 16, 17, 100])
def test_tiles_cover_every_pixel_once(length):
    covered = np.zeros(length, int)
    for inner, outer in tile_slices(length, tile=16, halo=8, grid=4):
        covered[inner] += 1
        assert outer.start <= inner.start < inner.stop <= outer.stop
        assert inner.start % 4 == outer.start % 4 == 0
    assert (covered == 1).all()


def test_fault_31_tiles_and_halos_out_of_range(model):
    with pytest.raises(ValueError, match="tile must be at least 1 and halo at least 0, got 0 and"):
        predict(model, torch.rand(1, 20, 20), tile=0, halo=4)


@torch.no_grad()
def test_fault_11_without_padding_by_tiles_over_mirrored_borders():
    """The border, 44 pixels, is no multiple of the grid, 8, and larger than the image."""
    torch.manual_seed(0)
    model, image = UNet(1, 2, width=2, depth=3, padding="valid"), torch.rand(1, 20, 75)
    mirrored = np.pad(image.numpy(), [(0, 0), (44, 44), (44, 45)], mode="reflect")
    expected = model(torch.from_numpy(mirrored)[None])[0, :, :, :75]
    for tile in (16, 24, 256):
        torch.testing.assert_close(predict(model, image, tile), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"kernel": 5, "depth": 2}, {"upsampling": "bilinear"}])
def test_the_measured_context_is_that_which_the_model_knows(options):
    model = UNet(**{"in_channels": 2, "width": 2, "depth": 3} | options)
    measured = measure_context(model, channels=2)
    assert measured.grid == model.grid
    assert model.halo <= measured.halo < model.halo + 2 * model.grid


@pytest.mark.parametrize("layer", [torch.nn.GroupNorm(1, 2), torch.nn.Softmax(dim=2)])
def test_a_network_that_sees_the_whole_image_is_predicted_whole(layer):
    model = torch.nn.Sequential(UNet(1, 2, width=4, depth=3, norm="batch"), layer)
    image = torch.rand(1, 16, 24)
    assert measure_context(model, 1).halo is None
    torch.testing.assert_close(predict(model, image), model.eval()(image[None])[0])
    with pytest.raises(ValueError, match="24 pixels in tiles of 8 would give other logits: leave"):
        predict(model, image, tile=8)
    assert predict(model, image, tile=8, halo=8).shape == (2, 16, 24)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (torch.nn.Conv2d(1, 1, 3, stride=2), "gives no logits of their size .last: 256x256 pixels"),
        (torch.nn.Conv2d(3, 1, 3, padding=1), "takes no images of 1 channels and up to 256"),
        (torch.sigmoid, "pass halo and grid: only those of a torch.nn.Module can be measured"),
    ],
)
def test_networks_that_cannot_be_measured(model, told):
    with pytest.raises(ValueError, match=told):
        predict(model, torch.rand(1, 16, 16))


def test_logits_of_another_size_are_refused_and_the_mode_is_set_back():
    model = torch.nn.MaxPool2d(2).train()
    with pytest.raises(ValueError, match=r"made \(1, 1, 4, 4\) of images \(1, 1, 8, 8\); logits"):
        predict(model, torch.rand(1, 8, 8), halo=0, grid=1)
    assert model.training


def test_probabilities_and_masks(model):
    logits = torch.randn(3, 4, 5)
    torch.testing.assert_close(probabilities(logits).sum(0), torch.ones(4, 5))
    torch.testing.assert_close(probabilities(logits[:1]), logits[:1].sigmoid())
    torch.testing.assert_close(foreground_probability(logits), logits.softmax(0)[1:].sum(0))
    image = torch.rand(1, 20, 20)
    expected = model.eval()(image[None])[0].softmax(0)[1] > 0.3
    assert torch.equal(predict_mask(model, image, threshold=0.3), expected)


def touching_disks() -> np.ndarray:
    labels = np.zeros((60, 90), np.int32)
    for number, center in enumerate([(20, 20), (20, 41), (42, 60), (45, 20)], start=1):
        labels[disk(center, 11, shape=labels.shape)] = number
    return labels


def test_touching_disks_come_apart():
    labels = touching_disks()
    target = interior_border(torch.from_numpy(labels).long())
    classes = 9.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 0).float()
    one = torch.from_numpy(np.where(labels > 0, 9.0, -9.0)[None]).float()
    for logits, borders, at in ((one, False, 0.9), (classes, True, 0.7)):
        found = label_instances(logits, borders=borders)
        assert found.max() == 4
        assert average_precision([found], [labels], (at,))[at] == 1.0


def test_fault_5_three_classes_are_not_taken_for_borders() -> None:
    """Two classes that touch are two regions of one foreground: class 1 is no interior."""
    logits = torch.full((3, 20, 40), -9.0)
    logits[0], logits[2, 4:16, 4:16] = 5.0, 9.0  # all of the object is of class 2
    assert label_instances(logits).max() == 1
    with pytest.raises(ValueError, match="4 channels; background, interior and border were"):
        label_instances(torch.zeros(4, 9, 9), borders=True)


def test_small_objects_vanish_and_numbers_have_no_gaps():
    logits = torch.full((1, 30, 30), -9.0)
    logits[0, 2:4, 2:4] = logits[0, 10:20, 2:12] = logits[0, 10:20, 18:28] = 9.0
    found = label_instances(logits, minimum_pixels=12)
    assert np.unique(found).tolist() == [0, 1, 2]
    assert label_instances(torch.full((1, 9, 9), -9.0)).max() == 0
