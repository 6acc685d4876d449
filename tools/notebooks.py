"""Execute the chapters in place, with a clean kernel each, and store what the pages show.

    python -m tools.notebooks                       all chapters
    python -m tools.notebooks notebooks/01_*.ipynb  some of them
    python -m tools.notebooks --widgets             all, without a run: the widgets' code and stills
                                                    are renewed, their data stays as it ran

What differs from run to run without meaning anything (times of day, versions, random ids) is left
out, so that a change in a stored notebook is a change of its content.
"""

import base64
import io
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from tools.browser import MISSING
from tools.stills import SCALE, STATE, VIEW, photograph, views

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
FEW_COLORS = 2000
VOLATILE = ("execution", "ExecuteTime", "collapsed", "scrolled", "vscode", "colab", "papermill")


def execute(notebook: NotebookNode, folder: Path) -> float:
    """Run every cell in order from the notebooks' folder, and return the seconds that it took."""
    client = NotebookClient(
        notebook,
        timeout=3600,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors only
        resources={"metadata": {"path": str(folder)}},
    )
    started = time.perf_counter()
    client.execute()
    return time.perf_counter() - started


def reachable_models(state: dict, wanted: list[str]) -> list[str]:
    """List the widgets that are shown, and all those that they refer to, in order."""
    found: list[str] = []
    queue = list(wanted)
    while queue:
        model = queue.pop(0)
        if model in found or model not in state:
            continue
        found.append(model)
        queue += re.findall(r"IPY_MODEL_(\w+)", str(state[model]["state"]))
    return found


def tidy_widgets(notebook: NotebookNode, name: str) -> NotebookNode:
    """Keep the widgets that are shown, complete, under ids that do not change from run to run."""
    stored = notebook.metadata.pop("widgets", {}).get(STATE, {"state": {}})
    shown = [output.data[VIEW]["model_id"] for _, output in views(notebook)]
    if not shown:
        return notebook
    missing = sorted(set(shown) - set(stored["state"]))
    if missing:
        sys.exit(f"{name}: {len(missing)} widgets are shown whose state the kernel never sent")
    models = reachable_models(stored["state"], shown)
    stored["state"] = {model: stored["state"][model] for model in models}
    notebook.metadata["widgets"] = {STATE: stored}
    text = nbformat.writes(notebook)
    for number, model in enumerate(models, start=1):
        text = text.replace(model, f"{name}_widget_{number}")
    return nbformat.reads(re.sub(r" object at 0x[0-9a-f]+>", ">", text), as_version=4)


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join what was printed in several pieces: where it was cut is chance."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output.output_type == "stream" == last.output_type and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def shrink(png: str) -> str:
    """Give a figure of few colors a palette, which halves it; a colored photograph stays."""
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    opaque = image.convert("RGBA").getextrema()[3] == (255, 255)
    image = image.convert("RGB")
    if not opaque or image.getcolors(FEW_COLORS) is None:
        return png
    file = io.BytesIO()
    palette = image.quantize(256, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    palette.save(file, "PNG", optimize=True)
    return min(png, base64.b64encode(file.getvalue()).decode(), key=len)


def shrink_pictures(outputs: list[NotebookNode]) -> None:
    """Store the figures of a cell as small as they can be without a change to be seen."""
    for output in outputs:
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = shrink(output.data["image/png"])


def tidy(notebook: NotebookNode, name: str, seconds: float) -> NotebookNode:
    """Leave out what differs from run to run, and record how long the run took."""
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:03d}"
        for key in VOLATILE:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)
            shrink_pictures(cell.outputs)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {
        "name": "python",
        "file_extension": ".py",  # what nbconvert needs to write a script
        "nbconvert_exporter": "python",
    }
    notebook.metadata["run_seconds"] = max(1, round(seconds))
    return tidy_widgets(notebook, name)


def stills(notebook: NotebookNode) -> dict[str, str]:
    """Return the stills that a notebook holds, by the id of their widget."""
    shown = [output.data for _, output in views(notebook)]
    return {data[VIEW]["model_id"]: data["image/png"] for data in shown if "image/png" in data}


def renew_stills(notebook: NotebookNode, earlier: dict[str, str], name: str) -> None:
    """Photograph the widgets; without a browser the earlier stills stay, and a line says so."""
    shown = [output for _, output in views(notebook)]
    if not shown:
        return
    photographs = photograph(notebook)
    if photographs is None:
        print(f"{name}: the earlier stills of its widgets stay, {MISSING}", file=sys.stderr)
        pictures = [earlier.get(output.data[VIEW]["model_id"]) for output in shown]
    else:
        pictures = [shrink(base64.b64encode(png).decode()) for png in photographs]
    for output, png in zip(shown, pictures, strict=True):
        if png:
            width, height = Image.open(io.BytesIO(base64.b64decode(png))).size
            output.data["image/png"] = png
            size = {"width": width // SCALE, "height": height // SCALE}
            output.metadata["image/png"] = size


def renew_code(notebook: NotebookNode) -> None:
    """Give the widgets of a notebook the present JavaScript and CSS of unet_lib."""
    from unet_lib.course.widgets.base import script, style

    stored = notebook.metadata.get("widgets", {}).get(STATE, {"state": {}})
    for state in (model["state"] for model in stored["state"].values()):
        if "_esm" in state:
            name = state["_anywidget_id"].split(".")[-2]  # unet_lib.course.widgets.NAME.Class
            state |= {"_esm": script(name), "_css": style(name)}


def main(arguments: list[str]) -> None:
    """Execute the notebooks named, or all, and write each only when it ran to its end."""
    named = [Path(argument) for argument in arguments if argument != "--widgets"]
    for path in named or sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        earlier = stills(notebook)
        if "--widgets" in arguments:
            renew_code(notebook)
        else:
            print(f"{path.name}: running", flush=True)
            seconds = execute(notebook, path.parent)
            notebook = tidy(notebook, path.stem, seconds)
        renew_stills(notebook, earlier, path.name)
        nbformat.validate(notebook)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
