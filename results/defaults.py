"""What `train` reaches on real images with no option but what says where and what they are.

    python results/defaults.py               all runs, one after the other; interrupted, it goes on
    python results/defaults.py --seeds 0     fewer

Each run is the command line itself: files as a user would have them, `train` within its own limit
of time, `evaluate` on images that it never saw. Data: in the folder UNET_DATA_DIR, see the README.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from table import Row, complete

from unet_lib.data import read_image
from unet_lib.data.sets.download import data_folder
from unet_lib.data.write import save_gray

TABLE = Path(__file__).with_suffix(".json")
VOID = 11  # what CamVid's masks hold where no class is named
Options = list[str]


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how often."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """One run each."""
    sets: tuple[str, ...] = ("membranes", "dsb2018", "streets")
    """ISBI 2012's slices 0 to 23, the 411 images of nuclei, eight frames of CamVid."""


def membranes(folder: Path) -> tuple[Options, Options]:
    """Writes ISBI 2012's slices as PNG pairs, membranes 255; the last six are kept for the test."""
    stacks = data_folder("isbi2012")
    for number in range(30):
        part = folder / ("train" if number < 24 else "test")
        (part / "images").mkdir(parents=True, exist_ok=True)
        (part / "masks").mkdir(exist_ok=True)
        image, label = (
            read_image(stacks / f"train-{kind}.tif", page=number) for kind in ("volume", "labels")
        )
        save_gray(part / "images" / f"{number:02}.png", image)
        save_gray(part / "masks" / f"{number:02}.png", np.where(label == 0, 255, 0).astype("uint8"))
    values = ["--mask-values", "0:0", "255:1"]
    return _folders(folder / "train") + values, _folders(folder / "test") + values


def dsb2018(folder: Path) -> tuple[Options, Options]:
    """The command line knows where they are."""
    return ["--dataset", "dsb2018"], ["--dataset", "dsb2018"]


def streets(folder: Path) -> tuple[Options, Options]:
    """Links every eighth frame of CamVid's training part, and those of its test's unseen drive."""
    for part, chosen in (("train", slice(None, None, 8)), ("test", slice(None))):
        for kind, annotated in (("images", ""), ("masks", "annot")):
            (folder / part / kind).mkdir(parents=True)
            source = data_folder("CamVid").resolve() / f"{part}{annotated}"
            names = sorted(source.glob("*.png" if part == "train" else "Seq05VD_*.png"))
            for path in names[chosen]:
                (folder / part / kind / path.name).symlink_to(path)
    what = ["--target", "classes", "--mode", "RGB", "--ignore-index", str(VOID)]
    return _folders(folder / "train") + what, _folders(folder / "test")


def always_the_same(folder: Path) -> Row:
    """Scores on the test's streets of the class that most of the training pixels have."""
    train, test = (
        np.concatenate([read_image(path).ravel() for path in sorted(masks.iterdir())])
        for masks in (folder / "train" / "masks", folder / "test" / "masks")
    )
    counts = np.bincount(test[test != VOID], minlength=VOID)
    share = counts[np.bincount(train[train != VOID]).argmax()] / counts.sum()
    return {"baseline": {"pixel_accuracy": share, "mean_iou": share / np.count_nonzero(counts)}}


def run(name: str, seed: int) -> Row:
    """Trains and scores once; seconds are those of `train`, from the shell's side."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        train, test = SETS[name](folder)
        begin = time.perf_counter()
        _shell("train", *train, "--seed", str(seed), "--folder", str(folder / "run"))
        seconds = time.perf_counter() - begin
        best = str(folder / "run" / "best.pt")
        scored = json.loads(_shell("evaluate", best, *test, "--json"))
        history = json.loads((folder / "run" / "history.json").read_text())
        baseline = always_the_same(folder) if name == "streets" else {}
    result = {"seconds": round(seconds, 1), "test_images": scored["images"]}
    return result | baseline | {"scores": scored["scores"], "last": history[-1]}


def _folders(folder: Path) -> Options:
    return ["--images", str(folder / "images"), "--masks", str(folder / "masks")]


def _shell(*arguments: str) -> str:
    command = [sys.executable, "-m", "unet_lib", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


SETS = {"membranes": membranes, "dsb2018": dsb2018, "streets": streets}


if __name__ == "__main__":
    recipe = tyro.cli(Recipe, description=__doc__)
    plans = [{"name": name, "seed": seed} for seed in recipe.seeds for name in recipe.sets]
    complete(TABLE, plans, run)
