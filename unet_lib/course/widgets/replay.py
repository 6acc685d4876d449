"""A training watched again: the same pictures, moment by moment (chapter 4)."""

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import traitlets
from jaxtyping import Float, Shaped
from matplotlib.figure import Figure
from torch import Tensor, nn

from unet_lib.course.widgets.base import Widget, check_index, script, style
from unet_lib.course.widgets.pictures import (
    HALF,
    check_picture,
    dice_of,
    gray_pictures,
    show_view,
    stored_picture,
    stored_pictures,
)
from unet_lib.evaluation.tiles import foreground_probability
from unet_lib.model.unet import SegmentationModel
from unet_lib.plots.show import PALETTE
from unet_lib.training.checkpoint import load_weights
from unet_lib.training.epoch import LossFunction
from unet_lib.training.losses import bce_dice_loss

Weights = dict[str, Tensor]
STRIP = 6
"""How many moments a still shows."""


@contextmanager
def recorded_weights(model: nn.Module, steps: Collection[int]) -> Iterator[dict[int, Weights]]:
    """While the block runs, keeps copies of the model's weights after each of these steps.

    A step is a forward pass in training mode; 0 is the state before the first. The copy is made
    when the model is next called, so after the last step a call in evaluation mode has to follow,
    as in `fit` with a validation set. Nothing else changes: no random number is drawn, and copies
    of the model (on which `fit` measures the precision) do not count.

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


class ReplayWidget(Widget):
    """A training, moment by moment: the prediction for a few pictures, beside the loss curves.

    `weights` by step, as `recorded_weights` keeps them; a copy of `model` runs with each of them
    in evaluation mode. `images` float (N, C, H, W) and `targets` of 0 and 1, (N, H, W) or
    (N, 1, H, W), are shown: a few small pictures, named `names`. `curves` names batches (images,
    targets) whose mean `loss` is drawn; one of training and one of validation pictures tell most.

    The traits `moment` (an index into `steps`; at first the last), `picture` and `view`
    ("probability", "errors", "mask" or "image") are the state. The notebook stores about a third
    of a byte for each pixel and moment. Raises ValueError for what does not fit.

    >>> from unet_lib.model import UNet
    >>> model, images = UNet(1, width=2, depth=1), torch.rand(2, 1, 16, 16)
    >>> with recorded_weights(model, [0, 1]) as weights:
    ...     logits = [model(images) for _ in range(2)]
    >>> batch = images, (images > 0.5).float()
    >>> widget = ReplayWidget(model, weights, *batch, curves={"training": batch})
    >>> widget
    ReplayWidget(picture 1, picture 2; step 1 of 1)
    """

    _esm = script("replay")
    _css = style("replay")
    levels = traitlets.List(traitlets.Bytes()).tag(sync=True)
    targets = traitlets.List(traitlets.Bytes()).tag(sync=True)
    images = traitlets.List(traitlets.Bytes()).tag(sync=True)
    size = traitlets.List().tag(sync=True)
    steps = traitlets.List(traitlets.Int()).tag(sync=True)
    losses = traitlets.Dict().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    moment = traitlets.Int(min=0).tag(sync=True)
    picture = traitlets.Int(0, min=0).tag(sync=True)
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
        gray, true, names = gray_pictures(images, targets, names)
        steps = sorted(weights)
        found, losses = [], {name: [] for name in curves}
        model = copy.deepcopy(model).cpu().eval()
        with torch.inference_mode():
            for step in steps:
                load_weights(model, weights[step])
                found.append([foreground_probability(z).numpy() for z in model(images)])
                for name, (inputs, truth) in curves.items():
                    losses[name].append(_finite(loss(model(inputs), truth), name, step))
        for row in found:
            for name, *arrays in zip(names, row, true, gray, strict=True):
                check_picture(name, *arrays)
        super().__init__(
            **stored_pictures([np.stack(x) for x in zip(*found, strict=True)], true, gray),
            size=list(gray[0].shape),
            steps=steps,
            losses=losses,
            names=names,
            **({"moment": len(steps) - 1} | state),
        )

    @traitlets.validate("moment", "picture")
    def _check_index(self, proposal: dict) -> int:
        moments = proposal["trait"].name == "moment"
        return check_index(proposal, len(self.steps if moments else self.names))

    def __repr__(self) -> str:
        present = f"step {self.steps[self.moment]} of {self.steps[-1]}"
        return f"ReplayWidget({', '.join(self.names)}; {present})"

    def scores(self) -> Float[np.ndarray, " moments"]:
        """Dice of the present picture at all moments.

        As in `unet_lib.evaluation`, it is 1 where there is nothing to find and nothing found.
        """
        levels, target, _ = self._present()
        return dice_of(levels >= HALF, target)

    def still(self) -> Figure:
        """Moments on the way to the present one, above the curves, for paper.

        >>> from unet_lib.model import UNet
        >>> model, images = UNet(1, width=2, depth=1), torch.rand(1, 1, 8, 8)
        >>> weights = {step: model.state_dict() for step in (0, 5, 20)}
        >>> batch = images, (images > 0.5).float()
        >>> widget = ReplayWidget(model, weights, *batch, curves={"training": batch})
        >>> [axes.get_title() for axes in widget.still().axes][:3]
        ['step 0', 'step 5', 'step 20']
        """
        levels, target, gray = self._present()
        shown = np.unique(np.linspace(0, self.moment, STRIP).round().astype(int))
        figure = Figure(figsize=(8, 4), layout="constrained")
        grid = figure.add_gridspec(2, len(shown), height_ratios=(2, 3))
        for column, i in enumerate(shown):
            panel = figure.add_subplot(grid[0, column])
            show_view(self.view, levels[i], target, gray, panel, f"step {self.steps[i]}")
            if panel.get_legend():  # too wide for so small a picture
                panel.get_legend().remove()
        ax = figure.add_subplot(grid[1, :])
        curves = self.losses | {f"Dice of {self.names[self.picture]}": self.scores()}
        colors = [PALETTE[name] for name in ("blue", "orange", "green")]
        for k, (name, curve) in enumerate(curves.items()):
            color = colors[k % 3] if name in self.losses else PALETTE["black"]
            line, label = ("--", "-", "-.")[k % 3], f"loss, {name}" if name in self.losses else name
            ax.plot(self.steps, curve, line, color=color, label=label)
        ax.axvline(self.steps[self.moment], color="black", lw=1)
        ax.set_xscale("asinh", linear_width=self.steps[1])  # even at first, then logarithmic
        ax.set_xticks([self.steps[i] for i in shown], [str(self.steps[i]) for i in shown])
        ax.set(xlabel="step", xlim=(0, self.steps[-1]), ylim=(0, None))
        ax.legend(frameon=False, fontsize=8)
        return figure

    def _present(self) -> list[np.ndarray]:
        """Levels of all moments (M, H, W), target and gray levels (H, W) of the picture."""
        return stored_picture(self.levels, self.targets, self.images, self.picture, self.size)


def _finite(loss: Tensor, name: str, step: int) -> float:
    if not loss.isfinite():
        raise ValueError(f"the loss of {name!r} is {loss.item()} after step {step}; drop that step")
    return loss.item()
