"""In code, `from unet_lib.evaluation.metrics import dice` leads to the pages of the library.

Only import lines are touched: there a name is met for the first time, and its meaning is certain.
"""

import re

from api import library
from docutils import nodes
from sphinx.application import Sphinx

# "from unet_lib.… import" as Pygments marks it up, and the names: to the line's end, or to ")"
IMPORT = re.compile(
    r'(<span class="nn">(unet_lib[\w.]*)</span>(?:<span class="w"> </span>|\s)*'
    r'<span class="kn">import</span>)([^(\n]*(?:<span class="p">\()?(?:(?<=\()[^)]*)?)'
)
NAME = re.compile(r'<span class="n">(\w+)</span>')


def link_imports(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None
) -> None:
    """Link each name that the page's code imports from the library to its entry."""
    if doctree is None or 'class="nn">unet_lib' not in context.get("body", ""):
        return
    found, domain = library(app.env), app.env.get_domain("py")

    def link(module: str, match: re.Match) -> str:
        name = found.home(f"{module}.{match[1]}")
        entry = domain.objects.get(name) or domain.modules.get(name)
        if entry is None:
            return match[0]
        address = f"{app.builder.get_relative_uri(pagename, entry.docname)}#{entry.node_id}"
        return f'<a class="library" href="{address}">{match[0]}</a>'

    def line(match: re.Match) -> str:
        return match[1] + NAME.sub(lambda name: link(match[2], name), match[3])

    context["body"] = IMPORT.sub(line, context["body"])


def setup(app: Sphinx) -> dict:
    """Look at each page once it is written as HTML."""
    app.connect("html-page-context", link_imports)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
