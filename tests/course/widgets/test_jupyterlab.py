"""The widgets in JupyterLab: drawn by its own widget manager, moved by keys, known to Python."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("jupyterlab", reason="no JupyterLab: install the extra [lab]")

CELLS = [
    """import numpy as np
from unet_lib.course.widgets import AugmentationWidget, ConvolutionWidget, ThresholdWidget

probability = np.random.default_rng(0).random((24, 24))
convolution = ConvolutionWidget(np.ones((4, 4)), 3)
convolution""",
    "threshold = ThresholdWidget(probability, probability > 0.4, probability)\nthreshold",
    "augmentation = AugmentationWidget(probability, (probability > 0.7).astype(int))\naugmentation",
    'print("state:", convolution.step, convolution.kernel[0], threshold.threshold)\n'
    'print("rotation:", augmentation.rotation)',
]


def wait_for(address: str, server: subprocess.Popen) -> None:
    for _ in range(120):
        assert server.poll() is None, "JupyterLab ended"
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"no answer from {address}")


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that knows one notebook, with settings of its own."""
    cells = [new_code_cell(cell) for cell in CELLS]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "probe.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    home = {f"JUPYTER_{name}": str(tmp_path / name) for name in places}
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token="]
    options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    options += [f"--ServerApp.root_dir={tmp_path}"]
    with Path(tmp_path / "log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=os.environ | home, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api", server)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_widgets_draw_and_answer_to_keys(browser, lab):
    page = browser.new_page(viewport={"width": 1200, "height": 2000})
    page.set_default_timeout(90_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{lab}/lab/tree/probe.ipynb?reset")
    cells = page.locator(".jp-CodeCell .cm-content")
    page.get_by_text("| Idle").wait_for()  # what is run before the kernel is there is lost
    cells.first.click()
    for _ in CELLS[:-1]:
        page.keyboard.press("Shift+Enter")
    names = (".uw-convolution", ".uw-threshold", ".uw-augmentation")
    convolution, threshold, augmentation = map(page.locator, names)
    augmentation.wait_for()

    convolution.get_by_label("Step", exact=True).press("ArrowRight")
    assert "Step 2 of 4" in convolution.locator("output").inner_text()
    convolution.get_by_label("kernel, row 1, column 1", exact=True).focus()
    page.keyboard.type("5")
    page.keyboard.press("ArrowRight")  # to the next cell of the grid, not of the notebook
    page.keyboard.type("-2")
    assert convolution.locator(".uw-sum").inner_text().startswith("1·5 + 1·(−2) + 1·1")
    threshold.get_by_label("Threshold", exact=True).press("ArrowRight")
    assert "At threshold 0.51" in threshold.locator("output").inner_text()
    augmentation.get_by_label("Rotation").press("ArrowRight")

    cells.last.click()
    page.keyboard.press("Control+Enter")
    page.get_by_text("state: 1 [5, -2, 1] 0.51").wait_for()
    page.get_by_text("rotation: 1").wait_for()
    assert errors == []
