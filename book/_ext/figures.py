"""The size of every figure in its tag: nothing on the page moves when the file arrives.

Sphinx writes no sizes but those that an author asks for; on a slow network the text would jump
under its reader with every figure, and a link to a place would end elsewhere.
"""

import re
from pathlib import Path

import imagesize
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

FIGURE = re.compile(r'<img (?=[^>]*src="[^"]*_images/([^"]+)")(?![^>]* width=)')


def add_sizes(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Write width and height, in pixels of the file, into the tags of a page's figures."""
    sources = {name: Path(app.srcdir, source) for source, name in app.builder.images.items()}

    def sized(tag: re.Match) -> str:
        width, height = (round(side) for side in imagesize.get(sources[tag[1]]))
        if width < 1:
            raise ExtensionError(f"{sources[tag[1]]} names no width and height: write them into it")
        return f'<img width="{width}" height="{height}" '

    context["body"] = FIGURE.sub(sized, context.get("body", ""))


def setup(app: Sphinx) -> dict:
    """Connect the step to the build."""
    app.connect("html-page-context", add_sizes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
