"""How a network becomes an ONNX graph: traced with open sizes, and tidied (chapter 13)."""

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

OPSET = 18


def write_graph(
    model: nn.Module, sample: Tensor, path: Path | str, metadata: dict[str, str]
) -> None:
    """Traces a network with sizes left open; writes graph, weights and `metadata` to a file.

    `sample` (N, C, H, W), of three different sizes, shows the way through the network, which has
    to be in eval mode; layers that pad as TensorFlow does are replaced in it.
    The graph takes `images` (N, C, H, W) and gives `logits`. Nothing is compared here.
    """
    import onnx

    open_sizes = {0: "N", 2: "H", 3: "W"}
    _fix_padding(model)
    with silent():
        torch.onnx.export(
            model,
            (sample,),
            path,
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=(open_sizes,),
            verbose=False,
        )
    proto = onnx.load(path)
    for node in proto.graph.node:  # where in PyTorch's source each node came from
        del node.metadata_props[:]
        node.doc_string = ""
    del proto.graph.value_info[:]
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto, full_check=True)
    Path(path).write_bytes(proto.SerializeToString())


def _fix_padding(model: nn.Module) -> None:
    """TensorFlow's padding, computed from the size, as the constant it is for multiples of grid."""
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d) and type(layer).__name__ == "Conv2dSame":
                shapes = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
                high, wide = (dilation * (size - 1) + 1 - by for size, by, dilation in shapes)
                sides = wide // 2, wide - wide // 2, high // 2, high - high // 2
                layer.__class__ = nn.Conv2d  # its forward is all that differs
                setattr(parent, name, nn.Sequential(nn.ZeroPad2d(sides), layer))


@contextmanager
def silent() -> Generator[None, None, None]:
    """Keeps progress, advice and others' deprecations out of the output; errors are raised."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
