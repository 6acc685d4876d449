"""Images a second in prediction: the library against a forward pass of the article's network.

    python -m benchmarks.predict
    python -m benchmarks.predict --memory

As in `throughput.py`: one process, rounds in an order that rotates, medians; let nothing else run
meanwhile. With `--memory`, in place of speed, what prediction by tiles holds at most beside the
image and its mask, each size in a process of its own; it is added to the numbers that are stored.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import nn

from benchmarks.throughput import ArticleUNet, Step, in_turns, machine, table
from unet_lib.cli.predict import Predict
from unet_lib.data import simulate_nuclei
from unet_lib.data.write import save_gray
from unet_lib.evaluation import Fast, predict
from unet_lib.model import UNet
from unet_lib.model.fold import fold_batch_norm
from unet_lib.training import Task, Trained, save_checkpoint

FOLDER = "folder of PNG"


@dataclass(frozen=True)
class Settings:
    """What is measured."""

    width: tuple[int, ...] = (16, 64)
    """Channels of the first stage; one comparison each."""
    size: tuple[int, ...] = (512, 256)
    """Height and width of the images of each, in pixels."""
    rounds: int = 7
    """How often each candidate is timed."""
    seconds: float = 3.0
    """About how long it is timed each time; never less than one image."""
    images: int = 32
    """How many are in the folder."""
    compiled: bool = True
    """Let torch.compile have its turn, too: it takes a minute to begin, and a C++ compiler."""
    memory: bool = False
    """Measure the peak of memory."""
    tile: int = 512
    """Height and width of the tiles, in pixels."""
    sides: tuple[int, ...] = (1024, 2048, 4096, 8192)
    """Height and width of the images whose peak is measured."""
    output: Path = Path(__file__).parent / "results" / "predict.json"
    """Where the numbers are written."""


def network(width: int) -> UNet:
    """One that is sure: of an untrained one, which is not, rounding would change every pixel."""
    torch.manual_seed(0)
    model = UNet(1, 1, width=width, norm="batch").eval()
    nn.init.ones_(model.head.bias)
    return model


def one_by_one(predict_one: Callable[[], object]) -> Step:
    """The same image so many times."""

    def step(images: int) -> None:
        with torch.no_grad():
            for _ in range(images):
                predict_one()

    return step


def folder(root: Path, model: UNet, size: int, images: int) -> Step:
    """`python -m unet_lib predict` from PNG to PNG: so many images a step, its start included."""
    save_checkpoint(root / "unet.pt", model, **Task().stored())
    files = [root / "images" / f"{n}.png" for n in range(images)]
    for n, file in enumerate(files):
        save_gray(file, simulate_nuclei(0, n, (size, size))[0])

    def step(times: int) -> None:
        for _ in range(times):
            Predict(root / "unet.pt", tuple(files), Path(tempfile.mkdtemp(dir=root)))()

    return step


def candidates(settings: Settings, width: int, size: int, root: Path) -> dict:
    """Step and mode by name: the article's network, and one with BatchNorm by the library."""
    model, article = network(width), ArticleUNet(1, width=width).eval()
    trained = Trained(model, Task())
    image = trained.prepare(simulate_nuclei(0, 0, (size, size))[0])
    trained.logits(image)
    way = trained.way
    mode = way.precision + (", folded" if isinstance(way.network, Fast) else "")
    found = {
        "article's forward": (one_by_one(lambda: article(image[None])), "float32"),
        "predict, tiles of 256": (one_by_one(lambda: predict(model, image, tile=256)), "float32"),
        "predict": (one_by_one(lambda: predict(model, image)), "float32"),
        "Trained": (one_by_one(lambda: trained.logits(image)), mode),
        FOLDER: (folder(root, model, size, settings.images), mode),
    }
    if settings.compiled:
        kind = torch.bfloat16 if way.precision == "bf16" else torch.float32
        folded = fold_batch_norm(model).to(kind).to(memory_format=torch.channels_last)
        fast = torch.compile(folded, options={"freezing": True})
        images = image[None].to(kind, memory_format=torch.channels_last)
        found["torch.compile"] = one_by_one(lambda: fast(images)), f"{way.precision}, folded"
    return found


def compare(settings: Settings, width: int, size: int) -> list[dict]:
    """One row for each candidate: its mode, images a second, ratio to the article's forward."""
    with redirect_stdout(StringIO()), tempfile.TemporaryDirectory() as root:  # of the command
        found = candidates(settings, width, size, Path(root))
        steps = {name: step for name, (step, _) in found.items()}
        speeds = in_turns(steps, settings.rounds, settings.seconds)
    speeds[FOLDER] = [settings.images * speed for speed in speeds[FOLDER]]
    median = {name: statistics.median(values) for name, values in speeds.items()}
    return [
        {
            "width": width,
            "size": size,
            "candidate": name,
            "mode": mode,
            "images_per_second": round(median[name], 2),
            "ratio": round(median[name] / median["article's forward"], 2),
            "rounds": [round(speed, 2) for speed in speeds[name]],
        }
        for name, (_, mode) in found.items()
    ]


def status(key: str) -> int:
    """Bytes that this process holds (VmRSS), or held at most (VmHWM); Linux alone tells."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def peak(width: int, side: int, tile: int | None) -> int:
    """Bytes held at most while a mask is predicted, above those before, without the mask's own."""
    trained = Trained(network(width), Task(), precision="float32")  # the same way each time
    noise = np.random.default_rng(0)
    trained.mask(noise.integers(0, 256, (256, 256), np.uint8))  # libraries are loaded
    image = trained.prepare(noise.integers(0, 256, (side, side), np.uint8))
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before = status("VmRSS")
    mask = trained.mask(image, tile)
    return status("VmHWM") - before - mask.nbytes


def peaks(settings: Settings) -> list[dict]:
    """Each size by tiles of the size that is asked for, and as the library chooses."""
    rows, width = [], settings.width[0]
    for side in settings.sides:
        for tile in (settings.tile, None):
            code = f"import benchmarks.predict as b; print(b.peak({width}, {side}, {tile}))"
            told = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
            megabytes = round(int(told.stdout) / 1e6)
            rows.append({"width": width, "side": side, "tile": tile, "megabytes": megabytes})
            print(f"{side:5} pixels, tiles of {tile or 'its choice'}: {megabytes} MB", flush=True)
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints a table and adds the numbers to those that are stored."""
    settings = tyro.cli(Settings, args=arguments, description=__doc__)
    output = settings.output
    stored = json.loads(output.read_text()) if output.exists() else {}
    if settings.memory:
        stored["memory"] = peaks(settings)
    else:
        pairs = zip(settings.width, settings.size, strict=True)
        rows = [row for width, size in pairs for row in compare(settings, width, size)]
        print(", ".join(f"{key} {value}" for key, value in machine().items()))
        print(table(rows))
        asked = {name: getattr(settings, name) for name in ("rounds", "seconds", "images")}
        stored |= {"machine": machine(), "settings": asked, "rows": rows}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
