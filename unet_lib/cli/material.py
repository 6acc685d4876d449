"""What a run learns from and what it is judged by: the images of `train`, looked at and dealt."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import Subset
from tqdm import tqdm

from unet_lib.data.base import SegmentationDataset
from unet_lib.data.division import digest, divide, refuse_copies
from unet_lib.training.checkpoint import CheckpointError, load_checkpoint
from unet_lib.training.precision import process_state
from unet_lib.training.task import Task

SHOWN = 5  # names in a message
PARTS = ("training", "validation")
_FOR = {"training": "images for training", "validation": "for validation"}


@dataclass(frozen=True)
class Picture:
    """What is known of one image and its labels."""

    name: str
    pixels: int
    labels: frozenset[int]
    """Those that occur, but for pixels that do not count."""
    image: str
    """Equal for images that are equal to the last bit."""
    both: str
    """The same, of image and labels."""


@dataclass(frozen=True)
class Material:
    """All images of a source, dealt out into two parts."""

    dataset: SegmentationDataset
    pictures: list[Picture]
    parts: dict[str, list[int]]

    def of(self, part: str) -> list[Picture]:
        """What is known of the images of a part."""
        return [self.pictures[index] for index in self.parts[part]]

    def images(self, part: str) -> Subset:
        """The images of a part."""
        return Subset(self.dataset, self.parts[part])

    def some(self, part: str, pixels: int) -> Subset:
        """Images of a part with something to judge, by chance, that have so many pixels at most."""
        places, total = [], 0
        for place in np.random.default_rng(0).permutation(self.parts[part]).tolist():
            picture = self.pictures[place]
            if picture.labels and (not places or total + picture.pixels <= pixels):
                places.append(place)
                total += picture.pixels
        return Subset(self.dataset, sorted(places))

    def split(self) -> dict[str, dict[str, str]]:
        """Which image is in which part, as a run stores it."""
        return {part: {p.name: p.both for p in self.of(part)} for part in PARTS}

    def require_something_to_learn(self, task: Task) -> None:
        """Raises ValueError where nothing can be learned, or nothing judged."""
        for part in PARTS:
            if not any(picture.labels for picture in self.of(part)):
                raise ValueError(
                    f"no pixel of the {part} images counts: their masks hold {task.void} alone, "
                    "the value of pixels without a class; draw some classes, or take --ignore-index"
                    " away if it is one"
                )
        shown = {label for picture in self.of("training") for label in picture.labels}
        if len(shown if task.target == "classes" else {label > 0 for label in shown}) < 2:
            raise ValueError(
                f"the masks of all {len(self.of('training'))} training images hold one class alone "
                f"({', '.join(map(str, sorted(shown)[:SHOWN]))}): there is nothing to tell apart; "
                "add images with another one"
            )

    def told(self, task: Task) -> str:
        """How many images there are, and which classes cannot be learned from them."""
        counts = ", ".join(f"{len(self.of(part))} {_FOR[part]}" for part in PARTS)
        shown = {label for picture in self.of("training") for label in picture.labels}
        if not (absent := sorted(set(range(task.num_classes or 0)) - shown)):
            return counts
        which = f"{', '.join(map(str, absent))} never occur{'s' * (len(absent) == 1)}"
        return f"{counts}\nclass {which} in the training images, so it cannot be learned"


def look(dataset: SegmentationDataset, void: int) -> list[Picture]:
    """Reads every image and its labels once."""
    pictures, files = [], [dataset.name(index) for index in range(len(dataset))]
    short = [Path(file).name for file in files]
    names = short if len({*short}) == len(short) else files
    for index in tqdm(range(len(dataset)), "reading", leave=False, unit="image", disable=None):
        image, labels = dataset.load(index)
        values = frozenset(np.unique(labels).tolist()) - {void}
        marks = digest(image), digest(image, labels.astype(np.int64))
        pictures.append(Picture(names[index], labels.size, values, *marks))
    return pictures


def deal(
    dataset: SegmentationDataset, void: int, share: float, seed: int, last: Path | None
) -> Material:
    """The images in two parts: dealt by chance, or as `last`, the run to go on with, has them.

    Raises DataError where an image is in both, and CheckpointError where images of that run are
    missing, or others. New ones are left out, which is said.
    """
    pictures = look(dataset, void)
    stored = {} if last is None else stored_split(last)
    if stored and last is not None:
        parts = _as_stored(pictures, stored, last)
    else:
        dealt = divide(len(pictures), (1 - share, share), seed)
        parts = {part: indices.tolist() for part, indices in zip(PARTS, dealt, strict=True)}
    material = Material(dataset, pictures, parts)
    refuse_copies(*([(p.name, p.image) for p in material.of(part)] for part in PARTS))
    return material


def stored_split(last: Path) -> Mapping[str, Mapping[str, str]]:
    """Which image a run has in which part; nothing where it does not say."""
    return json.loads(load_checkpoint(last).get("about", "{}")).get("split", {})


def _as_stored(
    pictures: Sequence[Picture], stored: Mapping[str, Mapping[str, str]], last: Path
) -> dict[str, list[int]]:
    places = {picture.name: place for place, picture in enumerate(pictures)}
    known = {name: both for part in PARTS for name, both in stored[part].items()}
    missing = [name for name in known if name not in places]
    others = [n for n, both in known.items() if n in places and pictures[places[n]].both != both]
    told = [
        f"{len(names)} {what} ({', '.join(names[:SHOWN])})"
        for what, names in (("are missing", missing), ("hold other pixels or labels", others))
        if names
    ]
    if told:
        raise CheckpointError(
            f"{last}: of the {len(known)} images of this run {' and '.join(told)}; resume with the "
            "same images, or train into another --folder"
        )
    if new := [name for name in places if name not in known]:
        told = f"{len(new)} new images are left out: the run goes on with its own"
        process_state().print(f"{told} ({', '.join(new[:SHOWN])})")
    return {part: [places[name] for name in stored[part]] for part in PARTS}
