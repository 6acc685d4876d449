"""The time to read and to run each notebook: the directive {chapters}, and a line on its page."""

import json
import math
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

WORDS_PER_MINUTE = 130  # a text that is thought about, not skimmed
CODE_LINES_PER_MINUTE = 8
FOLDED = {"remove-cell", "hide-cell", "hide-input"}  # solutions are read after an own attempt


def reading_minutes(notebook: dict) -> int:
    """Estimate the minutes that reading takes, rounded up to the next five."""
    words = lines = 0
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            words += len(re.findall(r"\w+", source))
        elif not FOLDED & set(cell["metadata"].get("tags", [])):
            lines += sum(bool(line.strip()) for line in source.splitlines())
    return 5 * math.ceil((words / WORDS_PER_MINUTE + lines / CODE_LINES_PER_MINUTE) / 5)


def running_time(notebook: dict) -> str:
    """Return the time that the stored run took, in words."""
    seconds = notebook["metadata"].get("run_seconds")
    if seconds is None:
        return "not recorded"
    return f"{max(5, 5 * round(seconds / 5))} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class Chapters(SphinxDirective):
    """A table for each part of the book that has notebooks."""

    def run(self) -> list[nodes.Node]:
        """Write the tables as Markdown, and let the parser do the rest."""
        lines = []
        for part in self.env.external_site_map.root.subtrees:
            rows = [self.row(name) for name in part.files() if name.startswith("notebooks/")]
            if rows:
                lines += [f"**{part.caption}**", "", "| Chapter | Read | Run |", "|---|--:|--:|"]
                lines += [*rows, ""]
        return self.parse_text_to_nodes("\n".join(lines))

    def row(self, docname: str) -> str:
        """Write the row of one notebook."""
        path = Path(self.env.srcdir) / f"{docname}.ipynb"
        self.env.note_dependency(str(path))
        notebook = json.loads(path.read_text(encoding="utf-8"))
        minutes = reading_minutes(notebook)
        return f"| [](/{docname}.ipynb) | {minutes} min | {running_time(notebook)} |"


def add_running_time(app: Sphinx, docname: str, source: list[str]) -> None:
    """Say below a notebook's title how long it ran, in memory: the file stays as it is."""
    if not docname.startswith("notebooks/"):
        return
    notebook = json.loads(source[0])
    first = notebook["cells"][0]
    title, _, rest = "".join(first["source"]).partition("\n")
    line = f"The outputs on this page come from a run of {running_time(notebook)} on two cores."
    first["source"] = f'{title}\n\n<p class="running-time">{line}</p>\n\n{rest}'
    source[0] = json.dumps(notebook)


def setup(app: Sphinx) -> dict:
    """Register the directive, and the line of each chapter."""
    app.add_directive("chapters", Chapters)
    app.connect("source-read", add_running_time)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
