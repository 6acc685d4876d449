"""One look for one thing: headings, traps and failures, as the browser shows them."""

import re

import pytest
from bs4 import BeautifulSoup

from tests.book.conftest import HTML, documents, parse

NOTEBOOKS = [name for name in documents() if name.startswith("notebooks/")]
STYLE = "(e, keys) => keys.map(key => getComputedStyle(e)[key])"
COLOR = """(e, name) => {
  const probe = document.createElement("i");
  probe.style.color = `var(--pst-color-${name})`;
  e.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}"""


def trap_titles(page: BeautifulSoup) -> list[str]:
    """Return the titles of all that is about one trap."""
    titles = page.select("article :is(h2, h3, .admonition-title)")
    named = [t for t in titles if re.match(r"(The trap|Trap)\b", t.get_text())]
    several = page.select("article section:has(> h2:-soup-contains-own('Traps')) > section > h3")
    return [title.get_text() for title in [*named, *several]]


def test_a_section_is_visibly_more_than_a_part_of_it(visit, roots) -> None:
    page = visit(f"{roots['file']}/notebooks/01_theory.html")
    keys = ["fontSize", "fontWeight", "borderTopWidth"]
    two, three = (page.locator(f"article {h}").first.evaluate(STYLE, keys) for h in ("h2", "h3"))
    assert float(two[0][:-2]) > 1.3 * float(three[0][:-2])
    assert int(two[1]) > int(three[1])
    assert (two[2], three[2]) == ("1px", "0px")


@pytest.mark.parametrize("document", NOTEBOOKS)
def test_every_trap_has_the_same_edge_and_sign(visit, roots, document: str) -> None:
    titles = trap_titles(parse(HTML / f"{document}.html"))
    if not titles:
        pytest.skip("no trap on this page")
    page = visit(f"{roots['file']}/{document}.html", viewport={"width": 1280, "height": 900})
    traps = page.locator("article .trap").all()
    assert len(traps) >= len(titles)
    for trap in traps:
        width, color = trap.evaluate(STYLE, ["borderLeftWidth", "borderLeftColor"])
        assert (width, color) == ("4px", trap.evaluate(COLOR, "warning"))
        head = trap.locator("> :is(h2, h3, .admonition-title)")
        assert head.evaluate(STYLE, ["backgroundColor"]) == [trap.evaluate(COLOR, "warning-bg")]
        sign = "(e, when) => getComputedStyle(e, when).content"
        assert {head.evaluate(sign, f"::{when}") for when in ("before", "after")} != {"none"}


@pytest.mark.parametrize("document", ["notebooks/01_theory", "notebooks/13_ship"])
def test_what_failed_on_purpose_has_a_red_edge(visit, roots, document: str) -> None:
    page = visit(f"{roots['file']}/{document}.html")
    failed = page.locator(".cell_output.failed").all()
    assert failed
    for output in failed:
        cell = output.locator("xpath=..")
        assert re.search(r"except .* as \w+:", cell.locator(".cell_input").inner_text())
        width, color = output.evaluate(STYLE, ["borderLeftWidth", "borderLeftColor"])
        assert (width, color) == ("4px", output.evaluate(COLOR, "danger"))
