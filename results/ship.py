"""Chapter 13's network, trained to be shipped, and what smaller numbers cost it.

    python results/ship.py               everything, about four minutes; interrupted, it goes on
    python results/ship.py --help        fewer pictures, fewer rounds

The very network of chapter 4, with its pictures and settings, in float32 so that it repeats. Writes
`results/ship.pt` and `results/ship.json`: equality of the export with PyTorch, and bytes, Dice and
time of the network in float32, in float16 and in int8. Times are ratios, measured in turn.
"""

import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import tyro
from table import complete

from unet_lib.data import SimulatedNuclei, cached, foreground
from unet_lib.evaluation import Fast, count_pixels, dice
from unet_lib.model import UNet
from unet_lib.shipping.export import export_onnx
from unet_lib.shipping.quantize import halve, quantize
from unet_lib.training import Task, TrainingSettings, fit, load_model, save_checkpoint

HERE = Path(__file__).parent
TABLE = HERE / "ship.json"
CHECKPOINT = HERE / "ship.pt"
CLASSES = ("background", "nucleus")
KINDS = ("float32", "float16", "int8, calibrated", "int8, dynamic")
PYTORCH = ("PyTorch", "PyTorch, folded")


@dataclass(frozen=True)
class Recipe:
    """Chapter 4's section "Nuclei in a minute", and how the files are compared."""

    pictures: int = 800
    """Simulated pictures to learn from, of seed 10; 40 of seed 11 choose the best epoch."""
    epochs: int = 4
    """Passes through them."""
    batch_size: int = 4
    """Pictures for each update of the weights."""
    learning_rate: float = 2e-3
    """The largest rate of the one-cycle schedule."""
    calibration: int = 32
    """Training pictures that show int8 how large the activations are."""
    test_pictures: int = 100
    """Pictures of seed 13, which nothing was chosen by."""
    rounds: int = 15
    """How often each file is timed."""


def nuclei(count: int, seed: int) -> torch.utils.data.Dataset:
    """Simulated pictures of 128x128 pixels, each simulated once, with the nuclei as target."""
    return cached(SimulatedNuclei(count, seed=seed, target=foreground))


def training(recipe: Recipe) -> dict:
    """Trains the network of chapter 4 and stores it."""
    torch.manual_seed(0)
    model = UNet(1, 1, width=16, depth=3, norm="batch")
    settings = TrainingSettings(
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        batch_size=recipe.batch_size,
        precision="float32",
    )
    parts = nuclei(recipe.pictures, 10), nuclei(40, 11)
    history = fit(model, *parts, settings=settings, folder=HERE / "runs" / "ship", resume=True)
    save_checkpoint(CHECKPOINT, model.eval(), **Task().stored())
    return {
        "recipe": asdict(recipe),
        "mode": str(history.mode),
        "validation_dice": [round(row["dice_per_image"], 4) for row in history.rows],
        "training_seconds": round(sum(history.column("seconds")), 1),
    }


def write_onnx(path: Path, recipe: Recipe) -> None:
    """Writes the stored network as ONNX, with all that such a file can say."""
    about = {"license": "MIT", "trained_on": f"{recipe.pictures} simulated pictures of nuclei"}
    export_onnx(load_model(CHECKPOINT), path, Task(), CLASSES, about)


def export(recipe: Recipe) -> dict:
    """Compares the exported network with PyTorch, on pictures of many sizes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unet.onnx"
        write_onnx(path, recipe)
        session, size = open_session(path), path.stat().st_size
    model, rows = load_model(CHECKPOINT), []
    for height, width in ((16, 16), (64, 64), (128, 128), (97, 131), (255, 64), (512, 512)):
        pictures = SimulatedNuclei(4, seed=13, size=(height, width))
        images = torch.stack([pictures[i][0] for i in range(len(pictures))])
        with torch.inference_mode():
            expected = model(images).numpy()
        (found,) = session.run(None, {"images": images.numpy()})
        flips = np.count_nonzero((found > 0) != (expected > 0))
        difference = float(f"{np.abs(found - expected).max():.1g}")
        rows.append({"size": [height, width], "difference": difference, "flips": int(flips)})
    return {"bytes": size, "checkpoint": CHECKPOINT.stat().st_size, "sizes": rows}


def files(recipe: Recipe) -> dict:
    """Bytes, Dice and time of the network in numbers of several kinds."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: Path(folder) / f"{number}.onnx" for number, kind in enumerate(KINDS)}
        full = paths["float32"]
        write_onnx(full, recipe)
        halve(full, paths["float16"])
        shown = nuclei(recipe.calibration, 10)
        quantize(full, paths["int8, calibrated"], (image[None].numpy() for image, _ in shown))
        quantize(full, paths["int8, dynamic"])
        sessions = {kind: open_session(path) for kind, path in paths.items()}
        quality = {kind: scores(session, recipe) for kind, session in sessions.items()}
        sizes = {kind: path.stat().st_size for kind, path in paths.items()}
    masks = {kind: mask for kind, (mask, _) in quality.items()}
    times = {side: ratios(sessions, recipe.rounds, side) for side in (128, 512)}
    return {
        "recipe": asdict(recipe),
        "kinds": {
            kind: {
                "bytes": sizes[kind],
                "dice_of_each_image": quality[kind][1],
                "other_pixels": float(np.mean(masks[kind] != masks["float32"])),
                "time": {str(side): ratio[kind] for side, ratio in times.items()},
            }
            for kind in KINDS
        },
        "pytorch": {
            kind: {str(side): ratio[kind] for side, ratio in times.items()} for kind in PYTORCH
        },
    }


def scores(session: onnxruntime.InferenceSession, recipe: Recipe) -> tuple[np.ndarray, list]:
    """The masks of the test pictures, and the Dice of each."""
    masks, truth = [], []
    for image, target in nuclei(recipe.test_pictures, 13):
        masks.append(session.run(None, {"images": image[None].numpy()})[0][0] > 0)
        truth.append(target > 0)
    found = np.stack(masks)
    each = [
        float(dice(count_pixels(torch.from_numpy(mask)[None], true[None])))
        for mask, true in zip(found, truth, strict=True)
    ]
    return found, [round(value, 4) for value in each]


def ratios(sessions: dict, rounds: int, side: int) -> dict[str, float]:
    """Median seconds for one picture, all in turn, as a multiple of those of float32."""
    image, _ = SimulatedNuclei(1, seed=13, size=(side, side))[0]
    model, batch = load_model(CHECKPOINT), image[None]
    runs = {
        kind: partial(session.run, None, {"images": batch.numpy()})
        for kind, session in sessions.items()
    }
    for kind, network in zip(PYTORCH, (model, Fast(model, "float32")), strict=True):
        runs[kind] = torch.inference_mode()(partial(network, batch))
    seconds: dict[str, list[float]] = {kind: [] for kind in runs}
    for _ in range(rounds):
        for kind, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[kind].append(time.perf_counter() - start)
    medians = {kind: statistics.median(values[1:]) for kind, values in seconds.items()}
    return {kind: round(value / medians["float32"], 3) for kind, value in medians.items()}


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """A session on as many threads as PyTorch uses."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


PARTS = {"training": training, "export": export, "files": files}


def main(recipe: Recipe) -> None:
    """Does the parts that are not in the table yet."""
    plans = [{"part": part} for part in PARTS]
    complete(TABLE, plans, lambda part: PARTS[part](recipe))


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
