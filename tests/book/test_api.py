"""The library's pages, the links to the chapters and back, the glossary's links, and previews."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup, Tag
from PIL import Image

import unet_lib
from book._ext.glossary import BY_HAND, read_terms, uses
from book._ext.library import Library
from tests.book.conftest import HTML, ROOT, documents, parse


@cache
def library() -> Library:
    return Library(ROOT)


CHAPTERS = [f"notebooks/{path.stem}" for path in library().chapters.values()]


@cache
def places() -> dict[str, Tag]:
    """Map each full name on the library's pages to its place."""
    pages = [parse(HTML / f"{name}.html") for name in documents() if name.startswith("book/api/")]
    return {tag["id"]: tag for page in pages for tag in page.select("[id]")}


SHOWN = [name for name in library().modules if library().shown(name)]


def chapters_linked(tag: Tag) -> set[str]:
    found = [re.search(r"notebooks/(\w+)\.html", a["href"]) for a in tag.select("a[href]")]
    return {match[1] for match in found if match}


@pytest.mark.parametrize("name", SHOWN)
def test_every_public_name_has_an_entry_and_a_chapter(name: str) -> None:
    module = library().modules[name]
    assert library().derived(name), f"{module.path}: its docstring names no chapter of the book"
    section = places()[f"module-{name}"].find_parent("section")
    assert chapters_linked(section)
    for entry in module.entries:
        head = places().get(f"{name}.{entry.name}")
        assert head is not None, f"{name}.{entry.name} is on no page"
        if entry.kind != "data":
            assert chapters_linked(head.find_parent("dl")), f"{entry.name} leads to no chapter"


def test_what_is_left_out_is_the_command_line_and_the_clinic() -> None:
    left_out = {name.split(".", 1)[1] for name in set(library().modules) - {"unet_lib", *SHOWN}}
    rest = {name for name in left_out if not name.startswith(("cli", "course.clinic"))}
    assert rest == {"__main__", "course"}


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chapter_leads_to_its_code(name: str) -> None:
    page = parse(HTML / f"{name}.html")
    block = page.find("p", class_="admonition-title", string="Code of this chapter").parent
    linked = {a["href"].partition("#")[2] for a in block.select("a[href]")}
    key = next(k for k, path in library().chapters.items() if path.stem == Path(name).name)
    used = {n for n in library().uses[key] if not n.startswith("unet_lib.course.exercises")}
    derived = {f"module-{m}" for m in SHOWN if key in library().derived(m)}
    assert used | derived == linked
    assert all("unet_lib" in name for name in linked)


def test_chapters_use_what_their_cells_import() -> None:
    uses = library().uses["5"]
    assert "unet_lib.evaluation.metrics.dice" in uses
    assert "unet_lib.data.simulate.SimulatedNuclei" in uses
    assert "unet_lib.plots.show.show_image" in uses  # through `from unet_lib import plots`


def test_imports_in_code_lead_to_the_library() -> None:
    page = parse(HTML / "notebooks/05_evaluation.html")
    links = {a.get_text(): a["href"] for a in page.select(".highlight a.library")}
    place = "../book/api/data.html#unet_lib.data.simulate.SimulatedNuclei"
    assert links["SimulatedNuclei"] == place
    assert links["plots"].endswith("#module-unet_lib.plots")


def test_signature_examples_and_names_are_rendered() -> None:
    entry = places()["unet_lib.evaluation.metrics.confusion_matrix"].find_parent("dl")
    assert 'Int[Tensor, "N K K"]' in entry.dt.get_text().replace("'", '"')
    assert entry.select_one(".highlight-pycon a, .highlight-pycon .gp").get_text().strip() == ">>>"
    assert entry.select_one('a[href="#unet_lib.evaluation.metrics.count_pixels"]')
    section = places()["unet_lib.transforms.warp.random_rotation"].find_parent("dl")
    heads = [strong.get_text() for strong in section.select("p > strong")]
    assert heads[:2] == ["Arguments", "Raises"]


# -- Glossary and cross-references


@cache
def terms() -> dict[str, str]:
    return read_terms((ROOT / "book" / "glossary.md").read_text(encoding="utf-8"))


def prose(page: BeautifulSoup) -> str:
    """Return the text of a page's paragraphs, without links, code, formulas and captions."""
    paragraphs = [p for p in page.select("article p") if not p.find_parent("figcaption")]
    return "\n".join(
        "".join(
            " " if text.find_parent(["a", "code"]) else text for text in p.find_all(string=True)
        )
        for p in paragraphs
        if "admonition-title" not in p.get("class", [])
    )


def unlinked(page: BeautifulSoup) -> set[str]:
    """Return the terms that the paragraphs of a page use and none of them links."""
    places = {
        a["href"].partition("#term-")[2].replace("-", " ").lower()
        for a in page.select('article a[href*="glossary.html#term-"]')
    }
    left = {term for term in terms() if term.replace("-", " ") not in places} - BY_HAND
    return left & {term for term, _ in uses(prose(page), terms())}


@pytest.mark.parametrize("name", CHAPTERS)
def test_terms_of_the_glossary_are_linked(name: str) -> None:
    assert unlinked(parse(HTML / f"{name}.html")) == set()


@pytest.mark.parametrize("name", [n for n in documents() if not n.startswith("book/api/")])
def test_chapters_are_mentioned_by_links(name: str) -> None:
    assert re.findall(r"[Cc]hapters? \d+\w?.{0,30}", prose(parse(HTML / f"{name}.html"))) == []


# -- Previews, citing


def test_page_has_a_preview(page: BeautifulSoup) -> None:
    tags = {tag["property"]: tag["content"] for tag in page.select('meta[property^="og:"]')}
    assert page.h1.get_text().startswith(tags["og:title"])
    assert len(tags["og:description"]) > 40
    assert tags["og:image"].endswith("_static/preview.png")
    assert len(tags["og:image:alt"]) > 20


def test_preview_is_of_the_usual_size() -> None:
    path = HTML / "_static" / "preview.png"
    with Image.open(path) as picture:
        assert picture.size == (1200, 630)
    assert path.stat().st_size < 100_000


def test_each_chapter_says_how_long_it_ran() -> None:
    for name in CHAPTERS:
        line = parse(HTML / f"{name}.html").select_one("p.running-time").get_text()
        assert re.search(r"a run of \d+ (s|min) on", line)


def test_the_citation_file_is_complete_and_agrees_with_the_book() -> None:
    file = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert file["cff-version"] == "1.2.0"
    assert file["type"] == "software"
    assert file["license"] == "MIT"
    assert file["version"] == unet_lib.__version__
    book = file["preferred-citation"]
    for part in (file, book, *file["references"]):
        assert part["title"]
        assert all({"name"} == set(a) or "family-names" in a for a in part["authors"])
    assert (book["type"], book["license"]) == ("book", "CC-BY-4.0")
    page = parse(HTML / "book/citing.html").select_one("article").get_text()
    for word in (book["title"], book["version"], str(book["year"]), book["authors"][0]["name"]):
        assert word.replace('"', "") in re.sub('[“”"]', "", page)
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert settings["title"] == book["title"]


def test_every_citation_is_in_the_list_and_the_list_has_no_other() -> None:
    listed = {tag["id"] for tag in parse(HTML / "book/references.html").select("div.citation")}
    cited = {
        a["href"].partition("#")[2]
        for name in documents()
        for a in parse(HTML / f"{name}.html").select('a[href*="references.html#"]')
    }
    assert {name for name in cited if name} == listed
