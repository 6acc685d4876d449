"""What the threshold does to the mask, to precision, recall and Dice, to play with (chapter 5)."""

from collections.abc import Sequence

import numpy as np
import traitlets
from jaxtyping import Float
from matplotlib.figure import Figure

from unet_lib.course.widgets.base import Widget, check_index, script, style
from unet_lib.course.widgets.pictures import (
    THRESHOLDS,
    check_picture,
    stored_picture,
    stored_pictures,
)
from unet_lib.plots.show import PALETTE, error_map

Pictures = np.ndarray | Sequence[np.ndarray]


class ThresholdWidget(Widget):
    """A slider for the threshold that a foreground pixel's probability exceeds.

    `probability` float (H, W) in [0, 1], `target` bool (or 0 and 1), `image` of any type (shown
    from its darkest to its brightest pixel): one picture each, or lists of them, named `names`.
    The traits `threshold` (0.01 to 0.99), `picture` and `view` ("errors", "probability" or
    "image") are the state. The notebook stores about a byte a pixel: pass small pictures.

    Raises ValueError, naming the picture, for arrays that do not fit.

    >>> probability = np.array([[0.9, 0.6], [0.4, 0.1]])
    >>> widget = ThresholdWidget(probability, probability > 0.5, probability, threshold=0.7)
    >>> {name: round(score, 3) for name, score in widget.scores().items()}
    {'precision': 1.0, 'recall': 0.5, 'Dice': 0.667, 'IoU': 0.5}
    """

    _esm = script("threshold")
    _css = style("threshold")
    levels = traitlets.List(traitlets.Bytes()).tag(sync=True)
    targets = traitlets.List(traitlets.Bytes()).tag(sync=True)
    images = traitlets.List(traitlets.Bytes()).tag(sync=True)
    sizes = traitlets.List().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    threshold = traitlets.Float(0.5, min=0.01, max=0.99).tag(sync=True)
    picture = traitlets.Int(0, min=0).tag(sync=True)
    view = traitlets.Enum(["errors", "probability", "image"], "errors").tag(sync=True)

    def __init__(
        self,
        probability: Pictures,
        target: Pictures,
        image: Pictures,
        names: Sequence[str] | None = None,
        **state: float | int | str,
    ) -> None:
        groups = [
            [x] if isinstance(x, np.ndarray) else list(x) for x in (probability, target, image)
        ]
        names = names or [f"picture {i + 1}" for i in range(len(groups[0]))]
        counts = [len(x) for x in (*groups, names)]
        if len(set(counts)) > 1 or not names:
            raise ValueError(
                "expected as many probabilities as targets, images and names, and at least one "
                f"of each, got {', '.join(map(str, counts))}"
            )
        for name, *arrays in zip(names, *groups, strict=True):
            check_picture(name, *arrays)
        super().__init__(
            **stored_pictures(*groups),
            sizes=[list(x.shape) for x in groups[0]],
            names=list(names),
            **state,
        )

    @traitlets.validate("picture")
    def _check_picture(self, proposal: dict) -> int:
        return check_index(proposal, len(self.names))

    def __repr__(self) -> str:
        return f"ThresholdWidget({', '.join(self.names)}; threshold={self.threshold:.2f})"

    def curves(self) -> dict[str, Float[np.ndarray, "99"]]:
        """Scores of the present picture at the thresholds 0.01 to 0.99.

        As in `unet_lib.evaluation`, a score is 1 where there is nothing to find and nothing found.
        """
        levels, target, _ = self._present()
        found = levels > np.arange(99)[:, None, None]
        tp, fp, fn = (x.sum((1, 2)) for x in (found & target, found & ~target, ~found & target))
        return {
            "precision": _ratio(tp, tp + fp, fn),
            "recall": _ratio(tp, tp + fn, fp),
            "Dice": _ratio(2 * tp, 2 * tp + fp + fn, fp),
            "IoU": _ratio(tp, tp + fp + fn, fp),
        }

    def scores(self) -> dict[str, float]:
        """Precision, recall, Dice and IoU of the present picture at the present threshold."""
        return {name: float(curve[self._step - 1]) for name, curve in self.curves().items()}

    def still(self) -> Figure:
        """The present picture and its curves, for paper.

        >>> picture = np.array([[0.9, 0.1]])
        >>> len(ThresholdWidget(picture, picture > 0.5, picture).still().axes)
        2
        """
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        levels, target, gray = self._present()
        title = f"{self.names[self.picture]}, threshold {self.threshold:.2f}"
        error_map(gray, levels >= self._step, target, left, title)
        styles = (("vermillion", "--"), ("blue", ":"), ("black", "-"), ("gray", "-."))
        for (name, curve), (color, line) in zip(self.curves().items(), styles, strict=True):
            label = f"{name} {curve[self._step - 1]:.3f}"
            right.plot(THRESHOLDS, curve, line, color=PALETTE[color], label=label)
        right.axvline(self.threshold, color="black", lw=1)
        right.set(xlabel="threshold", ylabel="score", xlim=(0, 1), ylim=(0, 1.02))
        right.legend(frameon=False, fontsize=8)
        return figure

    @property
    def _step(self) -> int:
        return round(100 * self.threshold)

    def _present(self) -> list[np.ndarray]:
        """Levels, target and gray levels of the present picture, each (H, W)."""
        size = self.sizes[self.picture]
        stored = self.levels, self.targets, self.images
        (levels,), target, gray = stored_picture(*stored, self.picture, size)
        return [levels, target, gray]


def _ratio(top: np.ndarray, bottom: np.ndarray, errors: np.ndarray) -> Float[np.ndarray, "99"]:
    return np.where(bottom > 0, top / np.maximum(bottom, 1), np.where(errors > 0, 0.0, 1.0))
