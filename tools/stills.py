"""A still of every widget of a notebook: for paper, and for readers without JavaScript.

Chromium mounts the stored state as the book's pages do, with the same book/_static/widgets.js, and
photographs what it drew. A cell's metadata may name traits that differ on its still, such as
`"still": {"step": 3}` where the last step tells more than the first.
"""

import json
import sys
from pathlib import Path

from nbformat import NotebookNode
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as LateError

from tools.browser import launch

MANAGER = Path(__file__).resolve().parent.parent / "book" / "_static" / "widgets.js"
KIND = "application/vnd.jupyter.widget"
STATE, VIEW = f"{KIND}-state+json", f"{KIND}-view+json"
WIDTH = 690  # of the column of text, in pixels; a still has SCALE times as many
SCALE = 2
SECONDS = 30  # until a widget is given up
PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">
<title>Stills</title><style>body {{ margin: 0 }}</style>
{parts}<script>{manager}</script></html>"""
DRAWN = """async () => {
  await Promise.all([...document.images].map((image) => image.decode()));
  await document.fonts.ready;
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
}"""


def views(notebook: NotebookNode) -> list[tuple[NotebookNode, NotebookNode]]:
    """List the outputs that show a widget, each with its cell."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [(cell, x) for cell in code for x in cell.outputs if VIEW in x.get("data", {})]


def scratch_page(notebook: NotebookNode) -> str:
    """Write a page of nothing but the notebook's widgets, each as its still shall show it."""
    stored = json.loads(json.dumps(notebook.metadata["widgets"][STATE]))
    for cell, output in views(notebook):
        model = output.data[VIEW]["model_id"]
        stored["state"][model]["state"].update(cell.metadata.get("still", {}))
    parts = [(VIEW, output.data[VIEW]) for _, output in views(notebook)] + [(STATE, stored)]
    return PAGE.format(
        parts="\n".join(embedded(kind, content) for kind, content in parts),
        manager=MANAGER.read_text(encoding="utf-8"),
    )


def embedded(kind: str, content: dict) -> str:
    r"""Write a part of the state as the built pages hold it.

    >>> embedded("text/plain", {"a": "</p>"})
    '<div><script type="text/plain">{"a": "<\\/p>"}</script></div>'
    """
    text = json.dumps(content).replace("</", "<\\/")
    return f'<div><script type="{kind}">{text}</script></div>'


def shoot(page: Page, notebook: NotebookNode) -> list[bytes]:
    """Mount the widgets of a notebook, and return a PNG of each in the order of the outputs."""
    page.set_content(scratch_page(notebook))
    count, told = len(views(notebook)), ".unet-widget output:not(:empty)"
    try:
        page.wait_for_function(
            "([told, count]) => document.querySelectorAll(told).length === count",
            arg=[told, count],
            timeout=1000 * SECONDS,
        )
    except LateError:
        drawn = page.locator(told).count()
        sys.exit(f"{drawn} of {count} widgets were drawn after {SECONDS} seconds")
    page.evaluate(DRAWN)
    return [widget.screenshot(type="png") for widget in page.locator(".unet-widget").all()]


def photograph(notebook: NotebookNode) -> list[bytes] | None:
    """Return a PNG of each widget in the order of the outputs; None where there is no browser."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        if browser is None:
            return None
        page = browser.new_page(
            viewport={"width": WIDTH, "height": 900},
            device_scale_factor=SCALE,
            color_scheme="light",
            reduced_motion="reduce",
        )
        try:
            return shoot(page, notebook)
        finally:
            browser.close()
