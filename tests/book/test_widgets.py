"""Every widget of the built book, moved by keyboard: its sentence and its picture change."""

import json

import pytest
from playwright.sync_api import Locator

from tests.book.conftest import HTML, ROOT, documents, parse

VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]'
CHAPTERS = [name for name in documents() if name.startswith("notebooks/")]
PAGES = [name for name in CHAPTERS if "widget-view" in (ROOT / f"{name}.ipynb").read_text("utf-8")]
FILES = (ROOT / "unet_lib" / "course" / "widgets").glob("*.js")
KINDS = {path.stem for path in FILES if not path.stem.endswith("_steps")} - {"common"}
# What is moved, and by which keys; a slider at its end goes the other way.
SLIDER = ("input[type=range]", ("ArrowRight", "ArrowLeft"))
MOVED = {
    "skips": ("input[type=checkbox]", ("Space",)),
    "gallery": (".uw-thumbs button", ("ArrowRight", "Enter")),
    "gathering": ("input[name=smoothing]", ("End",)),
}
HIGHEST = 720  # pixels, at a width of 1280
PHONE = {"width": 390, "height": 800}
NATURAL = "still => still.decode().then(() => still.naturalHeight / still.naturalWidth)"
DRAWN = """widget => JSON.stringify([
  [...widget.querySelectorAll("canvas")].map(canvas => canvas.toDataURL()),
  [...widget.querySelectorAll("svg, img, .uw-grids, .uw-large")].map(part => part.outerHTML),
])"""


def kind(widget: Locator) -> str:
    """Name a widget, as its module is named: its root has the class uw-NAME."""
    classes = widget.get_attribute("class").split()
    return next(name for name in KINDS if f"uw-{name}" in classes)


def move(widget: Locator) -> None:
    """Move a widget by keyboard until its sentence is another one."""
    part, keys = MOVED.get(kind(widget), SLIDER)
    before, drawn = widget.locator("output").inner_text(), widget.evaluate(DRAWN)
    widget.locator(part).first.focus()
    for key in keys:
        widget.page.keyboard.press(key)
        if widget.locator("output").inner_text() != before:
            break
    assert widget.locator("output").inner_text() != before
    assert widget.evaluate(DRAWN) != drawn


@pytest.mark.parametrize("scheme", ["http", "file"])
@pytest.mark.parametrize("document", PAGES)
def test_each_widget_answers(visit, roots, document: str, scheme: str) -> None:
    page = visit(f"{roots[scheme]}/{document}.html")
    count = len(parse(HTML / f"{document}.html").select(VIEW))
    assert count > 0
    page.wait_for_function(
        "n => [...document.querySelectorAll('.unet-widget output')]"
        ".filter(e => e.textContent).length === n",
        arg=count,
    )
    for widget in page.locator(".unet-widget").all():
        widget.scroll_into_view_if_needed()
        move(widget)


@pytest.mark.parametrize("document", PAGES)
def test_each_widget_fits_a_laptop_and_says_what_it_is_for(visit, roots, document: str) -> None:
    page = visit(f"{roots['file']}/{document}.html", viewport={"width": 1280, "height": 720})
    page.locator(".unet-widget output:not(:empty)").last.wait_for()
    for widget in page.locator(".unet-widget").all():
        for part in ("title", "challenge"):
            assert len(widget.locator(f".uw-{part}").inner_text().split()) >= 2
        assert widget.locator("button.uw-present").is_visible()
        assert widget.bounding_box()["height"] <= HIGHEST, kind(widget)


@pytest.mark.parametrize("document", PAGES)
def test_stills_are_for_paper_and_where_no_script_runs(visit, document: str) -> None:
    count = len(parse(HTML / f"{document}.html").select(VIEW))
    for script in (True, False):
        address = (HTML / f"{document}.html").as_uri()
        what = {"java_script_enabled": script, "viewport": PHONE}
        page = visit(address, forgiven=["missing"], **what)
        widgets, stills = page.locator(".unet-widget"), page.locator("img.still")
        if script:
            widgets.nth(count - 1).wait_for()
            assert not any(still.is_visible() for still in stills.all())
            page.emulate_media(media="print")
        assert not any(widget.is_visible() for widget in widgets.all())
        for still in stills.all():
            still.scroll_into_view_if_needed()
            box, natural = still.bounding_box(), still.evaluate(NATURAL)
            assert box["width"] <= PHONE["width"]
            assert box["height"] / box["width"] == pytest.approx(natural, rel=0.01)
        assert stills.count() == count


def test_every_widget_is_in_the_book() -> None:
    shown = set()
    for name in PAGES:
        for state in parse(HTML / f"{name}.html").select('script[type*="widget-state"]'):
            models = [model["state"] for model in json.loads(state.string)["state"].values()]
            shown |= {model.get("_anywidget_id", "..").split(".")[-2] for model in models}
    assert shown - {""} == KINDS
