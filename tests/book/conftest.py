"""The built book: its pages, parsed or in a real browser, and what they were built from."""

import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tools.browser import MISSING, launch

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "book" / "_build" / "html"
ADDED = ["search", "genindex"]  # pages that no table of contents lists


def documents() -> list[str]:
    """Return the names of all documents in the table of contents, the root first."""
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *chapters]


@cache
def parse(path: Path) -> BeautifulSoup:
    """Return the parsed page."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """Stop at once where there is nothing to look at."""
    if not (HTML / "index.html").is_file():
        pytest.fail("the book is not built: run `make book` first", pytrace=False)


@pytest.fixture(params=documents())
def document(request: pytest.FixtureRequest) -> str:
    """Name one document, such as notebooks/01_theory."""
    return request.param


@pytest.fixture
def page(document: str) -> BeautifulSoup:
    """Return one page, parsed."""
    return parse(HTML / f"{document}.html")


@dataclass
class Log:
    """What went wrong while a page was open."""

    outside: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line in the log for each."""

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    handler = functools.partial(QuietHandler, directory=HTML)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        if browser is None:
            pytest.skip(MISSING)
        yield browser
        browser.close()


def watch(page: Page, log: Log) -> None:
    """Block every request that leaves this machine, and note what goes wrong."""

    def judge(route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            log.outside.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/*", judge)
    page.on("console", lambda m: log.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: log.errors.append(str(error)))
    page.on("requestfailed", lambda request: log.missing.append(request.url))
    page.on("response", lambda r: log.missing.append(r.url) if r.status >= 400 else None)
