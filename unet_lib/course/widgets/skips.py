"""What each skip connection of a trained network is good for, switched on and off (chapter 4)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import traitlets
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from unet_lib.course.widgets.pictures import PicturesWidget, gray_pictures, packed, stored_pictures
from unet_lib.evaluation.tiles import foreground_probability
from unet_lib.model.base import evaluated
from unet_lib.model.unet import UNet, decode

GRAYS = 31
"""The white of the grays in which feature maps are stored; 0 is black."""

BRIGHTEST = 0.995
"""The share of a map's values, over all settings, that are darker than white."""


class Passage(NamedTuple):
    """What `run_with_skips` met on its way, the features of the largest stage first."""

    logits: Float[Tensor, "N K H W"]
    encoder: list[Tensor]
    """What the skip connection of each stage carries, or would carry, (N, C, h, w) each."""
    decoder: list[Tensor]
    """What each stage of the decoder makes of it, (N, C, h, w) each."""


def run_with_skips(model: UNet, images: Float[Tensor, "N C H W"], skips: Sequence[bool]) -> Passage:
    """The forward pass of a `UNet` in which some skip connections carry zeros.

    `skips` holds one switch a stage, the largest stage first; with all of them on, the logits are
    those of `model(images)`. The model is not changed, and runs in the mode in which it is.

    Raises ValueError where there are not as many switches as stages.

    >>> model, images = UNet(1, width=2, depth=2).eval(), torch.rand(1, 1, 16, 16)
    >>> torch.equal(run_with_skips(model, images, [True, True]).logits, model(images))
    True
    >>> [tuple(x.shape) for x in run_with_skips(model, images, [True, False]).decoder]
    [(1, 2, 16, 16), (1, 4, 8, 8)]
    """
    if len(skips) != model.settings.depth:
        raise ValueError(
            f"expected {model.settings.depth} switches, one a stage of the network, got "
            f"{len(skips)}"
        )
    encoder, decoder, x = [], [], images
    for block in model.encoder:
        encoder.append(block(x))
        x = model.pool(encoder[-1])
    x = model.dropout(model.bottleneck(x))
    for i, on in enumerate(reversed(skips)):  # from the bottleneck up
        skip = encoder[-1 - i] * on
        x = decode(x, [skip], model.up[i : i + 1], model.decoder[i : i + 1])
        decoder.insert(0, x)
    return Passage(model.head(x), encoder, decoder)


class SkipsWidget(PicturesWidget, files="skips"):
    """A switch for each skip connection of a network: its mask and its feature maps at once.

    `model` with `padding="same"`, `images` float (N, C, H, W) as it takes them, `targets` of 0 and
    1, (N, H, W) or (N, 1, H, W): a few small pictures, named `names`. The network runs once for
    each of the 2^depth settings of the switches. Of every stage the `maps` features are stored
    that vary most (by their variance over the pictures, with every skip on), in 32 grays from 0 to
    a value that half a percent of the pixels exceed (over all settings).

    The traits `skips` (one switch a stage, the largest first), `picture` and `view` ("errors",
    "probability", "mask" or "image") are the state. At depth 3 the notebook stores about ten
    bytes a pixel. Raises ValueError, naming the picture, for what does not fit.

    >>> images = torch.rand(1, 1, 16, 16)
    >>> SkipsWidget(UNet(1, width=2, depth=2), images, images > 0.5, skips=[True, False])
    SkipsWidget(picture 1; skips=[True, False])
    """

    encoder = traitlets.List(traitlets.Bytes()).tag(sync=True)
    decoder = traitlets.List(traitlets.Bytes()).tag(sync=True)
    sizes = traitlets.List().tag(sync=True)
    maps = traitlets.Int().tag(sync=True)
    skips = traitlets.List(traitlets.Bool()).tag(sync=True)
    view = traitlets.Enum(["errors", "probability", "mask", "image"], "errors").tag(sync=True)

    def __init__(
        self,
        model: UNet,
        images: Float[Tensor, "N C H W"],
        targets: Shaped[Tensor, "_ ..."],
        names: Sequence[str] | None = None,
        maps: int = 2,
        **state: Sequence[bool] | int | str,
    ) -> None:
        if not 1 <= maps <= model.settings.width:
            raise ValueError(
                f"expected 1 to {model.settings.width} maps a stage, as many as the largest stage "
                f"has channels, got {maps}"
            )
        passages = _passages(model, images)
        found = [[foreground_probability(z).numpy() for z in p.logits] for p in passages]
        stored = stored_pictures(found, *gray_pictures(targets, images), names)
        stages = range(model.settings.depth)
        encoder = [_grays([passages[-1].encoder[k]], maps) for k in stages]
        # the decoder's stage k depends on its own skip and on those below: every 2^k-th setting
        decoder = [_grays([p.decoder[k] for p in passages[:: 2**k]], maps) for k in stages]
        pictures = range(len(images))
        super().__init__(
            **stored,
            encoder=[packed(x[:, i]) for i in pictures for x in encoder],
            decoder=[packed(x[:, i]) for i in pictures for x in decoder],
            sizes=[list(x.shape[-2:]) for x in decoder],
            maps=maps,
            **({"skips": [True for _ in stages]} | state),
        )

    @traitlets.validate("skips")
    def _check_skips(self, proposal: dict) -> list[bool]:
        if len(proposal["value"]) == len(self.sizes):
            return proposal["value"]
        raise traitlets.TraitError(
            f"skips needs {len(self.sizes)} switches, one a stage, got {len(proposal['value'])}"
        )

    def __repr__(self) -> str:
        return f"SkipsWidget({', '.join(self.names)}; skips={self.skips})"


def _passages(model: UNet, images: Tensor) -> list[Passage]:
    """One for each setting of the switches."""
    depth = model.settings.depth
    images = images.to(next(model.parameters()).device)
    settings = [[bool(number >> k & 1) for k in range(depth)] for number in range(2**depth)]
    with evaluated(model):
        passages = [run_with_skips(model, images, skips) for skips in settings]
    return [Passage(p.logits.cpu(), p.encoder, p.decoder) for p in passages]


def _grays(features: list[Tensor], maps: int) -> UInt8[np.ndarray, "V N maps h w"]:
    """The channels that vary most in the last of the settings, in grays."""
    chosen = features[-1].var((0, 2, 3)).topk(maps).indices
    values = torch.stack([x[:, chosen] for x in features])
    top = values.movedim(2, 0).flatten(1).quantile(BRIGHTEST, dim=1).clamp(min=1e-12)
    return (GRAYS * values / top.view(-1, 1, 1)).clamp(0, GRAYS).round().byte().cpu().numpy()
