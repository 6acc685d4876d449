"""Chapters: their numbers, in titles and figures, their length, and their list on the first page.

A chapter's number is that of its file, `04_training.ipynb` or `09a_memory.ipynb`; pages called
`04_deeper_….ipynb` follow their chapter and go on with its figures.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

WORDS_PER_MINUTE = 130  # of a text that is thought about, not skimmed
MINUTES_PER_TASK = 3  # for each cell that the reader fills in
LONGEST = {"00": 1500, "deeper": 4000, "core": 5000}  # words of a page
FOLDED = {"hide-cell", "hide-input"}  # solutions are read after an own attempt
CHAPTER = re.compile(r"notebooks/0?(\d+[a-d]?)_(deeper)?")
THUMBNAILS = "book/_static/chapters"
TOLD = f"{THUMBNAILS}/told.json"  # what each of them shows
WIDGET = "application/vnd.jupyter.widget-view+json"


class Words(NamedTuple):
    """Words of a page, as a reader sees them."""

    prose: int
    code: int
    outputs: int
    folded: int

    @property
    def seen(self) -> int:
        """All but what is folded."""
        return self.prose + self.code + self.outputs


def number_of(docname: str) -> str | None:
    """Return the number of the chapter that a page belongs to, or None.

    >>> number_of("notebooks/09a_memory"), number_of("notebooks/04_deeper_precision")
    ('9a', '4')
    """
    match = CHAPTER.match(docname)
    return None if match is None or match[1] == "99" else match[1]


def is_deeper(docname: str) -> bool:
    """Say whether a page goes deeper than its chapter.

    >>> is_deeper("notebooks/04_deeper_precision")
    True
    """
    match = CHAPTER.match(docname)
    return match is not None and match[2] is not None


def words_in(text: str) -> int:
    """Count words; a number is one, and so is a name with a dot or an apostrophe.

    >>> words_in("It's 0.95, or `unet_lib.data`.")
    4
    """
    return len(re.findall(r"\w+(?:[.'’-]\w+)*", text))


def prose_of(source: str) -> tuple[str, str]:
    """Return what a Markdown cell shows and what it folds away, without tags and links' targets.

    >>> prose_of("See {doc}`chapter 4 <04_training>`. <details>No.</details>")
    ('See chapter 4 . ', 'No.')
    """
    folds = re.findall(r"<details.*?</details>", source, re.DOTALL)
    summaries = re.findall(r"<summary>.*?</summary>", "".join(folds), re.DOTALL)
    shown = re.sub(r"<details.*?</details>", "", source, flags=re.DOTALL) + "".join(summaries)
    folded = re.sub(r"<summary>.*?</summary>", "", "".join(folds), flags=re.DOTALL)
    shown = re.sub(r"\{[\w:]+\}`([^`<]*)(<[^`]*>)?`", r"\1", shown)
    shown = re.sub(r"\]\([^)]*\)", "]", shown)
    return re.sub(r"</?\w[^>]*>", "", shown), re.sub(r"</?\w[^>]*>", "", folded)


def shown_text(output: dict) -> str:
    """Return the text of an output, without what stands for a figure or a widget."""
    data = output.get("data", {})
    if WIDGET in data or any(kind.startswith("image/") for kind in data):
        return ""
    return "".join(output.get("text") or data.get("text/markdown") or data.get("text/plain") or "")


def count_words(notebook: dict) -> Words:
    """Count the words of a page: prose with captions, code, outputs; what is folded apart."""
    prose = code = outputs = folded = 0
    for cell in notebook["cells"]:
        source, tags = "".join(cell["source"]), set(cell["metadata"].get("tags", []))
        if cell["cell_type"] == "markdown":
            shown, hidden = prose_of(source)
            prose, folded = prose + words_in(shown), folded + words_in(hidden)
        elif "remove-cell" not in tags:
            length = words_in(source)
            if FOLDED & tags:
                folded += length
            elif "remove-input" not in tags:
                code += length
            printed = sum(words_in(shown_text(output)) for output in cell.get("outputs", []))
            if "hide-cell" in tags:
                folded += printed
            else:
                outputs += printed
            figure = cell["metadata"].get("mystnb", {}).get("figure", {})
            prose += words_in(figure.get("caption", ""))
    return Words(prose, code, outputs, folded)


def reading_minutes(notebook: dict) -> int:
    """Estimate the minutes that reading takes, tasks in the text included, in fives."""
    tasks = sum("task" in cell["metadata"].get("tags", []) for cell in notebook["cells"])
    minutes = count_words(notebook).seen / WORDS_PER_MINUTE + MINUTES_PER_TASK * tasks
    return 5 * math.ceil(minutes / 5)


def running_time(notebook: dict) -> str:
    """Return the time that the stored run took, in words."""
    seconds = notebook["metadata"].get("run_seconds")
    if seconds is None:
        return "not recorded"
    return f"{max(5, 5 * round(seconds / 5))} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def walk(env: BuildEnvironment, docname: str) -> Iterator[str]:
    """Return a page and all below it, as they are read."""
    yield docname
    for below in env.toctree_includes.get(docname, []):
        yield from walk(env, below)


class Chapters(SphinxDirective):
    """The list of all chapters: number, picture, what it gives, minutes, and what moves in it."""

    def run(self) -> list[nodes.Node]:
        """Write the list as Markdown, and let the parser do the rest."""
        told = Path(self.env.srcdir) / TOLD
        self.env.note_dependency(str(told))
        thumbnails = json.loads(told.read_text(encoding="utf-8"))
        lines = ["`````{container} chapter-list"]
        for part in self.env.external_site_map.root.subtrees:
            names = [name for name in part.files() if name.startswith("notebooks/")]
            cards = [self.card(name, thumbnails.get(Path(name).name)) for name in names]
            if cards:
                lines += ["````{container} chapter-part", part.caption, "````", *cards]
        return self.parse_text_to_nodes("\n".join([*lines, "`````"]))

    def card(self, docname: str, thumbnail: str | None) -> str:
        """Write the card of one notebook; `thumbnail` says in words what its image shows."""
        path = Path(self.env.srcdir) / f"{docname}.ipynb"
        self.env.note_dependency(str(path))
        notebook = json.loads(path.read_text(encoding="utf-8"))
        told = [f"{reading_minutes(notebook)} min", f"runs {running_time(notebook)}"]
        if any(
            WIDGET in o.get("data", {}) for c in notebook["cells"] for o in c.get("outputs", [])
        ):
            told.append("interactive")
        image = f"/{THUMBNAILS}/{path.stem}.webp"
        shown = f"![Part of: {thumbnail}]({image})\n" if thumbnail else ""
        return "\n".join(
            [
                "````{container} chapter-card",
                shown,
                f"[](/{docname}.ipynb)\n",
                f"{' · '.join(told)}",
                "````",
            ]
        )


def open_chapter(app: Sphinx, docname: str, source: list[str]) -> None:
    """Number a notebook's title and say below it how long it ran, in memory."""
    if not docname.startswith("notebooks/"):
        return
    notebook = json.loads(source[0])
    first = notebook["cells"][0]
    title, _, rest = "".join(first["source"]).partition("\n")
    if (number := number_of(docname)) and not is_deeper(docname):
        title = title.replace("# ", f"# {number}. ", 1)
    line = f"The outputs on this page come from a run of {running_time(notebook)} on two cores."
    first["source"] = f'{title}\n\n<p class="running-time">{line}</p>\n\n{rest}'
    source[0] = json.dumps(notebook)


def number_figures(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Let figures count within their chapter: 4.12, and on through its deeper pages."""
    counted, renumbered = Counter(), []
    for docname in walk(env, env.config.root_doc):
        figures = env.toc_fignumbers.get(docname, {}).get("figure", {})
        chapter = number_of(docname)
        for name in sorted(figures, key=lambda name: figures[name][-1]):
            counted[chapter or docname] += 1
            place = counted[chapter or docname]
            figures[name] = (chapter, place) if chapter else (place,)
        if figures and env.metadata[docname].get("figures") != figures:
            env.metadata[docname]["figures"] = dict(figures)
            renumbered.append(docname)
    return renumbered


def setup(app: Sphinx) -> dict:
    """Register the directive, and what is done to each chapter."""
    app.add_directive("chapters", Chapters)
    app.connect("source-read", open_chapter)
    app.connect("env-get-updated", number_figures, priority=800)  # behind Sphinx's own numbers
    return {"parallel_read_safe": True, "parallel_write_safe": True}
