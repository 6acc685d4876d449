"""StarDist with its own defaults on chapter 11's images, for the time our networks took.

    python -m benchmarks.stardist
    python -m benchmarks.stardist --grid 2
    python -m benchmarks.stardist --seconds 60 --output trial.json

StarDist and TensorFlow get an environment of their own, `benchmarks/.stardist/venv`, which is made
if it is missing. What is compared is the time of the processors: one thread trains. StarDist keeps
some of the training images to choose its weights and thresholds by; the test images are predicted
once, and scored by our code. A prediction at every pixel is the default; StarDist's example for
these images predicts at every second one, and takes a third of the time for a step.
"""

import json
import os
import shutil
import statistics
import subprocess
import venv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from benchmarks.throughput import machine
from unet_lib.data import DSB2018
from unet_lib.data.write import write_atomically
from unet_lib.evaluation import score_objects

HERE = Path(__file__).parent
PLACE = HERE / ".stardist"
SCRIPT = HERE / "stardist_train.py"
OURS = HERE.parent / "results" / "touching.json"
PINS = (
    "stardist==0.9.2",
    "csbdeep==0.8.2",
    "tensorflow-cpu==2.21.0",
    "keras==3.15.1",
    "numpy==2.4.6",
    "scipy==1.17.1",
    "scikit-image==0.26.0",
    "numba==0.68.1",
    "h5py==3.14.0",
)


@dataclass(frozen=True)
class Settings:
    """How StarDist is trained."""

    seconds: float | None = None
    """Processor seconds; without a number, the mean of the final networks in touching.json."""
    seed: int = 0
    """Of the first weights, the patches and the augmentation."""
    grid: int = 1
    """Pixels between predictions: 1 is its default, 2 what its example takes."""
    output: Path = HERE / "results" / "stardist.json"
    """Where the row is written."""


def our_seconds(table: Path) -> float:
    """Processor seconds of the final networks for distances, the mean over their seeds."""
    rows = json.loads(table.read_text()) if table.exists() else []
    wanted = {"variant": "final distances", "trained_on": "all"}.items()
    if not (seconds := [row["processor_seconds"] for row in rows if wanted <= row.items()]):
        raise SystemExit(
            f"{table.name}: {len(rows)} rows, but none of the final networks for distances that "
            "learned from all images; run results/touching.py first, or pass --seconds"
        )
    return statistics.mean(seconds)


def environment(folder: Path) -> Path:
    """The Python of an environment with exactly PINS, which is made unless it is there."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "pins.txt"
    if not done.exists() or done.read_text() != "\n".join(PINS):
        print(f"installs {PINS[0]} into {folder.name}", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS], check=True)
        done.write_text("\n".join(PINS))
    return python


def pairs(split: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Images and labels as they are stored."""
    data = DSB2018(split=split)
    images, labels = zip(*(data.load(i) for i in range(len(data))), strict=True)
    return list(images), list(labels)


def train(place: Path, settings: Settings, test: list[np.ndarray]) -> tuple[list, dict]:
    """Labels that StarDist finds in the test images, and what its training took."""
    folder = place / "run"
    shutil.rmtree(folder, ignore_errors=True)  # an earlier run's weights
    folder.mkdir(parents=True)
    images, labels = pairs("train")
    for name, arrays in {"images": images, "labels": labels, "test": test}.items():
        np.savez(folder / f"{name}.npz", *arrays)
    numbers = map(str, (settings.seconds, settings.seed, settings.grid))
    subprocess.run(  # -I: this folder's stardist.py must not hide the library of that name
        [environment(place / "venv"), "-I", SCRIPT, folder, *numbers],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"},
        check=True,
    )
    with np.load(folder / "found.npz") as file:
        found = [file[name] for name in file.files]
    return found, json.loads((folder / "facts.json").read_text())


def table(rows: list[dict]) -> str:
    """AP of the rows as text."""
    lines = [f"{'grid':>4} {'seed':>4} {'s':>6} {'steps':>6}  AP at 0.5, 0.7, 0.9"]
    for row in rows:
        took = f"{row['grid']:4} {row['seed']:4} {row['processor_seconds']:6} {row['steps']:6}"
        for name, ap in row["ap"].items():
            lines.append(f"{took}  " + " ".join(f"{one:.3f}" for one in ap.values()) + f"  {name}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Trains, scores, prints AP and writes the row; an earlier one of this seed and grid goes."""
    settings = tyro.cli(Settings, args=arguments, description=__doc__)
    if settings.seconds is None:
        settings = replace(settings, seconds=our_seconds(OURS))
    test, true = pairs("test")
    found, facts = train(PLACE, settings, test)
    plan = {"candidate": "StarDist", "seed": settings.seed, "grid": settings.grid}
    stored = json.loads(settings.output.read_text()) if settings.output.exists() else {"rows": []}
    rows = [row for row in stored["rows"] if not plan.items() <= row.items()]
    rows.append(plan | {"asked": round(settings.seconds)} | facts | score_objects(found, true))
    print(table(rows))
    about = machine()
    processor = {name: about[name] for name in ("processor", "instructions")} | {"threads": 1}
    text = json.dumps({"machine": processor, "rows": rows}, indent=1) + "\n"
    write_atomically(settings.output, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    main()
