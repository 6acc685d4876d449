"""The built book: its pages, parsed, and what they were built from."""

from functools import cache
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "book" / "_build" / "html"


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
