"""The mean over the eight ways to lay an image on a table (chapters 6 and 11)."""

import torch
from jaxtyping import Float
from torch import Tensor

from unet_lib.evaluation.context import Context, find_context
from unet_lib.evaluation.tiles import MEMORY, Network, predict_tiles

WAYS = range(8)


def turn(image: Float[Tensor, "... H W"], way: int) -> Float[Tensor, "... H2 W2"]:
    """One of eight ways, 0 to 7: turned by way % 4 right angles, from 4 on also mirrored.

    >>> turn(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 4)
    tensor([[2., 1.],
            [4., 3.]])
    """
    turned = image.rot90(way % 4, (-2, -1))
    return turned.flip(-1) if way >= 4 else turned


def turn_back(
    maps: Float[Tensor, "... K H2 W2"], way: int, vectors: bool = False
) -> Float[Tensor, "... K H W"]:
    """Undoes `turn`. With `vectors` the last two channels point down the rows and columns.

    Raises ValueError for vectors of a single channel.

    >>> image = torch.rand(1, 3, 5)
    >>> torch.equal(turn_back(turn(image, 7), 7), image)
    True
    """
    if way >= 4:
        maps = maps.flip(-1)
    maps = maps.rot90(-way % 4, (-2, -1))
    if not vectors:
        return maps
    if maps.shape[-3] < 2:
        raise ValueError(
            "1 channel; two that point down the rows and columns were expected: leave vectors out"
        )
    *others, down, right = maps.unbind(-3)
    right = -right if way >= 4 else right
    for _ in range(way % 4):
        down, right = right, -down
    return torch.stack([*others, down, right], dim=-3)


def predict_views(
    model: Network,
    image: Float[Tensor, "C H W"],
    tile: int | None = None,
    vectors: bool = False,
    context: Context | None = None,
) -> Float[Tensor, "K H W"]:
    """The mean of the logits over all eight ways, each turned back; eight times the work.

    The other arguments are those of `predict`; `vectors` as for `turn_back`.

    >>> predict_views(torch.neg, torch.ones(1, 2, 3), context=Context(halo=0, grid=1))
    tensor([[[-1., -1., -1.],
             [-1., -1., -1.]]])
    """
    context = context or find_context(model, len(image))
    total = torch.zeros(())
    for way in WAYS:
        logits = predict_tiles(model, turn(image, way), context, tile, MEMORY)
        total = total + turn_back(logits, way, vectors)
    return total / len(WAYS)
