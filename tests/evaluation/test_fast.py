"""Fast prediction: the same logits up to the format's rounding, in tiles too, chosen by a probe."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from unet_lib.data import DSB2018
from unet_lib.evaluation import Context, Fast, count_pixels, dice, fast, find_context, find_way
from unet_lib.evaluation import predict_tiles as predict
from unet_lib.model import UNet
from unet_lib.training import Trained

BF16 = pytest.param(
    "bf16",
    marks=pytest.mark.skipif(
        not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="no instructions for bf16"
    ),
)
ROUNDING = {"float32": 2.0**-17, "bf16": 2.0**-8}  # of one number in bf16, of long sums in float32
NETWORKS = [
    {"norm": "batch"},
    {"norm": "group", "width": 8},
    {"padding": "valid"},
    {"upsampling": "bilinear", "kernel": 5},
]


def new(**options) -> UNet:
    torch.manual_seed(0)
    model = UNet(**{"in_channels": 1, "out_channels": 2, "width": 4, "depth": 2} | options)
    if model.keeps_size:
        model(torch.rand(4, 1, 32, 32))  # running statistics that are not the initial ones
    return model


@pytest.mark.parametrize("precision", ["float32", BF16])
@pytest.mark.parametrize("options", NETWORKS, ids=str)
def test_it_gives_the_network_s_logits_and_leaves_it_as_it_is(options, precision) -> None:
    """Up to twenty roundings, one layer after the other, of which most cancel: eight may add up."""
    model, image = new(**options), torch.rand(1, 70, 93)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    context = find_context(model, 1)
    copy = Fast(model, precision)
    expected, found = predict(model, image, context), predict(copy, image, context)
    assert model.training
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in copy.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert found.dtype == torch.float32
    assert torch.equal(predict(pickle.loads(pickle.dumps(copy)), image, context), found)
    assert (found - expected).abs().max() <= 8 * ROUNDING[precision] * expected.abs().max()


@pytest.mark.parametrize("precision", ["float32", BF16])
@pytest.mark.parametrize("options", [o for o in NETWORKS if o.get("norm") != "group"], ids=str)
def test_fault_32_tiles_equal_the_whole_image_in_each_format(options, precision) -> None:
    """To the digit where oneDNN adds in one order at all sizes, else within a rounding or two."""
    model, image = Fast(new(**options), precision), torch.rand(1, 97, 130)
    context = find_context(new(**options), 1)
    whole = predict(model, image, context, 1000)
    for tile in (16, 30, 64):
        apart = (predict(model, image, context, tile) - whole).abs().max()
        assert apart <= 2 * ROUNDING[precision] * whole.abs().max()


class Foreign(nn.Module):
    """Hands the image through, with a layer that is hooked and one that is not in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
        self.block[2].register_forward_hook(lambda *call: call[-1] + 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.block(images) + images


class OnlyFloat32(Foreign):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.dtype == torch.bfloat16:
            raise RuntimeError("expected scalar type Float")
        return super().forward(images)


def timed(monkeypatch, **seconds: float) -> None:
    """Seconds of a way by its name in place of measured ones."""
    monkeypatch.setattr(fast, "_has_bf16", lambda model: "bf16" in seconds)

    def instead(network, sample, context):
        kind = "plain" if not isinstance(network, Fast) else str(network.dtype).split(".")[1]
        return predict(network, sample, context), seconds[kind.replace("bfloat", "bf")]

    monkeypatch.setattr(fast, "_timed", instead)


def way(model: nn.Module, **options) -> fast.Way:
    image = torch.rand(1, 300, 20, generator=torch.Generator().manual_seed(0)) + 1
    return find_way(model, image, Context(halo=1, grid=1), **options)


def test_the_fastest_way_is_taken_and_told(monkeypatch) -> None:
    model = Foreign()
    timed(monkeypatch, plain=1.0, float32=0.5)
    assert str(way(model)).startswith("float32, 2.0 times as fast as the network as it is; 0 % of")
    timed(monkeypatch, plain=1.0, float32=2.0)
    assert way(model).network is model
    assert way(model, precision="float32").network is model


def test_another_precision_is_refused(unchecked) -> None:
    with pytest.raises(ValueError, match=r"precision must be one of \('auto', 'float32', 'bf16'\)"):
        way(Foreign(), precision="fp8")


@pytest.mark.parametrize("wanted", [BF16])
def test_bf16_where_it_is_clearly_faster_and_changes_next_to_nothing(monkeypatch, wanted) -> None:
    timed(monkeypatch, plain=1.0, float32=0.5, bf16=0.25)
    found = way(Foreign())
    assert (found.precision, found.changed) == (wanted, 0.0)
    assert way(Foreign(), mask=lambda logits: logits > logits.median()).precision == "float32"
    forced = way(Foreign(), precision=wanted, mask=lambda logits: logits > logits.median())
    assert (forced.precision, forced.changed > fast.LIMIT) == (wanted, True)
    assert way(OnlyFloat32()).precision == "float32"
    with pytest.raises(ValueError, match="cannot be computed in bf16: expected scalar type Float"):
        way(OnlyFloat32(), precision=wanted)
    timed(monkeypatch, plain=1.0, float32=0.5, bf16=0.45)
    assert way(Foreign()).precision == "float32"


def test_what_cannot_be_copied_is_computed_as_it_is() -> None:
    class Uncopied(Foreign):
        def __deepcopy__(self, memo: dict) -> nn.Module:
            raise TypeError("cannot pickle")

    model = Uncopied()
    image = torch.rand(1, 30, 20)
    assert find_way(model, image, Context(halo=1, grid=1)).network is model


@pytest.mark.parametrize("precision", [BF16])
def test_real_nuclei_keep_their_masks(data_dir, precision) -> None:
    """The network of chapter 10 on the 50 test images, of each the upper left 256 x 256 pixels."""
    trained = Trained.load("results/nuclei-real.pt", device="cpu")
    images = DSB2018(data_dir / "dsb2018", "test", normalize=trained.task.normalization)
    copy, changed, scores = Fast(trained.model, precision), [], []
    for image, labels in images:
        image, labels = image[:, :256, :256], labels[:256, :256]
        ways = [predict(network, image, trained.context) for network in (trained.model, copy)]
        masks = [torch.from_numpy(trained.task.mask(logits)) > 0 for logits in ways]
        changed.append((masks[0] != masks[1]).float().mean().item())
        scores.append([float(dice(count_pixels(mask[None], labels[None] > 0))) for mask in masks])
    assert len(changed) == 50
    assert np.mean(changed) <= 0.001
    assert np.abs(np.subtract(*np.mean(scores, axis=0))) <= 0.001
