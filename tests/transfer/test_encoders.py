"""Encoders: maps of every backbone, halo, scaling, freezing, rates, checkpoints."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from unet_lib.data import SimulatedNuclei, foreground
from unet_lib.evaluation import predict
from unet_lib.model import UNet
from unet_lib.training import (
    CheckpointError,
    TrainingSettings,
    fit,
    load_checkpoint,
    load_model,
    save_checkpoint,
)
from unet_lib.transfer import (
    EncoderError,
    EncoderUNet,
    EncoderUNetSettings,
    depth_rates,
    encoder_stages,
    freeze_encoder,
    imagenet_classifier,
    pretrained_unet,
    thaw,
)

ENCODERS = {
    "resnet18": ((64, 64, 128, 256, 512), (2, 4, 8, 16, 32)),
    "resnet34": ((64, 64, 128, 256, 512), (2, 4, 8, 16, 32)),
    "tf_efficientnet_lite0": ((16, 24, 40, 112, 320), (2, 4, 8, 16, 32)),
    "mobilenetv3_small_050": ((16, 8, 16, 24, 288), (2, 4, 8, 16, 32)),
    "convnext_atto": ((40, 80, 160, 320), (4, 8, 16, 32)),  # its stem divides by four at once
}
SMALL = {"encoder": "mobilenetv3_small_050", "decoder_width": 2}


@pytest.fixture(scope="module")
def models() -> dict[str, EncoderUNet]:
    torch.manual_seed(0)
    return {name: EncoderUNet(3, 2, encoder=name, decoder_width=2).eval() for name in ENCODERS}


@pytest.mark.parametrize("name", ENCODERS)
def test_channels_and_reductions_are_those_of_the_maps(models, name):
    model = models[name]
    assert (model.channels, model.reductions) == ENCODERS[name]
    assert (model.grid, model.minimum_size) == (32, 32)
    maps = model.encoder(torch.zeros(1, 3, 64, 96))
    shapes = [(c, 64 // r, 96 // r) for c, r in zip(*ENCODERS[name], strict=True)]
    assert [tuple(features.shape[1:]) for features in maps] == shapes
    assert model(torch.rand(2, 3, 33, 47)).shape == (2, 2, 33, 47)


def test_a_mean_over_the_whole_map_has_no_halo(models):
    model = models["mobilenetv3_small_050"]
    assert not model.is_local  # squeeze-and-excitation
    image = torch.rand(1, 3, 32, 3 * model.halo, requires_grad=True)
    model(image)[0, 0, 16, 0].backward()
    assert image.grad[..., 2 * model.halo :].abs().max() > 0
    whole = predict(model, image.detach()[0], tile=image.shape[-1])
    torch.testing.assert_close(whole, model(image)[0])  # one tile has no seams
    assert not EncoderUNet(encoder="resnet18", decoder_width=2, norm="group").is_local


def averaging(model: EncoderUNet) -> EncoderUNet:
    """Every convolution takes a mean: nothing cancels or saturates, every path shows."""
    for name, parameter in model.named_parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
        nn.init.constant_(parameter, 0 if name.endswith("bias") else 1 / fan_in)
    model.mean.zero_()
    return model.double().eval()


@pytest.mark.parametrize(
    ("name", "upsampling"), [("resnet18", "bilinear"), ("tf_efficientnet_lite0", "transposed")]
)
def test_the_halo_covers_the_measured_window_and_is_not_twice_as_wide(name, upsampling):
    model = averaging(EncoderUNet(encoder=name, decoder_width=1, upsampling=upsampling))
    middle, reach = 1024, 0
    for i in range(middle, middle + 32, 15):
        image = torch.full((1, 3, 32, 2 * middle), 1e-3).double() * (1 + torch.rand(1))
        image.requires_grad_()
        model(image)[0, 0, 16, i].backward()
        seen = image.grad[0].abs().sum((0, 1)).nonzero().flatten()
        reach = max(reach, i - int(seen[0]), int(seen[-1]) - i)
    assert reach <= model.halo < 2 * reach


def test_a_gray_image_is_the_same_as_three_equal_colors(models):
    color = models["resnet18"]
    gray = EncoderUNet(1, 2, encoder="resnet18", decoder_width=2).eval()
    gray.load_state_dict(color.state_dict())
    image = torch.rand(2, 1, 40, 50)
    torch.testing.assert_close(gray(image), color(image.repeat(1, 3, 1, 1)))


def test_the_scaling_of_the_training_happens_inside(models):
    x = torch.tensor([0.0, 127 / 255, 1.0]).view(3, 1, 1, 1).expand(3, 3, 32, 32)
    lite0 = models["tf_efficientnet_lite0"].prepare(x)[:, 0, 0, 0]
    torch.testing.assert_close(lite0, (torch.tensor([0, 127, 255]) - 127) / 128, atol=1e-6, rtol=0)
    resnet = models["resnet18"].prepare(x)[2, :, 0, 0]
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(resnet, expected)
    assert models["resnet18"].prepare(x[..., :20, :9])[0, 0, 20:].eq(0).all()  # the rows added


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"in_channels": 4}, r"in_channels must be one of \(1, 3\), got 4"),
        ({"out_channels": 0}, "out_channels must be at least 1, got 0"),
        ({"decoder_width": 0}, "decoder_width must be at least 1, got 0"),
    ],
)
def test_settings_check_themselves(settings, text):
    with pytest.raises(ValueError, match=text):
        EncoderUNetSettings(**settings)


def test_backbones_that_do_not_fit_are_refused():
    with pytest.raises(EncoderError, match="no backbone 'resnet_18'; near are resnet18"):
        EncoderUNet(encoder="resnet_18")
    with pytest.raises(
        EncoderError, match="vit_tiny_patch16_224 gives no feature maps that shrink"
    ):
        EncoderUNet(encoder="vit_tiny_patch16_224")
    with pytest.raises(EncoderError, match="no feature maps that shrink"):
        EncoderUNet(encoder="mixer_s32_224")


def test_vgg_ends_with_a_stage_without_parameters():
    model = EncoderUNet(encoder="vgg11", decoder_width=1)
    assert [len(stage) for stage in encoder_stages(model)] == [2, 2, 4, 4, 4, 0]
    assert model(torch.rand(1, 3, 33, 40)).shape == (1, 1, 33, 40)
    torch.optim.SGD(depth_rates(model, 0.1))


def test_unknown_weights_of_a_known_backbone():
    with pytest.raises(
        EncoderError, match=r"no weights 'in22' of resnet18; there are resnet18\.a1"
    ):
        EncoderUNet(encoder="resnet18.in22")


@pytest.mark.parametrize("function", [freeze_encoder, thaw, encoder_stages])
def test_a_plain_unet_has_no_encoder_to_freeze(function):
    model = UNet(1, width=2, depth=1)
    with pytest.raises(TypeError, match="an EncoderUNet was expected, got a UNet"):
        function(model)
    assert all(p.requires_grad for p in model.parameters())


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


def test_a_frozen_encoder_stays_as_it_is_in_training_mode():
    model = EncoderUNet(**SMALL).train()
    freeze_encoder(model)
    before = copy.deepcopy(model.state_dict())
    for _ in range(2):
        model.train()
        assert not any(layer.training for layer in norms(model.encoder))
        assert all(layer.training for layer in norms(model.decoder))
        model(torch.rand(2, 3, 64, 64)).mean().backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert all(p.grad is not None for p in model.decoder.parameters())
    changed = {n for n, tensor in model.state_dict().items() if not torch.equal(tensor, before[n])}
    assert changed
    assert not any(name.startswith("encoder.") for name in changed)


def test_thawing_by_stages_from_the_deepest():
    model = EncoderUNet(**SMALL)
    stages = encoder_stages(model)
    assert sum(map(len, stages)) == len(list(model.encoder.parameters()))
    freeze_encoder(model)
    for count in (1, 3, 5):
        thaw(model, stages=count)
        learning = [all(p.requires_grad for p in stage) for stage in stages]
        assert learning == [False] * (5 - count) + [True] * count
        assert sum(layer.training for layer in norms(model.encoder)) > 0
    freeze_encoder(model)
    thaw(model)
    assert all(p.requires_grad for p in model.parameters())
    assert all(layer.training for layer in norms(model))
    for wrong in (0, 6):
        with pytest.raises(
            ValueError, match=f"stages must be at least 1 and at most 5, got {wrong}"
        ):
            thaw(model, stages=wrong)


def test_rates_fall_with_the_distance_from_the_head():
    model = EncoderUNet(**SMALL)
    groups = depth_rates(model, 0.1, decay=0.1)
    assert [group["lr"] for group in groups] == pytest.approx([10**-k for k in range(1, 7)])
    given = [p for group in groups for p in group["params"]]
    assert len(given) == len(set(given)) == len(list(model.parameters()))
    assert set(groups[1]["params"]) == set(encoder_stages(model)[-1])
    with pytest.raises(ValueError, match="decay must be more than 0 and at most 1"):
        depth_rates(model, 0.1, decay=1.5)


def test_fit_freezes_thaws_saves_and_resumes(tmp_path):
    nuclei = SimulatedNuclei(4, size=(32, 64), target=foreground)
    settings = TrainingSettings(epochs=2, batch_size=2, precision="float32", keep="last")
    common = {"settings": settings, "verbose": False}
    common["parameter_groups"] = lambda model: depth_rates(model, 1e-2)

    def run(folder, on_epoch=None, resume=False):
        torch.manual_seed(0)
        model = EncoderUNet(1, **SMALL)
        freeze_encoder(model)
        start = copy.deepcopy(model.encoder.state_dict())
        fit(model, nuclei, folder=folder, on_epoch=on_epoch, resume=resume, **common)
        moved = any(not torch.equal(start[n], t) for n, t in model.encoder.state_dict().items())
        return model, moved

    def stop(row):
        raise KeyboardInterrupt

    whole, moved = run(tmp_path / "whole")
    assert not moved
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", on_epoch=stop)
    resumed, _ = run(tmp_path / "broken", resume=True)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert load_model(tmp_path / "whole" / "last.pt").settings == whole.settings

    def thaw_after(row):
        thaw(thawed, stages=1)

    thawed = EncoderUNet(1, **SMALL)
    freeze_encoder(thawed)
    first, last = (copy.deepcopy(encoder_stages(thawed)[i][0]) for i in (0, -1))
    fit(thawed, nuclei, on_epoch=thaw_after, **common)
    assert torch.equal(first, encoder_stages(thawed)[0][0])
    assert not torch.equal(last, encoder_stages(thawed)[-1][0])


def test_old_checkpoints_are_plain_and_unknown_kinds_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    save_checkpoint(path, UNet(1, width=2, depth=1))
    contents = load_checkpoint(path)
    assert '"kind": "UNet"' in contents["model"]
    without = contents["model"].replace(', "kind": "UNet"', "")
    torch.save(contents | {"model": without}, path)
    assert load_model(path).settings == UNet(1, width=2, depth=1).settings
    torch.save(contents | {"model": contents["model"].replace('"UNet"', '"Tree"')}, path)
    with pytest.raises(CheckpointError, match=r"holds a Tree; known are .*EncoderUNet.*UNet"):
        load_model(path)


def test_a_pretrained_encoder_gives_the_maps_of_the_classifier():
    model, classifier = pretrained_unet(1, 2, decoder_width=2).eval(), imagenet_classifier()
    x = model.prepare(torch.rand(1, 1, 64, 64))
    deepest = model.encoder(x)[-1]
    expected = classifier.forward_features(x)
    torch.testing.assert_close(classifier.bn2(classifier.conv_head(deepest)), expected)


def test_a_plain_unet_needs_no_timm():
    code = "import sys, unet_lib.evaluation, unet_lib.training; print('timm' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
