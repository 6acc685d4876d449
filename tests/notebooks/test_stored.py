"""The notebooks as they are committed: run from top to bottom, described, small, self-contained."""

import json
import re
from pathlib import Path

import pytest

from unet_lib.course.widgets.base import script, style

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
LONGEST_CELL = 25
LARGEST_FILE = 1_500_000
LOCAL_PATH = re.compile(
    r"(?<![\w.:/-])(?:/(?:home|Users|root|tmp|mnt|opt|private|var|work)/\w|[A-Z]:\\\w)"
)
EXERCISE = re.compile(r"(?m)^#+ Exercise\b.+")
FOLDED = re.compile(r"(?im)\{dropdown\}|:class:.*\bdropdown\b|<details")

WIDGETS = "application/vnd.jupyter.widget-state+json"

Notebook = dict


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def notebook(path: Path) -> Notebook:
    return json.loads(path.read_text(encoding="utf-8"))


def cells(notebook: Notebook, kind: str) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def source(cell: dict) -> str:
    return "".join(cell["source"])


def texts(output: dict) -> str:
    data = output.get("data", {})
    shown = [data.get(kind, "") for kind in ("text/plain", "text/html", "text/markdown")]
    return "".join("".join(part) for part in [output.get("text", ""), *shown])


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS, "the folder notebooks/ holds no chapter"


def test_cells_ran_once_in_order(notebook: Notebook) -> None:
    counts = [cell["execution_count"] for cell in cells(notebook, "code")]
    assert counts == list(range(1, len(counts) + 1))
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert notebook["metadata"]["run_seconds"] > 0


def test_some_outputs_are_marked_to_be_compared(notebook: Notebook) -> None:
    marked = [cell for cell in cells(notebook, "code") if "nbval-check-output" in tags(cell)]
    assert any(cell["outputs"] for cell in marked)


def test_only_announced_errors(notebook: Notebook) -> None:
    for cell in cells(notebook, "code"):
        errors = [o["ename"] for o in cell["outputs"] if o["output_type"] == "error"]
        announced = "raises-exception" in tags(cell)
        assert bool(errors) == announced, f"{errors or 'no error'} in: {source(cell)}"


def test_no_warning_noise(notebook: Notebook) -> None:
    for cell in cells(notebook, "code"):
        for output in cell["outputs"]:
            assert output.get("name") != "stderr", f"{texts(output)} from: {source(cell)}"
            assert not re.search(r"\w+Warning:", texts(output)), texts(output)


def test_no_path_of_one_machine(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        found = LOCAL_PATH.search(source(cell))
        for output in cell.get("outputs", []):
            traceback = "\n".join(output.get("traceback", []))
            found = found or LOCAL_PATH.search(texts(output) + traceback)
        assert not found, f"{found.group()}… in: {source(cell)}"


def test_every_figure_is_described(notebook: Notebook) -> None:
    for cell in cells(notebook, "code"):
        kinds = {kind for output in cell["outputs"] for kind in output.get("data", {})}
        if not kinds & {"image/png", "image/svg+xml", "image/jpeg"}:
            continue
        settings = cell["metadata"].get("mystnb", {})
        caption = settings.get("figure", {}).get("caption", "")
        alternative = settings.get("image", {}).get("alt", "")
        assert len(caption) >= 10, f"no caption (mystnb.figure.caption): {source(cell)}"
        assert len(alternative) >= 20, f"no alternative text (mystnb.image.alt): {source(cell)}"


def test_every_widget_has_a_still(notebook: Notebook) -> None:
    outputs = [x.get("data", {}) for cell in cells(notebook, "code") for x in cell["outputs"]]
    kinds = [set(data) for data in outputs if "application/vnd.jupyter.widget-view+json" in data]
    cure = "`python -m tools.notebooks --widgets` takes it"
    assert all("image/png" in each for each in kinds), f"a widget has no still: {cure}"


def test_cells_are_short(notebook: Notebook) -> None:
    for cell in cells(notebook, "code"):
        lines = source(cell).splitlines()
        assert 0 < len(lines) <= LONGEST_CELL, f"{len(lines)} lines: {lines[:1]}"


def test_file_is_small(path: Path) -> None:
    assert path.stat().st_size < LARGEST_FILE


def test_three_exercises_with_folded_solutions(notebook: Notebook) -> None:
    if notebook["metadata"].get("kind") == "page":
        pytest.skip("a page to look things up, not a chapter")
    text = "\n".join(source(cell) for cell in cells(notebook, "markdown"))
    exercises = set(EXERCISE.findall(text))
    assert len(exercises) >= 3, f"found the headings {sorted(exercises)}"
    folded = sum("hide-cell" in tags(cell) for cell in cells(notebook, "code"))
    assert folded + len(FOLDED.findall(text)) >= 3, "fewer than three folded solutions"


def test_widgets_run_the_present_code(notebook: Notebook) -> None:
    stored = notebook["metadata"].get("widgets", {}).get(WIDGETS, {"state": {}})["state"]
    for state in (model["state"] for model in stored.values() if "_esm" in model["state"]):
        name = state["_anywidget_id"].split(".")[-2]  # unet_lib.course.widgets.name.Class
        cure = "`python -m tools.notebooks --widgets` renews it"
        assert state["_esm"] == script(name), f"the stored code of {name} is old: {cure}"
        assert state["_css"] == style(name), f"the stored look of {name} is old: {cure}"
