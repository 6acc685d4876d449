"""The directive {api}: what modules of `unet_lib` offer, with links to their chapters and back.

Everything is read from the source by library.py and written as Markdown in memory: building the
book imports nothing of the library, and no page is generated on disk.
"""

import json
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from docutils import nodes
from library import PACKAGE, Entry, Library, Module
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

HEADINGS = ("Args:", "Returns:", "Raises:", "Yields:", "Example:", "Examples:")


def library(env: BuildEnvironment) -> Library:
    """Read the library once a build, and only where a page has to be made anew."""
    if not hasattr(env.app, "unet_lib"):
        env.app.unet_lib = Library(Path(env.srcdir))
    return env.app.unet_lib


def dependent(env: BuildEnvironment) -> Library:
    """Return the library, and have the present page read again when the library changes."""
    found = library(env)
    paths = [module.path for module in found.modules.values()] + [*found.chapters.values()]
    for path in [*paths, Path(__file__), Path(env.srcdir, "book", "_toc.yml")]:
        env.note_dependency(str(path))
    return found


def chapter_links(found: Library, keys: Iterable[str]) -> str:
    """Write "chapter 5" or "chapters 6, 9c", each a link."""
    keys = list(keys)
    links = [f"[{key}](/notebooks/{found.chapters[key].name})" for key in keys]
    return f"chapter{'s' * (len(keys) > 1)} {', '.join(links)}"


def origin(found: Library, module: str, name: str = "") -> str:
    """Say which chapters derive a module, or a name in it, and which others use the name."""
    derived = found.derived(module)
    used = [key for key in found.used_in(f"{module}.{name}") if key not in derived]
    words = [f"Belongs to {chapter_links(found, derived)}"] * bool(derived)
    words += [f"used in {chapter_links(found, used)}"] * bool(used)
    text = "; ".join(words)
    return f"{{.api-chapters}}\n{text[:1].upper()}{text[1:]}.\n" if text else ""


def unnumbered(doc: str) -> str:
    """Drop "(chapter 5)" from a module's docstring: the page says it with links."""
    return re.sub(r"\s*\([^()]*\bchapters? \d[^()]*\)", "", doc, count=1)


def prose(text: str, found: Library, module: Module, own: str) -> str:
    """Link the names in `backticks` that have an entry of their own."""

    def link(match: re.Match) -> str:
        name = found.find(match[1], module)
        known = name and name not in (f"{module.name}.{own}", module.name)
        return f"{{py:obj}}`{match[1]} <{name}>`" if known else match[0]

    text = re.sub(r"(?<!\})`([A-Za-z_][\w.]*)`", link, text)
    known = "|".join(found.chapters)
    return re.sub(rf"\bchapter ({known})\b", lambda m: chapter_links(found, [m[1]]), text)


def markdown(doc: str, found: Library, module: Module, own: str = "") -> str:
    """Turn a docstring into Markdown: examples fenced, sections and their items marked."""
    written = []
    for block in re.split(r"\n\s*\n", doc):
        first, _, rest = block.partition("\n")
        if first in HEADINGS:
            written.append(f"**{first.removesuffix(':').replace('Args', 'Arguments')}**")
            block = textwrap.dedent(rest)
            if first in ("Args:", "Raises:"):
                block = re.sub(r"(?m)^(\w+): ", r"- `\1`: ", block)
        block = textwrap.dedent(block)
        example = block.startswith(">>>")
        written.append(f"```pycon\n{block}\n```" if example else prose(block, found, module, own))
    return "\n\n".join(written)


def directive(entry: Entry, found: Library, module: Module, chapters: str = "") -> str:
    """Write the directive of Sphinx's Python domain for one entry, its members inside."""
    options = [f":{key}: {value}".rstrip() for key, value in entry.options.items()]
    inside = [markdown(entry.doc, found, module, entry.name), chapters]
    inside += [directive(member, found, module) for member in entry.members]
    fence = "::::" if entry.members else ":::"
    head = f"{fence}{{py:{entry.kind}}} {entry.name}{entry.signature}"
    return "\n".join([head, *options, "", *(part + "\n" for part in inside if part), fence])


class Api(SphinxDirective):
    """What modules and packages offer, in the order in which they are named."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Write everything as Markdown, and let the parser do the rest."""
        found = dependent(self.env)
        modules = [module for name in self.arguments[0].split() for module in found.within(name)]
        text = "\n\n".join(self.write(module, found) for module in modules)
        return self.parse_text_to_nodes(text, allow_section_headings=True)

    def write(self, module: Module, found: Library) -> str:
        """Write the section of one module."""
        parts = [f"## `{module.name}`", f":::{{py:module}} {module.name}\n:::"]
        parts += [markdown(unnumbered(module.doc), found, module), origin(found, module.name)]
        for entry in module.entries:
            chapters = origin(found, module.name, entry.name)
            parts.append(directive(entry, found, module, chapters * (entry.kind != "data")))
        return "\n\n".join(parts)


class Overview(SphinxDirective):
    """A table of all modules: what each holds, and the chapter that derives it."""

    def run(self) -> list[nodes.Node]:
        """Write the table as Markdown, and let the parser do the rest."""
        found = dependent(self.env)
        lines = ["| Module | What it holds | Chapter |", "|---|---|---|"]
        for name, module in found.modules.items():
            if found.shown(name) and not found.shown(name.rpartition(".")[0]):
                keys = {key for part in found.within(name) for key in found.derived(part.name)}
                links = chapter_links(found, found.ordered(keys)).partition(" ")[2]
                summary = " ".join(unnumbered(module.doc).split("\n\n")[0].split())
                summary = prose(summary, found, module, "")
                short = name.removeprefix(f"{PACKAGE}.")
                lines.append(f"| {{py:mod}}`{short} <{name}>` | {summary} | {links} |")
        return self.parse_text_to_nodes("\n".join(lines))


def code_of_chapter(found: Library, key: str) -> str:
    """Write the block at the end of a chapter: what it derives, and what it calls."""
    checks = f"{PACKAGE}.course.exercises"
    derived = [m for m in found.modules if found.shown(m) and key in found.derived(m)]
    called = [name for name in found.uses[key] if not name.startswith(checks)]
    rows = {
        "Modules of this chapter": [
            f"{{py:mod}}`{m}`" for m in derived if not m.startswith(checks)
        ],
        "Called here": [f"{{py:obj}}`~{name}`" for name in called],
        "Checks of the exercises": [f"{{py:mod}}`{m}`" for m in derived if m.startswith(checks)],
    }
    lines = [f"**{title}**\n: {', '.join(links)}\n" for title, links in rows.items() if links]
    return "\n".join([":::{admonition} Code of this chapter", ":class: seealso", *lines, ":::"])


def add_code_block(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give a chapter its block, in memory: the notebook itself stays as it is."""
    if not docname.startswith("notebooks/"):
        return
    found = dependent(app.env)
    keys = [key for key, path in found.chapters.items() if f"notebooks/{path.stem}" == docname]
    if keys:
        notebook = json.loads(source[0])
        text = code_of_chapter(found, keys[0])
        cell = {"cell_type": "markdown", "id": "code-of-chapter", "metadata": {}, "source": text}
        notebook["cells"].append(cell)
        source[0] = json.dumps(notebook)


def resolve_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Node):
    """Link a type in a signature to its entry; types of other libraries are plain text."""
    if node.get("refdomain") != "py":
        return None
    found, target, module = library(env), node["reftarget"], node.get("py:module")
    if target in found.names:  # but on no page yet: a test says so
        return text
    if module not in found.modules:
        return None
    name, domain = found.find(target, found.modules[module]), env.get_domain("py")
    if name is None:
        return text
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, text) or text


def list_parameters(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Make the lines of a signature a list: Sphinx's <dl> without a <dt> is no valid HTML."""

    def rewrite(match: re.Match) -> str:
        return f'<ul class="parameters">{match[1].replace("dd>", "li>")}</ul>'

    if pagename.startswith("book/api/"):
        context["body"] = re.sub(r"(?s)<dl>\s*(<dd>.*?)</dl>", rewrite, context["body"])


def setup(app: Sphinx) -> dict:
    """Register the directives, the blocks of the chapters, and what signatures need."""
    app.add_directive("api", Api)
    app.add_directive("library", Overview)
    app.connect("source-read", add_code_block)
    app.connect("missing-reference", resolve_name)
    app.connect("html-page-context", list_parameters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
