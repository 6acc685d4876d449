"""What a page weighs on its way to the reader, and how soon its text can be read."""

import statistics
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.book.conftest import documents

LIMIT = 1_500_000  # bytes of a page over the wire besides its figures
SECONDS = 1.0  # until the first page can be read


@pytest.fixture
def fresh(browser: Browser) -> Iterator[Page]:
    """Open a window that has nothing in its cache."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def fetched(page: Page, address: str) -> dict[str, int]:
    """Open a page, and return the bytes of each file that the browser fetched but figures."""
    sizes = {}

    def weigh(request) -> None:
        if request.resource_type != "image" and request.url.startswith("http"):
            sizes[request.url.rpartition("/")[2]] = request.sizes()["responseBodySize"]

    page.on("requestfinished", weigh)
    page.goto(address, wait_until="networkidle")
    return sizes


@pytest.mark.parametrize("document", documents())
def test_a_page_is_light(fresh: Page, server: str, document: str) -> None:
    sizes = fetched(fresh, f"{server}/{document}.html")
    heaviest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    assert sizes
    assert sum(sizes.values()) <= LIMIT, f"{sum(sizes.values()):,} bytes, among them {heaviest}"


def test_scripts_come_only_where_they_are_used(fresh: Page, server: str) -> None:
    sizes = fetched(fresh, f"{server}/{documents()[0]}.html")
    assert {"tex-chtml.js", "fontawesome.js", "widgets.js"} & set(sizes) == set()


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_figures_have_their_size_before_they_arrive(browser, server, theme, width) -> None:
    chapter = next(name for name in documents() if "05_" in name)
    sizes = (
        "[...document.querySelectorAll('article img:not(.still, .unet-widget img)')]"
        ".map(i => [i.clientWidth, i.clientHeight])"
    )
    held: list[Route] = []
    viewport = {"width": width, "height": 900}
    with browser.new_context(viewport=viewport, color_scheme=theme) as window:
        page = window.new_page()
        page.route("**/_images/*", lambda route: held.append(route))
        page.goto(f"{server}/{chapter}.html", wait_until="domcontentloaded")
        page.wait_for_function("document.styleSheets.length > 3")
        before = page.evaluate(sizes)
        # What is asked for only now is not held any more: the first route that fits is the latest.
        page.route("**/_images/*", lambda route: route.continue_())
        for route in held:
            route.continue_()
        page.wait_for_load_state("load")
        came = "[...document.images].every(i => i.naturalWidth || i.matches('.still'))"
        assert page.evaluate(came)
        after = page.evaluate(sizes)
    assert len(held) >= 8
    assert before == after


def test_the_first_page_is_readable_within_a_second(browser: Browser, server: str) -> None:
    # The heading is in the document before it is drawn, so wait for the drawing itself.
    painted = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    times = []
    for _ in range(5):
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"{server}/index.html")
            times.append(page.wait_for_function(painted).json_value() / 1000)
    assert statistics.median(times) <= SECONDS, f"readable after {times} s"
