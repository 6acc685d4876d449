"""Every kind of network through all that the library does with one: add yours to `NETWORKS`."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unet_lib.evaluation import Fast, predict
from unet_lib.evaluation.context import find_context
from unet_lib.model import SegmentationModel, UNet, UNetSettings
from unet_lib.shipping.compare import largest_difference
from unet_lib.shipping.export import export_onnx
from unet_lib.training import CheckpointError, Task, Trained, save_checkpoint
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


NUCLEI, CLASSES = Task(), Task("classes", num_classes=2)


@dataclass
class Case:
    build: Callable[[], nn.Module]
    sizes: list[tuple[int, int]]
    """Sizes that it takes, from the smallest, odd ones among them where it can."""
    task: Task = NUCLEI
    border: int = 0
    """Pixels that the logits lack on each side of the image."""
    step: int = 1
    """It takes the smallest size and those that are multiples of this larger."""


NETWORKS = {
    "UNet": Case(partial(UNet, 1, width=4, depth=2, dropout=0.1), [(4, 4), (9, 23), (50, 37)]),
    "UNet batch": Case(
        partial(UNet, 3, 4, width=4, depth=1, norm="batch", upsampling="bilinear", kernel=5),
        [(2, 2), (17, 31), (32, 48)],
        Task("classes", "RGB", num_classes=4),
    ),
    "UNet group": Case(
        partial(UNet, 1, 3, width=4, depth=1, norm="group"), [(2, 2), (17, 31)], Task("instances")
    ),
    "UNet valid": Case(
        partial(UNet, 1, 2, width=2, depth=1, padding="valid", upsampling="bilinear"),
        [(18, 18), (32, 50)],
        CLASSES,
        border=8,
        step=2,
    ),
    "encoder": Case(  # as EfficientNet-Lite0 it pads as TensorFlow does, and it is exported faster
        partial(EncoderUNet, 1, 2, encoder="tf_mobilenetv3_small_minimal_100", decoder_width=2),
        [(32, 32), (33, 47), (50, 64)],
        CLASSES,
    ),
    "own": Case(Own, [(2, 2), (5, 8)]),
    "foreign": Case(Foreign, [(2, 2), (6, 8)], step=2),
    "smp": Case(smp_unet, [(32, 32), (64, 96)], Task(mode="RGB"), step=32),
}
OURS = [name for name in NETWORKS if name not in ("foreign", "smp")]


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


def images_of(case: Case) -> list[Tensor]:
    return [torch.rand(2, case.task.in_channels, *size) for size in case.sizes]


def test_forward_and_backward_at_every_size(case, model):
    model.train()
    for images in images_of(case):
        model.zero_grad()
        logits = model(images)
        sides = [side - 2 * case.border for side in images.shape[-2:]]
        assert logits.shape == (2, case.task.out_channels, *sides)
        logits.square().mean().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("case", OURS, indirect=True)
def test_what_it_does_not_take_is_refused(case, model):
    images, c, smallest = images_of(case)[0], case.task.in_channels, model.minimum_size
    assert case.sizes[0] == (smallest, smallest)
    with pytest.raises(TypeError, match=r"torch.uint8.*scale_by_dtype"):
        model(images.to(torch.uint8))
    with pytest.raises(ValueError, match=rf"expected images of shape \(N, {c}, H, W\).*mode="):
        model(images.repeat(1, 2, 1, 1))
    with pytest.raises(ValueError, match=rf"{smallest - 1} pixels.*the smallest is {smallest}"):
        model(images[..., 1:, :])


def test_saved_and_loaded(case, model, tmp_path):
    """A network that is not of the library is made by its owner, and gets its weights back."""
    path, images = tmp_path / "run" / "model.pt", images_of(case)[-1]
    save_checkpoint(path, model, **case.task.stored())
    if ours := isinstance(model, SegmentationModel):
        trained = Trained.load(path, device="cpu")
    else:
        name = type(model).__name__
        told = rf"model\.pt holds the weights of a {name} of .*: pass one .* model={name}\(\.\.\.\)"
        with pytest.raises(CheckpointError, match=told):
            Trained.load(path)
        trained = Trained.load(path, case.build(), device="cpu")
    loaded = trained.model
    assert (type(loaded), loaded.training, trained.task) == (type(model), False, case.task)
    assert not ours or loaded.settings == model.settings
    assert torch.equal(loaded(images), model.eval()(images))


def whole(case: Case, model: nn.Module, image: Tensor) -> Tensor:
    """The logits in one piece, the image mirrored at its borders as far as the network needs."""
    beyond = [(0, 0)]
    for side in image.shape[1:]:
        missing = (case.sizes[0][0] - side - 2 * case.border) % case.step
        beyond.append((case.border, case.border + missing))
    mirrored = torch.from_numpy(np.pad(image.numpy(), beyond, mode="reflect"))
    return model(mirrored[None])[0, :, : image.shape[1], : image.shape[2]]


@torch.no_grad()
def test_fault_32_tiles_equal_the_whole_image(case, model):
    """On a strip: about the smallest height, and a width of several tiles and both halos."""
    halo, grid, *_ = find_context(model.eval(), case.task.in_channels)
    tile, height = 4 * grid, case.sizes[0][0] - 2 * case.border + 1
    image = torch.rand(case.task.in_channels, height, 2 * (halo or 0) + 4 * tile + 5)
    expected = whole(case, model, image)
    if halo is None:  # every pixel changes every other
        torch.testing.assert_close(predict(model, image), expected)
        with pytest.raises(ValueError, match=f"in tiles of {tile} would give other logits"):
            predict(model, image, tile)
        return
    for given in ({}, {"halo": halo, "grid": grid}):
        logits = predict(model, image, tile, **given)
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)
    if not case.border:  # without padding, a tile brings its context along
        assert (predict(model, image, tile, halo=0) - expected).abs().max() > 1e-3


@torch.no_grad()
def test_a_fast_copy_gives_the_same(case, model):
    for images in images_of(case):
        expected = model.eval()(images)
        torch.testing.assert_close(Fast(model, "float32")(images), expected, atol=1e-4, rtol=1e-4)


def test_exported(case, model, tmp_path):
    assert export_onnx(model, tmp_path / "model.onnx", case.task) < 1e-4
    assert largest_difference(model, tmp_path / "model.onnx", images_of(case)) < 1e-4


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
