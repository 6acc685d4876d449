"""The first use of a glossary's term in a chapter is a link to it, wherever the text makes none.

So the notebooks stay readable in JupyterLab, and nobody has to remember which word came first. What
the glossary says is shown where a link is pointed at: book/_static/reading.js reads it from a file.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

GLOSSARY = "book/glossary"
# Words of everyday English, or of two trades: these are linked by hand, where they are meant.
BY_HAND = {"class", "head", "instance", "kernel", "leak", "per image", "pooled", "precision"}
BY_HAND |= {"offset", "recall", "same", "valid"}
NO_PROSE = (nodes.reference, pending_xref, nodes.literal, nodes.title, nodes.caption, nodes.math)


@cache
def read_terms(text: str) -> dict[str, str]:
    """Map the glossary's words in small letters to how they are written there."""
    inside = text.split("```{glossary}")[1].split("```")[0]
    words = [line.strip() for line in inside.splitlines() if re.match(r"\S", line)]
    return {word.lower(): word for word in words}


@cache
def pattern(words: tuple[str, ...]) -> re.Pattern:
    """Match any of the words, long ones first, with either hyphen and a plural ending."""
    ordered = [re.escape(word) for word in sorted(words, key=len, reverse=True)]
    spelled = "|".join(ordered).replace(r"\-", "[-‑]").replace(r"\ ", r"\s+")
    return re.compile(rf"(?<![\w‑-])(?:{spelled})(?:s|es)?(?![\w‑-])", re.IGNORECASE)


def uses(text: str, terms: dict[str, str]) -> Iterator[tuple[str, re.Match]]:
    """Find the terms in a text, in small letters, with their places."""
    for match in pattern(tuple(terms)).finditer(text):
        plain = " ".join(match[0].lower().replace("‑", "-").split())
        yield next(form for form in (plain, plain[:-1], plain[:-2]) if form in terms), match


def linked(doctree: nodes.document) -> set[str]:
    """Return the terms that the page links by itself."""
    links = [node for node in doctree.findall(pending_xref) if node.get("reftype") == "term"]
    return {" ".join(node["reftarget"].lower().split()) for node in links}


def is_prose(node: nodes.Node) -> bool:
    """Say whether a text stands in a paragraph, and in none of what is no prose there."""
    ancestors = []
    while node.parent is not None:
        node = node.parent
        ancestors.append(node)
    return any(isinstance(a, nodes.paragraph) for a in ancestors) and not any(
        isinstance(a, NO_PROSE) for a in ancestors
    )


def link(text: str, term: str, docname: str) -> pending_xref:
    """Return a link to a term, as the role {term} makes it."""
    shown = nodes.inline("", text, classes=["xref", "std", "std-term"])
    where = {"refdomain": "std", "reftype": "term", "reftarget": term, "refdoc": docname}
    return pending_xref("", shown, **where, refexplicit=True, refwarn=True)


def link_first_uses(app: Sphinx, doctree: nodes.document) -> None:
    """Turn the first use of each term in a chapter into a link."""
    docname = app.env.docname
    if not docname.startswith("notebooks/"):
        return
    path = Path(app.srcdir) / f"{GLOSSARY}.md"
    app.env.note_dependency(str(path))
    terms = read_terms(path.read_text(encoding="utf-8"))
    left = set(terms) - linked(doctree) - BY_HAND
    for node in [node for node in doctree.findall(nodes.Text) if is_prose(node)]:
        text, parts, end = node.astext(), [], 0
        for term, match in uses(text, terms):
            if term in left:
                left.remove(term)
                parts += [
                    nodes.Text(text[end : match.start()]),
                    link(match[0], terms[term], docname),
                ]
                end = match.end()
        if parts:
            node.parent.replace(node, [*parts, nodes.Text(text[end:])])


def write_explanations(app: Sphinx, error: Exception | None) -> None:
    """Write what the glossary says on each term into a script that pages load when it is asked."""
    if error or app.builder.format != "html":
        return
    said = {}
    for item in app.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        text = " ".join(item[-1].astext().split())
        said |= {name: text for term in item.findall(nodes.term) for name in term["ids"]}
    script = f"window.EXPLANATIONS = {json.dumps(said, sort_keys=True)};\n"
    Path(app.outdir, "_static", "explanations.js").write_text(script, encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Look at each page once it is parsed, and at the glossary in the end."""
    app.connect("doctree-read", link_first_uses)
    app.connect("build-finished", write_explanations)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
