"""Every kind of network through all that the library does with one: add yours to `NETWORKS`."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unet_lib.evaluation import predict
from unet_lib.model import SegmentationModel, UNet, UNetSettings
from unet_lib.shipping.export import export_onnx, largest_difference
from unet_lib.training import load_model, save_checkpoint
from unet_lib.transfer import EncoderUNet, EncoderUNetSettings, pretrained_unet


@dataclass(frozen=True)
class OwnSettings:
    in_channels: int = 1
    out_channels: int = 1


class Own(SegmentationModel):
    """What a reader writes: a kind of its own, with settings and sizes."""

    minimum_size, grid, halo = 2, 1, 3

    def __init__(self, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        self.settings = OwnSettings(in_channels, out_channels)
        self.wide = nn.Conv2d(in_channels, 4, 3, padding=2, dilation=2)
        self.narrow = nn.Conv2d(4, out_channels, 3, padding=1)

    def output_size(self, size: int) -> int:
        if size < 2:
            raise ValueError(f"{size} pixels: the smallest is 2")
        return size

    def forward(self, images: Tensor) -> Tensor:
        self.check_images(images)
        return self.narrow(self.wide(images).relu())


class Foreign(nn.Module):
    """What others write: a module that knows nothing of this library."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = (nn.Conv2d(n, 4, 3, padding=1) for n in (1, 4))
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fine(x).relu()
        below = self.coarse(F.max_pool2d(x, 2)).relu()
        return self.head(x + F.interpolate(below, size=x.shape[-2:]))


def smp_unet() -> nn.Module:
    smp = pytest.importorskip("segmentation_models_pytorch")
    return smp.Unet("resnet18", encoder_weights=None, decoder_channels=(64, 32, 16, 8, 4))


@dataclass
class Case:
    build: Callable[[], nn.Module]
    channels: int
    sizes: list[tuple[int, int]]
    """Sizes that it takes, from the smallest, odd ones among them where it can."""


NETWORKS = {
    "UNet": Case(lambda: UNet(1, width=4, depth=2, dropout=0.1), 1, [(4, 4), (9, 23), (50, 37)]),
    "UNet batch": Case(
        lambda: UNet(3, 4, width=4, depth=1, norm="batch", upsampling="bilinear", kernel=5),
        channels=3,
        sizes=[(2, 2), (17, 31), (32, 48)],
    ),
    "UNet group": Case(
        lambda: UNet(2, 3, width=4, depth=3, norm="group"), 2, [(8, 8), (17, 31), (50, 37)]
    ),
    "UNet valid": Case(
        lambda: UNet(1, 2, width=2, depth=2, padding="valid"), 1, [(44, 44), (48, 60)]
    ),
    "resnet18": Case(
        lambda: EncoderUNet(3, 2, encoder="resnet18", decoder_width=2),
        channels=3,
        sizes=[(32, 32), (33, 47), (50, 64)],
    ),
    "lite0": Case(
        lambda: EncoderUNet(1, decoder_width=2, upsampling="transposed"),
        channels=1,
        sizes=[(32, 32), (33, 47), (50, 64)],
    ),
    "own": Case(Own, 1, [(2, 2), (5, 8)]),
    "foreign": Case(Foreign, 1, [(2, 2), (5, 8)]),
    "smp": Case(smp_unet, 3, [(32, 32), (64, 96)]),
}


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    return NETWORKS[request.param]


@pytest.fixture(scope="module")
def model(case):
    """The network, with statistics in its BatchNorm that are not those of the beginning."""
    torch.manual_seed(0)
    model = case.build()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.3)
            layer.running_var.uniform_(0.5, 2.0)
    return model


@pytest.fixture
def ours(model):
    if not isinstance(model, SegmentationModel):
        pytest.skip("a module that is no SegmentationModel")
    return model


def images_of(case: Case) -> list[Tensor]:
    return [torch.rand(2, case.channels, *size) for size in case.sizes]


def test_forward_and_backward_at_every_size(case, model):
    model.train()
    expected = model.output_size if isinstance(model, SegmentationModel) else int
    for images in images_of(case):
        model.zero_grad()
        logits = model(images)
        assert logits.shape[-2:] == tuple(map(expected, images.shape[-2:]))
        logits.square().mean().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_what_it_does_not_take_is_refused(case, ours):
    images, c, smallest = images_of(case)[0], case.channels, ours.minimum_size
    assert min(images.shape[-2:]) == smallest
    with pytest.raises(TypeError, match=r"torch.uint8.*scale_by_dtype"):
        ours(images.to(torch.uint8))
    with pytest.raises(ValueError, match=rf"expected images of shape \(N, {c}, H, W\).*mode="):
        ours(images.repeat(1, 2, 1, 1))
    with pytest.raises(ValueError, match=rf"{smallest - 1} pixels.*the smallest is {smallest}"):
        ours(images[..., 1:, :])


def test_saved_and_loaded(case, ours, tmp_path):
    save_checkpoint(tmp_path / "model.pt", ours)
    loaded = load_model(tmp_path / "model.pt")
    assert (type(loaded), loaded.settings) == (type(ours), ours.settings)
    images = images_of(case)[-1]
    assert torch.equal(loaded(images), ours.eval()(images))


@torch.no_grad()
def test_fault_32_tiles_equal_the_whole_image(case, ours):
    """On a strip: the smallest height, and a width of several tiles and both halos."""
    if not (ours.keeps_size and ours.is_local):
        pytest.skip("its output is smaller, or every pixel changes every other")
    tile = 4 * ours.grid
    image = torch.rand(case.channels, ours.minimum_size + 1, 2 * ours.halo + 4 * tile + 5)
    whole = ours.eval()(image[None])[0]
    torch.testing.assert_close(predict(ours, image, tile), whole, atol=1e-5, rtol=1e-4)
    assert (predict(ours, image, tile, halo=0) - whole).abs().max() > 1e-3


def test_exported(case, ours, tmp_path):
    assert export_onnx(ours, tmp_path / "model.onnx") < 1e-4
    assert largest_difference(ours, tmp_path / "model.onnx", images_of(case)) < 1e-4


@pytest.mark.parametrize(
    ("build", "settings"),
    [
        (UNet, UNetSettings),
        (EncoderUNet, EncoderUNetSettings),
        (pretrained_unet, EncoderUNetSettings),
    ],
)
def test_keywords_and_their_defaults_are_the_fields_of_the_settings(build, settings):
    taken = {name: p.default for name, p in inspect.signature(build).parameters.items()}
    taken.pop("weights", None)
    assert taken == {field.name: field.default for field in fields(settings)}
