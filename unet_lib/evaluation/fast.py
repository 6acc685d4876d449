"""Which way of computing a network predicts fastest here, and how far it is off (chapter 13).

Every way is a copy whose BatchNorm is folded into the convolutions, with channels last in memory;
on a CPU each ReLU is computed with its convolution. bf16 halves the bytes and is faster on some
processors that have instructions for it: a short probe on the first image decides.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unet_lib.evaluation.context import Context
from unet_lib.evaluation.tiles import Network, predict_tiles
from unet_lib.model.checks import require
from unet_lib.model.fold import fold_batch_norm, join_layers

Precision = Literal["auto", "float32", "bf16"]

SAMPLE = 256  # pixels: the masks of the first image's middle are compared, as high and wide
TIMED = 128  # and its own middle is predicted for the time
MARGIN = 1.2  # bf16 has to be that much faster than float32
LIMIT = 0.001  # share of the sample's pixels that may change; more, and it is another way's turn


class Way(NamedTuple):
    """A network as it is computed, in which numbers, and what that changes; `str()` tells it.

    >>> layer = nn.Conv2d(1, 1, 1)
    >>> str(Way(layer)), str(Way(Fast(layer, "bf16"), "bf16", 0.1, 0.4, changed=0.0001))
    ('float32, the network as it is', 'bf16, 4.0 times as fast ...; 0.01 % of the pixels ...')
    """

    network: Network
    precision: str = "float32"
    seconds: float = 0.0
    """For the part that is timed."""
    plain_seconds: float = 0.0
    """The same of the network as it is, in float32."""
    changed: float = 0.0
    """Share of the sample's pixels whose class is another than that of the plain network."""

    def __str__(self) -> str:
        if not isinstance(self.network, Fast):
            return f"{self.precision}, the network as it is"
        faster = self.plain_seconds / self.seconds
        return (
            f"{self.precision}, {faster:.1f} times as fast as the network as it is; "
            f"{100 * self.changed:.2g} % of the pixels change in the middle of the first image"
        )


class Fast(nn.Module):
    """A copy of a network in eval mode for prediction alone, in float32 or bf16.

    Takes and gives float32 as the network does; the network itself stays as it is.

    >>> layer = nn.Conv2d(1, 2, 1)
    >>> images = torch.rand(1, 1, 8, 8)
    >>> torch.allclose(Fast(layer, "float32")(images), layer(images), atol=1e-6)
    True
    """

    def __init__(self, model: nn.Module, precision: str) -> None:
        super().__init__()
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        network = fold_batch_norm(model).to(self.dtype).to(memory_format=torch.channels_last)
        first = next(network.parameters(), torch.empty(0))
        self.network = join_layers(network) if first.device.type == "cpu" else network

    def forward(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        """Logits, as the network gives them, rounded as the format does."""
        images = images.to(self.dtype, memory_format=torch.channels_last)
        return self.network(images).float()


def find_way(
    model: Network,
    image: Float[Tensor, "C H W"],
    context: Context,
    precision: Precision = "auto",
    mask: Callable[[Tensor], Any] | None = None,
) -> Way:
    """The fastest way to predict with this network here, tried on the middle of one image.

    "float32" is the network as it is. "auto" is the fastest of that, a `Fast` copy in float32 and
    one in bf16, which is tried where the processor has instructions for it; a copy that changes
    more than `LIMIT` of the pixels, or that cannot be computed, is left out. "bf16" is taken
    whatever it changes. `mask` makes classes (H, W) of logits (K, H, W), by default the likeliest.
    Raises ValueError for another precision, or a network that cannot be computed in bf16.

    >>> from unet_lib.evaluation.context import find_context
    >>> from unet_lib.model import UNet
    >>> model = UNet(1, width=2, depth=1)
    >>> find_way(model, torch.rand(1, 30, 20), find_context(model, 1)).changed <= LIMIT
    True
    """
    require("precision", precision, choices=get_args(Precision))
    if precision == "float32" or not isinstance(model, nn.Module):
        return Way(model)
    sample, mask = _middle(image, SAMPLE), mask or _likeliest
    logits, seconds = _timed(model, sample, context)
    classes = torch.as_tensor(mask(logits))

    def fast(number: str) -> Way:
        network = Fast(model, number)
        logits, own = _timed(network, sample, context)
        other = torch.as_tensor(mask(logits)) != classes
        changed = other.float().mean().item() if logits.isfinite().all() else 1.0
        return Way(network, number, own, seconds, changed)

    if precision == "bf16":
        try:
            return fast("bf16")
        except Exception as error:  # whatever a network of others says
            raise ValueError(f"this network cannot be computed in bf16: {error}") from error
    ways = [Way(model, "float32", seconds, seconds)]
    for number in ("float32", "bf16") if _has_bf16(model) else ("float32",):
        with suppress(Exception):  # of a network of others, or a PyTorch built without oneDNN
            ways += [way] if (way := fast(number)).changed <= LIMIT else []
    return min(ways, key=lambda way: way.seconds * (MARGIN if way.precision == "bf16" else 1))


def weights_mark(model: Network) -> tuple[Any, ...]:
    """Something that becomes another when the weights do: a `Fast` copy has to be made again.

    One number of each tensor, since an optimizer that changes weights need not count it.

    >>> layer = nn.Linear(2, 2)
    >>> before = weights_mark(layer)
    >>> _ = nn.init.ones_(layer.weight)
    >>> weights_mark(layer) == before
    False
    """
    if not isinstance(model, nn.Module):
        return ()
    tensors = [t for t in (*model.parameters(), *model.buffers()) if t.numel()]
    return tuple((t._version, t.device, t[(0,) * t.ndim].item()) for t in tensors)


def _has_bf16(model: nn.Module) -> bool:
    """Whether it is worth a try: a CPU without the instructions takes ten times as long."""
    first = next(model.parameters(), torch.empty(0))
    on_cpu = first.device.type == "cpu"
    return not on_cpu or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _middle(image: Tensor, side: int) -> Tensor:
    top, left = (max(0, size - side) // 2 for size in image.shape[-2:])
    return image[..., top : top + side, left : left + side]


def _timed(network: Network, sample: Tensor, context: Context) -> tuple[Tensor, float]:
    """Logits, and the seconds of the faster of two runs on the middle."""
    logits, seconds = predict_tiles(network, sample, context), []
    for _ in range(2):
        start = time.perf_counter()
        predict_tiles(network, _middle(sample, TIMED), context)
        seconds.append(time.perf_counter() - start)
    return logits, min(seconds)


def _likeliest(logits: Tensor) -> Tensor:
    return logits[0] > 0 if len(logits) == 1 else logits.argmax(0)
