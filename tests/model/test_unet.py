"""UNet: its names in checkpoints, sizes, receptive field, equivariance, and bad settings."""

from dataclasses import asdict

import pytest
import torch
from torch import nn

from unet_lib.model import UNet, UNetSettings, center_crop, receptive_field
from unet_lib.model.norms import NORMS


def positive_average_pooling(model: UNet) -> UNet:
    """The same wiring with weights that cannot cancel: every path shows in the gradient."""
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.3)
    model.pool = nn.AvgPool2d(2, ceil_mode=True)
    return model.double()


def test_the_names_that_checkpoints_hold():
    model = UNet(1, 1, width=2, depth=1, norm="batch", upsampling="bilinear")
    block = ["0.weight", "1.weight", "1.bias", "3.weight", "4.weight", "4.bias"]
    names = [f"{part}.{name}" for part in ("encoder.0", "bottleneck") for name in block]
    names += ["up.0.0.weight", "up.0.0.bias", *(f"decoder.0.{name}" for name in block)]
    assert [n for n, _ in model.named_parameters()] == [*names, "head.weight", "head.bias"]


def test_settings_stored_before_there_was_a_kernel_mean_3x3():
    stored = asdict(UNetSettings(1, 1, width=2, depth=1))
    del stored["kernel"]
    UNet(**stored).load_state_dict(UNet(1, 1, width=2, depth=1, kernel=3).state_dict())


def test_a_crop_is_centered():
    """With valid padding the output is the middle of what same padding sees, far from borders."""
    valid = UNet(1, 1, width=3, depth=1, padding="valid")
    same = UNet(1, 1, width=3, depth=1)  # deeper, the pooling grids of the two lie apart
    same.load_state_dict(valid.state_dict())
    image = torch.rand(1, 1, 92, 92)
    out = valid(image)
    # the outermost pixels of the valid result never saw padding; so neither differ anywhere
    torch.testing.assert_close(out, center_crop(same(image), like=out), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_receptive_field_and_halo_equal_the_measured_window(depth, padding, upsampling, kernel):
    model = UNet(1, 1, width=1, depth=depth, padding=padding, upsampling=upsampling, kernel=kernel)
    model = positive_average_pooling(model)
    height, cells = model.minimum_size, 2 + 2 * model.halo // model.grid
    width = height + cells * model.grid
    lost = (width - model.output_size(width)) // 2
    row, middle = model.output_size(height) // 2, model.output_size(width) // 2
    widest, reach = 0, 0
    for i in range(middle, middle + model.grid):  # every place in the pooling grid
        image = torch.rand(1, 1, height, width, dtype=torch.double, requires_grad=True)
        output = model(image)
        assert output.shape[2:] == (model.output_size(height), model.output_size(width))
        output[0, 0, row, i].backward()
        seen = image.grad[0, 0].abs().sum(0).nonzero().flatten() - lost
        widest = max(widest, int(seen[-1] - seen[0]) + 1)
        reach = max(reach, int(seen[-1]) - i, i - int(seen[0]))
    assert widest == receptive_field(depth, kernel=kernel, upsampling=upsampling)
    assert reach == model.halo


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
    text = "stage 1 ends at 569, an odd number, .*: 573 is not admissible, .* are 572 and 588"
    with pytest.raises(ValueError, match=text):
        model.output_size(573)
    with pytest.raises(ValueError, match="nearest sizes are 188 and 204"):
        model(torch.zeros(1, 1, 190, 188))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and less than 1, got 1.0"),
        ({"kernel": 4}, "kernel must be odd, so that it has a middle, got 4"),
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


@pytest.mark.parametrize(
    ("channels", "groups"), [(1, 1), (2, 1), (6, 1), (8, 2), (12, 3), (16, 4), (64, 16), (512, 32)]
)
def test_groups_of_a_narrow_network_are_not_single_maps(channels, groups):
    (norm,) = NORMS["group"].layers(channels)
    assert norm.num_groups == groups
