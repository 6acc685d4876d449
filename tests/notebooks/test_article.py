"""Every section of the source article has its place: on the page about it, and in a chapter."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "notebooks" / "99_article.ipynb"
SECTIONS = "1.1 1.2 1.3 2.1 2.2 2.3 2.4 2.5 3.1 3.2 3.3 4.1 4.2 4.3 5".split()  # noqa: SIM905
LINK = re.compile(r"\{doc\}`(?:[^`<]*<)?(\w+)>?`|\]\(/(book/[\w-]+\.md)\)")
MENTION = re.compile(r"[Ss]ections? (\d(?:\.\d)?)(?: (?:to|and) (\d\.\d))?")


def markdown(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def mentioned(text: str) -> set[str]:
    """Return the sections of the article that a text names, ranges included."""
    found = set()
    for first, last in MENTION.findall(re.sub(r"\s+", " ", text)):
        numbers = range(int(first[-1]), int((last or first)[-1]) + 1)
        found |= {f"{first[:-1]}{number}" for number in numbers}
    return found


def test_ranges_are_understood() -> None:
    assert mentioned("Mirrors sections 1.1 to\n  1.3 of …") == {"1.1", "1.2", "1.3"}
    assert mentioned("sections 2.1 and 2.2; Section 5 of") == {"2.1", "2.2", "5"}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_sends_each_section_to_a_chapter_that_names_it(section: str) -> None:
    parts = re.split(r"(?m)^### Section ([\d.]+): .*$", markdown(PAGE))
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(texts) == SECTIONS
    for term in ("The article\n:", "What holds\n:", "Where\n:"):
        assert term in texts[section], f"{section} lacks “{term}”"
    where = texts[section].split("Where\n:")[1]
    targets = [ROOT / (page or f"notebooks/{name}.ipynb") for name, page in LINK.findall(where)]
    assert any(section in mentioned(markdown(target)) for target in targets), targets
