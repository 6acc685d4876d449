"""Make what the page "Try it" shows and runs: a network, simulated nuclei to choose from, a still.

    python tools/demo_pictures.py

Writes book/_static/demo/unet.onnx (the network), nuclei.png (the images, one below the other),
truth.png (their nuclei, numbered), nuclei.json (how many nuclei each of them holds) and still.png
(what the demo shows of the one that opens).
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from unet_lib.data import simulate_nuclei
from unet_lib.plots import show_image, show_mask, style
from unet_lib.shipping.export import export_onnx
from unet_lib.training import Trained

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "book" / "_static" / "demo"
MODEL = ROOT / "results" / "ship.pt"
SEED = 13  # the network was trained on images of other seeds
# The first opens: its threshold matters. Then from well separated to crowded, dim and littered.
INDICES = (10, 22, 25, 40, 1, 31, 4, 3)


def write_network(path: Path) -> None:
    """Write the network as the page runs it."""
    trained = Trained.load(MODEL, device="cpu")
    about = {"license": "MIT", "trained_on": "simulated images of nuclei"}
    export_onnx(trained.model, path, trained.task, ("background", "nucleus"), about)


def write_pictures(folder: Path) -> None:
    """Write all simulated images as one, their nuclei as another one, and their counts."""
    images, labels = zip(*(simulate_nuclei(SEED, index) for index in INDICES), strict=True)
    for name, parts in (("nuclei", images), ("truth", labels)):
        whole = np.concatenate(parts).astype(np.uint8)
        Image.fromarray(whole).save(folder / f"{name}.png", optimize=True)
    counts = [int(each.max()) for each in labels]
    (folder / "nuclei.json").write_text(json.dumps(counts) + "\n", encoding="utf-8")


def write_still(path: Path) -> None:
    """Draw the first image, its probabilities, mask and instances."""
    image, labels = simulate_nuclei(SEED, INDICES[0])
    trained = Trained.load(MODEL, device="cpu", precision="float32")
    mask, instances = trained.mask(image), trained.instances(image)
    style()
    figure, axes = plt.subplots(1, 4, figsize=(8, 2.3))
    show_image(trained.prepare(image), axes[0], f"image: {labels.max()} nuclei", limits=(0, 1))
    show_image(trained.probabilities(image)[0], axes[1], "probability", limits=(0, 1))
    show_mask(mask, axes[2], "mask: probability > 0.5")
    show_mask(instances, axes[3], f"instances: {instances.max()} found")
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    write_network(DEMO / "unet.onnx")
    write_pictures(DEMO)
    write_still(DEMO / "still.png")
