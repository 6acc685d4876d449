"""Every picture of a test set with its errors, sorted by any score (chapter 5)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import traitlets

from unet_lib.course.widgets.base import Widget, check_index
from unet_lib.course.widgets.pictures import check_pictures, painted, photograph
from unet_lib.evaluation import metrics
from unet_lib.plots.show import PALETTE

SCORES = {
    "Dice": metrics.dice,
    "IoU": metrics.iou,
    "precision": metrics.precision,
    "recall": metrics.recall,
}
"""Computed for each picture; nan where nothing is to be found and nothing is found."""
ORDERS = ["lowest first", "highest first"]
VIEWS = ["errors", "probability", "image"]
GRAYS = [f"#{k:x}{k:x}{k:x}" for k in range(16)]
ERRORS = ["none", PALETTE["FN"], PALETTE["FP"], PALETTE["TP"]]  # of truth + 2 * found


class GalleryWidget(Widget, files="gallery"):
    """Small pictures in the order of a score; the chosen one stands large beside its numbers.

    Lists of N pictures: `probability` float (H, W) in [0, 1], `target` bool (or 0 and 1), `image`
    of any number type; a pixel is found where the probability exceeds `threshold`. Dice, IoU,
    precision and recall of each picture come from `unet_lib.evaluation`; `scores` adds more, N
    numbers under each name, such as AP or an error of the count. A picture that is rightly left
    empty has no Dice: nan, which stands last in either order. Equal scores keep their order.
    The traits `metric`, `order`, `view` and `chosen` (the number of a picture) are the state. The
    notebook stores about a third of a byte a pixel.

    Raises ValueError, naming the picture or the score, for what does not fit.

    >>> truth = [np.array([[True, False]]), np.array([[True, True]])]
    >>> probability = [np.array([[0.9, 0.1]])] * 2
    >>> widget = GalleryWidget(probability, truth, probability, {"count error": [0, -1]})
    >>> widget.ranking(), widget.table["Dice"]
    ([1, 0], [1.0, 0.6666666865348816])
    >>> widget.order = "highest first"
    >>> widget.ranking()
    [0, 1]
    """

    images = traitlets.List(traitlets.Unicode()).tag(sync=True)
    errors = traitlets.List(traitlets.Unicode()).tag(sync=True)
    probabilities = traitlets.List(traitlets.Unicode()).tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    counts = traitlets.List().tag(sync=True)
    titles = traitlets.List(traitlets.Unicode()).tag(sync=True)  # a stored dict loses its order
    table = traitlets.Dict().tag(sync=True)
    metric = traitlets.Unicode("Dice").tag(sync=True)
    order = traitlets.Enum(ORDERS, ORDERS[0]).tag(sync=True)
    view = traitlets.Enum(VIEWS, VIEWS[0]).tag(sync=True)
    chosen = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(
        self,
        probability: Sequence[np.ndarray],
        target: Sequence[np.ndarray],
        image: Sequence[np.ndarray],
        scores: Mapping[str, Sequence[float]] | None = None,
        names: Sequence[str] | None = None,
        threshold: float = 0.5,
        **state: str | int,
    ) -> None:
        names = names or [f"no. {i}" for i in range(len(probability))]
        if not 0 <= threshold <= 1:
            raise ValueError(f"expected a threshold from 0 to 1, got {threshold}")
        check_pictures(names, probability, target, image)
        _check_scores(scores or {}, len(names))
        found = [p > threshold for p in probability]
        truth = [t.astype(bool) for t in target]
        counts = [_count(f, t) for f, t in zip(found, truth, strict=True)]
        computed = {n: [score(c, empty=math.nan) for c in counts] for n, score in SCORES.items()}
        columns = computed | dict(scores or {})
        super().__init__(
            images=[photograph(x) for x in image],
            errors=[painted(t + 2 * f, ERRORS) for f, t in zip(found, truth, strict=True)],
            probabilities=[painted(np.round(15 * p).astype(int), GRAYS) for p in probability],
            names=list(names),
            counts=[[int(x) for x in c[:3]] for c in counts],
            titles=list(columns),
            table={
                name: [None if math.isnan(v) else float(v) for v in column]  # JSON has no nan
                for name, column in columns.items()
            },
            **state,
        )
        if "chosen" not in state:
            self.chosen = self.ranking()[0]

    @traitlets.validate("metric", "chosen")
    def _check_state(self, proposal: dict) -> str | int:
        if proposal["trait"].name == "chosen":
            return check_index(proposal, len(self.names))
        if (value := proposal["value"]) in self.table:
            return value
        raise traitlets.TraitError(f"metric: expected one of {list(self.table)}, got {value!r}")

    def __repr__(self) -> str:
        return f"GalleryWidget({len(self.names)} images; {self.metric}, {self.order})"

    def ranking(self) -> list[int]:
        """The numbers of the pictures in the present order."""
        values = self.table[self.metric]
        sign = 1 if self.order == ORDERS[0] else -1
        known = [i for i, value in enumerate(values) if value is not None]
        unknown = [i for i, value in enumerate(values) if value is None]
        return sorted(known, key=lambda i: sign * values[i]) + unknown


def _count(found: np.ndarray, truth: np.ndarray) -> metrics.Counts:
    return metrics.count_pixels(torch.from_numpy(found)[None], torch.from_numpy(truth)[None])


def _check_scores(scores: Mapping[str, Sequence[float]], count: int) -> None:
    for name, values in scores.items():
        if name in SCORES:
            raise ValueError(f"the score {name!r} is computed already; give yours another name")
        if len(values) != count:
            told = f"expected {count} values, one a picture, got {len(values)}"
            raise ValueError(f"score {name!r}: {told}")
        if any(math.isinf(value) for value in values):
            raise ValueError(f"score {name!r} holds infinite values; give nan where there is none")
