"""What gets a color besides its words (book/_static/book.css).

The verdict of an answer, right or not; what a cell printed when it failed on purpose; and traps,
whether they are a section or a box.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

VERDICTS = {"Right.": "verdict-right", "No.": "verdict-wrong"}
CAUGHT = re.compile(r"^\s*except [^\n]+ as \w+:", re.MULTILINE)
TRAP = re.compile(r"(The )?[Tt]rap\b")


def mark_verdicts(app: Sphinx, doctree: nodes.document) -> None:
    """Give a class to each paragraph that begins with the verdict."""
    for paragraph in doctree.findall(nodes.paragraph):
        first = paragraph.children[0] if paragraph.children else None
        if isinstance(first, nodes.strong) and first.astext() in VERDICTS:
            paragraph["classes"].append(VERDICTS[first.astext()])


def mark_failures(app: Sphinx, doctree: nodes.document) -> None:
    """Give a class to the output of each cell that catches an error and names it."""
    for cell in doctree.findall(nodes.container):
        parts = {each.get("nb_element"): each for each in cell.children if each.children}
        code, output = (parts.get(f"cell_code_{kind}") for kind in ("source", "output"))
        if code and output and CAUGHT.search(code.astext()):
            output["classes"].append("failed")


def title(node: nodes.Node | None) -> str:
    """Return the title of a section or a box, "" where it has none."""
    first = node.children[0] if node is not None and node.children else None
    return first.astext() if isinstance(first, nodes.title) else ""


def mark_traps(app: Sphinx, doctree: nodes.document) -> None:
    """Give a class to boxes and sections on a trap; of a section of several, to each."""
    for box in doctree.findall(nodes.admonition):
        if TRAP.match(title(box)):
            box["classes"].append("trap")
    for section in doctree.findall(nodes.section):
        parts = [part for part in section.children if isinstance(part, nodes.section)]
        alone = title(section) == "Traps" and not parts
        if alone or title(section.parent) == "Traps" or TRAP.match(title(section)):
            section["classes"].append("trap")


def setup(app: Sphinx) -> dict:
    """Look at each page once it is parsed."""
    for mark in (mark_verdicts, mark_failures, mark_traps):
        app.connect("doctree-read", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
