"""The built pages in a real browser: light and dark, desk and phone, no request to the outside."""

import pytest
from playwright.sync_api import Page

from tests.book.conftest import ADDED, documents

# Each theme at each width, half of them from a server and half straight from the disk.
VIEWS = [("http", "light", 1280), ("http", "dark", 390)]
VIEWS += [("file", "dark", 1280), ("file", "light", 390)]
UNSEEN = "[...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => i.src)"


def open_folds(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })")


def check_formulas(page: Page) -> None:
    if page.locator(".math").count():
        page.wait_for_function("window.MathJax?.startup?.promise", timeout=20_000)
        page.evaluate("MathJax.startup.promise.then(() => null)")
        assert page.locator(".math mjx-container").count() == page.locator(".math").count()
        assert page.locator("mjx-merror").count() == 0


def check_widgets(page: Page) -> None:
    """Every interactive picture is drawn, from the state stored in the notebook."""
    count = page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count()
    if count:
        page.wait_for_function(
            "n => [...document.querySelectorAll('.widget-subarea')]"
            ".filter(e => e.getBoundingClientRect().height > 10).length === n",
            arg=count,
            timeout=20_000,
        )


@pytest.mark.parametrize("document", [*documents(), *ADDED])
@pytest.mark.parametrize(("scheme", "theme", "width"), VIEWS)
def test_page_in_the_browser(visit, roots, document, scheme, theme, width) -> None:
    window = {"viewport": {"width": width, "height": 900}, "color_scheme": theme}
    page = visit(f"{roots[scheme]}/{document}.html", reduced_motion="reduce", **window)
    open_folds(page)
    check_formulas(page)
    check_widgets(page)
    page.wait_for_timeout(200)
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"the page is {wide} px wider than the window of {width} px"
    assert page.evaluate(UNSEEN) == []
    assert page.evaluate("document.documentElement.dataset.theme") == theme


@pytest.mark.parametrize(
    ("scheme", "word", "place"),
    [
        ("file", "bottleneck", "glossary"),
        ("http", "label_instances", "unet_lib.evaluation.instances.label_instances"),
        ("http", "UNetSettings", "unet_lib.model.unet.UNetSettings"),
        ("http", "watershed", "term-Watershed"),
        ("http", "mixed precision", "glossary"),
    ],
)
def test_search_finds(visit, roots, scheme: str, word: str, place: str) -> None:
    page = visit(f"{roots[scheme]}/search.html?q={word}")
    page.wait_for_selector(f'#search-results a[href*="{place}"]', timeout=20_000)
    page.wait_for_load_state("networkidle")  # from a server, the text around each hit is fetched
