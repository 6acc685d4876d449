"""What the images of a training were, so that others can be told from them (chapter 5)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped
from torch.utils.data import Dataset

from unet_lib.data.base import origin
from unet_lib.data.crops import Crops
from unet_lib.data.normalize import scale_by_dtype

SOME = 32  # images that are looked at
FACTOR = 4.0  # between values, or sides, from which on they count as others


@dataclass(frozen=True)
class ImageFacts:
    """Types, values and sizes of raw images, from some of a data set; channel and suffixes.

    >>> facts = ImageFacts(("uint8",), 3.0, 190.0, 20.0, 64, 256)
    >>> facts.remarks(np.full((100, 100), 900, np.uint16))
    {'type': 'numbers of type uint16, uint8 in training'}
    """

    types: tuple[str, ...]
    low: float
    """The smallest 1st percentile."""
    high: float
    """The largest 99.8th percentile."""
    contrast: float
    """The smallest difference of both in an image."""
    shortest: int
    longest: int
    """Side of an image, in pixels."""
    channel: int | None = None
    """The one that was read of images with several."""
    suffix: str = ""
    """What the names of masks had at their end."""
    image_suffix: str = ""

    @classmethod
    def of(cls, dataset: Dataset | Sequence[Any]) -> "ImageFacts | None":
        """Of a data set of this library, behind any Subsets; None for others."""
        dataset = dataset.images if isinstance(dataset, Crops) else dataset
        if not isinstance(dataset, Dataset):
            return None
        count = len(dataset)  # type: ignore[arg-type]  # torch declares no length
        indices = np.unique(np.linspace(0, count - 1, min(count, SOME)).astype(int)).tolist()
        places = [origin(dataset, index) for index in indices]
        if not places or places[0] is None:
            return None
        images = [place[0].load(place[1])[0] for place in places if place is not None]
        ends = np.array([np.percentile(image, (1, 99.8)) for image in images], float)
        finite = ends[np.isfinite(ends).all(1)] if len(ends) else ends
        finite = finite if len(finite) else np.array([[0.0, 1.0]])
        sides = [side for image in images for side in image.shape[:2]]
        base = places[0][0]
        return cls(
            tuple(sorted({str(image.dtype) for image in images})),
            float(finite[:, 0].min()),
            float(finite[:, 1].max()),
            float((finite[:, 1] - finite[:, 0]).min()),
            min(sides),
            max(sides),
            getattr(base, "channel", None),
            getattr(base, "suffix", ""),
            getattr(base, "image_suffix", ""),
        )

    def stored(self) -> str:
        """As text, for a checkpoint."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, **stored: Any) -> "ImageFacts":
        """From what a checkpoint holds; names that a later version added are left out."""
        known = {name: stored[name] for name in cls.__annotations__ if name in stored}
        return cls(**known | {"types": tuple(known["types"])})

    def unlike(self, image: Shaped[np.ndarray, "..."], normalize: object) -> str:
        """Why an image of this type would be seen as something else; nothing where it is not."""
        return self.remarks(image).get("type", "") if normalize is scale_by_dtype else ""

    def remarks(self, image: Shaped[np.ndarray, "..."]) -> dict[str, str]:
        """In what an image differs from those of the training, by kind."""
        found = {}
        if str(image.dtype) not in self.types:
            found["type"] = f"numbers of type {image.dtype}, {' and '.join(self.types)} in training"
        else:
            low, high = (float(x) for x in np.percentile(image, (1, 99.8)))
            span = self.high - self.low
            if FACTOR * (high - low) < 2 * self.contrast:
                text = f"values from {low:.4g} to {high:.4g}, less contrast than any in training"
                found["contrast"] = f"{text}: noise may be taken for objects"
            if high - low > FACTOR * span or low < self.low - span or high > self.high + span:
                known = f"{self.low:.4g} to {self.high:.4g}"
                found["values"] = f"values from {low:.4g} to {high:.4g}, {known} in training"
        sides = image.shape[:2]
        if min(sides) * FACTOR < self.shortest or max(sides) > FACTOR * self.longest:
            size, known = "x".join(map(str, sides)), f"{self.shortest} to {self.longest}"
            text = f"{size} pixels, sides of {known} in training: are the objects of one size?"
            found["size"] = text
        return found
