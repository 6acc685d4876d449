"""What the threshold does to the mask, to precision, recall and Dice, to play with (chapter 5)."""

from collections.abc import Sequence

import numpy as np
import traitlets

from unet_lib.course.widgets.pictures import PicturesWidget, stored_pictures

Pictures = np.ndarray | Sequence[np.ndarray]


class ThresholdWidget(PicturesWidget, files="threshold"):
    """A slider for the threshold that a foreground pixel's probability exceeds.

    `probability` float (H, W) in [0, 1], `target` bool (or 0 and 1), `image` of any type (shown
    from its darkest to its brightest pixel): one picture each, or lists of them, named `names`.
    The traits `threshold` (0.01 to 0.99), `picture` and `view` ("errors", "probability" or
    "image") are the state. The notebook stores about a byte a pixel: pass small pictures.

    Raises ValueError, naming the picture, for arrays that do not fit.

    >>> probability = np.array([[0.9, 0.6], [0.4, 0.1]])
    >>> ThresholdWidget(probability, probability > 0.5, probability, threshold=0.7)
    ThresholdWidget(picture 1; threshold=0.70)
    """

    sizes = traitlets.List().tag(sync=True)
    threshold = traitlets.Float(0.5, min=0.01, max=0.99).tag(sync=True)
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
        probabilities, targets, images = groups
        stored = stored_pictures([probabilities], targets, images, names)
        super().__init__(**stored, sizes=[list(x.shape) for x in images], **state)

    def __repr__(self) -> str:
        return f"ThresholdWidget({', '.join(self.names)}; threshold={self.threshold:.2f})"
