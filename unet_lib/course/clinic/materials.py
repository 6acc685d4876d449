"""What the cases are made of: small pictures in memory, and networks trained in seconds."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from unet_lib.data.in_memory import Pictures
from unet_lib.data.normalize import normalize_percentiles
from unet_lib.data.simulate import simulate_nuclei
from unet_lib.model.unet import UNet
from unet_lib.training.loop import fit
from unet_lib.training.losses import bce_dice_loss
from unet_lib.training.settings import TrainingSettings

SIZE = (64, 64)


@cache
def nuclei(
    count: int,
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    covered: tuple[float, float] = (0.1, 0.45),
) -> tuple[Pictures, Pictures]:
    """Images and instance labels of simulated nuclei; `covered` is their least and largest share.

    >>> images, labels = nuclei(2)
    >>> len(images), labels[0].shape
    (2, (64, 64))
    """
    images, labels, index = [], [], 0
    while len(images) < count:
        image, objects = simulate_nuclei(seed, index, size)
        index += 1
        if covered[0] < (objects > 0).mean() < covered[1]:
            images.append(image)
            labels.append(objects)
    return images, labels


def binary(labels: Pictures) -> list[np.ndarray]:
    """The same labels as masks of 0 and 1.

    >>> binary([np.array([[0, 7]])])
    [array([[0, 1]], dtype=uint8)]
    """
    return [(mask > 0).astype(np.uint8) for mask in labels]


def colored(
    count: int, seed: int = 0, size: tuple[int, int] = SIZE
) -> tuple[list[np.ndarray], Pictures]:
    """Two stains, as RGB: nuclei, which count, in blue, and other cells, which do not, in red."""
    blue, labels = nuclei(count, seed, size)
    red, _ = nuclei(count, seed + 100, size)
    none = np.zeros(size, np.uint8)
    stretched = [(normalize_percentiles(image).clip(0, 1) * 255).astype(np.uint8)
                 for image in (*red, *blue)]  # fmt: skip
    pairs = zip(stretched[:count], stretched[count:], strict=True)
    return [np.stack([one, none, other], axis=-1) for one, other in pairs], labels


def small_unet(in_channels: int = 1, out_channels: int = 1, seed: int = 0, **options: Any) -> UNet:
    """A network that a CPU trains in seconds.

    >>> small_unet().settings.width
    8
    """
    torch.manual_seed(seed)
    defaults: dict[str, Any] = {"width": 8, "depth": 2, "norm": "batch"}
    return UNet(in_channels, out_channels, **defaults | options)


def trained(
    model: nn.Module,
    train: Dataset,
    validation: Dataset | None = None,
    epochs: int = 15,
    loss: Callable = bce_dice_loss,
    **settings: Any,
) -> list[dict[str, float]]:
    """Trains a network for a few seconds, without a word, and returns the rows of its history.

    >>> from unet_lib.data import InMemory
    >>> images, labels = nuclei(2)
    >>> len(trained(small_unet(), InMemory(images, labels), epochs=1))
    1
    """
    defaults: dict[str, Any] = {"batch_size": 8, "learning_rate": 1e-2, "precision": "float32"}
    chosen = TrainingSettings(epochs, **defaults | settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # fit warns of what the doctor is to find
        history = fit(model, train, validation, loss=loss, settings=chosen, verbose=False)
    return history.rows
