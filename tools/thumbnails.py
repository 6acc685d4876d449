"""Cut the small images of the list of chapters out of the figures that the chapters store.

What each shows is told in `told.json` beside them, in the words of its figure.

    python -m tools.thumbnails

Run after a chapter of which the list shows a part has been executed again.
"""

import base64
import io
import json
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "book" / "_static" / "chapters"
SIZE = 208, 156  # twice the pixels that the list shows
# A figure, and the part of it: left, top, and width, as shares of its own.
PARTS = {
    "00_first_mask": ("first-real", 0.5, 0.5, 0.24),
    "01_theory": ("fig-theory-threshold", 0.0, 0.0, 1.0),
    "02_model": ("fig-model-skips", 0.0, 0.15, 0.32),
    "03_data": ("fig-data-three-masks", 0.25, 0.1, 0.25),
    "04_training": ("fig-history", 0.0, 0.0, 1.0),
    "05_evaluation": ("fig-eval-kinds", 0.67, 0.12, 0.33),
    "06_augmentation": ("fig-aug-blend", 0.0, 0.1, 0.33),
    "07_transfer": ("fig-recognized", 0.0, 0.15, 0.4),
    "08_tuning": ("fig-grid-random", 0.0, 0.0, 1.0),
    "09a_memory": ("fig-tide", 0.0, 0.0, 1.0),
    "09b_convergence": ("fig-convergence-rates", 0.0, 0.0, 1.0),
    "09c_wrong_results": ("fig-wrong-reliability", 0.0, 0.0, 1.0),
    "09d_black_mask": ("fig-mask-masks-of-0-and-1", 0.0, 0.1, 1.0),
    "10_nuclei": ("fig-instances", 0.67, 0.1, 0.33),
    "11_touching": ("fig-touching-offsets", 0.0, 0.1, 1.0),
    "12_classes": ("fig-classes-scenes", 0.0, 0.0, 0.5),
    "13_ship": ("fig-ship-careless", 0.0, 0.0, 1.0),
    "14_paper": ("fig-paper-first", 0.67, 0.1, 0.33),
}


def figure(notebook: dict, name: str) -> tuple[Image.Image, str]:
    """Return the image that a cell stores for the figure of a name, and its alternative text."""
    for cell in notebook["cells"]:
        about = cell["metadata"].get("mystnb", {})
        if about.get("figure", {}).get("name") == name:
            stored = [output["data"]["image/png"] for output in cell["outputs"] if "data" in output]
            return Image.open(io.BytesIO(base64.b64decode(stored[0]))), about["image"]["alt"]
    raise LookupError(f"no figure {name}")


def main() -> None:
    """Write one image a chapter, and what it shows."""
    FOLDER.mkdir(exist_ok=True)
    told = {}
    for stem, (name, left, top, width) in PARTS.items():
        text = (ROOT / "notebooks" / f"{stem}.ipynb").read_text(encoding="utf-8")
        whole, told[stem] = figure(json.loads(text), name)
        whole = whole.convert("RGB")
        across = round(width * whole.width)
        down = min(across * SIZE[1] // SIZE[0], whole.height - round(top * whole.height))
        x, y = round(left * whole.width), round(top * whole.height)
        part = whole.crop((x, y, min(x + across, whole.width), y + down))
        part.thumbnail(SIZE, Image.Resampling.LANCZOS)
        shown = Image.new("RGB", SIZE, "white")
        shown.paste(part, ((SIZE[0] - part.width) // 2, (SIZE[1] - part.height) // 2))
        shown.save(FOLDER / f"{stem}.webp", quality=80, method=6)
    lines = json.dumps(told, indent=1, ensure_ascii=False)
    (FOLDER / "told.json").write_text(f"{lines}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
