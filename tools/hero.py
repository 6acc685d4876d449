"""Draw the two images that the first page opens with: real nuclei, and each of them found.

The network is that of chapter 10, `results/nuclei-real.pt`, and the image one of its test images,
so it needs the data (chapter 3 says how to get it). The files are committed: they are outputs of
the book's own run, as its figures are.
"""

from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from unet_lib import Trained
from unet_lib.data import DSB2018
from unet_lib.plots.colors import LABEL_COLORS, PALETTE

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "book" / "_static"
CHOSEN, HEIGHT, WIDTH = 20, 390, 694  # a test image, and how much of it


def main() -> None:
    """Write hero-image.webp and hero-nuclei.webp."""
    pixels = DSB2018(split="test").load(CHOSEN)[0][:HEIGHT, :WIDTH]
    trained = Trained.load(ROOT / "results" / "nuclei-real.pt", precision="float32")
    gray = trained.prepare(pixels)[0].numpy().clip(0, 1) ** 0.7
    labels = trained.instances(pixels)
    shown = np.repeat(gray[..., None], 3, axis=2)
    palette = np.array([to_rgb(PALETTE[name]) for name in LABEL_COLORS])
    colors = palette[(labels - 1) % len(palette)]
    found = np.where(labels[..., None] > 0, 0.35 * shown + 0.65 * colors, 0.6 * shown)
    for name, picture in {"hero-image": shown, "hero-nuclei": found}.items():
        image = Image.fromarray((255 * picture).round().astype(np.uint8))
        image = image.resize((2 * WIDTH, 2 * HEIGHT), Image.Resampling.LANCZOS)
        image.save(STATIC / f"{name}.webp", quality=72, method=6)
    print(f"test image {CHOSEN}: {labels.max()} nuclei found")


if __name__ == "__main__":
    main()
