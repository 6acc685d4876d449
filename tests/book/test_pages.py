"""The built pages, read as files: complete, no dead link, no trace of a failure."""

import json
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from PIL import Image

from book._ext.chapters import number_of
from tests.book.conftest import HTML, ROOT, documents, parse

HIDDEN = {"remove-cell", "remove-output", "remove_cell", "remove_output"}
GLUED = "application/papermill.record/"


def test_every_notebook_is_a_chapter() -> None:
    notebooks = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks == {name for name in documents() if name.startswith("notebooks/")}


def test_index_leads_to_the_first_page() -> None:
    assert f"{documents()[0]}.html" in (HTML / "index.html").read_text(encoding="utf-8")


def targets(page: BeautifulSoup) -> list[str]:
    found = [tag.get("href") for tag in page.find_all(["a", "link"])]
    found += [tag.get("src") for tag in page.find_all(["img", "script", "source", "iframe"])]
    return [target for target in found if target]


def broken(document: str, target: str) -> str | None:
    """Say what is wrong with a link inside the book, or return None."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return None
    here = HTML / f"{document}.html"
    path = (here.parent / unquote(parts.path)).resolve() if parts.path else here
    if not path.is_file():
        return f"{target}: no such file"
    fragment = unquote(parts.fragment)
    if fragment and path.suffix == ".html" and not parse(path).find(id=fragment):
        return f"{target}: no such place on the page"
    return None


def test_every_link_inside_the_book_leads_somewhere(document: str, page: BeautifulSoup) -> None:
    found = [broken(document, target) for target in targets(page)]
    assert [fault for fault in found if fault] == []


def test_nothing_is_loaded_from_elsewhere(page: BeautifulSoup) -> None:
    loaded = [tag.get("src") for tag in page.find_all(["img", "script", "source", "iframe"])]
    styles = page.find_all("link", rel=["stylesheet", "preload", "icon", "preconnect"])
    loaded += [tag.get("href") for tag in styles]
    assert [address for address in loaded if address and urlsplit(address).netloc] == []


def test_no_trace_of_a_failure(page: BeautifulSoup) -> None:
    assert page.select(".problematic, .system-message, .output.stderr") == []
    for output in page.select(".cell:not(.tag_raises-exception) .cell_output"):
        assert "Traceback (most recent call last)" not in output.get_text()
    text = page.select_one("article").get_text()
    for sign in ("WARNING:", "UserWarning", "DeprecationWarning", "```{", ":::{"):
        assert sign not in text


def test_every_picture_names_its_size(page: BeautifulSoup) -> None:
    for picture in page.select('article img[src*="_images/"]'):
        file = HTML / "_images" / picture["src"].rpartition("/")[2]
        if file.suffix == ".svg":
            view = parse(file).svg["viewbox"].split()
            assert [picture["width"], picture["height"]] == view[2:]
        else:
            with Image.open(file) as image:
                assert (int(picture["width"]), int(picture["height"])) == image.size


def test_page_has_one_title_and_a_language(page: BeautifulSoup) -> None:
    assert len(page.select("article h1")) == 1
    assert page.html["lang"] == "en"


def visible(cell: dict) -> list[dict]:
    """Return the outputs of a cell that its page shows: none of those kept for `glue` alone."""
    if HIDDEN & set(cell["metadata"].get("tags", [])):
        return []
    return [
        output
        for output in cell.get("outputs", [])
        if any(not kind.startswith(GLUED) for kind in output.get("data", {"text": ""}))
    ]


def count(outputs: list[dict], kind: str) -> int:
    return sum(any(kind in name for name in output.get("data", {})) for output in outputs)


@pytest.mark.parametrize("name", [name for name in documents() if name.startswith("notebooks/")])
def test_every_stored_output_is_on_the_page(name: str) -> None:
    notebook = json.loads((ROOT / f"{name}.ipynb").read_text(encoding="utf-8"))
    shown = [visible(cell) for cell in notebook["cells"]]
    outputs = [output for cell in shown for output in cell]
    page = parse(HTML / f"{name}.html")
    assert len(page.select("div.cell_output")) == sum(bool(cell) for cell in shown)
    assert len(page.select("div.cell_output img")) == count(outputs, "image/")
    assert len(page.select('script[type*="widget-view"]')) == count(outputs, "widget-view")


def test_figures_count_within_their_chapter() -> None:
    """4.1 to 4.17 in chapter 4, and on through the pages that go deeper."""
    numbers: dict[str, list[int]] = {}
    for name in documents():
        chapter = number_of(name)
        for caption in parse(HTML / f"{name}.html").select(".caption-number"):
            of, _, count = caption.get_text().removeprefix("Fig.").strip().rpartition(".")
            assert of == (chapter or ""), f"{name}: {caption.get_text()}"
            numbers.setdefault(chapter or name, []).append(int(count))
    assert len(numbers) > 10
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())
