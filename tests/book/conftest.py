"""The built book: its pages, parsed or in a real browser, and what they were built from."""

import gzip
import http.server
import threading
from collections.abc import Callable, Collection, Iterator
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tools.browser import MISSING, launch
from tools.toc import documents

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "book" / "_build" / "html"
PACKED = {".css", ".html", ".js", ".json", ".svg"}  # what servers compress
ADDED = ["search", "genindex"]  # pages that no table of contents lists


@cache
def parse(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """Stop at once where there is nothing to look at."""
    if not (HTML / "index.html").is_file():
        pytest.fail("the book is not built: run `make book` first", pytrace=False)


@pytest.fixture(params=documents())
def document(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def page(document: str) -> BeautifulSoup:
    return parse(HTML / f"{document}.html")


@cache
def packed(path: Path) -> bytes:
    """Return a file as a server sends it."""
    content = path.read_bytes()
    return gzip.compress(content, 6) if path.suffix in PACKED else content


class PackingHandler(http.server.SimpleHTTPRequestHandler):
    """Compresses text, as every usual web server does."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = packed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(content)))
        if path.suffix in PACKED:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    handler = partial(PackingHandler, directory=HTML)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def roots(server: str) -> dict[str, str]:
    """Where the pages lie: on a server, and on the disk."""
    return {"http": server, "file": HTML.as_uri()}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        if browser is None:
            pytest.skip(MISSING)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address in a window of its own, in which nothing may go wrong but `forgiven`."""
    contexts, faults = [], []

    def visit(address: str, forgiven: Collection[str] = (), **options: object) -> Page:
        contexts.append(browser.new_context(**options))
        page, log = contexts[-1].new_page(), {"outside": [], "missing": [], "errors": []}
        faults.extend(log[kind] for kind in log if kind not in forgiven)
        watch(page, log)
        page.goto(address, wait_until="load")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert [fault for log in faults for fault in log] == []


def watch(page: Page, log: dict[str, list[str]]) -> None:
    """Block every request that leaves this machine, and note what goes wrong."""

    def judge(route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            log["outside"].append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/*", judge)
    page.on("console", lambda m: log["errors"].append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: log["errors"].append(str(error)))
    page.on("requestfailed", lambda request: log["missing"].append(request.url))
    page.on("response", lambda r: log["missing"].append(r.url) if r.status >= 400 else None)


def describe(violation: dict) -> str:
    """Write one finding of axe with the first places where it was found."""
    places = [f"{node['target']} {node['html'][:120]}" for node in violation["nodes"][:3]]
    head = f"{violation['id']} ({violation['impact']}): {violation['help']}, "
    return f"{head}{len(violation['nodes'])} times, as at " + "; ".join(places)


def findings(page: Page, rules: list[str] | None = None) -> list[str]:
    """Ask axe about a page: about everything, or about some rules only."""
    options = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    return [describe(found) for found in Axe().run(page, options=options).response["violations"]]
