"""How near two processes come to one: the page on several machines quotes it.

    python results/scaling.py      all runs, about two minutes; interrupted, it goes on

The same 32 pictures and the same first weights, once in one process with batches of 8, once in two
processes with batches of 4 each, without random crops, so that nothing differs but how a batch is
divided. Then the command of the page itself, whose crops each process draws for itself, beside a
second seed of one process.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
import tyro
from table import Row, complete

from unet_lib.data import SimulatedNuclei, cached, foreground
from unet_lib.model import UNet
from unet_lib.training import TrainingSettings, bce_dice_loss, bce_loss, fit

TABLE = Path(__file__).with_suffix(".json")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how long."""

    epochs: int = 5
    """Passes through the pictures."""
    pictures: int = 32
    """Simulated pictures of 64 x 64 pixels."""
    width: int = 8
    """Channels of the first stage."""
    steps: int = 60
    """Steps of the command."""


def losses(norm: str, loss: str, batch_size: int, recipe: Recipe) -> list[float]:
    """The training's validation losses, on its own pictures, in this process."""
    pictures = cached(SimulatedNuclei(recipe.pictures, size=(64, 64), target=foreground))
    torch.manual_seed(0)
    model = UNet(1, 1, width=recipe.width, depth=3, norm=norm)
    settings = TrainingSettings(
        epochs=recipe.epochs, batch_size=batch_size, precision="float32", keep="last"
    )
    function = {"BCE": bce_loss, "BCE + Dice": bce_dice_loss}[loss]
    options = {"loss": function, "settings": settings, "verbose": False}
    return fit(model, pictures, pictures, **options).column("validation_loss")


def divided(recipe: Recipe, norm: str, loss: str) -> Row:
    """One process and two: the largest difference of the losses, relative to the loss."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "losses.json"
        job = json.dumps([norm, loss, 4, asdict(recipe), str(file)])
        _run([*TORCHRUN, __file__, "--job", job])
        two = json.loads(file.read_text())
    one = losses(norm, loss, 8, recipe)
    apart = max(abs(a - b) / a for a, b in zip(one, two, strict=True))
    seconds = round(time.perf_counter() - begin, 1)
    return {"recipe": asdict(recipe), "one": one, "two": two, "apart": apart, "seconds": seconds}


def command(recipe: Recipe, norm: str, processes: int, seed: int) -> Row:
    """The page's command, with fewer steps: the last validation's scores."""
    options = ["--norm", norm, "--seed", str(seed), "--steps", str(recipe.steps)]
    options += ["--batch-size", str(8 // processes), "--width", str(recipe.width)]
    starter = TORCHRUN if processes == 2 else [sys.executable]
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        _run([*starter, "-m", "unet_lib", "train", "--folder", f"{folder}/run", *options])
        last = json.loads((Path(folder) / "run" / "history.json").read_text())[-1]
    names = ("validation_loss", "dice_per_image")
    seconds = round(time.perf_counter() - begin, 1)
    return {name: last[name] for name in names} | {"seconds": seconds}


def _run(arguments: list[str]) -> None:
    alone = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(arguments, env=os.environ | alone, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])


def main() -> None:
    """Does the runs that are not in the table yet."""
    if sys.argv[1:2] == ["--job"]:
        norm, loss, batch_size, recipe, file = json.loads(sys.argv[2])
        found = losses(norm, loss, batch_size, Recipe(**recipe))
        if os.environ["RANK"] == "0":
            Path(file).write_text(json.dumps(found))
        return
    recipe = tyro.cli(Recipe, description=__doc__)
    norms = ("none", "group", "batch")
    plans = [{"norm": norm, "loss": loss} for norm in norms for loss in ("BCE", "BCE + Dice")]
    complete(TABLE, plans, partial(divided, recipe))
    plans = [{"norm": n, "processes": p, "seed": s} for n in norms[1:] for p, s in [(1, 0), (2, 0)]]
    plans += [{"norm": n, "processes": 1, "seed": 1} for n in norms[1:]]
    complete(TABLE, plans, partial(command, recipe))


if __name__ == "__main__":
    main()
