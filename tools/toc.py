"""The pages of the book in their order, from the table of contents."""

from collections.abc import Iterator
from pathlib import Path

import yaml

TOC = Path(__file__).resolve().parent.parent / "book" / "_toc.yml"


def parts() -> list[tuple[str, list[str]]]:
    """Return the parts of the book, each a caption and its documents; the first has no caption."""
    toc = yaml.safe_load(TOC.read_text(encoding="utf-8"))
    return [("", [toc["root"]])] + [
        (part["caption"], list(_documents(part["chapters"]))) for part in toc["parts"]
    ]


def documents() -> list[str]:
    """Return the names of all documents, the root first, deeper pages behind their chapter.

    >>> documents()[0]
    'book/index'
    """
    return [name for _, names in parts() for name in names]


def _documents(entries: list[dict]) -> Iterator[str]:
    for entry in entries:
        yield entry["file"]
        yield from _documents(entry.get("sections", []))
