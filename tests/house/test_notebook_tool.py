"""tools/notebooks.py: what it stores does not change from run to run, and widgets are complete."""

import base64
import io

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from tests.course.widgets.conftest import traits
from tools import notebooks as tool
from tools import stills
from unet_lib.course.widgets import ArithmeticWidget

LAYOUT, WIDGET, ORPHAN = "a" * 32, "b" * 32, "c" * 32


def shown(model: str) -> nbformat.NotebookNode:
    data = {"text/plain": "<W object at 0x7f00>", tool.VIEW: {"model_id": model}}
    return new_code_cell("w", outputs=[new_output("display_data", data=data)])


def with_widgets(*models: str) -> nbformat.NotebookNode:
    """Return a notebook with a stored widget, its layout, and one that nobody shows."""
    state = {
        LAYOUT: {"model_name": "LayoutModel", "state": {}},
        WIDGET: {"model_name": "AnyModel", "state": {"layout": f"IPY_MODEL_{LAYOUT}"}},
        ORPHAN: {"model_name": "LayoutModel", "state": {}},
    }
    widgets = {tool.STATE: {"state": state, "version_major": 2, "version_minor": 0}}
    return new_notebook(cells=[shown(model) for model in models], metadata={"widgets": widgets})


def test_widgets_are_kept_with_what_they_refer_to_under_steady_ids() -> None:
    notebook = tool.tidy(with_widgets(WIDGET), "01_theory", seconds=3.4)
    state = notebook.metadata.widgets[tool.STATE].state
    assert set(state) == {"01_theory_widget_1", "01_theory_widget_2"}
    assert state["01_theory_widget_1"]["state"]["layout"] == "IPY_MODEL_01_theory_widget_2"
    data = notebook.cells[0].outputs[0].data
    assert data[tool.VIEW]["model_id"] == "01_theory_widget_1"
    assert data["text/plain"] == "<W>"


def test_a_widget_without_state_is_an_error() -> None:
    with pytest.raises(SystemExit, match="1 widgets are shown whose state the kernel never sent"):
        tool.tidy(with_widgets("d" * 32), "01_theory", seconds=1)


def test_volatile_metadata_goes_and_the_rest_stays() -> None:
    cell = new_code_cell("1", metadata={"execution": {"iopub.execute_input": "now"}, "tags": ["a"]})
    language = {"name": "python", "version": "3.11.7"}
    notebook = new_notebook(cells=[cell], metadata={"language_info": language})
    notebook = tool.tidy(notebook, "name", seconds=12.3)
    assert notebook.cells[0].metadata == {"tags": ["a"]}
    assert notebook.cells[0].id == "cell-001"
    how = {"file_extension": ".py", "nbconvert_exporter": "python"}
    assert notebook.metadata.language_info == {"name": "python"} | how
    assert notebook.metadata.run_seconds == 12


def test_printed_pieces_are_joined() -> None:
    pieces = [new_output("stream", name=name, text=name) for name in ("stdout", "stdout", "stderr")]
    merged = {piece.name: piece.text for piece in tool.merge_streams(pieces)}
    assert merged == {"stdout": "stdoutstdout", "stderr": "stderr"}


def png(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()


def test_figures_of_few_colors_shrink_and_do_not_change() -> None:
    gray = np.random.default_rng(0).integers(0, 200, (90, 90, 1), np.uint8).repeat(4, 2)
    gray[..., 3] = 255
    outputs = [new_output("display_data", data={"image/png": png(gray)})]
    tool.shrink_pictures(outputs)
    stored = outputs[0].data["image/png"]
    assert len(stored) < 0.7 * len(png(gray)), "even of pure noise"
    picture = Image.open(io.BytesIO(base64.b64decode(stored))).convert("RGBA")
    assert np.array_equal(np.asarray(picture), gray)
    assert tool.shrink(stored) == stored


def test_photographs_and_transparent_figures_stay_as_they_are() -> None:
    colors = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    clear = np.zeros((9, 9, 4), np.uint8)
    assert [tool.shrink(png(x)) for x in (colors, clear)] == [png(colors), png(clear)]


@pytest.fixture
def arithmetic() -> nbformat.NotebookNode:
    """Return a notebook with a widget, and what of it is different on the still."""
    widget, notebook = ArithmeticWidget(size=572), with_widgets(WIDGET)
    state = traits(widget) | {"_esm": widget._esm, "_css": widget._css}
    notebook.metadata.widgets[tool.STATE].state[WIDGET]["state"] |= state
    return notebook


def test_widgets_are_photographed_as_their_cell_asks(arithmetic: nbformat.NotebookNode) -> None:
    pictures = []
    for still in ({}, {}, {"size": 588}):
        arithmetic.cells[0].metadata["still"] = still
        tool.renew_stills(arithmetic, {}, "name")
        pictures.append(tool.stills(arithmetic)[WIDGET])
    assert pictures[0] == pictures[1] != pictures[2]
    output = arithmetic.cells[0].outputs[0]
    assert output.metadata["image/png"]["width"] == stills.WIDTH
    size = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).size
    assert size == tuple(stills.SCALE * x for x in output.metadata["image/png"].values())
    assert arithmetic.metadata.widgets[tool.STATE].state[WIDGET]["state"]["size"] == 572


def test_a_widget_that_is_not_drawn_is_an_error(arithmetic, monkeypatch) -> None:
    monkeypatch.setattr(stills, "SECONDS", 0.5)
    arithmetic.metadata.widgets[tool.STATE].state[WIDGET]["state"]["_esm"] = "no module"
    with pytest.raises(SystemExit, match=r"0 of 1 widgets were drawn after 0\.5 seconds"):
        tool.renew_stills(arithmetic, {}, "name")


def test_without_a_browser_the_earlier_stills_stay(monkeypatch, capsys) -> None:
    monkeypatch.setattr(stills, "launch", lambda playwright: None)
    notebook, earlier = with_widgets(WIDGET, ORPHAN), png(np.zeros((4, 6, 3), np.uint8))
    tool.renew_stills(notebook, {WIDGET: earlier}, "01_theory.ipynb")
    first, second = (cell.outputs[0] for cell in notebook.cells)
    assert first.data["image/png"] == earlier
    assert first.metadata["image/png"] == {"width": 3, "height": 2}
    assert "image/png" not in second.data
    assert "01_theory.ipynb: the earlier stills of its widgets stay, no" in capsys.readouterr().err
