"""Encoders: maps of every backbone, halo, scaling, freezing, rates, checkpoints."""

import copy
import subprocess
import sys
from functools import partial

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


@pytest.mark.parametrize(
    ("name", "upsampling"), [("resnet18", "bilinear"), ("tf_efficientnet_lite0", "transposed")]
)
def test_the_halo_covers_the_measured_window_and_is_not_twice_as_wide(name, upsampling):
    """What depends on a column of NaN becomes NaN."""
    model = EncoderUNet(encoder=name, decoder_width=1, upsampling=upsampling).eval()
    middle, reach = 1024, 0
    for i in range(middle, middle + 32, 15):
        image = torch.zeros(1, 3, 32, 2 * middle)
        image[..., i] = torch.nan
        seen = model(image)[0, 0].isnan().any(0).nonzero()
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
        ({"in_channels": 0}, r"in_channels must be at least 1, got 0"),
        ({"out_channels": 0}, "out_channels must be at least 1, got 0"),
        ({"decoder_width": 0}, "decoder_width must be at least 1, got 0"),
        ({"encoder": "resnet_18"}, "no backbone 'resnet_18'; near are resnet18"),
        ({"encoder": "resnet18.in22"}, r"no weights 'in22' of resnet18; there are resnet18\.a1"),
        ({"encoder": "vit_tiny_patch16_224"}, "vit_tiny.* gives no feature maps that shrink"),
        ({"encoder": "mixer_s32_224"}, "no feature maps that shrink"),
    ],
)
def test_what_does_not_fit_is_refused(settings, text):
    with pytest.raises(EncoderError if "encoder" in settings else ValueError, match=text):
        EncoderUNet(**settings)


def test_vgg_ends_with_a_stage_without_parameters():
    model = EncoderUNet(encoder="vgg11", decoder_width=1)
    assert [len(stage) for stage in encoder_stages(model)] == [2, 2, 4, 4, 4, 0]
    assert model(torch.rand(1, 3, 33, 40)).shape == (1, 1, 33, 40)
    torch.optim.SGD(depth_rates(model, 0.1))


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
    for _ in range(2):
        model.train()
        assert not any(layer.training for layer in norms(model.encoder))
        assert all(layer.training for layer in norms(model.decoder))
        model(torch.rand(2, 3, 64, 64)).mean().backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert all(p.grad is not None for p in model.decoder.parameters())


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
        with pytest.raises(ValueError, match=f"stages must be at least 1 and .* 5, got {wrong}"):
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


def run(stages=None, interrupted=False, **where):
    """Trains a network with a frozen encoder, of which some stages thaw after the first epoch."""
    nuclei = SimulatedNuclei(4, size=(32, 64), target=foreground)
    settings = TrainingSettings(epochs=2, batch_size=2, precision="float32", keep="last")
    torch.manual_seed(0)
    model = EncoderUNet(1, **SMALL)
    freeze_encoder(model)
    before = copy.deepcopy(model.encoder.state_dict())

    def after_an_epoch(row):
        if interrupted:
            raise KeyboardInterrupt
        if stages:
            thaw(model, stages)

    rates = partial(depth_rates, learning_rate=1e-2)
    common = {"settings": settings, "verbose": False, "parameter_groups": rates}
    fit(model, nuclei, on_epoch=after_an_epoch, **where, **common)
    return model, {
        n for n, t in model.encoder.state_dict().items() if not torch.equal(t, before[n])
    }


def test_fit_freezes_thaws_saves_and_resumes(tmp_path):
    whole, changed = run(folder=tmp_path / "whole")
    assert not changed
    with pytest.raises(KeyboardInterrupt):
        run(folder=tmp_path / "broken", interrupted=True)
    resumed, _ = run(folder=tmp_path / "broken", resume=True)
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)
    assert load_model(tmp_path / "whole" / "last.pt").settings == whole.settings
    thawed, changed = run(stages=1)
    assert thawed.stage_names[-1][0] in changed
    assert not changed & set(thawed.stage_names[0])


def test_old_checkpoints_are_plain_and_unknown_kinds_are_refused(tmp_path):
    path, model = tmp_path / "model.pt", UNet(1, width=2, depth=1)
    save_checkpoint(path, model)
    contents = load_checkpoint(path)
    for kind, to in ((', "kind": "UNet"', ""), ('"UNet"', '"Tree"')):
        assert kind in contents["model"]
        torch.save(contents | {"model": contents["model"].replace(kind, to)}, path)
        if not to:
            assert load_model(path).settings == model.settings
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


@pytest.mark.parametrize("channels", [2, 4, 13])
def test_more_channels_keep_what_imagenet_has_taught(channels):
    """The filters of red, green and blue are dealt out in turn, and all else is as it was."""
    torch.manual_seed(0)
    known = pretrained_unet(3, 1, decoder_width=2).eval()
    more = pretrained_unet(channels, 1, decoder_width=2).eval()
    first = [model.encoder.conv_stem.weight for model in (known, more)]
    expected = torch.stack([3 / channels * first[0][:, c % 3] for c in range(channels)], dim=1)
    torch.testing.assert_close(first[1], expected)
    others = {n: p for n, p in more.encoder.state_dict().items() if n != "conv_stem.weight"}
    assert all(torch.equal(p, known.encoder.state_dict()[n]) for n, p in others.items())
    assert more(torch.rand(1, channels, 33, 40)).shape == (1, 1, 33, 40)


def test_many_equal_channels_give_nearly_the_maps_of_three():
    gray = torch.rand(1, 1, 64, 64)
    networks = {count: pretrained_unet(count, 1, decoder_width=2).eval() for count in (3, 13)}
    maps = [
        model.encoder(model.prepare(gray.expand(1, count, -1, -1)))[0].flatten()
        for count, model in networks.items()
    ]
    assert torch.corrcoef(torch.stack(maps))[0, 1] > 0.98
