"""A trained network with its task: from an image to its mask and its scores (chapters 4 and 5)."""

import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32, Integer, Shaped
from torch import Tensor, nn
from torch.utils.data import Dataset

from unet_lib.data.base import with_
from unet_lib.data.facts import ImageFacts
from unet_lib.data.files import read_image
from unet_lib.data.findings import DataError, Finding
from unet_lib.evaluation.context import Context, find_context
from unet_lib.evaluation.fast import Precision, Way, find_way, weights_mark
from unet_lib.evaluation.instances import average_precision
from unet_lib.evaluation.tiles import MEMORY, Network, predict_tiles
from unet_lib.evaluation.views import predict_views
from unet_lib.evaluation.zoom import at_diameter
from unet_lib.model.base import SegmentationModel
from unet_lib.model.checks import require
from unet_lib.training.checkpoint import (
    CheckpointError,
    load_checkpoint,
    load_model,
    stored_object,
)
from unet_lib.training.task import Task, load_task


class OtherImagesWarning(UserWarning):
    """Images differ from those that a network was trained on: the masks may be worse."""


Image = Path | str | np.ndarray | Tensor
"""A file; what `read_image` makes of one, (H, W) or (H, W, 3), not normalized; or what
`Trained.prepare` makes of either."""
Views = Literal[1, 8]
"""How an image is predicted: once, or in all eight ways to lay it on a table."""


class Trained:
    """A network that knows what it predicts, ready for image files and arrays of any size.

    Images are predicted whole or by tiles, with the network's own halo unless another one is given
    (see `predict`), and as fast as this machine can: `way` says in which numbers, and how many
    pixels of the first image that changed. With `precision="float32"` the network is computed as
    it is, to the last digit, and "bf16" is taken whatever it changes (see `find_way`).
    With `views=8` the logits are the mean over the image turned and mirrored in all eight ways
    (see `predict_views`), which takes eight times as long and holds those of the whole image.
    With a `diameter` objects are found in two passes, the second of the image at the size at which
    the median object is so many pixels wide (see `at_diameter`); masks and logits stay those of
    the image as it is.
    Errors name the file: one that cannot be read,
    color for a task of gray images, NaN, too small, a type of numbers without a range.
    Raises ValueError where the network has other channels than the task.

    >>> from unet_lib.model import UNet
    >>> trained = Trained(UNet(1, width=2, depth=1), Task())
    >>> trained.mask(np.zeros((20, 31), np.uint8)).shape
    (20, 31)
    """

    way: Way | None = None
    """How the network is computed: found with the first image, and anew when its weights change."""

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        halo: int | None = None,
        precision: Precision = "auto",
        images: ImageFacts | None = None,
        channel: int | None = None,
        views: Views = 1,
        diameter: float | None = None,
    ) -> None:
        if isinstance(model, SegmentationModel):
            task.check_channels(model.settings.in_channels, model.settings.out_channels)
        require("precision", precision, choices=get_args(Precision))
        require("views", views, choices=get_args(Views))
        self.model, self.task, self.halo, self.precision = model, task, halo, precision
        if diameter is not None:
            require("diameter", diameter, low=1)
        self.images, self.views, self.diameter = images, views, diameter
        self.channel = images.channel if channel is None and images is not None else channel
        self._mark, self._told = tuple[Any, ...](), set[str]()

    @classmethod
    def load(
        cls,
        path: Path | str,
        model: nn.Module | None = None,
        threshold: float | None = None,
        device: torch.device | str | None = None,
        halo: int | None = None,
        precision: Precision = "auto",
        channel: int | None = None,
        views: Views = 1,
        diameter: float | None = None,
    ) -> "Trained":
        """The network and the task of a checkpoint, on the GPU if there is one.

        A network that is not of this library is made by its owner and passed as `model`;
        `threshold` replaces that of the task, `channel` the one that was trained on, of images
        with several. Raises CheckpointError for a file that cannot be
        used, or without a task.

        >>> Trained.load("runs/none/best.pt")
        Traceback (most recent call last):
        ...
        unet_lib.training.checkpoint.CheckpointError: no checkpoint runs/none/best.pt; ...
        """
        task, network = load_task(path), load_model(path, model)
        stored = load_checkpoint(path).get("images")
        images = None if stored is None else stored_object(ImageFacts.read, stored, path)
        if threshold is not None:
            task = replace(task, threshold=threshold)
        try:
            network = network.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
            return cls(network, task, halo, precision, images, channel, views, diameter)
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from error

    def logits(self, image: Image, tile: int | None = None) -> Float32[np.ndarray, "K H W"]:
        """What the network gives for each pixel; `tile` as in `predict`."""
        return self._logits(image, tile).numpy()

    def probabilities(self, image: Image, tile: int | None = None) -> Float32[np.ndarray, "K H W"]:
        """What `Task.probabilities` makes of the logits: from 0 to 1, but for offsets."""
        return self.task.probabilities(self._logits(image, tile)).numpy()

    def mask(self, image: Image, tile: int | None = None) -> Integer[np.ndarray, "H W"]:
        """Class indices; for any other task 1 where foreground is likelier than the threshold.

        Made tile by tile: with one view, the logits of a large image are never held as a whole.
        """
        return self._logits(image, tile, self._masks)[0].numpy()

    def instances(self, image: Image, tile: int | None = None) -> Int32[np.ndarray, "H W"]:
        """The objects, numbered 1 to n; ValueError where the task is to tell classes apart."""
        prepared = self.prepare(image)
        with naming(image):
            network = self._network(prepared)
            return self._instances(network, prepared, self._predict(network, prepared, tile), tile)

    def _instances(
        self, network: Network, image: Float[Tensor, "C H W"], logits: Tensor, tile: int | None
    ) -> Int32[np.ndarray, "H W"]:
        """The objects of the logits, or with a `diameter` those of a second pass."""
        if self.diameter is None:
            return self.task.instances(logits)

        def find(seen: Tensor) -> Int32[np.ndarray, "H W"]:
            again = logits if seen is image else self._predict(network, seen, tile)
            return self.task.instances(again)

        return at_diameter(find, image, self.diameter)

    def scores(
        self,
        dataset: Dataset,
        instances: bool = False,
        thresholds: Sequence[float] = (0.5, 0.7, 0.9),
    ) -> dict[str, float]:
        """Scores on whole images of any size, by names that say how they are pooled.

        The data set gives labels; a `target` of its own is left aside. With `instances` the
        labels number objects, and the average precision at each threshold of the IoU is added,
        over the objects of all images. The network is computed as it is, in float32, unless
        another precision was asked for by name.

        >>> from unet_lib.data import SimulatedNuclei
        >>> from unet_lib.model import UNet
        >>> nuclei = SimulatedNuclei(2, size=(32, 32))
        >>> trained = Trained(UNet(1, width=2, depth=1), Task())
        >>> list(trained.scores(nuclei, instances=True))[-1]
        'ap_at_iou_0.9_pooled'
        """
        labeled = with_(self.task.apply(dataset), target=None)
        scores, predicted, true = self.task.scores(), [], []
        for index in range(len(labeled)):  # type: ignore[arg-type]  # torch declares no length
            image, labels = labeled[index]
            network = self.model if self.precision == "auto" else self._network(image)
            logits = self._predict(network, image)
            scores.update(logits[None], self.task.encode(labels)[None])
            if instances:
                predicted.append(self._instances(network, image, logits, None))
                true.append(labels.numpy())
        result = scores.compute()
        if instances:
            precision = average_precision(predicted, true, thresholds)
            result |= {f"ap_at_iou_{at}_pooled": value for at, value in precision.items()}
        return result

    def prepare(self, image: Image, page: int | None = None) -> Float[Tensor, "C H W"]:
        """An image as the network has learned to see it; `page` of a stack, counted from 0.

        Errors name the file, if it is one. DataError, too, where the numbers are of a type that
        the network would see as something else; what else differs from the images of the training
        is said once (OtherImagesWarning).
        """
        if isinstance(image, Tensor):
            return image
        pixels = image
        if not isinstance(pixels, np.ndarray):
            pixels = read_image(pixels, self.task.mode, page, self.channel)
        with naming(image):
            self._compare(image, pixels)
            return self.task.prepare(pixels)

    def _compare(self, image: Image, pixels: np.ndarray) -> None:
        """With the images of the training, as far as they are known."""
        if self.images is None or pixels.dtype.kind not in "uif":
            return
        if other := self.images.unlike(pixels, self.task.normalization):
            cure = "convert the image to the type that was trained on, keeping what its values mean"
            raise DataError(Finding("normalization-differs", other, cure=cure))
        for kind, remark in self.images.remarks(pixels).items():
            if kind not in self._told:
                self._told.add(kind)
                name = "an image" if isinstance(image, np.ndarray) else image
                warnings.warn(f"{name}: {remark} (said once)", OtherImagesWarning, stacklevel=3)

    def _logits(
        self, image: Image, tile: int | None, finish: Callable[[Tensor], Tensor] = Tensor.float
    ) -> Shaped[Tensor, "K H W"]:
        prepared = self.prepare(image)
        with naming(image):
            return self._predict(self._network(prepared), prepared, tile, finish)

    def _predict(
        self,
        network: Network,
        image: Float[Tensor, "C H W"],
        tile: int | None = None,
        finish: Callable[[Tensor], Tensor] = Tensor.float,
    ) -> Shaped[Tensor, "K H W"]:
        def checked(logits: Tensor) -> Tensor:
            self.task.check_channels(len(image), logits.shape[1])
            return finish(logits)

        if self.views == 1:
            return predict_tiles(network, image, self.context, tile, MEMORY, checked)
        vectors = self.task.target == "offsets"
        return checked(predict_views(network, image, tile, vectors, self.context)[None])[0]

    def _network(self, image: Float[Tensor, "C H W"]) -> Network:
        """As it is computed; this image decides how, if the weights are not those of last time."""
        mark = weights_mark(self.model)
        if self.way is None or mark != self._mark:
            self.way = find_way(self.model, image, self.context, self.precision, self.task.mask)
            self._mark = mark
        return self.way.network

    def _masks(self, logits: Float[Tensor, "N K H W"]) -> Integer[Tensor, "N 1 H W"]:
        return torch.from_numpy(np.stack([self.task.mask(one) for one in logits]))[:, None]

    @cached_property
    def context(self) -> Context:
        """Found once: a network that does not know its context is measured."""
        return find_context(self.model, self.task.in_channels, self.halo)


@contextmanager
def naming(image: Image) -> Generator[None, None, None]:
    """Errors inside name the file, if the image is one."""
    try:
        yield
    except ValueError as error:
        if isinstance(image, np.ndarray | Tensor):
            raise
        told = error if isinstance(error, DataError) else DataError(str(error))
        raise DataError(*(replace(one, files=(str(image),)) for one in told.findings)) from error
