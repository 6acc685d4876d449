"""Print the whole book into one PDF, with bookmarks and working links: `make pdf`.

The articles of the built pages are put one after another into one page, where every link from page
to page becomes a link to a place on it. Chromium prints that page twice: after the first time the
contents know their page numbers.
"""

import html
import logging
import posixpath
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Destination, Fit

from tools.browser import MISSING, launch
from tools.toc import parts

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "book" / "_build" / "html"
TARGET = ROOT / "book" / "_build" / "pdf" / "u-net-book.pdf"
STYLE = Path(__file__).with_suffix(".css")
# What works only in a browser, or only leads elsewhere on the same page.
ON_SCREEN = "script, noscript, .headerlink, .toctree-wrapper"
MATHJAX = {"options": {"processHtmlClass": "tex2jax_process|mathjax_process|math|output_area"}}


class Entry(NamedTuple):
    """A line of the table of contents."""

    kind: str  # part, chapter or section
    title: str
    place: str  # the id that it leads to; a part leads nowhere


def slug(document: str) -> str:
    """Name a page within the one page.

    >>> slug("notebooks/01_theory")
    'notebooks-01_theory'
    """
    return document.replace("/", "-")


def relink(document: str, address: str, known: set[str]) -> str | None:
    """Turn the address of a link into one that works in the PDF; None where there is none.

    >>> relink("notebooks/02_model", "01_theory.html#relu", {"notebooks/01_theory"})
    '#notebooks-01_theory--relu'
    >>> relink("notebooks/02_model", "../genindex.html", {"notebooks/01_theory"})
    >>> relink("notebooks/02_model", "https://arxiv.org/abs/1505.04597", set())
    'https://arxiv.org/abs/1505.04597'
    """
    there = urlsplit(address)
    if there.scheme:
        return address
    path = posixpath.normpath(posixpath.join(posixpath.dirname(document), unquote(there.path)))
    target = path.removesuffix(".html") if there.path else document
    if target not in known:
        return None
    return f"#{slug(target)}" + (f"--{unquote(there.fragment)}" if there.fragment else "")


def read(document: str, known: set[str]) -> Tag:
    """Return the article of a built page, ready for paper."""
    text = (HTML / f"{document}.html").read_text(encoding="utf-8")
    article = BeautifulSoup(text[text.index("<article") :], "html.parser").article
    unfold(article)
    for view in article.select('script[type*="widget-view"]'):
        view.replace_with(note("Interactive on the page; this is a still of it."))
    for tag in article.select(ON_SCREEN):
        tag.decompose()
    for tag in article.find_all(id=True):
        tag["id"] = f"{slug(document)}--{tag['id']}"
    for link in article.find_all("a", href=True):
        address = relink(document, link["href"], known)
        link.attrs = {**link.attrs, "href": address} if address else {}
    folder = posixpath.dirname(document)
    for picture in article.find_all("img"):
        picture.attrs.pop("loading", None)  # a still, of which a page takes its time
        picture["src"] = posixpath.normpath(posixpath.join(folder, picture["src"]))
    article["id"] = slug(document)
    return article


def note(text: str) -> Tag:
    """Write a line that only the PDF has."""
    return BeautifulSoup(f'<p class="note">{html.escape(text)}</p>', "html.parser").p


def unfold(article: Tag) -> None:
    """Turn everything that opens on a click into a marked block that is open."""
    for fold in article.find_all("details"):
        fold.name, fold["class"] = "div", ["fold"]
        for twin in fold.select("summary .expanded"):
            twin.decompose()  # the same title again, for the open state
        if title := fold.summary:
            title.name, title.attrs = "p", {"class": "fold-title"}
            title.string = title.get_text(" ", strip=True).replace("Show code cell", "Code cell")
    for closed in article.select(".toggle, .dropdown"):
        closed["class"] = [name for name in closed["class"] if name not in ("toggle", "dropdown")]


def entries(articles: dict[str, Tag]) -> list[Entry]:
    """Return the lines of the table of contents: parts, chapters and their sections."""
    lines = []
    for caption, documents in parts():
        chosen = [articles[document] for document in documents if document in articles]
        lines += [Entry("part", caption, "")] if caption and chosen else []
        for article in chosen:
            lines.append(Entry("chapter", article.h1.get_text().strip(), article["id"]))
            lines += [
                Entry("section", heading.get_text().strip(), heading.parent["id"])
                for heading in article.select("section > h2")
            ]
    return lines


def contents(lines: list[Entry]) -> str:
    """Write the table of contents, with room for page numbers."""
    return "\n".join(
        f'<a class="{kind}" href="#{place}"><span>{html.escape(title)}</span><b></b></a>'
        if place
        else f"<p>{html.escape(title)}</p>"
        for kind, title, place in lines
    )


def assemble(articles: dict[str, Tag], settings: dict) -> str:
    """Write the one page: title, contents and articles."""
    chosen = list(articles)
    page = (HTML / f"{chosen[0]}.html").read_text(encoding="utf-8")
    styles = [
        posixpath.normpath(posixpath.join(posixpath.dirname(chosen[0]), address))
        for address in re.findall(r'<link[^>]*href="([^"?]*\.css)[^>]*>', page)
    ]
    links = "\n".join(f'<link rel="stylesheet" href="{address}">' for address in styles)
    title, author = html.escape(settings["title"]), html.escape(settings["author"])
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">
<title>{title}</title><meta name="author" content="{author}">
{links}
<style>{STYLE.read_text(encoding="utf-8")}</style>
<script>window.MathJax = {MATHJAX}</script>
<script defer src="_static/vendor/mathjax/tex-chtml.js"></script>
</head><body>
<header class="title-page"><img src="_static/logo.svg" alt=""><p class="title">{title}</p>
<p>{author}</p>{settings["html"]["extra_footer"]}</header>
<nav class="book-contents"><h1>Contents</h1>{contents(entries(articles))}</nav>
<main class="bd-content">{"".join(map(str, articles.values()))}</main>
</body></html>"""


def print_page(page: Page, target: Path) -> None:
    """Print a page in the format that its style asks for."""
    page.pdf(path=target, prefer_css_page_size=True, print_background=True, tagged=True)


def places(reader: PdfReader) -> dict[str, Destination]:
    """Return where each id lies that a link of the PDF leads to."""
    return {unquote(name).lstrip("/"): place for name, place in reader.named_destinations.items()}


def number_contents(page: Page, target: Path) -> None:
    """Write the page numbers of a first print into the contents."""
    reader = PdfReader(target)
    numbers = {
        name: reader.get_destination_page_number(place) + 1
        for name, place in places(reader).items()
    }
    page.evaluate(
        """numbers => document.querySelectorAll(".book-contents a").forEach(
             a => { a.lastChild.textContent = numbers[decodeURIComponent(a.hash.slice(1))]; })""",
        numbers,
    )


def add_bookmarks(target: Path, lines: list[Entry], settings: dict) -> None:
    """Add bookmarks (Chromium's own repeat words), and say what the file is."""
    reader = PdfReader(target)
    writer = PdfWriter(clone_from=reader)
    found, chapter = places(reader), None
    for kind, title, place in lines:
        if kind == "part":
            continue
        number = reader.get_destination_page_number(found[place])
        fit = Fit.xyz(left=0, top=found[place].top)
        parent = chapter if kind == "section" else None
        item = writer.add_outline_item(
            title=title, page_number=number, parent=parent, fit=fit, is_open=False
        )
        chapter = item if kind == "chapter" else chapter
    writer.add_metadata({"/Title": settings["title"], "/Author": settings["author"]})
    writer.write(target)


def print_book(page: Page, chosen: list[str], target: Path) -> None:
    """Print the chosen documents into one file, in their order."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    articles = {document: read(document, set(chosen)) for document in chosen}
    target.parent.mkdir(parents=True, exist_ok=True)
    whole = HTML / "_whole-book.html"  # beside the pages, whose files it loads
    whole.write_text(assemble(articles, settings), encoding="utf-8")
    try:
        page.goto(whole.as_uri(), wait_until="load")
        page.wait_for_function("window.MathJax?.startup?.promise", timeout=60_000)
        page.evaluate("MathJax.startup.promise.then(() => null)")
        print_page(page, target)
        number_contents(page, target)
        print_page(page, target)
    finally:
        whole.unlink()
    add_bookmarks(target, entries(articles), settings)


def main() -> int:
    """Print the book, say where it lies, and return the exit status."""
    started = time.perf_counter()
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it wonders at the objects that it adds
    if not (HTML / "index.html").is_file():
        print("The book is not built: run `make book` first.", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = launch(playwright)
        if browser is None:
            print(f"Printing needs a browser: {MISSING}.", file=sys.stderr)
            return 1
        chosen = [document for _, documents in parts() for document in documents]
        print_book(browser.new_page(), chosen, TARGET)
        browser.close()
    pages, size = len(PdfReader(TARGET).pages), TARGET.stat().st_size / 1e6
    seconds = time.perf_counter() - started
    print(f"{TARGET.relative_to(ROOT)}: {pages} pages, {size:.1f} MB, in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
