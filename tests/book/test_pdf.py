"""tools/pdf.py: some pages printed; the whole book takes minutes (`make pdf`)."""

import re
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from playwright.sync_api import Browser
from pypdf import PdfReader
from pypdf.generic import Destination, DictionaryObject

from tests.book.conftest import HTML, documents, parse
from tools import pdf as tool

CHOSEN = ["book/index", "notebooks/01_theory", "book/glossary"]


@pytest.fixture(scope="module")
def printed(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> PdfReader:
    """Print a preface, a chapter with interactive pictures and formulas, and the glossary."""
    target = tmp_path_factory.mktemp("pdf") / "some.pdf"
    page = browser.new_page()
    tool.print_book(page, CHOSEN, target)
    page.close()
    return PdfReader(target)


def links(reader: PdfReader) -> Iterator[DictionaryObject]:
    for page in reader.pages:
        for reference in page.get("/Annots") or []:
            annotation = reference.get_object()
            if annotation["/Subtype"] == "/Link":
                yield annotation


def fonts(reader: PdfReader) -> Iterator[DictionaryObject]:
    for page in reader.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            yield from font.get_object().get("/DescendantFonts", [font])


def flat(outline: list) -> list[Destination]:
    """Return all bookmarks of a PDF in their order, whatever their level."""
    parts = [flat(item) if isinstance(item, list) else [item] for item in outline]
    return [item for part in parts for item in part]


def headings(document: str) -> list[str]:
    found = parse(HTML / f"{document}.html").select("article :is(h1, section > h2)")
    return [heading.get_text().removesuffix("#").strip() for heading in found]


def test_the_book_is_printed_in_the_order_of_its_contents() -> None:
    assert [document for _, part in tool.parts() for document in part] == documents()


def test_bookmarks_are_chapters_and_sections(printed: PdfReader) -> None:
    chapters = [item for item in printed.outline if not isinstance(item, list)]
    titles = [heading for document in CHOSEN for heading in headings(document)]
    assert [item.title for item in chapters] == [headings(document)[0] for document in CHOSEN]
    assert [item.title for item in flat(printed.outline)] == titles
    for item in chapters:
        page = printed.pages[printed.get_destination_page_number(item)]
        assert item.title.split()[0] in page.extract_text()


def test_contents_name_the_pages(printed: PdfReader) -> None:
    lines = printed.pages[1].extract_text().splitlines()
    found = [int(number) for line in lines for number in re.findall(r"\D(\d+)$", line)]
    items = flat(printed.outline)
    assert found == [printed.get_destination_page_number(item) + 1 for item in items]


def test_every_link_leads_into_the_file_or_to_the_web(printed: PdfReader) -> None:
    inside = [link["/Dest"] for link in links(printed) if "/Dest" in link]
    outside = [link["/A"]["/URI"] for link in links(printed) if "/A" in link]
    assert len(inside) > 50
    assert set(inside) <= set(printed.named_destinations)
    assert [address for address in outside if not address.startswith("https://")] == []


def test_text_and_fonts_are_in_the_file(printed: PdfReader) -> None:
    text = "\n".join(page.extract_text() for page in printed.pages)
    assert "Theory: seeing what and where" in text
    for words in ("ArithmeticWidget(size=572", "# Solution:", "Right."):
        assert words in text
    for font in fonts(printed):
        font = font.get_object()
        described = font.get("/FontDescriptor", {})
        assert font["/Subtype"] == "/Type3" or {"/FontFile2", "/FontFile3"} & set(described)


def test_interactive_pictures_stand_still_and_folds_are_open() -> None:
    article = tool.read(CHOSEN[1], set(CHOSEN))
    page = parse(HTML / f"{CHOSEN[1]}.html")
    assert len(article.select(".note")) == len(page.select('script[type*="widget-view"]')) > 0
    assert article.select("details, script") == []
    assert len(article.select("img")) == len(page.select("article img"))
    for picture in article.select("img"):
        assert (HTML / picture["src"]).is_file()


@pytest.mark.parametrize(
    ("missing", "words"),
    [("book", "run `make book` first"), ("browser", "no Chromium or Chrome on this machine")],
)
def test_what_is_missing_is_said(missing, words, tmp_path, monkeypatch, capsys) -> None:
    if missing == "book":
        monkeypatch.setattr(tool, "HTML", tmp_path)
    else:
        monkeypatch.setattr(tool, "sync_playwright", nullcontext)
        monkeypatch.setattr(tool, "launch", lambda playwright: None)
    assert tool.main() == 1
    assert words in capsys.readouterr().err
