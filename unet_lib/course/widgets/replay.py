"""A training watched again: the same pictures, moment by moment (chapter 4)."""

import copy
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import traitlets
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from unet_lib.course.widgets.base import check_index
from unet_lib.course.widgets.pictures import PicturesWidget, gray_pictures, stored_pictures
from unet_lib.evaluation.tiles import foreground_probability
from unet_lib.model.base import evaluated
from unet_lib.model.unet import SegmentationModel
from unet_lib.training.checkpoint import load_weights
from unet_lib.training.epoch import LossFunction
from unet_lib.training.losses import bce_dice_loss

Weights = dict[str, Tensor]


@contextmanager
def recorded_weights(model: nn.Module, steps: Collection[int]) -> Generator[dict[int, Weights]]:
    """While the block runs, keeps copies of the model's weights after each of these steps.

    A step is a forward pass in training mode; 0 is the state before the first. The copy is made
    when the model is next called, so after the last step a call in evaluation mode has to follow,
    as in `fit` with a validation set. Nothing else changes: no random number is drawn, and copies
    of the model (on which `fit` measures the precision) do not count.

    >>> import torch
    >>> model = nn.Linear(1, 1)
    >>> with recorded_weights(model, [0, 2]) as weights:
    ...     for _ in range(3):
    ...         _ = model(torch.zeros(1, 1))
    >>> sorted(weights)
    [0, 2]
    """
    kept: dict[int, Weights] = {}
    done = 0

    def keep(module: nn.Module, _: tuple) -> None:
        nonlocal done
        if module is not model:
            return
        if done in steps and done not in kept:
            kept[done] = {name: value.clone() for name, value in module.state_dict().items()}
        done += module.training

    hook = model.register_forward_pre_hook(keep)
    try:
        yield kept
    finally:
        hook.remove()


class ReplayWidget(PicturesWidget, files="replay"):
    """A training, moment by moment: the prediction for a few pictures, beside the loss curves.

    `weights` by step, as `recorded_weights` keeps them; a copy of `model` runs with each of them
    in evaluation mode. `images` float (N, C, H, W) and `targets` of 0 and 1, (N, H, W) or
    (N, 1, H, W), are shown: a few small pictures, named `names`. `curves` names batches (images,
    targets) whose mean `loss` is drawn; one of training and one of validation pictures tell most.

    The traits `moment` (an index into `steps`; at first the last), `picture` and `view`
    ("probability", "errors", "mask" or "image") are the state. The notebook stores about a third
    of a byte for each pixel and moment. Raises ValueError for what does not fit.

    >>> import torch
    >>> from unet_lib.model import UNet
    >>> model, images = UNet(1, width=2, depth=1), torch.rand(2, 1, 16, 16)
    >>> with recorded_weights(model, [0, 1]) as weights:
    ...     logits = [model(images) for _ in range(2)]
    >>> batch = images, (images > 0.5).float()
    >>> widget = ReplayWidget(model, weights, *batch, curves={"training": batch})
    >>> widget
    ReplayWidget(picture 1, picture 2; step 1 of 1)
    """

    size = traitlets.List().tag(sync=True)
    steps = traitlets.List(traitlets.Int()).tag(sync=True)
    losses = traitlets.Dict().tag(sync=True)
    moment = traitlets.Int(min=0).tag(sync=True)
    view = traitlets.Enum(["probability", "errors", "mask", "image"], "probability").tag(sync=True)

    def __init__(
        self,
        model: SegmentationModel,
        weights: Mapping[int, Weights],
        images: Float[Tensor, "N C H W"],
        targets: Shaped[Tensor, "_ ..."],
        names: Sequence[str] | None = None,
        *,
        curves: Mapping[str, Sequence[Tensor]],
        loss: LossFunction = bce_dice_loss,
        **state: int | str,
    ) -> None:
        if len(weights) < 2:
            raise ValueError(
                f"a replay needs the weights of two steps or more, got {sorted(weights)}; were "
                "they recorded while the model was trained?"
            )
        found, losses = _moments(copy.deepcopy(model).cpu(), weights, images, curves, loss)
        super().__init__(
            **stored_pictures(found, *gray_pictures(targets, images), names),
            size=list(images.shape[2:]),
            steps=sorted(weights),
            losses=losses,
            **({"moment": len(weights) - 1} | state),
        )

    @traitlets.validate("moment")
    def _check_moment(self, proposal: dict) -> int:
        return check_index(proposal, len(self.steps))

    def __repr__(self) -> str:
        present = f"step {self.steps[self.moment]} of {self.steps[-1]}"
        return f"ReplayWidget({', '.join(self.names)}; {present})"


def _moments(
    model: SegmentationModel,
    weights: Mapping[int, Weights],
    images: Tensor,
    curves: Mapping[str, Sequence[Tensor]],
    loss: LossFunction,
) -> tuple[list[list[np.ndarray]], dict[str, list[float]]]:
    """After each step the probabilities of all images, and the losses of each curve."""
    found, losses = [], {name: [] for name in curves}
    with evaluated(model):
        for step in sorted(weights):
            load_weights(model, weights[step])
            found.append([foreground_probability(z).numpy() for z in model(images)])
            for name, (inputs, truth) in curves.items():
                losses[name].append(_finite(loss(model(inputs), truth), name, step))
    return found, losses


def _finite(loss: Tensor, name: str, step: int) -> float:
    if not loss.isfinite():
        raise ValueError(f"the loss of {name!r} is {loss.item()} after step {step}; drop that step")
    return loss.item()
