"""ONNX files: equal to PyTorch at any size, complete, quiet, whole or not at all."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from unet_lib.data import SimulatedNuclei
from unet_lib.model import UNet
from unet_lib.shipping import export
from unet_lib.shipping.compare import ExportError, largest_difference
from unet_lib.shipping.export import export_onnx, fold_batch_norm, read_metadata
from unet_lib.shipping.graph import silent
from unet_lib.shipping.quantize import halve, quantize
from unet_lib.training import Task


def settled(model):
    """The network with statistics in its BatchNorm that are not those of the beginning."""
    torch.manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.3)
            layer.running_var.uniform_(0.5, 2.0)
    return model


@pytest.fixture(scope="module")
def model() -> UNet:
    return settled(UNet(1, width=4, depth=1, norm="batch"))


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "unet.onnx"
    export_onnx(model, path, Task(), ("background", "nucleus"), {"license": "MIT"})
    return path


def run(path, images: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images.numpy()})[0]


def test_the_graph_has_open_sizes_and_the_file_says_how_to_feed_it(file) -> None:
    graph, stored = onnx.load(file).graph, read_metadata(file)
    values = (*graph.input, *graph.output)
    dims = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values]
    assert [value.name for value in values] == ["images", "logits"]
    assert dims == [["N", 1, "H", "W"], ["N", 1, "H", "W"]]
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    assert not any(node.metadata_props for node in graph.node)
    assert next(entry.version for entry in onnx.load(file).opset_import) == 18
    assert stored["task"]["normalize"] == "percentiles"
    assert (stored["model"]["kind"], stored["model"]["norm"]) == ("UNet", "batch")
    assert stored["classes"] == ["background", "nucleus"]
    assert (stored["minimum_size"], stored["multiple_of"], stored["license"]) == (2, 1, "MIT")


def test_the_network_stays_in_its_mode_and_nothing_is_printed(model, tmp_path, capfd) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for mode in (True, False):
        model.train(mode)
        export_onnx(model, tmp_path / "unet.onnx")
        assert all(layer.training is mode for layer in model.modules())
    assert capfd.readouterr() == ("", "")
    images = torch.rand(2, 1, 33, 20)
    with torch.no_grad():
        torch.testing.assert_close(fold_batch_norm(model)(images), model(images), atol=1e-5, rtol=0)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_graph_that_differs_is_not_written(model, tmp_path, monkeypatch) -> None:
    path = tmp_path / "unet.onnx"
    path.write_bytes(b"the old one")
    monkeypatch.setattr(export, "fold_batch_norm", lambda _: UNet(1, width=4, depth=1).eval())
    with pytest.raises(ExportError, match=r"differs from the network by .* nothing was written"):
        export_onnx(model, path)
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


def write_by_hand(model, path, **options) -> None:
    """As many tutorials do it."""
    names = {"input_names": ["images"], "output_names": ["logits"]}
    images = (torch.rand(2, 1, 32, 32),)
    with silent():
        torch.onnx.export(
            model, images, path, external_data=False, verbose=False, **names | options
        )


def test_another_graph_is_found_out(model, tmp_path) -> None:
    write_by_hand(model.eval(), tmp_path / "fixed.onnx")
    with pytest.raises(ExportError, match=r"does not take images of shape \(1, 1, 4, .*dynamic"):
        largest_difference(model, tmp_path / "fixed.onnx")
    assert largest_difference(model, tmp_path / "fixed.onnx", [torch.rand(2, 1, 32, 32)]) < 1e-4
    export_onnx(UNet(1, 2, width=2, depth=1), tmp_path / "two.onnx")
    with pytest.raises(ExportError, match=r"gives logits of shape \(1, 2, .*the network \(1, 1,"):
        largest_difference(model, tmp_path / "two.onnx")
    model = settled(UNet(1, width=4, depth=1, dropout=0.5)).train()
    sizes = {"images": dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)}
    write_by_hand(model, tmp_path / "training.onnx", dynamic_shapes=sizes, opset_version=18)
    assert largest_difference(model, tmp_path / "training.onnx") > 1e-4


class Foreign(torch.nn.Conv2d):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) if images.sum() > 0 else images


def gray() -> UNet:
    return UNet(1, width=2, depth=1)


def broken() -> UNet:
    model = gray()
    torch.nn.init.constant_(next(model.parameters()), torch.nan)
    return model


@pytest.mark.parametrize(
    ("network", "options", "told"),
    [
        (gray().half(), {}, r"a UNet of float16, not float32.*model\.float"),
        (broken(), {}, r"NaN or infinite logits for .* last good checkpoint"),
        (gray(), {"classes": ["a"]}, r"1 class names \(a\) for a network of 1 output channels: 2 "),
        (gray(), {"classes": "ab"}, r"1 class names \(ab\) for a network"),
        (
            UNet(1, 4, width=2, depth=1),
            {"task": Task("offsets"), "classes": "abcd"},
            "1 class names .* of 4 output channels that describe shapes: 2 were expected",
        ),
        (gray(), {"task": Task(mode="RGB")}, "takes 3 and gives 1 channels, the network 1 and 1"),
        (gray(), {"about": {"task": "x"}}, "about names task, which the export fills in"),
        (torch.nn.Conv2d(1, 1, 1), {}, "a Conv2d, which does not say its channels and sizes"),
        (torch.nn.Conv2d(1, 2, 1), {"task": Task()}, "and gives 1 channels, the network 1 and 2"),
        (Foreign(1, 1, 1), {"task": Task(), "grid": 1}, "PyTorch cannot write a Foreign as ONNX"),
    ],
)
def test_networks_and_options_that_cannot_be_exported(tmp_path, network, options, told) -> None:
    kind = ValueError if "and gives" in told else ExportError
    with pytest.raises(kind, match=told):
        export_onnx(network, tmp_path / "unet.onnx", **options)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_not_ours_and_missing_packages(file, tmp_path, monkeypatch) -> None:
    strange = onnx.load(file)
    del strange.metadata_props[:]
    onnx.save(strange, tmp_path / "strange.onnx")
    (tmp_path / "short.onnx").write_bytes(file.read_bytes()[:1000])
    for name, told in (
        ("none", "no such file"),
        ("short", r"\(1000 bytes\) is no ONNX file"),
        ("strange", "is not by export_onnx"),
    ):
        with pytest.raises(ExportError, match=rf"{name}\.onnx:? {told}"):
            read_metadata(tmp_path / f"{name}.onnx")
    with pytest.raises(ExportError, match=r"short\.onnx \(1000 bytes\) is no ONNX file"):
        largest_difference(gray(), tmp_path / "short.onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ExportError, match=r'package onnxscript.*pip install "unet-lib\[export\]"'):
        export_onnx(gray(), tmp_path / "unet.onnx")


def test_large_logits_may_differ_in_proportion(tmp_path) -> None:
    sharp = UNet(1, width=4, depth=1)
    last = [layer for layer in sharp.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    torch.nn.init.normal_(last.weight, std=3e5)
    assert 1e-4 < export_onnx(sharp, tmp_path / "unet.onnx") < 1


@pytest.mark.parametrize(
    ("numbers", "smaller", "apart"),
    [("float16", 0.55, 0.01), ("int8, dynamic", 0.5, 0.1), ("int8, calibrated", 0.5, 0.1)],
)
def test_smaller_numbers_stay_close_and_keep_the_metadata(
    tmp_path, numbers, smaller, apart
) -> None:
    images = [image[None] for image, _ in SimulatedNuclei(6, seed=1, size=(48, 40))]
    full, small = tmp_path / "full.onnx", tmp_path / "small.onnx"
    export_onnx(settled(UNet(1, width=16, depth=1, norm="batch")), full, Task())
    if numbers == "float16":
        halve(full, small)
    else:
        quantize(full, small, [x.numpy() for x in images] if "calibrated" in numbers else None)
    assert small.stat().st_size < smaller * full.stat().st_size
    assert read_metadata(small) == read_metadata(full)
    reference = run(full, images[0])
    assert np.abs(run(small, images[0]) - reference).max() < apart * np.abs(reference).max()
    assert run(small, torch.rand(2, 1, 31, 50)).shape == (2, 1, 31, 50)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((1, 3, 8, 8), "float32"), r"batch 2 .* shape \(1, 3, 8, 8\) and holds float32"),
        (np.zeros((1, 1, 8, 8)), r"holds float64; arrays \(N, 1, H, W\) of float32 were expected"),
        (np.zeros((1, 1, 1, 8), "float32"), "with sides of at least 2 pixels"),
        (torch.zeros(1, 1, 8, 8), r"holds torch\.float32"),
        ([0.0], r"shape \(1,\) and holds list"),
        (np.full((1, 1, 4, 4), np.nan, "float32"), "batch 2 .* holds 16 NaN or infinite values"),
    ],
)
def test_pictures_that_cannot_calibrate(file, tmp_path, batch, message) -> None:
    good = np.zeros((1, 1, 8, 8), "float32")
    with pytest.raises(ExportError, match=message):
        quantize(file, tmp_path / "int8.onnx", iter([good, batch]))
    with pytest.raises(ExportError, match="no images to calibrate"):
        quantize(file, tmp_path / "int8.onnx", [])
    assert list(tmp_path.iterdir()) == []


def test_numbers_are_not_made_smaller_twice(file, tmp_path) -> None:
    halve(file, tmp_path / "half.onnx")
    quantize(file, tmp_path / "int8.onnx")
    for step in (halve, quantize):
        for name, kind in (("half", "float16"), ("int8", "uint8")):
            with pytest.raises(ExportError, match=rf"{name}\.onnx holds {kind}; float32 alone was"):
                step(tmp_path / f"{name}.onnx", tmp_path / "twice.onnx")
    assert not (tmp_path / "twice.onnx").exists()
