"""The pages for everybody: what axe finds, headings in order, pictures told, all by keyboard."""

import re
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Page

from tests.book.conftest import ADDED, HTML, documents, findings

# The theme changes colors only: in the dark, axe looks at nothing else. A narrow window brings
# boxes that scroll, which the keyboard has to reach.
DESK = {"width": 1280, "height": 900}
COLORS = ["color-contrast", "link-in-text-block"]
NARROW = ["scrollable-region-focusable", "region", "button-name", "link-name"]
# One word of each color stands for all that a page's code has: axe looks at every word.
PLAIN_CODE = """() => { const seen = new Set();
  document.querySelectorAll(".highlight span[class]").forEach((word) => {
    if (seen.has(word.className)) word.replaceWith(...word.childNodes);
    seen.add(word.className);
  }); }"""


def open_page(visit, document: str) -> Page:
    """Show a page in the light theme, without movement, with every fold open."""
    theme = {"color_scheme": "light", "reduced_motion": "reduce"}
    window = visit((HTML / f"{document}.html").as_uri(), viewport=DESK, **theme)
    window.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    window.evaluate(PLAIN_CODE)
    window.wait_for_timeout(500)
    return window


@pytest.mark.parametrize("document", [*documents(), *ADDED])
def test_axe_finds_nothing(visit, document: str) -> None:
    window = open_page(visit, document)
    assert findings(window) == []
    window.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert findings(window, COLORS) == []
    window.set_viewport_size({"width": 390, "height": 900})
    window.wait_for_timeout(500)  # the theme looks which boxes scroll now
    assert findings(window, NARROW) == []


def test_headings_skip_no_level(page: BeautifulSoup) -> None:
    headings = page.select("article :is(h1, h2, h3, h4, h5, h6)")
    levels = [int(heading.name[1]) for heading in headings]
    assert levels[0] == 1
    assert [(one, two) for one, two in pairwise(levels) if two > one + 1] == []


def test_every_picture_is_told_in_words(page: BeautifulSoup) -> None:
    for picture in page.select("article img"):
        words = picture.get("alt", "")
        figure = picture.find_parent("figure")
        caption = figure.select_one(".caption-text") if figure else None
        assert len(re.findall(r"\w+", words)) >= 8, f"{picture['src']} is told as {words!r}"
        assert not caption or words.strip(" .") != caption.get_text().strip(" .")


def test_what_a_check_says_wraps(page: BeautifulSoup) -> None:
    said = [pre for pre in page.select(".cell_output pre") if " yet: " in pre.text[:9]]
    assert [pre.text for pre in said if pre.get("class") != ["told"]] == []


def test_no_name_is_given_twice(page: BeautifulSoup) -> None:
    names = [tag["id"] for tag in page.find_all(id=True)]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def focused(page: Page) -> dict:
    """Return what has the focus, where it stands, and whether one sees that it has."""
    return page.evaluate(
        """() => {
          const e = document.activeElement;
          const outlined = (one) => one && getComputedStyle(one).outlineStyle !== "none"
            && parseFloat(getComputedStyle(one).outlineWidth) >= 2;
          const inside = Object.entries({
            widget: ".unet-widget", article: "article", sidebar: ".bd-sidebar-primary",
          }).find(([, place]) => e.closest(place))?.[0];
          return { tag: e.tagName, text: e.textContent.trim().slice(0, 40), inside,
                   shown: outlined(e) || outlined(e.nextElementSibling) };
        }"""
    )


def test_a_page_by_keyboard_alone(visit) -> None:
    window = open_page(visit, "notebooks/01_theory")
    window.evaluate("document.querySelectorAll('details').forEach(d => { d.open = false; })")
    window.keyboard.press("Tab")
    assert focused(window)["text"] == "Skip to main content"
    window.keyboard.press("Enter")
    seen = []
    while not {"SUMMARY", "widget"} <= {stop[key] for stop in seen for key in ("tag", "inside")}:
        window.keyboard.press("Tab")
        seen.append(focused(window))
        assert seen[-1]["shown"], f"no sign of the focus on {seen[-1]}"
        if seen[-1]["tag"] == "SUMMARY":
            window.keyboard.press("Enter")
            assert window.evaluate("document.activeElement.parentElement.open")
    assert {stop["inside"] for stop in seen} >= {"article", "widget"}
    assert "sidebar" not in {stop["inside"] for stop in seen}
