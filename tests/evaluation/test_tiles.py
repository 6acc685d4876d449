"""Prediction: tiles equal the whole image, memory follows the tile, any network is measured."""

import numpy as np
import pytest
import torch

from unet_lib.evaluation import (
    find_context,
    foreground_probability,
    measure_context,
    predict,
    predict_mask,
    predict_tiles,
    probabilities,
    tile_slices,
)
from unet_lib.memory import measure_peak
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


def seen_by(model, size, **options) -> list[tuple[int, int]]:
    """Heights and widths that the model is shown."""
    seen = []
    hook = model.register_forward_pre_hook(lambda _, args: seen.append((*args[0].shape[-2:],)))
    predict(model, torch.rand(1, *size), **options)
    hook.remove()
    return seen


def test_the_whole_image_where_it_fits_into_the_memory_else_the_largest_tile(model):
    assert seen_by(model, (512, 512), memory=1) == [(512, 512)]
    assert seen_by(model, (700, 600))[1:] == [(700, 600)]  # the first is to count its memory
    _, *tiles = seen_by(model, (700, 600), halo=16, memory=20e6)
    assert len(tiles) == 2 * 2
    assert max(max(tile) for tile in tiles) <= 550
    assert seen_by(model, (700, 400), halo=16, memory=1)[1] == (
        256 + 2 * 16,
        256 + 16,
    )  # the largest first


def test_memory_stays_within_the_budget_however_large_the_image(model):
    def peak(size: int) -> int:
        image = torch.rand(1, size, size)
        predict(model, image, memory=30e6)
        return measure_peak(lambda: predict(model, image, memory=30e6)) - 2 * image.nbytes  # logits

    peaks = [peak(size) for size in (1500, 2500)]
    assert max(peaks) <= 1.1 * peaks[0]
    assert max(peaks) <= 1.7 * 30e6  # oneDNN's copies in a layout of its own come on top


def test_a_mask_is_made_tile_by_tile(model):
    image, context = torch.rand(1, 90, 100), find_context(model, 1)
    shown = []

    def finish(logits):
        shown.append(logits.shape)
        return logits.argmax(1, keepdim=True).to(torch.uint8)

    mask = predict_tiles(model, image, context, 32, finish=finish)
    assert (mask.dtype, mask.shape, len(shown)) == (torch.uint8, (1, 90, 100), 3 * 4)
    assert torch.equal(mask[0], predict(model, image).argmax(0))


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
