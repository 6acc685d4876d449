"""Puts faults of graded severity into real pictures and masks, and asks the doctor.

    python results/doctor.py               all draws, one after the other; interrupted, it goes on
    python results/doctor.py --help        more draws

The faults were written without looking at how the doctor's checks work. A row is a draw: thirty-two
pictures in a row, a fault at one severity (0 is the set as it is), and the causes that were named.
Rows go to results/doctor.json, with their seconds; about five minutes on one thread.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tyro
from PIL import Image
from scipy import ndimage
from table import complete

from unet_lib.data import DSB2018, CamVid, PairedFolder
from unet_lib.doctor import check_dataset, check_folder
from unet_lib.training import Task

HERE = Path(__file__).resolve().parent
COUNT = 32  # pictures in a draw
VOID = 11  # CamVid's pixels that do not count
ROAD, PAVEMENT = 3, 4
THINGS = (2, 6, 8, 9, 10)  # pole, sign, car, pedestrian, cyclist
Pictures = list[np.ndarray]


@dataclass(frozen=True)
class Options:
    """What to measure."""

    draws: int = 2
    """Draws of pictures for each set, fault and severity."""


# --- two sets, as their owner would hand them in: images and masks of classes ------------------


@cache
def whole(kind: str) -> PairedFolder:
    """All training pictures of a set."""
    return {"nuclei": DSB2018, "streets": CamVid}[kind](split="train")


def some_pictures(kind: str, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """So many pictures in a row, each with its labels as whole numbers."""
    dataset = whole(kind)
    start = rng.integers(len(dataset) - COUNT)
    pairs = (dataset.load(int(start) + i) for i in range(COUNT))
    return [(image, labels.astype(int)) for image, labels in pairs]


def nuclei(rng: np.random.Generator) -> tuple[Pictures, Pictures]:
    """DSB2018, up to 192 pixels from the middle of each picture; masks number the nuclei."""
    images, labels = [], []
    for image, mask in some_pictures("nuclei", rng):
        top, left = ((side - 192) // 2 if side > 192 else 0 for side in image.shape[:2])
        cut = slice(top, top + 192), slice(left, left + 192)
        images.append(image[cut])
        labels.append(mask[cut])
    return images, labels


def streets(rng: np.random.Generator) -> tuple[Pictures, Pictures]:
    """CamVid's training frames at a third of their size; masks hold 11 classes, and 11."""
    pairs = some_pictures("streets", rng)
    images = [np.array(Image.fromarray(image).reduce(3)) for image, _ in pairs]
    return images, [mask[1::3, 1::3] for _, mask in pairs]


# --- the faults: each changes a draw, by its severity -------------------------------------------


@dataclass
class Draw:
    """Pictures of one set, their masks, and the chance by which they are spoiled."""

    kind: str  # nuclei or streets
    images: Pictures
    labels: Pictures
    rng: np.random.Generator

    def some(self, share: float) -> np.ndarray:
        """True for a share of the pictures, drawn by chance."""
        return self.rng.permutation(len(self.labels)) < round(share * len(self.labels))


def exchanged(draw: Draw, share: float) -> None:
    """A share of the masks lie with each other's pictures."""
    wrong = draw.rng.permutation(len(draw.labels))[: round(share * len(draw.labels))]
    labels = draw.labels.copy()
    for here, there in zip(wrong, np.roll(wrong, 1), strict=True):
        draw.labels[here] = labels[there]


def slipped(draw: Draw, files: float) -> None:
    """Every picture has the mask of the one so many files further on."""
    draw.labels = draw.labels[int(files) :] + draw.labels[: int(files)]


def offset(draw: Draw, pixels: float) -> None:
    """All masks lie so many pixels too low and too far right."""
    k = int(pixels)
    draw.labels = [np.pad(mask, ((k, 0), (k, 0)), "edge")[:-k, :-k] for mask in draw.labels]


def stretched(draw: Draw, share: float) -> None:
    """All masks are larger by a share, from the upper left corner on."""
    for i, mask in enumerate(draw.labels):
        rows, columns = ((np.arange(side) / (1 + share)).astype(int) for side in mask.shape)
        draw.labels[i] = mask[np.ix_(rows, columns)]


def mirrored(draw: Draw, share: float) -> None:
    """A share of the masks are mirrored left to right."""
    for i in np.flatnonzero(draw.some(share)):
        draw.labels[i] = draw.labels[i][:, ::-1]


def forgotten(draw: Draw, share: float) -> None:
    """A share of the objects was never drawn, in every picture."""
    for i, mask in enumerate(draw.labels):
        if draw.kind == "nuclei":
            objects, behind = mask, np.zeros_like(mask)
        else:
            things = np.isin(mask, THINGS)
            objects, _ = ndimage.label(things)
            near = ndimage.distance_transform_edt(things, return_indices=True)[1]
            behind = mask[tuple(near)]
        numbers = np.unique(objects[objects > 0])
        gone = numbers[draw.rng.random(len(numbers)) < share]
        draw.labels[i] = np.where(np.isin(objects, gone), behind, mask)


def renamed(draw: Draw, share: float) -> None:
    """In a share of the masks nucleus means background, or road means pavement, and the reverse."""
    for i in np.flatnonzero(draw.some(share)):
        mask = draw.labels[i]
        if draw.kind == "nuclei":
            draw.labels[i] = (mask == 0).astype(int)
        else:
            draw.labels[i] = np.select([mask == ROAD, mask == PAVEMENT], [PAVEMENT, ROAD], mask)


def darkened(draw: Draw, factor: float) -> None:
    """All images are darker by a factor, in whole numbers: what lay between is gone."""
    draw.images = [(image / factor).astype(np.uint8) for image in draw.images]


def compressed(draw: Draw, loss: float) -> None:
    """All masks were stored as JPEG, of quality 100 minus the loss."""
    draw.labels = [jpeg(stored(mask, draw.kind), 100 - int(loss)) for mask in draw.labels]


def copied(draw: Draw, share: float) -> None:
    """A share of the second half of the pictures are those of the first, stored as JPEG."""
    half = len(draw.images) // 2
    for i in draw.rng.permutation(half)[: round(share * half)]:
        draw.images[half + i] = jpeg(draw.images[i], 90)
        draw.labels[half + i] = draw.labels[i]


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """What is left of a picture in a JPEG file."""
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def stored(mask: np.ndarray, kind: str) -> np.ndarray:
    """A mask as annotation tools write it: nuclei as 0 and 255, streets as classes."""
    return ((mask > 0) * 255 if kind == "nuclei" else mask).astype(np.uint8)


FAULTS: dict[str, tuple[Callable[[Draw, float], None], tuple[float, ...]]] = {
    "exchanged": (exchanged, (0.05, 0.1, 0.2, 0.5, 1)),
    "slipped": (slipped, (1, 2, 4, 8, 16)),
    "offset": (offset, (1, 2, 4, 8, 16)),
    "stretched": (stretched, (0.02, 0.05, 0.1, 0.2, 0.4)),
    "mirrored": (mirrored, (0.05, 0.1, 0.2, 0.5, 1)),
    "forgotten": (forgotten, (0.1, 0.2, 0.4, 0.6, 0.8)),
    "renamed": (renamed, (0.05, 0.1, 0.2, 0.5, 1)),
    "darkened": (darkened, (4, 16, 64, 128, 255)),
    "compressed": (compressed, (1, 5, 15, 30, 50)),
    "copied": (copied, (0.05, 0.1, 0.2, 0.5, 1)),
}


# --- what the doctor gets to see: files in folders ---------------------------------------------

SETS = {"nuclei": nuclei, "streets": streets}
READ: dict[str, dict[str, Any]] = {
    "nuclei": {"mask_values": {0: 0, 255: 1}},
    "streets": {"mode": "RGB", "num_classes": 11, "ignore_index": VOID},
}
TASKS = {
    "nuclei": Task("foreground"),
    "streets": Task("classes", mode="RGB", num_classes=11, ignore_index=VOID),
}


def spoiled(kind: str, fault: str, severity: float, number: int) -> Draw:
    """The draw of that number, with its fault. Severity 0 leaves it as it is."""
    images, labels = SETS[kind](np.random.default_rng(number))
    draw = Draw(kind, images, labels, np.random.default_rng([number, 1]))
    if severity:
        FAULTS[fault][0](draw, severity)
    return draw


def write(folder: Path, draw: Draw, part: slice) -> None:
    """Images and masks as PNG files of one name."""
    pairs = list(zip(draw.images, draw.labels, strict=True))[part]
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i, (image, mask) in enumerate(pairs):
        mask = mask if mask.dtype == np.uint8 else stored(mask, draw.kind)
        Image.fromarray(image).save(folder / f"images/{i:03}.png", compress_level=1)
        Image.fromarray(mask).save(folder / f"masks/{i:03}.png", compress_level=1)


def causes(folder: Path, kind: str, parts: tuple[str, ...]) -> list[str]:
    """What the doctor names: causes in the files, and if they can be read in the data set."""
    found, datasets = [], []
    for part in parts:
        where = folder / part / "images", folder / part / "masks"
        findings, dataset = check_folder(*where, **READ[kind])
        found += findings
        datasets.append(dataset)
    if all(datasets):
        second = datasets[1] if len(datasets) > 1 else None
        found += check_dataset(datasets[0], TASKS[kind], second)
    return sorted({finding.cause for finding in found})


def measure(kind: str, fault: str, severity: float, draw: int) -> dict[str, Any]:
    """One draw, written to files and looked at."""
    start = time.perf_counter()
    pictures = spoiled(kind, fault, severity, draw)
    parts = {"training": slice(None)}
    if fault == "copied":
        parts = {"training": slice(COUNT // 2), "validation": slice(COUNT // 2, None)}
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for part, which in parts.items():
            write(Path(folder) / part, pictures, which)
        found = causes(Path(folder), kind, tuple(parts))
    return {"causes": found, "seconds": round(time.perf_counter() - start, 1)}


if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    severities = [("none", 0.0), ("copied", 0.0)]
    severities += [(fault, s) for fault, (_, dial) in FAULTS.items() for s in dial]
    plans = [
        {"kind": kind, "fault": fault, "severity": severity, "draw": draw}
        for draw in range(options.draws)
        for fault, severity in severities
        for kind in SETS
    ]
    complete(HERE / "doctor.json", plans, measure)
