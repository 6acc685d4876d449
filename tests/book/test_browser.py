"""The built pages in a real browser: light and dark, desk and phone, no request to the outside."""

import pytest
from playwright.sync_api import Browser, Page

from tests.book.conftest import ADDED, HTML, Log, documents, watch

# Each theme at each width, half of them from a server and half straight from the disk.
VIEWS = [
    ("http", "light", 1280),
    ("http", "dark", 390),
    ("file", "dark", 1280),
    ("file", "light", 390),
]


def open_folds(page: Page) -> None:
    """Open what is folded, so that it is laid out and loaded as well."""
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })")


def check_formulas(page: Page) -> None:
    """Every formula is typeset, without an error."""
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
def test_page_in_the_browser(
    browser: Browser, server: str, document: str, scheme: str, theme: str, width: int
) -> None:
    log = Log()
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
    )
    page = context.new_page()
    watch(page, log)
    root = server if scheme == "http" else HTML.as_uri()
    page.goto(f"{root}/{document}.html", wait_until="load")
    open_folds(page)
    check_formulas(page)
    check_widgets(page)
    page.wait_for_timeout(200)
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    unseen = page.evaluate(
        "[...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => i.src)"
    )
    shown = page.evaluate("document.documentElement.dataset.theme")
    context.close()
    assert log == Log()
    assert unseen == []
    assert shown == theme
    assert wide <= 0, f"the page is {wide} px wider than the window of {width} px"


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_search_finds_a_word(browser: Browser, server: str, scheme: str) -> None:
    log = Log()
    page = browser.new_page()
    watch(page, log)
    root = server if scheme == "http" else HTML.as_uri()
    page.goto(f"{root}/search.html?q=bottleneck")
    page.wait_for_selector('#search-results a[href*="glossary"]', timeout=20_000)
    page.wait_for_load_state("networkidle")  # from a server, the text around each hit is fetched
    page.close()
    assert log == Log()
