"""unet_lib.model: sizes, receptive field, equivariance, and what it answers to bad input."""

from dataclasses import asdict

import pytest
import torch
from torch import nn

from unet_lib.model import UNet, UNetSettings, article_unet, count_parameters, receptive_field


def positive_average_pooling(model: UNet) -> UNet:
    """The same wiring with weights that cannot cancel: every path shows in the gradient."""
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.3)
    model.pool = nn.AvgPool2d(2, ceil_mode=True)
    return model.double()


def test_article_network_has_the_stated_number_of_parameters():
    assert count_parameters(article_unet()) == 31_031_745
    assert article_unet().settings == UNetSettings(3, 1, width=64, depth=4, norm="none")


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("size", [(16, 16), (17, 31), (50, 37), (64, 96)])
def test_same_padding_keeps_any_size_forward_and_backward(norm, upsampling, size):
    model = UNet(2, 3, width=4, depth=4, norm=norm, upsampling=upsampling, dropout=0.1)
    images = torch.rand(2, 2, *size)
    logits = model(images)
    assert logits.shape == (2, 3, *size)
    logits.mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_valid_padding_gives_the_announced_size(depth, kernel):
    model = UNet(1, 1, width=2, depth=depth, padding="valid", kernel=kernel)
    size = model.minimum_size
    for n in (size, size + 2**depth):
        assert model(torch.rand(1, 1, n, size)).shape[-2:] == (
            model.output_size(n),
            model.output_size(size),
        )


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_kernel_is_that_of_both_convolutions_of_every_block(kernel):
    model = UNet(1, 1, width=2, depth=1, kernel=kernel)
    blocks = [*model.encoder, model.bottleneck, *model.decoder]
    sizes = [m.kernel_size for b in blocks for m in b if isinstance(m, nn.Conv2d)]
    assert sizes == [(kernel, kernel)] * 6
    assert model(torch.rand(1, 1, 17, 30)).shape == (1, 1, 17, 30)


def test_settings_stored_before_there_was_a_kernel_mean_3x3():
    stored = asdict(UNetSettings(1, 1, width=2, depth=1))
    del stored["kernel"]
    UNet(**stored).load_state_dict(UNet(1, 1, width=2, depth=1, kernel=3).state_dict())


def test_the_papers_figure():
    model = UNet(1, 2, width=1, padding="valid")
    assert model.output_size(572) == 388
    assert model.minimum_size == 188


def test_a_crop_is_centered():
    """With valid padding the output is the middle of what same padding sees, far from borders."""
    valid = UNet(1, 1, width=3, depth=1, padding="valid")
    same = UNet(1, 1, width=3, depth=1)  # deeper, the pooling grids of the two lie apart
    same.load_state_dict(valid.state_dict())
    image = torch.rand(1, 1, 92, 92)
    out = valid(image)
    margin = (92 - out.shape[-1]) // 2
    whole = same(image)[..., margin : margin + out.shape[-2], margin : margin + out.shape[-1]]
    # the outermost pixels of the valid result never saw padding; so neither differ anywhere
    torch.testing.assert_close(out, whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_receptive_field_and_halo_equal_the_measured_window(depth, upsampling, kernel):
    model = UNet(1, 1, width=1, depth=depth, upsampling=upsampling, kernel=kernel)
    model = positive_average_pooling(model)
    cell = 2**depth
    widest, reach = 0, 0
    for i in range(16 * cell, 17 * cell):  # every place in the pooling grid
        image = torch.rand(1, 1, 16, 32 * cell + 1, dtype=torch.double, requires_grad=True)
        model(image)[0, 0, 8, i].backward()
        seen = image.grad[0, 0].abs().sum(0).nonzero().flatten()
        widest = max(widest, int(seen[-1] - seen[0]) + 1)
        reach = max(reach, int(seen[-1]) - i, i - int(seen[0]))
    assert widest == receptive_field(depth, kernel=kernel, upsampling=upsampling)
    assert reach == model.halo


def test_receptive_field_of_other_blocks():
    assert receptive_field(0, convolutions=3, kernel=5) == 13
    assert receptive_field(4) == 204


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_translation_by_one_pooling_cell_moves_the_output(upsampling):
    torch.manual_seed(0)
    model = UNet(1, 1, width=4, depth=2, upsampling=upsampling).double()
    image = torch.rand(1, 1, 96, 96, dtype=torch.double)
    moved = torch.roll(image, (4, 8), dims=(2, 3))
    inner = slice(model.halo + 8, 96 - model.halo - 8)
    expected = torch.roll(model(image), (4, 8), dims=(2, 3))[..., inner, inner]
    torch.testing.assert_close(model(moved)[..., inner, inner], expected, atol=1e-12, rtol=1e-9)
    off_grid = torch.roll(model(image), 1, dims=3)[..., inner, inner]
    difference = model(torch.roll(image, 1, dims=3))[..., inner, inner] - off_grid
    assert difference.abs().max() > 1e-6  # one pixel is no whole cell: not equivariant


def test_fault_08_sizes_of_valid_padding():
    model = UNet(1, width=1, padding="valid")
    with pytest.raises(
        ValueError, match="573 is not admissible, the nearest sizes are 572 and 588"
    ):
        model.output_size(573)
    with pytest.raises(ValueError, match="nearest sizes are 188 and 204"):
        model(torch.zeros(1, 1, 190, 188))


@pytest.mark.parametrize(("padding", "smallest"), [("same", 16), ("valid", 188)])
def test_fault_09_too_small(padding, smallest):
    model = UNet(1, width=1, padding=padding)
    with pytest.raises(ValueError, match=f"15 pixels.*depth 4: the smallest is {smallest}"):
        model(torch.zeros(1, 1, 15, 200))
    assert model.output_size(smallest) > 0


def test_fault_10_wrong_channels():
    with pytest.raises(ValueError, match=r"expected images of shape \(N, 3, H, W\).*mode="):
        UNet(3, width=1)(torch.zeros(1, 1, 32, 32))


def test_fault_11_integers():
    with pytest.raises(TypeError, match=r"torch.uint8.*scale_by_dtype"):
        UNet(1, width=1)._check(torch.zeros(1, 1, 32, 32, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"width": -2}, "width must be at least 1, got -2"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"in_channels": 0}, "in_channels must be at least 1"),
        ({"kernel": 4}, "kernel must be odd, so that it has a middle, got 4"),
        ({"kernel": -1}, "kernel must be odd"),
    ],
)
def test_settings_check_themselves(settings, text):
    with pytest.raises(ValueError, match=text):
        UNetSettings(**settings)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    model = UNet(1, width=4, depth=1, dropout=0.5)
    image = torch.rand(1, 1, 16, 16)
    assert not torch.equal(model(image), model(image))
    model.eval()
    assert torch.equal(model(image), model(image))
